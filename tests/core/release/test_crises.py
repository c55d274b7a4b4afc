"""What an open crisis answers, what it leaves as it is, and what it says of itself."""

from dataclasses import replace

import pytest

from exchange.release import (
    AgencyOutlook,
    Consent,
    CrisisFacts,
    DecisionCache,
    Permit,
    Reason,
    Refusal,
    Use,
    View,
    Viewer,
    decide,
    decide_cached,
    explain,
    readable_classes,
)
from tests.support.release_world import (
    CLASS,
    LABEL,
    LOWER,
    ROW,
    label,
    marked,
    reader,
    rules_only_law,
    scope,
    simulated,
)

READERS = CrisisFacts("c1", frozenset({"DNK"}), None)
CEILING = CrisisFacts("c2", frozenset(), "TOP SECRET")
# DNK is a party, and reads nothing under the scope itself.
DNK = reader(member="DNK", nationality="DNK", level="TOP SECRET")
NOR = reader(level="TOP SECRET")
FOR_DNK = label(releasable_to=("DNK", "GBR", "NOR"))
HIGH = label(classification="TOP SECRET")


def clause(*crises, **changes):
    return scope(readers=frozenset({"NOR"}), crises=crises, **changes)


def posted(own, *parts, crises=("c1", "c2"), **changes):
    return marked(own, *parts, crises=crises, **changes)


def answer(who, cls, under, use=Use.READ):
    return decide(who, cls, under, ROW, use, rules_only_law())


def test_reader_of_a_crisis_reads_what_was_posted_in_it_and_names_it():
    permit = answer(DNK, posted(FOR_DNK), clause(READERS))

    assert isinstance(permit, Permit)
    assert (permit.view, permit.crises) == (View.FULL, ("crisis/c1",))
    assert answer(DNK, posted(FOR_DNK), clause()) == Refusal((Reason.NOT_A_PARTY,))
    assert answer(DNK, posted(FOR_DNK, crises=("c9",)), clause(READERS)) == Refusal((Reason.NOT_A_PARTY,))
    older = replace(READERS, reaches_older=True)
    assert isinstance(answer(DNK, posted(FOR_DNK, crises=()), clause(older)), Permit)


def test_ceiling_of_a_crisis_takes_the_place_of_the_scopes_own():
    for under in (clause(CEILING), clause(CEILING, ceiling="TOP SECRET", ceilings=frozenset({"RESTRICTED"}))):
        permit = answer(NOR, posted(HIGH), under)
        assert isinstance(permit, Permit)
        assert permit.crises == ("crisis/c2",)
    assert answer(NOR, posted(HIGH), clause(replace(CEILING, ceiling=None))) == Refusal((Reason.ABOVE_CEILING,))
    assert answer(NOR, posted(HIGH), clause(replace(CEILING, ceiling="NONE"))) == Refusal((Reason.RULE_FAILED,))


def test_ceiling_of_an_earlier_text_that_is_no_level_any_more_refuses_in_a_crisis_too():
    for others in (frozenset({"NONE"}), frozenset({"NONE", "RESTRICTED"})):
        assert answer(NOR, posted(HIGH), clause(CEILING, ceilings=others)) == Refusal((Reason.RULE_FAILED,))
        assert answer(NOR, posted(HIGH), clause(ceilings=others)) == Refusal((Reason.RULE_FAILED,))


def test_crisis_is_named_where_one_of_several_parts_needs_it():
    for parts in ((HIGH, LOWER), (LOWER, HIGH)):
        permit = answer(NOR, posted(HIGH, *parts), clause(CEILING))
        assert isinstance(permit, Permit)
        assert (permit.labels, permit.crises) == ({HIGH, LOWER}, ("crisis/c2",))


def test_what_would_be_released_anyway_names_no_crisis():
    permit = answer(NOR, posted(LABEL), clause(READERS, CEILING))

    assert isinstance(permit, Permit)
    assert permit.crises == ()
    own = answer(reader(member="GBR", nationality="GBR"), posted(LABEL), clause(READERS))
    assert isinstance(own, Permit)
    assert own.crises == ()


@pytest.mark.parametrize("caveat", ["ORCON", "H2", "TLP:RED", "TLP:AMBER", "TLP:AMBER+STRICT"])
def test_what_the_originator_controls_no_crisis_widens(caveat):
    held, high = replace(FOR_DNK, handling=(caveat,)), replace(HIGH, handling=(caveat,))

    assert answer(DNK, posted(held), clause(READERS)) == Refusal((Reason.ORIGINATOR_CONTROL,))
    assert answer(NOR, posted(high), clause(CEILING)) == Refusal((Reason.ABOVE_CEILING,))
    assert isinstance(answer(NOR, posted(held), clause(READERS)), Permit)
    # Who reads by the scope has it, named in the crisis too or not.
    both = replace(READERS, readers=frozenset({"DNK", "NOR"}))
    assert isinstance(answer(NOR, posted(held), clause(both)), Permit)
    # Its consent gives what the crisis does not.
    consent = Consent.over([held], member="DNK")
    assert isinstance(answer(DNK, posted(held, consents=(consent,)), clause(READERS)), Permit)


def test_part_that_the_originator_controls_stays_behind():
    held = replace(LOWER, handling=("ORCON",))
    permit = answer(DNK, posted(FOR_DNK, FOR_DNK, held), clause(READERS))

    assert isinstance(permit, Permit)
    assert permit.labels == {FOR_DNK}


@pytest.mark.parametrize(
    ("who", "own", "reason"),
    [
        (DNK, LABEL, Reason.NOT_RELEASABLE),
        (replace(DNK, level="RESTRICTED"), FOR_DNK, Reason.ABOVE_CLEARANCE),
        (replace(DNK, compartments=frozenset()), FOR_DNK, Reason.MISSING_COMPARTMENT),
        (replace(DNK, nationality="ESP"), replace(FOR_DNK, handling=("EYES ONLY",)), Reason.NATIONALITY),
        (replace(DNK, purpose="judicial"), replace(FOR_DNK, handling=("H1",)), Reason.HANDLING_CAVEAT),
        (replace(DNK, purpose="sanctions"), FOR_DNK, Reason.PURPOSE_NOT_ALLOWED),
        (replace(DNK, clearance_current=False), FOR_DNK, Reason.CLEARANCE_EXPIRED),
    ],
)
def test_every_other_refusal_stands(who, own, reason):
    assert answer(who, posted(own), clause(READERS, CEILING)) == Refusal((reason,))


def test_member_that_is_no_party_reads_nothing_because_of_a_crisis():
    under = clause(READERS, active_parties=frozenset({"GBR", "NOR"}))

    assert answer(DNK, posted(FOR_DNK), under) == Refusal((Reason.NOT_A_PARTY,))
    consent = Consent.over([LOWER], member="DNK")
    part = answer(DNK, posted(FOR_DNK, FOR_DNK, LOWER, consents=(consent,)), under)
    assert isinstance(part, Permit)
    assert part.labels == {LOWER}


def test_consent_for_one_label_takes_nothing_from_what_the_crisis_gives():
    consent = Consent.over([LOWER], member="DNK")
    permit = answer(DNK, posted(FOR_DNK, FOR_DNK, LOWER, consents=(consent,)), clause(READERS))

    assert isinstance(permit, Permit)
    assert permit.labels == {FOR_DNK, LOWER}


def test_crisis_passes_nothing_on():
    passing = answer(DNK, posted(replace(FOR_DNK, handling=("ORCON",))), clause(READERS), Use.ONWARD)

    assert passing == Refusal((Reason.ORIGINATOR_CONTROL,))


def test_cache_tells_open_from_over_without_a_new_version_of_anything():
    cache = DecisionCache()

    def cached(under):
        return decide_cached(
            cache,
            DNK,
            class_id=1,
            facts=posted(FOR_DNK),
            scope=under,
            policy_version=1,
            use=Use.READ,
            law=rules_only_law(),
        )

    def listed(under):
        return readable_classes(
            DNK, {1: posted(FOR_DNK)}, lambda _: under, policy_version=1, law=rules_only_law(), cache=cache
        )

    assert isinstance(cached(clause(READERS)), Permit)
    assert listed(clause(READERS))[1].crises == ("crisis/c1",)
    assert isinstance(cached(clause()), Refusal)
    assert listed(clause()) == {}


def test_explanation_names_the_crisis_where_it_is_the_reason():
    def sentences(who, cls, under):
        told = explain(who, cls, under, ROW, Use.READ, rules_only_law(), Viewer.READER)
        return {rule.number: rule.sentence for rule in told.rules}

    crisis_reader = sentences(DNK, posted(FOR_DNK), clause(READERS))
    lifted, plain = sentences(NOR, posted(HIGH), clause(CEILING)), sentences(NOR, posted(LABEL), clause(CEILING))

    assert crisis_reader[6] == "A crisis is open in the scope `cyber-threats`, and lets DNK read until it ends."
    assert crisis_reader[5].startswith("DNK is an active party")
    assert lifted[17] == "A crisis is open in the scope `cyber-threats`, and lifts its ceiling until it ends."
    assert plain[6].startswith("The scope lets NOR read")
    assert plain[17].startswith("The level does not exceed")


def test_explanation_without_a_scope_says_nothing_of_a_crisis():
    told = explain(DNK, CLASS, None, ROW, Use.READ, rules_only_law(), Viewer.EXCHANGE)

    assert not [rule for rule in told.rules if "crisis is open" in rule.sentence]


def test_simulation_counts_who_reads_in_a_crisis_alone():
    gbr = reader(client="c2", member="GBR", nationality="GBR", level="TOP SECRET")

    def outlook(cls, *crises):
        return {each.member: each for each in simulated(cls, clause(*crises), [DNK, gbr], rules_only_law()).members}

    # As a pull of what was posted so would be answered.
    assert outlook(posted(FOR_DNK), READERS)["DNK"].agencies == (AgencyOutlook(DNK.agency, 1, 0),)
    assert outlook(posted(FOR_DNK))["DNK"].reasons == (Reason.NOT_A_PARTY,)
    assert outlook(posted(FOR_DNK, crises=()), READERS)["DNK"].reasons == (Reason.NOT_A_PARTY,)
    assert outlook(posted(HIGH), READERS, CEILING)["DNK"].reasons == (Reason.NOT_RELEASABLE,)
