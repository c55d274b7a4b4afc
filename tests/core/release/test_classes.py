import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kernel import MalformedError
from exchange.markings import Label
from exchange.release import ClassFacts, Consent, PostedUnder, class_as_json, class_digest, class_facts, class_from_json
from exchange.reports import Header, PartHeader, Precedence, Protection
from tests.support.release_world import CLASS, LABEL, LOWER, label

NOW = datetime(2026, 1, 1, tzinfo=UTC)

words = st.text(alphabet="abcXYZ.-é", min_size=1, max_size=6)
word_sets = st.sets(words, max_size=3).map(lambda found: tuple(sorted(found)))
labels = st.builds(Label, words, words, word_sets, word_sets, word_sets)


def by_bytes(found):
    return tuple(
        sorted(
            set(found),
            key=lambda each: json.dumps(
                each.as_json(), sort_keys=True, ensure_ascii=False, separators=(",", ":")
            ).encode(),
        )
    )


classes = st.builds(
    ClassFacts, words, words, words, words, word_sets, words, labels, st.lists(labels, max_size=3).map(by_bytes)
)


def part(number, marking):
    return PartHeader(number, marking, "text/plain", f"{number}.txt", 10, Protection.EXCHANGE, "0" * 64)


def header(**changes):
    whole = Header(
        id="0190-report",
        agreement="agreement-1",
        scope="cyber-threats",
        originator="GBR",
        kind="intrep",
        topic="cyber.apt",
        regions=("NAM", "EUR"),
        precedence=Precedence.ROUTINE,
        subject="APT1",
        label=LABEL,
        posted_at=NOW,
        valid_until=None,
        declassify_on=None,
        supersedes=None,
        references=(),
        parts=(part(1, LABEL), part(2, LOWER), part(3, LABEL)),
    )
    return replace(whole, **changes)


def test_a_class_is_read_from_the_header_sorted_and_without_repeats():
    assert class_facts(header()) == replace(CLASS, regions=("EUR", "NAM"), part_labels=by_bytes([LABEL, LOWER]))


MANY = ("AFR", "ANT", "ASI", "EUR", "MID", "NAM", "OCE", "SAM")


@given(st.permutations(MANY))
def test_regions_crises_and_labels_stand_in_the_class_in_one_order(words):
    made = class_facts(header(regions=(*words, words[0])), under=PostedUnder(1, (words[0], *words)))
    levels = [Label("NATO", word) for word in words]

    assert (made.regions, made.crises) == (MANY, MANY)
    assert Consent.over([*levels, levels[0]], member="ESP").labels == tuple(Label("NATO", word) for word in MANY)
    assert class_from_json(class_as_json(made)) == made


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "another"},
        {"subject": None},
        {"precedence": Precedence.FLASH},
        {"posted_at": datetime(2030, 1, 1, tzinfo=UTC)},
        {"valid_until": datetime(2030, 1, 1, tzinfo=UTC)},
        {"regions": ("EUR", "NAM", "EUR")},
        {"supersedes": "another"},
        {"parts": (part(1, LOWER), part(2, LABEL))},
    ],
)
def test_what_no_rule_reads_is_no_part_of_the_class(changes):
    assert class_digest(class_facts(header(**changes))) == class_digest(class_facts(header()))


@pytest.mark.parametrize(
    "changes",
    [
        {"agreement": "agreement-2"},
        {"scope": "other"},
        {"originator": "NOR"},
        {"kind": "imagery"},
        {"topic": "cyber"},
        {"regions": ("EUR",)},
        {"label": label(handling=("ORCON",))},
        {"parts": (part(1, LABEL),)},
    ],
)
def test_what_a_rule_reads_makes_another_class(changes):
    assert class_digest(class_facts(header(**changes))) != class_digest(class_facts(header()))


def test_the_digest_is_pinned():
    # Stored rows carry it: a change of the form needs a new format number and a migration.
    assert class_digest(CLASS) == "6abc5a17b08428488f809fce38ec33d554fc5a33b395683beb5eaf2e90a2d946"


@given(classes)
def test_the_stored_form_is_read_back_unchanged(facts):
    assert class_from_json(json.loads(json.dumps(class_as_json(facts)))) == facts


@given(classes, classes)
def test_the_digest_tells_classes_apart_and_nothing_else(one, other):
    assert (class_digest(one) == class_digest(other)) == (one == other)


def stored(**changes):
    return {**class_as_json(replace(CLASS, regions=("EUR", "NAM"), part_labels=by_bytes([LABEL, LOWER]))), **changes}


def test_the_stored_form_of_these_tests_is_read():
    assert class_from_json(stored()).regions == ("EUR", "NAM")


STORED_LABELS = stored()["part_labels"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "class does not have exactly the fields"),
        ([], "class does not have exactly the fields"),
        ({}, "class does not have exactly the fields"),
        (stored(extra=1), "class does not have exactly the fields"),
        ({key: item for key, item in stored().items() if key != "kind"}, "class does not have exactly the fields"),
        (stored(format=2), "has format `2`"),
        (stored(format=True), "has format `True`"),
        (stored(format="1"), "has format `1`"),
        (stored(topic=None), "`topic` of the class is not text"),
        (stored(agreement=7), "`agreement` of the class is not text"),
        (stored(regions="EUR"), "`regions` of the class is not a list"),
        (stored(regions=[1]), "`regions` of the class is not text"),
        (stored(regions=["NAM", "EUR"]), "not in its canonical order"),
        (stored(regions=["EUR", "EUR"]), "not in its canonical order"),
        (stored(part_labels={}), "`part_labels` of the class is not a list"),
        (stored(part_labels=STORED_LABELS[::-1]), "not in its canonical order"),
        (stored(part_labels=[STORED_LABELS[0], STORED_LABELS[0]]), "not in its canonical order"),
        (stored(label=None), "label does not have exactly the fields"),
        (stored(label={**LABEL.as_json(), "extra": 1}), "label does not have exactly the fields"),
        (stored(label={**LABEL.as_json(), "policy": None}), "`policy` of a stored label is not text"),
        (stored(label={**LABEL.as_json(), "handling": "ORCON"}), "`handling` of a stored label is not a list"),
        (
            stored(label={**LABEL.as_json(), "releasable_to": ["NOR", "GBR"]}),
            "a stored label is not in its canonical order",
        ),
        (stored(part_labels=[None]), "label does not have exactly the fields"),
    ],
)
def test_a_damaged_stored_class_is_refused(value, message):
    with pytest.raises(MalformedError, match=message):
        class_from_json(value)


CONSENTED = replace(CLASS, consents=(Consent("DNK", (LABEL,), ("defence",), 5), Consent("ESP", (LABEL,))))


def test_consents_are_part_of_the_class_and_read_back():
    assert class_from_json(class_as_json(CONSENTED)) == CONSENTED
    assert class_digest(CONSENTED) != class_digest(CLASS)
    assert "consents" not in class_as_json(CLASS)


def test_consents_given_twice_or_in_another_order_are_one_class():
    made = header()
    twice = [Consent("ESP", (LABEL,)), Consent("DNK", (LABEL,), ("defence",), 5), Consent("ESP", (LABEL,))]

    assert class_facts(made, twice).consents == CONSENTED.consents
    assert class_facts(made).consents == ()


def consents_with(**changes):
    value = class_as_json(CONSENTED)
    return {**value, "consents": [{**value["consents"][0], **changes}, value["consents"][1]]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({**class_as_json(CONSENTED), "consents": []}, "^`consents` of the class is no list of consents$"),
        ({**class_as_json(CONSENTED), "consents": "x"}, "^`consents` of the class is no list of consents$"),
        (
            {**class_as_json(CONSENTED), "consents": class_as_json(CONSENTED)["consents"][::-1]},
            "^the consents of the class are not in their canonical order$",
        ),
        ({**class_as_json(CONSENTED), "format": 1}, "^the class has format `1`: this version reads 2 here$"),
        ({**class_as_json(CLASS), "format": 2}, "^the class has format `2`: this version reads 1 here$"),
        (consents_with(labels=[]), "^a consent of the class is not in its canonical order$"),
        (consents_with(labels="x"), "^a consent of the class has no labels or no end$"),
        (consents_with(until_micros="5"), "^a consent of the class has no labels or no end$"),
        (consents_with(until_micros=True), "^a consent of the class has no labels or no end$"),
        (consents_with(labels=STORED_LABELS[::-1]), "^a consent of the class is not in its canonical order$"),
        (consents_with(labels=STORED_LABELS[:1] * 2), "^a consent of the class is not in its canonical order$"),
        (consents_with(purposes=["b", "a"]), "^a consent of the class is not in its canonical order$"),
        (consents_with(purposes=["a", "a"]), "^a consent of the class is not in its canonical order$"),
        (consents_with(purposes="x"), "^`purposes` of the class is not a list$"),
        (consents_with(member=1), "^`member` of the class is not text$"),
        (
            consents_with(more=1),
            "^the stored consent does not have exactly the fields labels, member, purposes, until_micros$",
        ),
    ],
)
def test_stored_consents_in_any_other_form_are_malformed(value, message):
    with pytest.raises(MalformedError, match=message):
        class_from_json(value)


def test_consent_has_one_spelling_whatever_was_given():
    made = Consent.over([LOWER, LABEL, LOWER], member="ESP", purposes=[*"edcbacde"], until_micros=5)

    assert made == Consent("ESP", by_bytes([LABEL, LOWER]), (*"abcde",), 5)
    assert Consent.over([LABEL], member="ESP") == Consent("ESP", (LABEL,))


@given(st.permutations(["DNK", "ESP", "EUROPOL", "FRA", "NLD", "NOR"]))
def test_consents_stand_in_the_class_in_one_order(members):
    given_so = class_facts(header(), [Consent(member, (LABEL,)) for member in members])

    assert [consent.member for consent in given_so.consents] == sorted(members)


def test_what_stood_when_it_was_posted_is_part_of_the_class():
    under = PostedUnder(3, ("crisis-2", "crisis-1", "crisis-2"))
    facts = class_facts(header(), under=under)

    assert (facts.edition, facts.crises) == (3, ("crisis-1", "crisis-2"))
    assert (class_facts(header()).edition, class_facts(header()).crises) == (1, ())


IN_CRISIS = replace(CLASS, crises=("crisis-1", "crisis-2"))


def test_crises_make_another_class_and_none_leaves_the_old_one():
    assert class_from_json(class_as_json(IN_CRISIS)) == IN_CRISIS
    assert "crises" not in class_as_json(CLASS)
    assert class_digest(IN_CRISIS) != class_digest(CLASS)
    assert (IN_CRISIS.under.crises, CLASS.under.crises, CLASS.under.edition) == (IN_CRISIS.crises, (), 1)


@pytest.mark.parametrize(
    ("crises", "message"),
    [
        ([], "^`crises` of the class are not in their canonical order$"),
        ("x", "^`crises` of the class is not a list$"),
        (["crisis-2", "crisis-1"], "^`crises` of the class are not in their canonical order$"),
        (["crisis-1", "crisis-1"], "^`crises` of the class are not in their canonical order$"),
        ([1], "^`crises` of the class is not text$"),
    ],
)
def test_crises_in_no_canonical_form_are_refused(crises, message):
    with pytest.raises(MalformedError, match=message):
        class_from_json({**class_as_json(CLASS), "crises": crises})


def test_edition_makes_another_class_and_the_first_one_is_never_written():
    later = replace(CLASS, edition=2)

    assert class_from_json(class_as_json(later)) == later
    assert class_digest(later) != class_digest(CLASS)
    for edition in (1, 0, "2", True):
        with pytest.raises(MalformedError, match=r"^`edition` of the class is no number from 2 on$"):
            class_from_json({**class_as_json(CLASS), "edition": edition})
