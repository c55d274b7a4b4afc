"""The closed words."""

import pytest

from exchange.agreements import covers, load_vocabulary
from exchange.kernel import InvalidError
from tests.core.agreements.worlds import VOCABULARY

SMALL = "topics: {cyber: C, cyber.apt: A}\nregions: {EUR: Europe}\nkinds: {intrep: I}\npurposes: {defence: D, judicial: J}\n"


CODES = {
    "stands twice": "repeated-field",
    "has no parent": "unknown-topic",
    "is not a code": "bad-code",
    "no words": "empty",
    "is empty": "empty",
    "is a list": "wrong-type",
    "is a number": "wrong-type",
    "the title": "bad-text",
    "is no field": "unknown-field",
    "is missing": "missing-field",
}


@pytest.mark.parametrize(
    ("scope", "topic", "expected"),
    [
        (("cyber",), "cyber", True),
        (("cyber",), "cyber.apt", True),
        (("cyber",), "cyber.apt.group", True),
        (("maritime", "cyber.apt"), "cyber.apt", True),
        (("cyber",), "cyberwar", False),
        (("cyber.apt",), "cyber", False),
        (("cyber.apt",), "cyber.aptitude", False),
        (("cyber",), "Cyber", False),
        (("cyber",), "cyber ", False),
        (("cyber",), "", False),
        ((), "cyber", False),
    ],
)
def test_topic_covers_itself_and_what_is_below_it(scope, topic, expected):
    assert covers(scope, topic) is expected


def test_vocabulary_keeps_codes_titles_and_order():
    words = load_vocabulary(SMALL)

    assert dict(words.topics) == {"cyber": "C", "cyber.apt": "A"}
    assert list(words.purposes) == ["defence", "judicial"]
    assert words.as_json() == {
        "topics": [{"code": "cyber", "title": "C"}, {"code": "cyber.apt", "title": "A"}],
        "regions": [{"code": "EUR", "title": "Europe"}],
        "kinds": [{"code": "intrep", "title": "I"}],
        "purposes": [{"code": "defence", "title": "D"}, {"code": "judicial", "title": "J"}],
    }


def test_vocabulary_cannot_be_changed():
    with pytest.raises(TypeError):
        VOCABULARY.topics["cyber"] = "x"


def test_our_vocabulary_has_the_words_of_the_contract():
    assert {"cyber", "cyber.apt", "cyber.vulnerability"} <= set(VOCABULARY.topics)
    assert {"EUR", "GLOBAL"} <= set(VOCABULARY.regions)
    assert {"intrep", "indicator-set", "threat-warning"} <= set(VOCABULARY.kinds)
    assert {"defence", "law-enforcement"} <= set(VOCABULARY.purposes)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("cyber.apt: A", "cyber.apt: A, cyber: B", "line 1: /topics/cyber: `cyber` stands twice: keep one"),
        ("cyber: C, ", "", "line 1: /topics/cyber.apt: `cyber.apt` has no parent: add `cyber` before it"),
        ("cyber.apt", "Cyber", "line 1: /topics/Cyber: `Cyber` is not a code for topics"),
        ("cyber.apt", "cyber..apt", "line 1: /topics/cyber..apt: `cyber..apt` is not a code for topics"),
        (
            "cyber.apt: A",
            "cyber.apt.group: A",
            "line 1: /topics/cyber.apt.group: `cyber.apt.group` has no parent: add `cyber.apt` before it",
        ),
        ("EUR", "eur", "line 2: /regions/eur: `eur` is not a code for regions"),
        ("EUR", "EU", "line 2: /regions/EU: `EU` is not a code for regions"),
        ("intrep", "int.rep", "line 3: /kinds/int.rep: `int.rep` is not a code for kinds"),
        ("judicial", "judicial-", "line 4: /purposes/judicial-: `judicial-` is not a code for purposes"),
        ("{EUR: Europe}", "{}", "line 2: /regions: no words: list at least one"),
        ("{EUR: Europe}", "[EUR]", "line 2: /regions: is a list: write named fields"),
        ("Europe", "1", "line 2: /regions/EUR: is a number: write text (in quotes where YAML reads something else)"),
        ("Europe", "''", None),
        ("Europe", "'Europe '", "line 2: /regions/EUR: the title has blanks around it: leave them out"),
        ("Europe", "x" * 121, "line 2: /regions/EUR: the title has 121 characters: at most 120"),
        ("kinds:", "sorts:", "line 3: /sorts: `sorts` is no field here: use topics, regions, kinds, purposes"),
    ],
)
def test_faulty_vocabulary_is_refused_with_the_line(before, after, expected):
    assert before in SMALL
    with pytest.raises(InvalidError) as refused:
        load_vocabulary(SMALL.replace(before, after))

    lines = str(refused.value).splitlines()
    assert lines[0] == "the vocabulary is not valid"
    for fault in refused.value.faults:
        assert fault.code == next(code for words, code in CODES.items() if words in fault.message)
    assert (expected or "line 2: /regions/EUR: is empty: write something") in lines


def test_missing_list_is_one_fault():
    with pytest.raises(InvalidError) as refused:
        load_vocabulary(SMALL.replace("regions: {EUR: Europe}\n", ""))

    assert [str(fault) for fault in refused.value.faults] == ["line 1: `regions` is missing: add it"]


def test_text_that_is_no_yaml_is_refused():
    with pytest.raises(InvalidError) as refused:
        load_vocabulary("topics: [")

    assert [fault.code for fault in refused.value.faults] == ["not-yaml"]
    assert refused.value.message == "the vocabulary is not valid"


def test_text_that_says_null_has_no_words():
    with pytest.raises(InvalidError) as refused:
        load_vocabulary("null\n")

    assert [str(fault) for fault in refused.value.faults] == ["line 1: is nothing: write named fields"]


def test_faults_of_form_and_of_sense_are_reported_together():
    with pytest.raises(InvalidError) as refused:
        load_vocabulary(SMALL.replace("{cyber: C", "&x {Cyber: C"))

    assert [fault.code for fault in refused.value.faults] == ["not-plain", "bad-code", "unknown-topic"]
