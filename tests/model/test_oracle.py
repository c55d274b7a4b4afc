from collections import Counter

from hypothesis import given, settings

from exchange.release import Reason, decide
from tests.model import worlds
from tests.model.oracle import as_oracle_says, oracle
from tests.support.release_world import rules_only_law


@settings(max_examples=400)
@given(worlds.readers, worlds.classes, worlds.scopes, worlds.rows, worlds.uses)
def test_the_rules_and_their_naive_twin_agree_on_decision_and_reasons(reader, cls, scope, row, use):
    decision = decide(reader, cls, scope, row, use, rules_only_law())

    assert as_oracle_says(decision) == oracle(reader, cls, scope, row, use)


def test_the_generated_worlds_reach_every_reason_and_every_view():
    # An agreement between two implementations about worlds that all refuse alike would be worth nothing.
    seen = Counter()

    @settings(max_examples=1000, database=None, derandomize=True)
    @given(worlds.readers, worlds.classes, worlds.scopes, worlds.rows, worlds.uses)
    def look(reader, cls, scope, row, use):
        kind, what, *view = as_oracle_says(decide(reader, cls, scope, row, use, rules_only_law()))
        seen.update([kind, *view, *(what if kind == "refusal" else ())])
        seen.update(["alone"] if kind == "refusal" and len(what) == 1 else [])

    look()

    unreached = set(Reason) - set(seen) - {Reason.NOT_AUTHENTICATED, Reason.NATIONAL_CAVEAT}
    assert unreached == set()
    assert seen["permit"] >= 50
    assert len([key for key in seen if key.__class__.__name__ == "View"]) == 2
