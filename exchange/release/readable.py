"""Which classes one reader may read: the same rules and guards as `decide`, many classes at a time.

A listing needs no reasons, so a class that a rule refuses is dropped at once and never reaches the guards; the
others are put to the guards in batches.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from exchange.markings import Label
from exchange.release.cache import CURRENT_ROW, DecisionCache, decision_key
from exchange.release.decide import judged_labels, permit_for
from exchange.release.decision import Permit, Refusal
from exchange.release.facts import ClassFacts, ReaderFacts, ScopeFacts, Use
from exchange.release.guards import GuardQuestion
from exchange.release.law import Law
from exchange.release.rules import LABEL_RULES, REPORT_RULES, Case, ask_label_rule, ask_report_rule

# Labels per call of the engine: it holds the interpreter for some 5 ms then.
GUARD_BATCH = 128


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
    permits: dict[int, Permit | None] = {}
    unknown: dict[int, tuple[Case, list[Label]]] = {}
    for class_id, facts in classes.items():
        scope = scope_of(facts)
        key = decision_key(reader, class_id, scope, policy_version=policy_version, use=Use.READ, law=law)
        match cache.get(key):
            case Permit() as permit:
                permits[class_id] = permit
            case Refusal():
                continue
            case None:
                case_at_hand = Case(reader, facts, scope, CURRENT_ROW, Use.READ, law.catalogue)
                if labels := _clear_of_rules(case_at_hand):
                    permits[class_id] = None
                    unknown[class_id] = (case_at_hand, labels)
    permits.update(_clear_of_guards(unknown, law))
    return {class_id: permit for class_id, permit in permits.items() if permit is not None}


def _clear_of_rules(case: Case) -> list[Label]:
    if any(ask_report_rule(rule, case) is not None for rule in REPORT_RULES):
        return []
    return [
        label
        for label in judged_labels(case.cls)
        if all(ask_label_rule(rule, case, label) is None for rule in LABEL_RULES)
    ]


def _clear_of_guards(unknown: Mapping[int, tuple[Case, list[Label]]], law: Law) -> Iterator[tuple[int, Permit | None]]:
    items = iter(unknown.items())
    while batch := list(islice(items, GUARD_BATCH)):
        reader, use = batch[0][1][0].reader, batch[0][1][0].use
        questions = [GuardQuestion(case.cls, label) for _, (case, labels) in batch for label in labels]
        verdicts = iter(law.guards.forbidding(reader, questions, use, law.catalogue))
        for class_id, (case, labels) in batch:
            clear = {
                label for label, verdict in zip(labels, islice(verdicts, len(labels)), strict=True) if verdict.is_clear
            }
            yield class_id, permit_for(case, clear, law)
