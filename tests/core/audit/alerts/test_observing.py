"""What no entry tells: a log that stands still, a process that is gone, witnesses that are away."""

from datetime import timedelta

import pytest

from exchange.audit import Subject
from exchange.audit.alerts import (
    Key,
    LogBehind,
    LogFrozen,
    MassPulls,
    NodeSilent,
    Severity,
    Sight,
    WitnessBehind,
    observe,
)
from exchange.audit.alerts.model import alert_id
from exchange.kernel import to_micros
from tests.core.audit.alerts.rows import NOW, entry_id, heartbeat, rules, run

AT = to_micros(NOW)
TEN = timedelta(seconds=10)
SECOND = 1_000_000


def sight(**fields):
    return Sight(now=AT, origin="log-1", **fields)


@pytest.mark.parametrize(
    ("condition", "fields", "alerts"),
    [
        (LogBehind(TEN), {}, 0),
        (LogBehind(TEN), {"waiting_since": AT - 10 * SECOND}, 0),
        (LogBehind(TEN), {"waiting_since": AT - 10 * SECOND - 1}, 1),
        (WitnessBehind(TEN), {}, 0),
        (WitnessBehind(TEN), {"unwitnessed_since": AT - 10 * SECOND}, 0),
        (WitnessBehind(TEN), {"unwitnessed_since": AT - 11 * SECOND}, 1),
        (LogFrozen(), {}, 0),
        (LogFrozen(), {"is_frozen": True}, 1),
        (MassPulls(1, 1, 1), {"waiting_since": 0, "unwitnessed_since": 0, "is_frozen": True}, 0),
    ],
)
def test_log_as_it_stands(condition, fields, alerts):
    found = observe(rules(condition), sight(**fields), {}).alerts

    assert [(alert.subject, alert.at, alert.member) for alert in found] == [
        (Subject("log", "log-1"), AT, None)
    ] * alerts


def test_rule_that_has_spoken_lately_silences_no_other():
    found = rules(LogFrozen(), LogBehind(TEN))
    first = observe(found, sight(is_frozen=True), {})
    again = observe(found, sight(is_frozen=True, waiting_since=0), dict(first.memory))

    assert [alert.rule for alert in first.alerts] == ["rule-0"]
    assert [alert.rule for alert in again.alerts] == ["rule-1"]
    assert (list(first.memory), list(again.memory)) == ([Key("rule-0", "log-1")], [Key("rule-1", "log-1")])


def test_alert_bears_the_names_of_its_rule_and_one_id_for_ever():
    found = rules(LogFrozen())
    (alert,) = observe(found, sight(is_frozen=True), {}).alerts

    assert (alert.rule, alert.kind, alert.severity) == ("rule-0", "the-kind", Severity.HIGH)
    assert alert.id == alert_id(found.rules[0], "log-1", str(AT), AT)


@pytest.mark.parametrize(("later", "alerts"), [(1, 0), (3599, 0), (3600, 1)])
def test_cooldown_holds_while_it_goes_on(later, alerts):
    found = rules(LogFrozen())
    first = observe(found, sight(is_frozen=True), {})
    again = Sight(now=AT + later * SECOND, origin="log-1", is_frozen=True)
    second = observe(found, again, {key: text for key, text in first.memory.items() if text is not None})

    assert len(second.alerts) == alerts
    assert not {alert.id for alert in first.alerts} & {alert.id for alert in second.alerts}


@pytest.mark.parametrize(
    ("heard_until", "alerts"), [(None, 0), (AT, 0), (AT + 10 * SECOND, 0), (AT + 10 * SECOND + 1, 1)]
)
def test_boot_that_does_not_sign_any_more(heard_until, alerts):
    found = rules(NodeSilent(TEN))
    _, known = run(found, [heartbeat(1)])
    evaluation = observe(found, sight(heard_until=heard_until), known)

    assert [(alert.subject, alert.evidence) for alert in evaluation.alerts] == [
        (Subject("boot", "boot-1"), (entry_id(1),))
    ] * alerts
    # It is told of once: what is gone does not come back.
    assert list(evaluation.memory.values()) == [None] * alerts


def test_every_silent_boot_is_told_in_the_order_of_their_names():
    found = rules(NodeSilent(TEN))
    _, known = run(found, [heartbeat(1, boot="boot-2"), heartbeat(2, boot="boot-1")])
    evaluation = observe(found, sight(heard_until=AT + 99 * SECOND), known)

    assert [alert.subject.id for alert in evaluation.alerts] == ["boot-1", "boot-2"]


def test_what_other_rules_remember_is_no_boot():
    silent, pulls = rules(NodeSilent(TEN)), rules(LogFrozen(), MassPulls(1, 1, 1))
    _, known = run(pulls, [heartbeat(1)])
    evaluation = observe(silent, sight(heard_until=AT + 99 * SECOND), {**known, Key("rule-1", "client-1"): "{}"})

    assert evaluation.alerts == ()


def test_boots_are_those_of_the_rule_that_remembers_them():
    both = rules(NodeSilent(TEN), NodeSilent(TEN))
    _, known = run(rules(NodeSilent(TEN)), [heartbeat(1)])
    evaluation = observe(both, sight(heard_until=AT + 99 * SECOND), known)

    assert [alert.rule for alert in evaluation.alerts] == ["rule-0"]
    assert evaluation.memory == {Key("rule-0", "boot-1"): None}
