"""`decide`: base rules, then guards, then Permit or Refusal."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from exchange.audit import CRISIS_POLICY
from exchange.markings import Label
from exchange.release.crises import applicable_crises
from exchange.release.decision import Decision, Permit, Reason, Refusal, View
from exchange.release.facts import ClassFacts, ReaderFacts, RowFacts, ScopeFacts, Use
from exchange.release.guards import GuardQuestion, GuardVerdict
from exchange.release.law import Law
from exchange.release.rules import Case, label_reasons, passed_on, report_reasons

_ORDER = {reason: place for place, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision, and whether any rule or guard failed on the way to it (it is then not to be remembered)."""

    decision: Decision
    has_failed: bool


def decide(  # noqa: PLR0913, PLR0917  the six things a decision reads, and nothing else may influence it
    reader: ReaderFacts, cls: ClassFacts, scope: ScopeFacts | None, row: RowFacts, use: Use, law: Law
) -> Decision:
    """Return whether a report of class `cls` may go to `reader`, and which of its parts.

    1. Ask the rules about the reader, the agreement and the report as a whole.
    2. Ask the rules about every label: the report's own and its parts'.
    3. Ask the guards about every label.
    4. Nothing against the report's own label, nor against at least one part's: Permit, full view.
    5. Something against the report's own label, nothing against some part's: Permit, tear-line.
    6. Otherwise Refusal, with every reason of 1, and those of 2 and 3 unless some part was clear of them.
    """
    return judge(Case(reader, cls, scope, row, use, law.catalogue), law).decision


def judge(case: Case, law: Law) -> Judgement:
    """Return the decision as `decide` does, and whether anything failed."""
    labels = judged_labels(case.cls)
    # (1) the whole
    general = report_reasons(case)
    # (2) each label
    by_label = {label: label_reasons(case, label) for label in labels}
    # (3) guards
    questions = guard_questions(case, labels)
    verdicts = dict(zip(labels, law.guards.forbidding(case.reader, questions, case.use, case.catalogue), strict=True))
    reasons = {label: by_label[label] | guard_reasons(verdicts[label]) for label in labels}
    has_failed = any(Reason.RULE_FAILED in found for found in (general, *reasons.values()))
    # (4), (5) what is clear of all of them
    permit = permit_for(case, {label for label in labels if not reasons[label]}, law)
    if permit is not None and not general:
        return Judgement(permit, has_failed)
    # (6) why not: who would have got some part is stopped by the reasons of (1) alone
    if permit is not None:
        return Judgement(Refusal(in_order(general)), has_failed)
    forbade = {guard for verdict in verdicts.values() for guard in verdict.forbade}
    return Judgement(Refusal(in_order(general.union(*reasons.values())), tuple(sorted(forbade))), has_failed)


def judged_labels(cls: ClassFacts) -> tuple[Label, ...]:
    """Return the distinct labels of a class, the report's own first."""
    return tuple(dict.fromkeys((cls.label, *cls.part_labels)))


def guard_questions(case: Case, labels: Iterable[Label]) -> list[GuardQuestion]:
    """Return what the guards are asked about these labels of a case."""
    given = passed_on(case)
    return [GuardQuestion(case.cls, label, label in given) for label in labels]


def permit_for(case: Case, clear: set[Label], law: Law) -> Permit | None:
    """Return the Permit that the labels with nothing against them amount to; None where it would release nothing.

    It stands only where nothing is said against the whole either: the caller has asked.
    """
    # A report without parts (a simulation's) is judged as if it had one under its own label.
    parts = frozenset(case.cls.part_labels or (case.cls.label,)) & clear
    if not parts:
        return None
    view = View.FULL if case.cls.label in clear else View.TEAR_LINE
    crises = tuple(f"{CRISIS_POLICY}{each}" for each in _crises_needed(case, clear))
    agreement = () if case.scope is None else (f"agreement/{case.scope.agreement}/{case.scope.agreement_version}",)
    policies = (*agreement, f"scope/{case.cls.scope}", *crises, f"guards/{law.guards.digest[:16]}")
    return Permit(parts, view, policies)


def _crises_needed(case: Case, clear: set[Label]) -> tuple[str, ...]:
    """Return the crises without which not all of `clear` would be released; none where there would be as much."""
    crises = applicable_crises(case.cls, case.scope)
    if not crises or case.scope is None:
        return ()
    without = replace(case, scope=replace(case.scope, crises=()))
    is_as_much = not report_reasons(without) and not any(label_reasons(without, label) for label in clear)
    return () if is_as_much else tuple(crisis.id for crisis in crises)


def guard_reasons(verdict: GuardVerdict) -> frozenset[Reason]:
    """Return what a guard's verdict means among the reasons."""
    forbidden = {Reason.NATIONAL_CAVEAT} if verdict.forbade else set()
    return frozenset(forbidden | ({Reason.RULE_FAILED} if verdict.has_failed else set()))


def in_order(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Return the distinct reasons in the order of the contract."""
    return tuple(sorted(set(reasons), key=_ORDER.__getitem__))


def with_row(decision: Decision, row: RowFacts) -> Decision:
    """Return the decision for one report of the class, given the decision for a current one.

    Equal to deciding with `row`: what differs between reports of one class only ever adds a reason.
    """
    facts = ((Reason.RECALLED, row.is_recalled), (Reason.EXPIRED, row.is_expired))
    added = [reason for reason, holds in facts if holds]
    if not added:
        return decision
    match decision:
        case Permit():
            return Refusal(in_order(added))
        case Refusal(reasons, policies):
            return Refusal(in_order((*reasons, *added)), policies)
        case other:
            assert_never(other)
