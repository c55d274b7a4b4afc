"""The rules about the log itself, which no entry tells: what stands still makes none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exchange.audit.alerts.entries import has_cooled, micros
from exchange.audit.alerts.memory import Key, Memory
from exchange.audit.alerts.model import Alert, Evaluation, alert_id
from exchange.audit.alerts.rules import AlertRules, LogBehind, LogFrozen, NodeSilent, Rule, WitnessBehind
from exchange.audit.draft import Subject


@dataclass(frozen=True, slots=True)
class Sight:
    """The log as it stands at `now`; times are in microseconds since 1970.

    `waiting_since` is when the entry that waits longest was made, `unwitnessed_since` when the first kept checkpoint
    behind the last cosigned one was signed: None where nothing waits, or no witness ever cosigned. `heard_until` is up
    to when entries were taken in: None while that is not known, and nobody can be said to be silent.
    """

    now: int
    origin: str
    waiting_since: int | None = None
    unwitnessed_since: int | None = None
    is_frozen: bool = False
    heard_until: int | None = None


def observe(rules: AlertRules, sight: Sight, known: Mapping[Key, str]) -> Evaluation:
    """Return the alerts of what is seen; `known` holds all that is remembered under these rules and no entry's."""
    alerts: list[Alert] = []
    memory: dict[Key, str | None] = {}
    for rule in rules.rules:
        for subject, evidence in _found(rule, sight, known):
            key = Key(rule.name, subject.id)
            remembered = Memory.of(known.get(key))
            if not has_cooled(rule, remembered, sight.now):
                continue
            remembered.told = sight.now
            alerts.append(_alert(rule, sight, subject, evidence))
            # A process that is gone does not come back: another one has another boot.
            memory[key] = None if isinstance(rule.condition, NodeSilent) else remembered.text()
    return Evaluation(tuple(alerts), memory)


def _found(rule: Rule, sight: Sight, known: Mapping[Key, str]) -> Iterator[tuple[Subject, tuple[str, ...]]]:
    log = Subject("log", sight.origin)
    match rule.condition:
        case LogBehind(objective):
            if sight.waiting_since is not None and sight.now - sight.waiting_since > micros(objective):
                yield log, ()
        case WitnessBehind(objective):
            if sight.unwitnessed_since is not None and sight.now - sight.unwitnessed_since > micros(objective):
                yield log, ()
        case LogFrozen():
            if sight.is_frozen:
                yield log, ()
        case NodeSilent(objective):
            yield from _silent(rule, micros(objective), sight, known)
        case _:
            return


def _silent(
    rule: Rule, objective: int, sight: Sight, known: Mapping[Key, str]
) -> Iterator[tuple[Subject, tuple[str, ...]]]:
    for key, text in sorted(known.items()):
        marks = Memory.of(text).marks if key.rule == rule.name else []
        if marks and sight.heard_until is not None and sight.heard_until - marks[-1].at > objective:
            yield Subject("boot", key.subject), (marks[-1].entry,)


def _alert(rule: Rule, sight: Sight, subject: Subject, evidence: tuple[str, ...]) -> Alert:
    return Alert(
        id=alert_id(rule, subject.id, str(sight.now), sight.now),
        rule=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        at=sight.now,
        subject=subject,
        evidence=evidence,
    )
