"""What a text changes, in words."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from exchange.agreements import (
    AnswersTo,
    CrisisClause,
    NamedSignatory,
    Obligation,
    OlderReports,
    OnwardRelease,
    Scope,
    SharedReports,
    Termination,
    Terms,
    Validity,
    differences,
)
from exchange.members import MemberCode
from tests.core.agreements.worlds import EXAMPLE, parse

FIRST = parse(EXAMPLE)
SCOPE = FIRST.scopes[0]
NLD = MemberCode("NLD")
TIMES = "FLASH within PT10M, IMMEDIATE within PT30M, PRIORITY within PT3H"


def told(**changes):
    return differences(FIRST, replace(FIRST, scopes=(replace(SCOPE, **changes),)))


def test_nothing_changed_is_nothing_told():
    assert differences(FIRST, FIRST) == ()


def test_scopes_are_told_member_by_member_and_word_by_word():
    assert told(readers=(*SCOPE.readers[:2], NLD)) == (
        "NLD may now read cyber-threats up to SECRET",
        "DNK may no longer read cyber-threats",
    )
    # Whoever signs sees whether more is opened or less.
    assert told(ceiling="CONFIDENTIAL") == ("cyber-threats: ceiling: SECRET becomes CONFIDENTIAL",)
    assert told(topics=("terrorism",)) == (
        "cyber-threats: topics gain terrorism",
        "cyber-threats: topics lose cyber",
    )
    assert told(onward_release=OnwardRelease.NEVER, retention="P1Y") == (
        "cyber-threats: onward release becomes never",
        "cyber-threats: retention becomes P1Y for what is posted from then on",
    )
    assert told(answers=AnswersTo.ASKED) == ("cyber-threats: answers to requests go to the asked",)


@pytest.mark.parametrize("field", ["topics", "regions", "kinds", "purposes", "compartments", "contributors"])
def test_each_list_of_a_scope_is_told(field):
    before = replace(FIRST, scopes=(replace(SCOPE, **{field: ("a", "b")}),))
    after = replace(FIRST, scopes=(replace(SCOPE, **{field: ("b", "c")}),))

    assert differences(before, after) == (f"cyber-threats: {field} gain c", f"cyber-threats: {field} lose a")


def test_what_becomes_of_a_leavers_reports_is_told():
    assert differences(FIRST, replace(FIRST, parties=FIRST.parties[:2])) == (
        "DNK is no party any more: what it shared is recalled",
    )


def test_who_has_left_and_is_named_again_accedes_and_may_read_and_post_anew():
    after = replace(FIRST, title="Another")
    titled = f"title: {FIRST.title} becomes Another"

    assert differences(FIRST, after, gone={"DNK"}) == (
        "DNK accedes",
        "DNK may now read cyber-threats up to SECRET",
        titled,
    )
    assert differences(FIRST, after, gone={"NOR"}) == (
        "NOR accedes",
        "NOR may now read cyber-threats up to SECRET",
        "cyber-threats: contributors gain NOR",
        titled,
    )


def test_of_who_has_left_a_text_that_names_it_no_more_says_nothing_about_its_reports():
    scope = replace(SCOPE, readers=tuple(member for member in SCOPE.readers if member != "DNK"))
    after = replace(FIRST, parties=FIRST.parties[:2], scopes=(scope,))

    assert differences(FIRST, after, gone={"DNK"}) == ("DNK, which has left, is named no more",)


def test_parties_scopes_and_terms_are_told():
    after = replace(
        FIRST,
        title="Another",
        parties=(*FIRST.parties[:2], NLD),
        validity=replace(FIRST.validity, review_every=None),
        scopes=(replace(SCOPE, name="other", readers=(NLD,)),),
        obligations=(),
        termination=replace(FIRST.termination, notice="P1D", shared_reports=SharedReports.KEPT),
        older_reports=OlderReports.INCLUDED,
    )

    assert differences(FIRST, after) == (
        "NLD accedes",
        "DNK is no party any more",
        "the scope other is new: from GBR, NOR",
        "NLD may now read other up to SECRET",
        "other: topics are cyber",
        "other: regions are EUR",
        "other: kinds are intrep, indicator-set, threat-warning",
        "other: purposes are defence, law-enforcement",
        "other: onward release is originator-consent",
        "other: retention is P5Y",
        "other: answers to requests go to the asker",
        "the scope cyber-threats ends",
        f"title: {FIRST.title} becomes Another",
        "review: P2Y becomes None",
        "notice of withdrawal: P90D becomes P1D",
        "fate of shared reports: recalled becomes kept",
        "ends: NOR owes in cyber-threats a report every P7D",
        f"ends: each party owes in cyber-threats acknowledgements: {TIMES}",
        "what is widened reaches reports that are older than this text",
    )


def test_what_becomes_owed_is_told_with_its_times():
    owed = Obligation("GBR", "cyber-threats", "P1D", (("FLASH", "PT5M"),))

    assert differences(FIRST, replace(FIRST, obligations=(*FIRST.obligations, owed))) == (
        "from now on GBR owes in cyber-threats a report every P1D and acknowledgements: FLASH within PT5M",
    )


def test_every_scope_and_every_crisis_clause_that_changes_is_told():
    scopes = (SCOPE, replace(SCOPE, name="other"))
    before = replace(FIRST, scopes=scopes, crisis=(CRISIS, replace(CRISIS, name="flood")))
    after = replace(FIRST, scopes=tuple(replace(scope, ceiling="CONFIDENTIAL") for scope in scopes))

    assert differences(before, after) == (
        "cyber-threats: ceiling: SECRET becomes CONFIDENTIAL",
        "other: ceiling: SECRET becomes CONFIDENTIAL",
        f"the crisis clause {CRISIS.name} ends as it was",
        "the crisis clause flood ends as it was",
    )


def test_a_sooner_end_is_told_with_both_days():
    shorter = replace(FIRST.validity, last_day=FIRST.validity.last_day - timedelta(days=1))

    assert differences(FIRST, replace(FIRST, validity=shorter)) == (
        f"last day: {FIRST.validity.last_day} becomes {shorter.last_day}",
    )


def test_text_that_stops_reaching_older_reports_says_so():
    reaching = replace(FIRST, older_reports=OlderReports.INCLUDED)

    assert differences(reaching, replace(FIRST, title="Another")) == (
        f"title: {FIRST.title} becomes Another",
        "what is widened reaches no reports that are older than this text",
    )


CRISIS = CrisisClause("storm", "cyber-threats", None, (NLD,), "PT1H", (NamedSignatory(NLD, "Anna"),))


def test_crisis_clause_is_told_with_everybody_whom_it_names():
    people = (NamedSignatory(NLD, "Anna"), NamedSignatory(MemberCode("GBR"), "Beth"))
    clause = replace(CRISIS, readers=(NLD, MemberCode("ESP")), signatories=people)

    (sentence,) = differences(FIRST, replace(FIRST, crisis=(clause,)))
    by = "by two of Anna (NLD), Beth (GBR)"
    assert sentence == f"the crisis clause storm lets NLD, ESP read in cyber-threats for at most PT1H, {by}"


OF_TERMS = {
    "title": "Another",
    "parties": (*FIRST.parties, NLD),
    "validity": replace(FIRST.validity, review_every="P1Y"),
    "scopes": (*FIRST.scopes, replace(SCOPE, name="other")),
    "obligations": FIRST.obligations[:1],
    "termination": replace(FIRST.termination, notice="P1D"),
    "older_reports": OlderReports.INCLUDED,
    "crisis": (CRISIS,),
}
OF_SCOPE = {
    "name": "other",
    "topics": ("terrorism",),
    "regions": ("NAM",),
    "kinds": ("intsum",),
    "purposes": ("judicial",),
    "ceiling": "RESTRICTED",
    "compartments": ("ATOMAL",),
    "contributors": SCOPE.contributors[:1],
    "readers": SCOPE.readers[:2],
    "onward_release": OnwardRelease.NEVER,
    "retention": "P1Y",
    "answers": AnswersTo.ASKED,
}
# An amendment keeps both: `amendment_faults`.
KEPT = {"policy", "first_day"}


def test_no_field_of_the_text_changes_in_silence():
    for name, value in OF_TERMS.items():
        assert differences(FIRST, replace(FIRST, **{name: value})), name
    for name, value in OF_SCOPE.items():
        assert told(**{name: value}), name
    shorter = replace(FIRST.validity, last_day=FIRST.validity.last_day - timedelta(days=1))
    assert differences(FIRST, replace(FIRST, validity=shorter))
    kept = replace(FIRST.termination, shared_reports=SharedReports.KEPT)
    assert differences(FIRST, replace(FIRST, termination=kept))

    # All there are: a field that comes to the text comes to these tests.
    assert {each.name for each in fields(Terms)} - KEPT == OF_TERMS.keys()
    assert {each.name for each in fields(Scope)} == OF_SCOPE.keys()
    assert {each.name for each in fields(Validity)} - KEPT == {"last_day", "review_every"}
    assert {each.name for each in fields(Termination)} == {"notice", "shared_reports"}


def test_text_in_another_order_is_told_to_be_another_one():
    turned = (replace(SCOPE, readers=SCOPE.readers[::-1]),)

    assert differences(FIRST, replace(FIRST, scopes=turned)) == ("nothing changes but the order of what is written",)
