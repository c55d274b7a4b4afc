"""Editions: older reports are narrowed by later texts and widened by none, and everybody signs an amendment."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise, product

import pytest

from exchange.agreements import (
    AMENDMENT_MOVES,
    Absence,
    AgreementState,
    Amendment,
    AmendmentState,
    AnswersTo,
    Departure,
    OlderReports,
    OnwardRelease,
    Party,
    PartyState,
    SharedReports,
    amended,
    amendment_faults,
    amendment_state,
    as_if_concluded,
    away_since,
    clause_of,
    conclude,
    gone_on_without,
    is_known_to,
    left_behind,
    require_amendable,
    signatories_of,
    standing_signatures,
    state_of,
    terms_as_json,
    terms_from_stored,
    text_of,
    withdraw_party,
)
from exchange.agreements.editions import is_recalled_since
from exchange.kernel import ConflictError, Fault
from exchange.members import MemberCode
from tests.core.agreements.worlds import AFTER, BEFORE, DURING, EXAMPLE, SIGNED_AT, agreement, parse, signature_of

P, S, U, W = PartyState.PENDING, PartyState.SIGNED, PartyState.SUSPENDED, PartyState.WITHDRAWN
FIRST = parse(EXAMPLE)
SCOPE = FIRST.scopes[0]
NLD = MemberCode("NLD")


def text(*, older=OlderReports.EXCLUDED, **changes):
    return replace(FIRST, scopes=(replace(SCOPE, **changes),), older_reports=older)


def test_reports_of_the_text_in_force_stand_under_it():
    clause = clause_of((FIRST,), "cyber-threats", 1)

    assert clause is not None
    assert (clause.scope, clause.ceilings) == (SCOPE, frozenset())
    assert clause_of((FIRST,), "none", 1) is None
    assert clause_of((FIRST,), "cyber-threats", 2) is None
    assert clause_of((FIRST,), "cyber-threats", 0) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"readers": (*SCOPE.readers, NLD)}, "readers"),
        ({"contributors": (*SCOPE.contributors, NLD)}, "contributors"),
        ({"topics": ("cyber", "terrorism")}, "topics"),
        ({"regions": ("EUR", "NAM")}, "regions"),
        ({"kinds": (*SCOPE.kinds, "warning")}, "kinds"),
        ({"purposes": (*SCOPE.purposes, "judicial")}, "purposes"),
        ({"compartments": ("ATOMAL",)}, "compartments"),
        ({"onward_release": OnwardRelease.PARTIES}, "onward_release"),
        ({"answers": AnswersTo.ASKED}, "answers"),
    ],
)
def test_wider_text_reaches_new_reports_and_no_older_one(changes, field):
    texts = (FIRST, text(**changes))
    old, new = clause_of(texts, "cyber-threats", 1), clause_of(texts, "cyber-threats", 2)

    assert getattr(old.scope, field) == getattr(SCOPE, field)
    assert getattr(new.scope, field) == changes[field]
    # Unless the text that was signed says so.
    included = (FIRST, text(**changes, older=OlderReports.INCLUDED))
    assert getattr(clause_of(included, "cyber-threats", 1).scope, field) == changes[field]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"readers": SCOPE.readers[:2]}, "readers"),
        ({"topics": ("cyber.apt",)}, "topics"),
        ({"kinds": ("intrep",)}, "kinds"),
        ({"onward_release": OnwardRelease.NEVER}, "onward_release"),
    ],
)
def test_narrower_text_reaches_all_reports(changes, field):
    texts = (FIRST, text(**changes))

    assert getattr(clause_of(texts, "cyber-threats", 1).scope, field) == changes[field]


def test_text_that_names_a_wider_topic_leaves_older_reports_what_theirs_named():
    texts = (text(topics=("cyber.apt", "terrorism")), text(topics=("cyber",)))

    assert clause_of(texts, "cyber-threats", 1).scope.topics == ("cyber.apt",)
    assert clause_of(texts, "cyber-threats", 2).scope.topics == ("cyber",)


def test_answers_to_older_requests_go_to_all_only_while_every_text_says_so():
    wide, narrow = text(answers=AnswersTo.ASKED), text(ceiling="RESTRICTED")

    assert clause_of((wide, text(ceiling="RESTRICTED", answers=AnswersTo.ASKED)), "cyber-threats", 1).scope.answers is (
        AnswersTo.ASKED
    )
    assert clause_of((wide, narrow), "cyber-threats", 1).scope.answers is AnswersTo.ASKER


@pytest.mark.parametrize(
    ("older", "edition", "reads"),
    [
        (OlderReports.EXCLUDED, 1, False),
        (OlderReports.EXCLUDED, 2, False),
        (OlderReports.EXCLUDED, 3, True),
        (OlderReports.INCLUDED, 1, True),
        (OlderReports.INCLUDED, 2, True),
    ],
)
def test_who_accedes_anew_reads_older_reports_where_its_text_says_so(older, edition, reads):
    came_back = Absence("DNK", SIGNED_AT, DURING, 3)
    texts = (text(), text(topics=("cyber",)), text(older=older))
    clause = clause_of(texts, "cyber-threats", edition, [came_back])

    assert ("DNK" in clause.scope.readers, "NOR" in clause.scope.readers) == (reads, True)
    assert "DNK" in clause_of(texts, "cyber-threats", edition).scope.readers
    # Of who came back by another text, and posts too.
    other = clause_of(texts, "cyber-threats", 2, [replace(came_back, member="GBR"), replace(came_back, edition=2)])
    assert ("DNK" in other.scope.readers) is True
    assert ("GBR" in other.scope.contributors, "GBR" in other.scope.readers) == (older is OlderReports.INCLUDED,) * 2


@pytest.mark.parametrize(
    ("texts", "absences", "away"),
    [
        ((text(), text()), [], set()),
        ((text(), text()), [2], {"DNK"}),
        ((text(), text(), text()), [2], {"DNK"}),
        ((text(), text(older=OlderReports.INCLUDED)), [2], set()),
        ((text(), text(), text(older=OlderReports.INCLUDED)), [2], set()),
        ((text(), text(older=OlderReports.INCLUDED), text()), [3], {"DNK"}),
        ((text(), replace(text(), parties=FIRST.parties[:2]), text()), [], {"DNK"}),
        ((text(), replace(text(), parties=FIRST.parties[:2]), text(older=OlderReports.INCLUDED)), [], set()),
        ((text(), replace(text(older=OlderReports.INCLUDED), parties=FIRST.parties[:2])), [], {"DNK"}),
        ((replace(text(), parties=FIRST.parties[:2]), text()), [], set()),
    ],
)
def test_who_was_no_party_for_a_time_shares_older_reports_again_where_a_text_says_so(texts, absences, away):
    absent = [Absence("DNK", SIGNED_AT, DURING, edition) for edition in absences]

    assert away_since(texts, 1, absent) == away
    assert away_since(texts, len(texts), absent) == set()


def test_absence_that_had_ended_when_a_report_came_takes_nothing_from_it():
    absent = [Absence("DNK", SIGNED_AT, DURING, 2)]

    assert away_since((text(), text(), text()), 1, absent) == {"DNK"}
    assert away_since((text(), text(), text()), 2, absent) == set()


@pytest.mark.parametrize("said", list(product(SharedReports, repeat=3)))
def test_reports_of_who_left_and_is_back_are_recalled_where_every_text_since_says_so(said):
    texts = [replace(FIRST, termination=replace(FIRST.termination, shared_reports=each)) for each in said]
    now = replace(agreement([S] * 3), earlier=tuple(texts[:2]), terms=texts[2], edition=3)
    back = replace(now, absences=(Absence("DNK", SIGNED_AT, DURING, 3),))
    recalled = SharedReports.RECALLED

    assert is_recalled_since(back, "DNK", 1) is (set(said) == {recalled})
    assert is_recalled_since(back, "DNK", 2) is (set(said[1:]) == {recalled})
    assert not is_recalled_since(back, "DNK", 3)
    assert not is_recalled_since(back, "NOR", 1)
    assert not is_recalled_since(now, "DNK", 1)


@pytest.mark.parametrize("said", list(product(SharedReports, repeat=3)))
@pytest.mark.parametrize("by_notice", [True, False])
def test_text_of_its_absence_says_nothing_about_who_is_back(said, by_notice):
    texts = [replace(FIRST, termination=replace(FIRST.termination, shared_reports=each)) for each in said]
    without = replace(texts[1], parties=FIRST.parties[:2])
    back = replace(agreement([S] * 3), earlier=(texts[0], without), terms=texts[2], edition=3)
    if by_notice:
        back = replace(back, departures=(Departure("DNK", 2),))
    asked = [said[0], said[2]] if by_notice else said

    assert is_recalled_since(back, "DNK", 1) is (set(asked) == {SharedReports.RECALLED})


def test_absence_lasts_from_the_day_of_leaving_until_the_text_binds():
    now = withdraw_party(agreement((S, S, S)), "DNK", DURING)
    left_at = now.party("DNK").leaves_at
    back_at = left_at + timedelta(days=9)
    draft = amended(now, text(ceiling="TOP SECRET"), back_at)
    given = {member: signature_of(draft, member, back_at) for member in FIRST.parties}
    concluded = conclude(now, draft.terms, given, back_at)

    assert concluded.absences == (Absence("DNK", left_at, back_at, 2),)
    assert as_if_concluded(now, draft.terms, back_at).absences == concluded.absences
    instant = timedelta(microseconds=1)
    away = [concluded.was_away("DNK", at) for at in (left_at - instant, left_at, back_at - instant, back_at)]
    assert away == [False, True, True, False]
    assert not concluded.was_away("NOR", left_at)
    again = replace(concluded, absences=(*concluded.absences, Absence("NOR", back_at, back_at + instant, 2)))
    assert again.was_away("DNK", left_at)
    # Of whom the text binds at the very moment of its leaving that is kept too.
    signed = {member: signature_of(draft, member, left_at) for member in FIRST.parties}
    assert conclude(now, draft.terms, signed, left_at).absences == (Absence("DNK", left_at, left_at, 2),)
    # Nobody was away who signed before its notice had passed, or is not named any more.
    early = left_at - instant
    signed = {member: signature_of(draft, member, early) for member in FIRST.parties}
    assert conclude(now, draft.terms, signed, early).absences == ()
    without = replace(draft.terms, parties=FIRST.parties[:2])
    assert as_if_concluded(now, without, back_at).absences == ()
    # Without whom the others went on is kept: what they concluded says nothing about it.
    others = amended(now, without, back_at)
    went_on = conclude(now, without, {each: signature_of(others, each, back_at) for each in without.parties}, back_at)
    assert (went_on.departures, concluded.departures) == ((Departure("DNK", 2),), ())
    # To it alone it is there still, as it left it; not to who left with a text, nor to who was never named.
    known = replace(went_on, earlier=(FIRST,))
    found = [(left_behind([now, went_on], member), is_known_to(known, member)) for member in ("DNK", "GBR", "ESP")]
    assert found == [(now, True), (None, True), (None, False)]
    assert not is_known_to(replace(known, departures=()), "DNK")
    assert left_behind([now, replace(went_on, departures=())], "DNK") is None
    assert left_behind([now, went_on, replace(went_on, edition=3)], "DNK").earlier == ()


def test_who_left_by_notice_from_a_later_text_knows_that_one_and_those_before():
    first, second, third = agreement((S, S, S)), text(ceiling="TOP SECRET"), replace(FIRST, parties=FIRST.parties[:2])
    last = replace(first, edition=2, terms=second)
    others = replace(first, edition=3, terms=third, parties=first.parties[:2], departures=(Departure("DNK", 3),))

    assert left_behind([first, last, others], "DNK") == replace(last, earlier=(FIRST,))
    assert is_known_to(replace(others, earlier=(FIRST, second)), "DNK")


def test_absences_and_departures_are_kept_whatever_is_concluded_later():
    absence, departure = Absence("DNK", SIGNED_AT, DURING, 2), Departure("NLD", 3)
    now = replace(agreement((S, S, S)), edition=3, absences=(absence,), departures=(departure,))
    # Who signs the text that leaves it out has not left before it.
    draft = amended(now, replace(text(), parties=FIRST.parties[:2]), DURING)
    concluded = conclude(now, draft.terms, {each: signature_of(draft, each, DURING) for each in FIRST.parties}, DURING)

    assert (concluded.absences, concluded.departures) == ((absence,), (departure,))


def test_of_several_ceilings_all_hold_for_older_reports():
    texts = (FIRST, text(ceiling="TOP SECRET"), text(ceiling="RESTRICTED"))
    first, second, third = (clause_of(texts, "cyber-threats", edition) for edition in (1, 2, 3))

    assert (first.scope.ceiling, first.ceilings) == ("RESTRICTED", {"SECRET", "TOP SECRET"})
    assert (second.scope.ceiling, second.ceilings) == ("RESTRICTED", {"TOP SECRET"})
    assert (third.scope.ceiling, third.ceilings) == ("RESTRICTED", frozenset())
    assert clause_of((FIRST, FIRST), "cyber-threats", 1).ceilings == frozenset()


def test_scope_that_a_text_dropped_is_none_and_does_not_come_back_for_older_reports():
    other = replace(FIRST, scopes=(replace(SCOPE, name="other"),))

    assert clause_of((FIRST, other), "cyber-threats", 1) is None
    assert clause_of((FIRST, other), "other", 1) is None
    assert clause_of((FIRST, other, FIRST), "cyber-threats", 1) is None
    back = replace(other, older_reports=OlderReports.INCLUDED)
    assert clause_of((FIRST, back), "other", 1).scope.name == "other"


def test_text_says_that_it_reaches_older_reports_and_the_digest_covers_it():
    included = text(older=OlderReports.INCLUDED)

    assert terms_from_stored(terms_as_json(included)) == included
    assert terms_as_json(included)["older_reports"] == "included"
    assert "older_reports" not in terms_as_json(FIRST)
    draft = amended(agreement((S, S, S)), included, DURING)
    assert text_of(draft).digest != text_of(amended(agreement((S, S, S)), text(), DURING)).digest
    assert (draft.edition, draft.previous) == (2, text_of(agreement((S, S, S))).digest)


def test_everybody_signs_who_is_or_was_a_party_and_has_not_left():
    terms = replace(FIRST, parties=(MemberCode("GBR"), NLD))

    assert signatories_of(agreement((S, U, W)), terms, DURING) == ("GBR", "NLD", "NOR")


def test_amendment_binds_with_the_last_signature_and_not_before():
    now = agreement((S, U, S))
    terms = replace(text(ceiling="TOP SECRET"), parties=(*FIRST.parties, NLD))
    draft = amended(now, terms, DURING)
    given = {member: signature_of(draft, member, SIGNED_AT) for member in ("GBR", "NOR", "DNK", "NLD")}
    partial = {member: each for member, each in given.items() if member != "NLD"}
    concluded = conclude(now, terms, given, DURING)

    assert conclude(now, terms, partial, DURING) is None
    assert concluded is not None
    assert (concluded.version, concluded.edition) == (now.version + 1, 2)
    assert [party.state for party in concluded.parties] == [S, U, S, S]
    assert all(party.signature == given[party.member] for party in concluded.parties)
    assert {party.signed_at for party in concluded.parties} == {SIGNED_AT}
    assert text_of(concluded).digest == text_of(draft).digest
    assert state_of(concluded, DURING) is AgreementState.IN_FORCE


def test_what_a_text_would_make_of_the_agreement_is_what_it_makes_but_for_the_signatures():
    now = withdraw_party(agreement((S, U, S)), "DNK", DURING)
    terms = replace(text(ceiling="TOP SECRET"), parties=(*FIRST.parties, NLD))
    given = {member: signature_of(amended(now, terms, DURING), member, DURING) for member in terms.parties}
    made, concluded = as_if_concluded(now, terms, DURING), conclude(now, terms, given, DURING)

    assert concluded is not None
    assert made.parties == tuple(replace(party, signature=None) for party in concluded.parties)
    assert [party.state for party in made.parties] == [S, U, S, S]
    assert (made.terms, made.edition, made.previous) == (terms, concluded.edition, concluded.previous)
    assert made.texts == (FIRST, terms)


def test_amended_text_is_pending_for_everybody_who_has_to_sign_it():
    terms = replace(FIRST, parties=(MemberCode("GBR"), NLD))
    draft = amended(agreement((S, U, W)), terms, DURING)

    assert draft.terms == terms
    assert draft.parties == (Party("GBR", P), Party("NLD", P), Party("NOR", P))


def test_who_leaves_by_notice_signs_until_it_has_left_and_leaves_the_amended_agreement_too():
    now = withdraw_party(agreement((S, S, S)), "DNK", DURING)
    left_at = now.party("DNK").leaves_at
    terms = text(ceiling="TOP SECRET")
    without = replace(terms, parties=FIRST.parties[:2])
    draft = amended(now, terms, DURING)
    given = {member: signature_of(draft, member, SIGNED_AT) for member in FIRST.parties}
    before = left_at - timedelta(microseconds=1)

    assert signatories_of(now, without, before) == ("GBR", "NOR", "DNK")
    assert signatories_of(now, without, left_at) == ("GBR", "NOR")
    assert [party.member for party in amended(now, without, left_at).parties] == ["GBR", "NOR"]
    assert conclude(now, terms, given, before).party("DNK").leaves_at == left_at
    # Who had left and signs accedes anew, and stays; what it signed before it left brings it back by no act of others.
    for moment, is_back in ((left_at - timedelta(microseconds=1), False), (left_at, True)):
        again = {**given, "DNK": signature_of(draft, "DNK", moment)}
        concluded = conclude(now, terms, again, left_at)
        assert (concluded is not None) is is_back
        assert standing_signatures(now, again, left_at).keys() == again.keys() - (set() if is_back else {"DNK"})
    assert concluded.party("DNK") == Party("DNK", S, left_at, again["DNK"])
    assert standing_signatures(now, given, before) == given
    two = {member: each for member, each in given.items() if member != "DNK"}
    assert conclude(now, without, two, before) is None
    assert conclude(now, without, two, left_at) is not None


UNCHANGED = Fault("", "unchanged", "this is the text in force: change something")
POLICY = Fault("/policy", "policy-changed", "an amendment keeps the security policy: propose an agreement")
FIRST_DAY = Fault(
    "/validity/from",
    "first-day-changed",
    "an amendment binds with its last signature: keep the first day of the agreement",
)


@pytest.mark.parametrize(
    ("terms", "faults"),
    [
        (FIRST, [UNCHANGED]),
        (replace(FIRST, policy="EU"), [POLICY]),
        (replace(FIRST, validity=replace(FIRST.validity, first_day=FIRST.validity.last_day)), [FIRST_DAY]),
        (text(ceiling="TOP SECRET"), []),
    ],
)
def test_what_an_amendment_cannot_change_is_named(terms, faults):
    assert amendment_faults(agreement((S, S, S)), terms) == faults


def test_only_what_was_concluded_and_has_not_ended_is_amended():
    require_amendable(agreement((S, S, S)), BEFORE)
    require_amendable(agreement((S, S, S)), DURING)
    require_amendable(agreement((S, U, U)), DURING)
    for given, now in ((agreement((S, S, P)), DURING), (agreement((S, S, S)), AFTER), (agreement((S, W, W)), DURING)):
        with pytest.raises(ConflictError, match="only a concluded one"):
            require_amendable(given, now)


def test_party_stands_in_the_editions_whose_text_names_it():
    second = replace(FIRST, parties=(*FIRST.parties[:2], NLD))
    treaty = replace(agreement((S, S, S)), terms=second, edition=2, earlier=(FIRST,))

    assert [treaty.editions_of(member) for member in ("GBR", "DNK", "NLD", "ESP")] == [(1, 2), (1,), (2,), ()]


def proposed(before, terms):
    """`terms` as they are proposed to follow `before`, and the agreement that everybody's signature makes of them."""
    draft = amended(before, terms, DURING)
    signed = {party.member: signature_of(draft, party.member, SIGNED_AT) for party in draft.parties}
    amendment = Amendment(1, draft.previous, text_of(draft).digest, terms, "GBR", DURING)
    return amendment, conclude(before, terms, signed, DURING)


BASE = agreement((S, S, S))
LOWER, LOWERED = proposed(BASE, text(ceiling="RESTRICTED"))
HIGHER, RAISED = proposed(BASE, text(ceiling="TOP SECRET"))
NEXT, THIRD = proposed(LOWERED, text(ceiling="CONFIDENTIAL"))
# The first text once more, as the third edition: a text is told by its place too.
BACK, RETURNED = proposed(LOWERED, FIRST)


@pytest.mark.parametrize(
    ("now", "amendment", "state"),
    [
        (BASE, LOWER, AmendmentState.PROPOSED),
        (BASE, HIGHER, AmendmentState.PROPOSED),
        (LOWERED, LOWER, AmendmentState.IN_FORCE),
        (LOWERED, HIGHER, AmendmentState.OVERTAKEN),
        (LOWERED, NEXT, AmendmentState.PROPOSED),
        (RAISED, LOWER, AmendmentState.OVERTAKEN),
        (THIRD, LOWER, AmendmentState.OVERTAKEN),
        (THIRD, NEXT, AmendmentState.IN_FORCE),
        (THIRD, BACK, AmendmentState.OVERTAKEN),
        (RETURNED, BACK, AmendmentState.IN_FORCE),
        (RETURNED, LOWER, AmendmentState.OVERTAKEN),
        (RETURNED, HIGHER, AmendmentState.OVERTAKEN),
    ],
)
def test_proposed_text_is_overtaken_for_good_once_another_one_binds(now, amendment, state):
    assert amendment_state(now, amendment) is state


def test_proposed_text_moves_only_as_the_table_says():
    ways = [(BASE, LOWERED, THIRD), (BASE, RAISED), (BASE, LOWERED, RETURNED)]
    seen = {
        (amendment_state(before, each), amendment_state(after, each))
        for way in ways
        for before, after in pairwise(way)
        for each in (LOWER, HIGHER)
    }
    stays = {(AmendmentState.OVERTAKEN, AmendmentState.OVERTAKEN)}

    assert seen == {(before, after) for (before, _), after in AMENDMENT_MOVES.items()} | stays


def test_what_the_others_went_on_without_overtakes_what_lay_before_who_was_left_behind():
    gone_on = gone_on_without(BASE, "DNK")

    assert (amendment_state(BASE, LOWER), amendment_state(gone_on, LOWER)) == (
        AmendmentState.PROPOSED,
        AmendmentState.OVERTAKEN,
    )
    assert gone_on == replace(BASE, departures=(*BASE.departures, Departure("DNK", BASE.edition + 1)))
