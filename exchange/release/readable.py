"""Which classes one reader may read: the same rules and guards as `decide`, many classes at a time.

A listing needs no reasons, so a class that a rule refuses is dropped at once and never reaches the guards; the
others are put to the guards in batches.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import assert_never

from exchange.markings import Label
from exchange.release.cache import CURRENT_ROW, DecisionCache, decision_key
from exchange.release.consents import live_consents
from exchange.release.decide import guard_questions, judged_labels, permit_for
from exchange.release.decision import Decision, Permit, Reason, Refusal
from exchange.release.facts import ClassFacts, ReaderFacts, ScopeFacts, Use
from exchange.release.law import Law
from exchange.release.rules import LABEL_RULES, REPORT_RULES, Case, ask_label_rule, ask_report_rule

# Classes per call of the engine: it holds the interpreter for some 10 ms then.
GUARD_BATCH = 128

# What the cache holds for a class that a listing found unreadable; under a key of its own, for it has no reasons.
_UNREADABLE = Refusal(())
_UNREADABLE_KEY = "unreadable"


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A class that the cache does not know, and how far it has come."""

    class_id: int
    key: Hashable
    case: Case
    clear: tuple[Label, ...]
    has_failed: bool


def readable_classes(  # noqa: PLR0913  what a decision reads, for many classes
    reader: ReaderFacts,
    classes: Mapping[int, ClassFacts],
    scope_of: Callable[[ClassFacts], ScopeFacts | None],
    *,
    policy_version: int,
    law: Law,
    cache: DecisionCache,
) -> dict[int, Permit]:
    """Return class id -> Permit for the classes of which `reader` may read current reports, in the order given.

    Says of each class what `decide` says; `tests/core/release` holds the two together.
    """
    found: dict[int, Decision | None] = {}
    unknown: list[_Candidate] = []
    for class_id, facts in classes.items():
        scope = scope_of(facts)
        consents = live_consents(facts, reader)
        key = decision_key(
            reader, class_id, scope, policy_version=policy_version, use=Use.READ, law=law, consents=consents
        )
        kept = _kept(cache, key)
        # A place in the order of the classes, filled below where it is not known yet.
        found[class_id] = kept
        if kept is None:
            case = Case(reader, facts, scope, CURRENT_ROW, Use.READ, law.catalogue)
            unknown.append(_past_rules(class_id, key, case))
    for candidate, decision in _past_guards(unknown, law):
        found[candidate.class_id] = decision
        _remember(cache, candidate, decision)
    return {class_id: decision for class_id, decision in found.items() if isinstance(decision, Permit)}


def _kept(cache: DecisionCache, key: Hashable) -> Decision | None:
    kept = cache.get(key)
    return cache.get((key, _UNREADABLE_KEY)) if kept is None else kept


def _past_rules(class_id: int, key: Hashable, case: Case) -> _Candidate:
    refused = next(filter(None, (ask_report_rule(rule, case) for rule in REPORT_RULES)), None)
    if refused is not None:
        return _Candidate(class_id, key, case, (), refused is Reason.RULE_FAILED)
    first_reasons = {
        label: next(filter(None, (ask_label_rule(rule, case, label) for rule in LABEL_RULES)), None)
        for label in judged_labels(case.cls)
    }
    clear = tuple(label for label, reason in first_reasons.items() if reason is None)
    return _Candidate(class_id, key, case, clear, Reason.RULE_FAILED in first_reasons.values())


def _past_guards(candidates: list[_Candidate], law: Law) -> Iterator[tuple[_Candidate, Decision]]:
    for start in range(0, len(candidates), GUARD_BATCH):
        batch = candidates[start : start + GUARD_BATCH]
        reader, use = batch[0].case.reader, batch[0].case.use
        questions = [each for candidate in batch for each in guard_questions(candidate.case, candidate.clear)]
        verdicts = iter(law.guards.forbidding(reader, questions, use, law.catalogue))
        for candidate in batch:
            answers = dict(zip(candidate.clear, islice(verdicts, len(candidate.clear)), strict=True))
            clear = {label for label, verdict in answers.items() if verdict.is_clear}
            has_failed = candidate.has_failed or any(verdict.has_failed for verdict in answers.values())
            permit = permit_for(candidate.case, clear, law)
            yield replace(candidate, has_failed=has_failed), _UNREADABLE if permit is None else permit


def _remember(cache: DecisionCache, candidate: _Candidate, decision: Decision) -> None:
    # INVARIANT: a failure is never remembered: the next request asks again.
    if candidate.has_failed:
        return
    match decision:
        case Permit():
            cache.put(candidate.key, decision)
        case Refusal():
            cache.put((candidate.key, _UNREADABLE_KEY), decision)
        case other:
            assert_never(other)
