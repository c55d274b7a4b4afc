from dataclasses import replace
from importlib import import_module

import pytest

from exchange.kernel import NotFoundError
from exchange.release import Consent, Outcome, Permit, Reason, Refusal, RowFacts, Use, Viewer, decide, explain
from exchange.release.explain import PERSONAL_RULES
from exchange.release.rules import LABEL_RULES, REPORT_RULES
from exchange.release.sentences import _SENTENCES, FAILED_SENTENCE, NOT_SHOWN_SENTENCE
from tests.support.release_world import (
    CLASS,
    LABEL,
    LOWER,
    READER,
    ROW,
    SCOPE,
    label,
    law_with,
    marked,
    reader,
    rules_only_law,
    scope,
)

DANE = reader(member="DNK", nationality="DNK")
SWEPT = marked(LABEL, LOWER, LABEL)
RULES = (*(rule.number for rule in REPORT_RULES), *(rule.number for rule in LABEL_RULES), 24)


def explained(viewer, *, who=READER, cls=CLASS, clause=SCOPE, row=ROW, law=None):
    return explain(who, cls, clause, row, Use.READ, law or rules_only_law(), viewer)


def refused(explanation):
    return [(rule.number, rule.reason) for rule in explanation.rules if rule.outcome is Outcome.REFUSED]


@pytest.mark.parametrize("viewer", [Viewer.READER, Viewer.EXCHANGE])
def test_a_permit_is_explained_rule_by_rule(viewer):
    explanation = explained(viewer)

    assert explanation.decision == decide(READER, CLASS, SCOPE, ROW, Use.READ, rules_only_law())
    assert tuple(rule.number for rule in explanation.rules) == RULES
    assert {rule.outcome for rule in explanation.rules} == {Outcome.PASSED}
    assert explanation.reasons == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"who": DANE},
        {"who": reader(level="RESTRICTED")},
        {"clause": None},
        {"row": RowFacts(is_recalled=True, is_expired=False)},
        {"cls": marked(label(classification="UNKNOWN"))},
    ],
)
def test_to_a_reader_what_it_may_not_read_does_not_exist(wrong):
    with pytest.raises(NotFoundError, match=r"^no such report$"):
        explained(Viewer.READER, **wrong)


def test_a_reader_of_the_tear_line_learns_nothing_of_what_was_withheld():
    explanation = explained(Viewer.READER, who=DANE, cls=SWEPT)

    assert isinstance(explanation.decision, Permit)
    assert {rule.label for rule in explanation.rules} == {None, LOWER}
    assert {rule.outcome for rule in explanation.rules} == {Outcome.PASSED}
    assert explanation == explained(Viewer.READER, who=DANE, cls=marked(label(classification="TOP SECRET"), LOWER))


def test_a_reader_of_the_whole_does_not_see_a_part_that_was_withheld():
    stricter = label(releasable_to=("DNK", "GBR"))

    explanation = explained(Viewer.READER, cls=marked(LABEL, LABEL, stricter))

    assert {rule.label for rule in explanation.rules} == {None, LABEL}


def test_a_reader_of_the_whole_sees_the_reports_label_even_where_no_part_bears_it():
    explanation = explained(Viewer.READER, cls=marked(LABEL, LOWER))

    assert {rule.label for rule in explanation.rules} == {None, LABEL, LOWER}


def test_the_exchange_sees_every_reason_and_its_label():
    explanation = explained(Viewer.EXCHANGE, who=DANE, cls=SWEPT, clause=scope(in_force=False))

    assert refused(explanation) == [(4, Reason.AGREEMENT_NOT_IN_FORCE), (20, Reason.NOT_RELEASABLE)]
    assert [rule.label for rule in explanation.rules if rule.number == 20] == [LABEL, LOWER]
    assert explanation.reasons == (Reason.AGREEMENT_NOT_IN_FORCE, Reason.NOT_RELEASABLE)
    assert isinstance(explanation.decision, Refusal)


def test_a_reason_that_holds_against_several_labels_is_shown_once():
    explanation = explained(Viewer.EXCHANGE, who=reader(level="UNCLASSIFIED"), cls=SWEPT)

    assert refused(explanation) == [(18, Reason.ABOVE_CLEARANCE)] * 2
    assert explanation.reasons == (Reason.ABOVE_CLEARANCE,)


def test_the_reasons_shown_to_the_exchange_are_those_of_the_decision():
    law = law_with(GBR='@id("gbr.y") @reason("x") forbid (principal, action, resource);')
    wrong = reader(level="RESTRICTED", clearance_current=False, purpose="")

    explanation = explained(Viewer.EXCHANGE, who=wrong, law=law)

    assert isinstance(explanation.decision, Refusal)
    assert explanation.reasons == explanation.decision.reasons


def test_the_originator_learns_what_concerns_the_member_and_nothing_personal():
    personal = reader(
        member="DNK",
        nationality="ESP",
        level="RESTRICTED",
        compartments=frozenset(),
        clearance_current=False,
        is_active=False,
        roles=frozenset(),
    )

    explanation = explained(Viewer.ORIGINATOR, who=personal, clause=scope(readers=frozenset()))

    assert explanation.decision is None
    assert refused(explanation) == [(6, Reason.NOT_A_PARTY), (20, Reason.NOT_RELEASABLE)]
    hidden = [rule for rule in explanation.rules if rule.number in PERSONAL_RULES]
    assert {(rule.outcome, rule.reason, rule.sentence) for rule in hidden} == {
        (Outcome.NOT_SHOWN, None, NOT_SHOWN_SENTENCE)
    }
    assert {rule.number for rule in hidden} == {1, 2, 12, 16, 18, 19, 21, 24}


def test_the_originator_sees_the_same_of_two_clients_that_differ_in_person_only():
    weaker = reader(
        level="UNCLASSIFIED",
        compartments=frozenset(),
        clearance_current=False,
        nationality="ESP",
        roles=frozenset(),
        is_active=False,
    )

    assert explained(Viewer.ORIGINATOR, who=weaker) == explained(Viewer.ORIGINATOR)


def test_the_originator_sees_everything_about_its_own_client():
    own = reader(member="GBR", nationality="GBR", level="RESTRICTED")

    explanation = explained(Viewer.ORIGINATOR, who=own)

    assert explanation == explained(Viewer.EXCHANGE, who=own)
    assert refused(explanation) == [(18, Reason.ABOVE_CLEARANCE)]


def test_client_of_another_member_is_hidden_whatever_its_nationality():
    # A national of the originator that works for NOR is NOR's to answer for.
    british = explained(Viewer.ORIGINATOR, who=reader(nationality="GBR", level="RESTRICTED"))

    assert british == explained(Viewer.ORIGINATOR)
    assert (british.decision, refused(british)) == (None, [])


def test_guards_are_told_for_each_label():
    law = law_with(
        exchange='@id("x.y") @reason("x") forbid (principal, action, resource) when {resource.level_rank < 2};'
    )
    told = [rule for rule in explained(Viewer.EXCHANGE, cls=SWEPT, law=law).rules if rule.number == 24]

    assert [(rule.label, rule.outcome) for rule in told] == [(LABEL, Outcome.PASSED), (LOWER, Outcome.REFUSED)]


def test_guard_that_fails_beside_one_that_forbids_is_told_too_and_to_nobody_else():
    law = law_with(
        exchange='@id("x.y") @reason("x") forbid (principal, action, resource);'
        '@id("x.z") @reason("x") forbid (principal, action, resource)'
        " when { resource.level_rank + 9223372036854775807 > 0 };"
    )
    told = explained(Viewer.EXCHANGE, law=law)

    assert isinstance(told.decision, Refusal)
    assert told.reasons == told.decision.reasons == (Reason.NATIONAL_CAVEAT, Reason.RULE_FAILED)
    assert [rule.sentence for rule in told.rules if rule.number == 24] == ["Forbidden by x.y: x.", FAILED_SENTENCE]
    assert explained(Viewer.ORIGINATOR, law=law) == explained(Viewer.ORIGINATOR)


def test_guards_that_forbid_are_told_with_their_reasons():
    law = law_with(
        exchange='@id("x.y") @reason("It is Tuesday.") forbid (principal, action, resource);',
        GBR='@id("gbr.y") @reason("It is ours.") forbid (principal, action, resource);',
    )

    last = explained(Viewer.EXCHANGE, law=law).rules[-1]

    assert (last.number, last.name, last.outcome, last.reason) == (
        24,
        "guards",
        Outcome.REFUSED,
        Reason.NATIONAL_CAVEAT,
    )
    assert last.sentence == "Forbidden by gbr.y: It is ours; x.y: It is Tuesday."
    assert last.label == LABEL


def test_a_failing_rule_is_told_as_a_refusal():
    explanation = explained(Viewer.EXCHANGE, cls=marked(label(classification="UNKNOWN")))

    failed = [rule for rule in explanation.rules if rule.reason is Reason.RULE_FAILED]
    assert {rule.number for rule in failed} == {15, 17, 18}
    assert {rule.name for rule in failed} == {"label-known", "below-ceiling", "clearance-level"}
    assert {(rule.outcome, rule.sentence) for rule in failed} == {(Outcome.REFUSED, FAILED_SENTENCE)}


def test_rule_about_parties_that_fails_is_told_as_that_whatever_was_consented(monkeypatch):
    def fail(case):
        raise ZeroDivisionError

    failing = tuple(replace(rule, judge=fail) for rule in REPORT_RULES)
    # By its module, which the function of the same name hides.
    monkeypatch.setattr(import_module("exchange.release.explain"), "REPORT_RULES", failing)
    cls = replace(CLASS, consents=(Consent("ESP", CLASS.part_labels),))
    told = explained(Viewer.EXCHANGE, who=reader(member="ESP", nationality="ESP"), cls=cls)

    assert {rule.sentence for rule in told.rules if rule.number <= len(REPORT_RULES)} == {FAILED_SENTENCE}


def test_every_rule_has_its_two_sentences_and_no_sentence_is_without_rule():
    names = {rule.name for rule in (*REPORT_RULES, *LABEL_RULES)} | {"guards"}

    assert set(_SENTENCES) == names
    assert len({sentence for pair in _SENTENCES.values() for sentence in pair}) == 2 * len(names)


def test_sentences_carry_the_words_of_the_case():
    who = reader(
        client="c-7", member="DNK", nationality="ESP", level="RESTRICTED", purpose="sanctions", is_active=False
    )
    cls = marked(label(handling=("EYES ONLY", "SEALED")), topic="air.drones", kind="imagery", regions=("AFR",))
    rules = {
        rule.name: rule
        for rule in explained(Viewer.EXCHANGE, who=who, cls=cls, clause=scope(readers=frozenset())).rules
    }

    assert rules["client-active"].sentence == "The client, or its member DNK, is suspended or revoked."
    assert rules["reader-in-scope"].sentence == "The scope `cyber-threats` does not name DNK as a reader."
    assert rules["topic-in-scope"].sentence == "The topic `air.drones` lies outside the scope `cyber-threats`."
    assert rules["kind-in-scope"].sentence == "The kind `imagery` is not in the scope `cyber-threats`."
    assert "`sanctions`" in rules["purpose-allowed"].sentence
    assert "`RESTRICTED`" in rules["clearance-level"].sentence
    assert "`ESP`" in rules["nationality"].sentence
    assert rules["originator-is-party"].sentence.startswith("GBR, ")


def test_what_passed_is_told_as_passed():
    rules = {rule.name: rule.sentence for rule in explained(Viewer.READER).rules}

    assert rules["reader-is-party"] == "NOR is an active party to the agreement."
    assert rules["purpose-allowed"] == "The scope allows the purpose `defence`."
    assert rules["guards"] == "No guard forbids it."


def test_no_sentence_names_another_recipient():
    explanation = explained(Viewer.READER, cls=marked(LOWER))

    assert not any("DNK" in rule.sentence for rule in explanation.rules)


def test_consent_of_the_originator_shows_in_the_explanation():
    cls = replace(CLASS, consents=(Consent("ESP", CLASS.part_labels),))
    outsider = reader(member="ESP", nationality="ESP")
    told = explained(Viewer.READER, who=outsider, cls=cls)
    by_consent = {rule.number for rule in told.rules if "signed consent" in rule.sentence}

    assert isinstance(told.decision, Permit)
    assert by_consent == {5, 6, 20}


def test_reader_by_itself_is_told_of_the_consent_only_where_the_label_needs_it():
    label = replace(LABEL, releasable_to=("GBR",))
    cls = replace(CLASS, label=label, part_labels=(label,), consents=(Consent("NOR", (label,)),))
    told = explained(Viewer.READER, cls=cls)

    assert {rule.number for rule in told.rules if "signed consent" in rule.sentence} == {20}
    assert not [rule for rule in explained(Viewer.READER).rules if "signed consent" in rule.sentence]
