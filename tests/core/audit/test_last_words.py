"""Last words of agreements: what no other thing, no other party's act and no draft has any part in."""

from typing import Any

import pytest

from exchange.audit import EventName
from exchange.audit.rows_told import LastWords, RowTold, TextTold, rows_told

LEAVES_AT = "2026-12-01T00:00:00Z"


def entry(event: EventName, version: int = 1, *, outcome: str = "permitted", **fields: Any) -> Any:
    subject = {"type": "agreement", "id": "a1", "version": version}
    return {"id": "e1", "type": event.value, "decision": outcome, "object": subject, **fields}


def acted(event: EventName, version: int, member: str = "NOR", *, at: str = "2026-06-01T00:00:00Z", **said: Any) -> Any:
    return entry(event, version, member=member, ts=at, detail=said)


def words(*entries: Any) -> list[RowTold]:
    taken = LastWords()
    for each in entries:
        for told in rows_told(each):
            taken.take(told)
    return taken.found()


def contradicted(subject: object, **detail: Any) -> Any:
    return {**entry(EventName.ROW_CONTRADICTED, outcome="failed", detail=detail), "object": subject}


@pytest.mark.parametrize("kind", ["client", "member"])
def test_what_the_jobs_made_of_something_else_is_no_last_word(kind: str) -> None:
    made = contradicted({"type": kind, "id": "x1", "version": 3}, put=4, done="suspended")

    assert [told.says for told in rows_told(made)] == [{"standing": "suspended"}]
    assert words(made) == []


def test_what_other_parties_do_after_a_party_left_begins_nothing_anew() -> None:
    left = [
        acted(EventName.AGREEMENT_SUSPENDED, 2),
        acted(EventName.AGREEMENT_WITHDRAWN, 3, leaves_at=LEAVES_AT),
    ]
    other = acted(EventName.AGREEMENT_SUSPENDED, 4, "GBR", at="2026-12-02T00:00:00Z")

    assert [dict(told.says) for told in words(*left, other)] == [
        {"party NOR": "suspended"},
        {"leaving NOR": LEAVES_AT},
        {"party GBR": "suspended"},
    ]


def test_text_that_was_proposed_is_told_though_it_binds_nobody_yet() -> None:
    proposed = entry(EventName.AGREEMENT_PROPOSED, detail={"text": "t1", "edition": 1, "state": "draft"})

    assert [told.says for told in words(proposed)] == [{"text": TextTold(1, "t1")}]


@pytest.mark.parametrize("parties", [None, "NOR", 7])
def test_parties_that_are_no_list_are_none(parties: object) -> None:
    made = contradicted({"type": "agreement", "id": "a1", "version": 3}, put=4, done="suspended", parties=parties)

    assert [told.says for told in rows_told(made)] == [{}]


def test_what_the_jobs_made_of_nothing_says_nothing() -> None:
    made = contradicted(None, put=4, done="suspended")

    assert rows_told(made) == ()
    assert rows_told({name: value for name, value in made.items() if name != "object"}) == ()
