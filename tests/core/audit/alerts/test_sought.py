"""Reading what was refused before a change: few marks say what all of them would."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit.alerts import Key, ReadAfterChange
from exchange.audit.alerts.memory import Mark, Memory
from exchange.audit.alerts.sought import ANY, CHANGE, MOST_SOUGHT, obtained_by, waited_on
from tests.core.audit.alerts.rows import NOW, entry, entry_id, rules, run

OBTAINED = rules(ReadAfterChange(frozenset({"client.changed"}), timedelta(days=1)), cooldown=timedelta(minutes=1))
MINUTE = timedelta(minutes=1)


def refusal(number, report, **fields):
    return entry(number, decision="refused", object={"type": "report", "id": report}, **fields)


def change(number):
    return entry(number, type="client.changed", object={"type": "client", "id": "client-1"}, owner="NOR")


def read(number, report, **fields):
    return entry(number, object={"type": "report", "id": report}, **fields)


def marks(words):
    return [Mark(word, number, f"entry-{number}") for number, word in enumerate(words)]


@pytest.mark.parametrize(
    "others",
    [
        [refusal(number, f"made-up-{number}") for number in range(2, 602)],
        [refusal(number, "made-up") for number in range(2, 602)],
        [change(number) for number in range(2, 602)],
        [each for number in range(2, 602, 2) for each in (refusal(number, "made-up"), change(number + 1))],
    ],
)
@pytest.mark.parametrize("is_changed_first", [False, True])
def test_whatever_else_is_refused_or_changed_hides_no_read_of_what_a_change_opened(others, is_changed_first):
    sought = [refusal(1, "r"), *([change(700)] if is_changed_first else []), *others, change(800), read(801, "r")]
    found, remembered = run(OBTAINED, sought)

    assert [alert.evidence for alert in found] == [(entry_id(801),)]
    assert len(Memory.of(remembered[Key("rule-0", "NOR")]).marks) <= MOST_SOUGHT


def test_what_is_refused_behind_a_change_hides_no_read_of_what_it_opened():
    behind = [refusal(number, f"made-up-{number}") for number in range(3, 603)]
    found, _ = run(OBTAINED, [refusal(1, "r"), change(2), *behind, read(603, "r")])

    assert [alert.evidence for alert in found] == [(entry_id(603),)]


def test_what_was_refused_too_often_to_be_told_apart_is_told_once_and_only_behind_a_change():
    refused = [refusal(number, f"made-up-{number}") for number in range(2, 602)]
    _, remembered = run(OBTAINED, refused)

    assert run(OBTAINED, [read(700, "new")], remembered)[0] == []
    later = [read(802, "new"), read(803, "newer", at=NOW + 2 * MINUTE), read(804, "made-up-601", at=NOW + 4 * MINUTE)]
    found, _ = run(OBTAINED, [change(801), *later], remembered)
    assert [alert.evidence for alert in found] == [(entry_id(802),), (entry_id(804),)]
    # Those behind the change wait for another one.
    found, _ = run(OBTAINED, [change(1), *refused, read(700, "new"), change(701), read(702, "new")])
    assert [alert.evidence for alert in found] == [(entry_id(702),)]


@given(st.lists(st.sampled_from([CHANGE, "a", "b", "c"]), max_size=20), st.sampled_from(["a", "b", "c"]))
def test_few_marks_say_what_all_of_them_would(words, report):
    kept = list[Mark]()
    for mark in marks(words):
        kept = waited_on([*kept, mark])
    last = max((place for place, word in enumerate(words) if word == CHANGE), default=0)

    assert obtained_by(kept, report) == (report if report in words[:last] else None)
    assert len(kept) == len(set(kept)) <= 7
    # Whatever comes next.
    again = [*words, CHANGE]
    assert obtained_by(waited_on([*kept, *marks(again)[-1:]]), report) == (report if report in words else None)


def test_newest_refusal_of_a_report_is_the_one_that_is_waited_on():
    assert waited_on(marks(["a", "b", "a", CHANGE, "a", CHANGE, "b", "b"])) == [
        Mark("a", 4, "entry-4"),
        Mark("b", 1, "entry-1"),
        Mark(CHANGE, 5, "entry-5"),
        Mark("b", 7, "entry-7"),
    ]


def test_what_is_no_longer_told_apart_lasts_as_long_as_the_newest_of_it():
    words = [f"r{number}" for number in range(MOST_SOUGHT + 10)]
    kept = waited_on([*marks(words), Mark(CHANGE, 1000, "changed")])

    assert (kept[0], len(kept)) == (Mark(ANY, 11, "entry-11"), MOST_SOUGHT)
    assert [mark.word for mark in kept[1:]] == [*words[12:], CHANGE]
