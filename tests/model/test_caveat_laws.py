"""National caveats on generated worlds: as their naive twin says, never wider, and nothing to anybody else."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.release import Permit, Refusal, Use, View, decide
from tests.model import worlds
from tests.model.caveats import law_with_caveats, owned, twins_of
from tests.model.oracle import as_oracle_says, oracle
from tests.support.release_world import CLASS, LABEL, LOWER, READER, ROW, SCOPE, rules_only_law

cases = st.tuples(worlds.readers, worlds.classes, worlds.scopes, worlds.rows, worlds.uses)


def released(decision):
    return decision.labels if isinstance(decision, Permit) else frozenset()


def is_full(decision):
    return isinstance(decision, Permit) and decision.view is View.FULL


@settings(max_examples=150)
@given(cases, owned)
def test_caveats_and_their_naive_twin_agree_on_decision_and_reasons(case, caveats):
    decision = decide(*case, law_with_caveats(caveats))

    assert as_oracle_says(decision) == oracle(*case, twins_of(caveats))


@settings(max_examples=100)
@given(cases, owned, owned)
def test_more_caveats_never_release_more(case, caveats, more):
    both = {member: [*caveats.get(member, []), *more.get(member, [])] for member in caveats.keys() | more.keys()}
    before, after = decide(*case, law_with_caveats(caveats)), decide(*case, law_with_caveats(both))

    assert released(after) <= released(before)
    assert is_full(before) or not is_full(after)
    if isinstance(before, Refusal):
        assert isinstance(after, Refusal)


@settings(max_examples=100)
@given(cases, owned)
def test_caveats_of_others_change_nothing_at_all(case, caveats):
    others = {member: own for member, own in caveats.items() if member != case[1].originator}

    assert decide(*case, law_with_caveats(others)) == decide(*case, rules_only_law())


def test_the_generated_caveats_have_every_effect():
    # Laws about caveats that never stop anything would be worth nothing.
    seen = Counter()
    cls = replace(CLASS, part_labels=(LOWER, LABEL))
    before = decide(READER, cls, SCOPE, ROW, Use.READ, rules_only_law())

    @settings(max_examples=120, database=None, derandomize=True)
    @given(owned)
    def look(caveats):
        after = decide(READER, cls, SCOPE, ROW, Use.READ, law_with_caveats(caveats))
        effect = "stopped" if isinstance(after, Refusal) else "narrowed"
        seen["none" if after == before else effect] += 1

    look()

    assert all(seen[effect] for effect in ("none", "narrowed", "stopped")), seen
