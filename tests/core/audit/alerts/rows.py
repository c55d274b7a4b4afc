"""Entries and rules for the tests of alerts."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from exchange.audit.alerts import AlertRules, Condition, Hours, Rule, Severity, WorkingHours, counted, evaluate, keys_of
from exchange.kernel import new_id, rfc3339

# A Monday.
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECRET = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["NOR"]}
WORKDAYS = frozenset(range(5))
OFFICE = Hours(ZoneInfo("UTC"), WORKDAYS, time(6), time(20))
HOURS = WorkingHours(OFFICE, {"NOR": Hours(ZoneInfo("Europe/Oslo"), WORKDAYS, time(8), time(16))})


def entry_id(number: int) -> str:
    return new_id(NOW, number.to_bytes)


def entry(number: int = 0, *, at: datetime = NOW, **fields):
    return {
        "v": 1,
        "id": entry_id(number),
        "ts": rfc3339(at),
        "node": "node-1",
        "boot": "boot-1",
        "node_seq": number,
        "type": "report.read",
        "decision": "permitted",
        "actor": {"kind": "client", "id": "client-1", "thumbprint": "token"},
        "request_id": "r",
        "source": "address-1",
        "member": "NOR",
        "agency": "NIS",
        "owner": "GBR",
        "label": SECRET,
        "object": {"type": "report", "id": f"report-{number}"},
        **fields,
    }


def without(found, *names):
    return {name: value for name, value in found.items() if name not in names}


def heartbeat(number: int, state: str = "running", *, at: datetime = NOW, event: str = "node.heartbeat", boot="boot-1"):
    fields = {"type": event, "actor": {"kind": "service"}, "source": "local", "detail": {"state": state}, "boot": boot}
    return without(entry(number, at=at, **fields), "member", "agency", "owner", "label", "object")


def rule(condition: Condition, name: str = "the-rule", cooldown: timedelta = timedelta(hours=1)) -> Rule:
    return Rule(name, "the-kind", Severity.HIGH, cooldown, condition)


def rules(*conditions: Condition, cooldown: timedelta = timedelta(hours=1)) -> AlertRules:
    return AlertRules(tuple(rule(each, f"rule-{number}", cooldown) for number, each in enumerate(conditions)), "digest")


def run(found, entries, memory=None):
    """Evaluate in one batch; return the alerts and all that is remembered after it."""
    known = memory or {}
    under = counted(found, entries)
    given = {key: known[key] for key in keys_of(under) if key in known}
    evaluation = evaluate(under, given)
    after = {**known, **evaluation.memory}
    return list(evaluation.alerts), {key: text for key, text in after.items() if text is not None}
