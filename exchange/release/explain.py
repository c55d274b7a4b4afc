"""Why: every rule with its outcome, in sentences, cut to what the one who asks may know."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import assert_never

from exchange.kernel import NotFoundError
from exchange.markings import Label
from exchange.release.consents import consented_labels, stands_alone
from exchange.release.crises import reads_in_crisis
from exchange.release.decide import guard_questions, guard_reasons, in_order, judge, judged_labels
from exchange.release.decision import Decision, Permit, Reason, View
from exchange.release.facts import ClassFacts, ReaderFacts, RowFacts, ScopeFacts, Use
from exchange.release.law import Law
from exchange.release.rules import (
    CEILING_RULE_NUMBER,
    GUARDS_RULE_NUMBER,
    LABEL_RULES,
    PARTY_RULE_NUMBERS,
    READER_RULE_NUMBER,
    RELEASABLE_RULE_NUMBER,
    REPORT_RULES,
    Case,
    LabelRule,
    ask_label_rule,
    ask_report_rule,
)
from exchange.release.sentences import (
    CONSENT_SENTENCE,
    CRISIS_CEILING_SENTENCE,
    CRISIS_READER_SENTENCE,
    FAILED_SENTENCE,
    GUARDS_NAME,
    NOT_SHOWN_SENTENCE,
    sentence_for,
)

# Rules about the reading client as a person or system: its member answers for these, nobody else learns them.
# The guards are among them: they read its clearance and nationality too.
PERSONAL_RULES = frozenset({1, 2, 12, 16, 18, 19, 21, GUARDS_RULE_NUMBER})


class Viewer(Enum):
    """Who asks. READER: the client itself. ORIGINATOR: the member whose report it is. EXCHANGE: the host, for tests."""

    READER = "reader"
    ORIGINATOR = "originator"
    EXCHANGE = "exchange"


class Outcome(Enum):
    """What a rule said. NOT_SHOWN: the one who asks may not know."""

    PASSED = "passed"
    REFUSED = "refused"
    NOT_SHOWN = "not-shown"


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """One rule's answer. `label` is the label it judged, None for rules about the report as a whole."""

    number: int
    name: str
    outcome: Outcome
    reason: Reason | None
    sentence: str
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision (None where the one who asks may not know it) and the rules behind it, by number."""

    decision: Decision | None
    rules: tuple[RuleOutcome, ...]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Return the distinct reasons shown, in the order of the contract."""
        return in_order(rule.reason for rule in self.rules if rule.reason is not None)


def explain(  # noqa: PLR0913, PLR0917  what `decide` reads, and who asks
    reader: ReaderFacts,
    cls: ClassFacts,
    scope: ScopeFacts | None,
    row: RowFacts,
    use: Use,
    law: Law,
    viewer: Viewer,
) -> Explanation:
    """Return why `reader` may or may not have a report of this class, as far as `viewer` may know.

    READER: only about what it may read; raises NotFoundError where that is nothing, for then the report does not
    exist for it. ORIGINATOR: every rule, but of another member's client nothing that is personal to it, and so not
    the decision either. EXCHANGE: everything.
    """
    case = Case(reader, cls, scope, row, use, law.catalogue)
    decision = judge(case, law).decision
    match viewer:
        case Viewer.EXCHANGE:
            return Explanation(decision, tuple(_outcomes(case, judged_labels(cls), law)))
        case Viewer.READER:
            return Explanation(decision, tuple(_outcomes(case, _visible_labels(cls, decision), law)))
        case Viewer.ORIGINATOR:
            outcomes = tuple(_outcomes(case, judged_labels(cls), law))
            if reader.member == cls.originator:
                return Explanation(decision, outcomes)
            # How many answers one rule gave is a part of what they were.
            return Explanation(None, tuple(dict.fromkeys(_impersonal(outcome) for outcome in outcomes)))
        case other:
            assert_never(other)


def _visible_labels(cls: ClassFacts, decision: Decision) -> tuple[Label, ...]:
    if not isinstance(decision, Permit):
        raise NotFoundError("no such report")
    shown = decision.labels | ({cls.label} if decision.view is View.FULL else frozenset())
    return tuple(label for label in judged_labels(cls) if label in shown)


def _impersonal(outcome: RuleOutcome) -> RuleOutcome:
    if outcome.number not in PERSONAL_RULES:
        return outcome
    return replace(outcome, outcome=Outcome.NOT_SHOWN, reason=None, sentence=NOT_SHOWN_SENTENCE)


def _outcomes(case: Case, labels: tuple[Label, ...], law: Law) -> Iterator[RuleOutcome]:
    words = _words(case)
    for report_rule in REPORT_RULES:
        outcome = _outcome(report_rule.number, report_rule.name, ask_report_rule(report_rule, case), words)
        special = None if outcome.reason is not None else _why_party(case, report_rule.number)
        yield outcome if special is None else replace(outcome, sentence=special.format_map(words))
    for label_rule in LABEL_RULES:
        for label in labels:
            outcome = _outcome(label_rule.number, label_rule.name, ask_label_rule(label_rule, case, label), words)
            special = None if outcome.reason is not None else _why_label(case, label_rule, label)
            shown = outcome if special is None else replace(outcome, sentence=special.format_map(words))
            yield replace(shown, label=label)
    verdicts = law.guards.forbidding(case.reader, guard_questions(case, labels), case.use, case.catalogue)
    for label, verdict in zip(labels, verdicts, strict=True):
        # A reason is a sentence of its own; here it stands inside of one.
        reasons = {guard: law.guards.guards[guard].reason.removesuffix(".") for guard in verdict.forbade}
        guards = "; ".join(f"{guard}: {reason}" for guard, reason in reasons.items())
        for reason in in_order(guard_reasons(verdict)) or (None,):
            outcome = _outcome(GUARDS_RULE_NUMBER, GUARDS_NAME, reason, {"guards": guards})
            yield replace(outcome, label=label)


def _why_party(case: Case, number: int) -> str | None:
    """Return what is said of a rule that passed for another reason than the scope's own words."""
    if number not in PARTY_RULE_NUMBERS or stands_alone(case.cls, case.reader, case.scope):
        return None
    if consented_labels(case.cls, case.reader, case.scope):
        return CONSENT_SENTENCE
    in_crisis = number == READER_RULE_NUMBER and reads_in_crisis(case.cls, case.reader, case.scope)
    return CRISIS_READER_SENTENCE if in_crisis else None


def _why_label(case: Case, rule: LabelRule, label: Label) -> str | None:
    """Return the same of a rule about a label."""
    if rule.number == RELEASABLE_RULE_NUMBER:
        return CONSENT_SENTENCE if label in consented_labels(case.cls, case.reader, case.scope) else None
    if rule.number != CEILING_RULE_NUMBER or case.scope is None:
        return None
    without = replace(case, scope=replace(case.scope, crises=()))
    return None if ask_label_rule(rule, without, label) is None else CRISIS_CEILING_SENTENCE


def _outcome(number: int, name: str, reason: Reason | None, words: Mapping[str, str]) -> RuleOutcome:
    if reason is Reason.RULE_FAILED:
        return RuleOutcome(number, name, Outcome.REFUSED, reason, FAILED_SENTENCE)
    outcome = Outcome.PASSED if reason is None else Outcome.REFUSED
    return RuleOutcome(number, name, outcome, reason, sentence_for(name, words, has_passed=reason is None))


def _words(case: Case) -> dict[str, str]:
    return {
        "member": case.reader.member,
        "nationality": case.reader.nationality,
        "level": case.reader.level,
        "purpose": case.reader.purpose,
        "originator": case.cls.originator,
        "scope": case.cls.scope,
        "topic": case.cls.topic,
        "kind": case.cls.kind,
    }
