"""Whom a consent opens what to, asked of its parts one by one: who reads without one, and what one is worth."""

from dataclasses import replace

import pytest

from exchange.agreements import OnwardRelease
from exchange.release import (
    Consent,
    CrisisFacts,
    DecisionCache,
    Permit,
    Reason,
    Refusal,
    Use,
    Viewer,
    cleared_reader,
    decide,
    explain,
    readable_classes,
)
from exchange.release.consents import consented_labels, is_for_purpose, stands_alone
from exchange.release.crises import reads_in_crisis, reads_without_consent
from tests.support.release_world import CLASS, LABEL, LOWER, ROW, label, law_with, marked, reader, rules_only_law, scope

NEVER = OnwardRelease.NEVER
ALONE = frozenset({"NOR"})
LEFT = frozenset({"GBR", "NOR"})
OPEN = CrisisFacts("c1", frozenset({"DNK"}), None, reaches_older=True)


def of(member, **changes):
    return reader(member=member, nationality=member, **changes)


def released(who, cls, under, use=Use.READ):
    match decide(who, cls, under, ROW, use, rules_only_law()):
        case Permit(labels):
            return labels
        case Refusal(reasons):
            return tuple(reason.value for reason in reasons)


@pytest.mark.parametrize(
    ("member", "under", "expected"),
    [
        ("NOR", scope(), True),
        ("DNK", scope(readers=ALONE), False),
        ("ESP", scope(), False),
        # A party that suspended or left reads nothing by itself, whatever the scope still says of it.
        ("DNK", scope(active_parties=LEFT), False),
        ("GBR", scope(active_parties=ALONE), False),
        # The originator's own need not be named.
        ("GBR", scope(), True),
        ("GBR", scope(readers=frozenset()), True),
        ("NOR", None, False),
        ("GBR", None, False),
    ],
)
def test_by_itself_reads_an_active_party_that_the_scope_names_or_whose_report_it_is(member, under, expected):
    assert stands_alone(CLASS, of(member), under) is expected


@pytest.mark.parametrize(
    ("member", "under", "expected"),
    [
        ("NOR", scope(), True),
        ("DNK", scope(readers=ALONE), False),
        ("DNK", scope(readers=ALONE, crises=(OPEN,)), True),
        ("DNK", scope(readers=ALONE, crises=(OPEN,), active_parties=LEFT), False),
        ("DNK", None, False),
    ],
)
def test_without_consent_reads_who_stands_alone_or_as_a_party_in_a_crisis(member, under, expected):
    assert reads_without_consent(CLASS, of(member), under) is expected


def test_no_scope_no_crisis_and_no_consent():
    given = replace(CLASS, consents=(Consent.over([LABEL], member="NOR"),))

    assert not reads_in_crisis(CLASS, of("DNK"), None)
    assert consented_labels(given, of("NOR"), scope()) == frozenset({LABEL})
    assert consented_labels(given, of("NOR"), None) == frozenset()
    assert released(of("NOR"), given, None) == ("no-agreement",)


def test_party_that_left_has_nothing_by_consent_where_nothing_goes_on():
    to_dnk = label(releasable_to=("DNK", "GBR", "NOR"))
    given = marked(to_dnk, consents=(Consent.over([to_dnk], member="DNK"),))
    left = scope(active_parties=LEFT, onward_release=NEVER)

    assert released(of("DNK"), given, left) == ("not-a-party",)
    assert released(of("DNK"), given, scope(onward_release=NEVER)) == {to_dnk}


def test_consent_for_one_label_opens_no_other_to_a_party_that_is_no_reader():
    to_dnk = label(releasable_to=("DNK", "GBR", "NOR"))
    given = marked(to_dnk, to_dnk, LOWER, consents=(Consent.over([LOWER], member="DNK"),))

    assert released(of("DNK"), given, scope(readers=ALONE)) == {LOWER}


@pytest.mark.parametrize("caveat", ["H1", "PAP:RED"])
def test_purpose_is_lifted_for_the_label_that_was_consented_to_and_no_other(caveat):
    high, low = replace(LABEL, handling=(caveat,)), replace(LOWER, handling=(caveat,))
    given = marked(high, high, low, consents=(Consent.over([low], member="NOR", purposes=["judicial"]),))
    court = of("NOR", purpose="judicial")

    assert (is_for_purpose(given, court, low), is_for_purpose(given, court, high)) == (True, False)
    assert released(court, given, scope()) == {low}


def test_originators_own_have_what_it_controls_named_in_a_crisis_or_not():
    held = label(handling=("ORCON",))
    crisis = replace(OPEN, readers=frozenset({"DNK", "GBR"}))

    assert released(of("GBR"), marked(held), scope(readers=ALONE, crises=(crisis,))) == {held}


def test_cleared_reader_is_nobody_and_lacks_nothing_else():
    held, catalogue = frozenset({"ATOMAL"}), rules_only_law().catalogue

    made = cleared_reader("NOR", catalogue, compartments=held, purpose="defence", at_micros=7)

    highest = catalogue.base.levels[-1].name
    nobody = of("NOR", client="", version=0, agency="NOR/", level=highest, compartments=held, at_micros=7)
    assert made == nobody
    assert cleared_reader("NOR", catalogue, compartments=held, purpose="defence").at_micros == 0


STAYS = '@id("x.y") @reason("x") forbid (principal, action == Action::"onward", resource);'


@pytest.mark.parametrize(
    ("member", "labels", "purposes", "expected"),
    [
        # Not releasable without the consent, or no reader of the scope without it.
        ("DNK", (LABEL,), (), frozenset({LOWER})),
        ("ESP", (LABEL, LOWER), (), frozenset()),
        # Read without it, each label for itself.
        ("NOR", (LABEL, LOWER), (), frozenset({LABEL, LOWER})),
        ("DNK", (LABEL, LOWER), (), frozenset({LOWER})),
        # A consent to what another reads opens nothing, and closes nothing.
        ("NOR", (LABEL,), ("judicial",), frozenset({LABEL, LOWER})),
    ],
)
def test_what_the_consent_alone_opens_is_passed_on_and_the_guards_are_asked_that_too(
    member, labels, purposes, expected
):
    given = replace(
        CLASS, part_labels=(LABEL, LOWER), consents=(Consent.over(labels, member=member, purposes=purposes),)
    )
    who, law = of(member), law_with(exchange=STAYS)

    decided = decide(who, given, scope(), ROW, Use.READ, law)
    found = readable_classes(who, {1: given}, lambda _: scope(), policy_version=1, law=law, cache=DecisionCache())
    told = explain(who, given, scope(), ROW, Use.READ, law, Viewer.EXCHANGE)

    assert (decided.labels if isinstance(decided, Permit) else frozenset()) == expected
    assert (found[1].labels if 1 in found else frozenset()) == expected
    # Where some label is left, the other's guard is told all the same.
    assert (Reason.NATIONAL_CAVEAT in told.reasons) is (released(who, given, scope()) != expected)
    assert released(who, given, scope()) >= expected


def test_what_is_releasable_to_a_member_goes_on_to_it_where_it_is_no_reader_but_by_consent():
    given = marked(LOWER, consents=(Consent.over([LOWER], member="DNK"),))
    law = law_with(exchange=STAYS)

    assert isinstance(decide(of("DNK"), given, scope(), ROW, Use.READ, law), Permit)
    assert released(of("DNK"), given, scope(readers=ALONE)) == {LOWER}
    assert isinstance(decide(of("DNK"), given, scope(readers=ALONE), ROW, Use.READ, law), Refusal)


def test_guard_that_fails_over_passing_on_refuses():
    given = marked(LOWER, consents=(Consent.over([LOWER], member="ESP"),))
    erring = 'action == Action::"onward" && resource.level_rank + 9223372036854775807 > 0'
    law = law_with(exchange=f'@id("x.y") @reason("x") forbid (principal, action, resource) when {{ {erring} }};')

    assert isinstance(decide(of("DNK"), given, scope(), ROW, Use.READ, law), Permit)
    assert decide(of("ESP"), given, scope(), ROW, Use.READ, law) == Refusal((Reason.RULE_FAILED,))


def test_what_a_consent_opens_to_a_reader_in_a_crisis_is_passed_on_where_nothing_goes_on_to_others():
    held = replace(LOWER, handling=("H1",))
    given = marked(held, consents=(Consent.over([held], member="DNK", purposes=["judicial"]),))
    under = scope(readers=ALONE, crises=(OPEN,), onward_release=NEVER)
    court = of("DNK", purpose="judicial")

    assert released(court, replace(given, consents=()), under) == ("handling-caveat",)
    assert released(court, given, under) == {held}
    assert isinstance(decide(court, given, under, ROW, Use.READ, law_with(exchange=STAYS)), Refusal)
