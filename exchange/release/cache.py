"""The decision cache: one decision per reader and release class, for as long as nothing it rests on has changed.

Everything that can change an answer is part of the key: the client's version, the policy version, the standing of
the agreement, its parties and its crises, the clearance's validity at the request's `now`. Nothing is trusted by age.
What differs between reports of one class (recalled, expired) is applied after the cache, by `with_row`.
"""

from collections import OrderedDict
from collections.abc import Hashable

from exchange.release.consents import live_consents
from exchange.release.decide import judge
from exchange.release.decision import Decision
from exchange.release.facts import Assurance, ClassFacts, Consent, ReaderFacts, RowFacts, ScopeFacts, Use
from exchange.release.law import Law
from exchange.release.rules import Case

# About 1 KiB each: 64 MiB at most, and 500 readers x 130 classes.
DECISIONS_KEPT = 65_536

CURRENT_ROW = RowFacts(is_recalled=False, is_expired=False)


class DecisionCache:
    """Decisions by key; the one unused for longest is forgotten first. For one event loop, not for threads."""

    __slots__ = ("_capacity", "_decisions")

    def __init__(self, capacity: int = DECISIONS_KEPT) -> None:
        self._capacity = capacity
        self._decisions: OrderedDict[Hashable, Decision] = OrderedDict()

    def __len__(self) -> int:
        return len(self._decisions)

    def get(self, key: Hashable) -> Decision | None:
        """Return the decision remembered under `key`, or None."""
        decision = self._decisions.get(key)
        if decision is not None:
            self._decisions.move_to_end(key)
        return decision

    def put(self, key: Hashable, decision: Decision) -> None:
        """Remember `decision` under `key`."""
        self._decisions[key] = decision
        self._decisions.move_to_end(key)
        if len(self._decisions) > self._capacity:
            self._decisions.popitem(last=False)


def decide_cached(  # noqa: PLR0913  what a decision reads, and what names it
    cache: DecisionCache,
    reader: ReaderFacts,
    *,
    class_id: int,
    facts: ClassFacts,
    scope: ScopeFacts | None,
    policy_version: int,
    use: Use,
    law: Law,
) -> Decision:
    """Return the decision about current reports of a class; the caller applies `with_row` for the report at hand.

    `class_id` names `facts` for ever; `policy_version` was read together with the report.
    """
    consents = live_consents(facts, reader)
    key = decision_key(reader, class_id, scope, policy_version=policy_version, use=use, law=law, consents=consents)
    kept = cache.get(key)
    if kept is not None:
        return kept
    judgement = judge(Case(reader, facts, scope, CURRENT_ROW, use, law.catalogue), law)
    # INVARIANT: a failure is never remembered: the next request asks again.
    if not judgement.has_failed:
        cache.put(key, judgement.decision)
    return judgement.decision


def decision_key(  # noqa: PLR0913  what a decision reads
    reader: ReaderFacts,
    class_id: int,
    scope: ScopeFacts | None,
    *,
    policy_version: int,
    use: Use,
    law: Law,
    consents: tuple[Consent, ...],
) -> Hashable:
    """Return the key of a decision: equal keys, equal answers.

    What a client's version fixes (roles, clearance, nationality) is not repeated; what time or another row can
    change without a new version of the client is. Enums are told by identity: hashing one costs 0.1 us.
    """
    return (
        reader.client,
        reader.version,
        class_id,
        reader.purpose,
        policy_version,
        reader.clearance_current,
        reader.is_active,
        reader.assurance is Assurance.MUTUAL_TLS,
        use is Use.READ,
        law.digest,
        law.guards.national,
        None if scope is None else (scope.agreement_version, scope.in_force, scope.active_parties, scope.crises),
        # Time ends a consent without a new version of anything. Most classes have none: the empty one costs nothing.
        consents,
    )
