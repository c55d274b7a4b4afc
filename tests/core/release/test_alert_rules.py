"""`policies/alerts.yaml` read strictly: every fault, with its line and how to mend it."""

from datetime import UTC, datetime, timedelta

import pytest

from exchange.audit.alerts import (
    FirstAddress,
    FirstCertificate,
    LogBehind,
    LogFrozen,
    MassPulls,
    NodeSilent,
    Occurrence,
    OutOfHours,
    ReadAfterChange,
    RefusalBurst,
    Severity,
    TwoAddresses,
    WitnessBehind,
)
from exchange.kernel import InvalidError
from exchange.release.alert_rules import load_alert_rules
from tests.support.release_world import law_files, real_law

HOURS = 'hours: {default: {zone: UTC, days: [mon], from: "06:00", until: "20:00"}, members: {}}\n'


def load(text):
    return load_alert_rules(text, real_law().catalogue)


def with_rule(fields):
    return f"{HOURS}rules:\n  - {{{fields}}}\n"


def faults_of(text):
    with pytest.raises(InvalidError) as caught:
        load(text)
    return [(fault.pointer, fault.code, fault.line) for fault in caught.value.faults]


def test_the_repositorys_rules_load():
    rules = {rule.name: rule for rule in load(law_files()["alerts.yaml"]).rules}

    assert rules["mass-pulls"].condition == MassPulls(50, 4, 30)
    assert rules["mass-pulls"].severity is Severity.HIGH
    assert rules["mass-pulls"].cooldown == timedelta(days=1)
    assert rules["refusal-burst"].condition == RefusalBurst(20, timedelta(minutes=5))
    assert rules["two-addresses"].condition == TwoAddresses(timedelta(minutes=2))
    high = rules["out-of-hours"].condition
    assert isinstance(high, OutOfHours)
    assert rules["first-certificate"].condition == FirstCertificate(high.levels)
    assert rules["first-address"].condition == FirstAddress(high.levels)
    changes = frozenset(
        {"client.changed", "client.enrolled", "agreement.signed", "agreement.resumed", "crisis.declared"}
    )
    assert rules["read-after-change"].condition == ReadAfterChange(changes, timedelta(days=7))
    assert rules["log-behind"].condition == LogBehind(timedelta(seconds=10))
    assert rules["log-frozen"].condition == LogFrozen()
    assert rules["node-silent"].condition == NodeSilent(timedelta(minutes=3))
    assert rules["witness-behind"].condition == WitnessBehind(timedelta(minutes=15))
    occurrence = rules["tampering"].condition
    assert isinstance(occurrence, Occurrence)
    assert (occurrence.events, occurrence.outcomes) == ({"key.opened"}, {"failed"})


def test_level_means_it_and_all_above_in_every_policy():
    condition = next(r.condition for r in load(law_files()["alerts.yaml"]).rules if isinstance(r.condition, OutOfHours))

    assert {("NATO", "SECRET"), ("NATO", "TOP SECRET"), ("EU", "SECRET"), ("NOR", "HEMMELIG")} <= condition.levels
    assert {("NATO", "CONFIDENTIAL"), ("NATO", "UNCLASSIFIED")}.isdisjoint(condition.levels)


def test_members_have_hours_of_their_own():
    own = HOURS.replace(
        "members: {}", 'members: {NOR: {zone: Europe/Oslo, days: [sun], from: "07:30", until: "08:00"}}'
    )
    text = own + "rules:\n  - {name: a, kind: out-of-hours, severity: low, cooldown: PT1H, level: SECRET}\n"
    (rule,) = load(text).rules
    assert isinstance(rule.condition, OutOfHours)
    sunday = datetime(2026, 3, 1, 6, 45, tzinfo=UTC)

    assert rule.condition.hours.is_open("NOR", sunday)
    assert not rule.condition.hours.is_open("GBR", sunday)


def test_no_rules_at_all_is_a_choice():
    assert load(HOURS + "rules: []\n").rules == ()


def test_digest_follows_what_is_said_and_not_how():
    text = HOURS + "rules: []\n"

    assert load(text).digest == load("# note\n" + text).digest
    assert load(text).digest != load(text.replace("mon", "tue")).digest


GOOD = "name: a, kind: log-behind, severity: low, cooldown: PT1H, objective: PT10S"


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        (GOOD.replace("log-behind", "log-below"), "/rules/0/kind", "unknown-word"),
        (GOOD.replace("kind: log-behind, ", ""), "/rules/0", "missing-field"),
        (GOOD + ", window: PT1M", "/rules/0/window", "unknown-field"),
        (GOOD.replace(", objective: PT10S", ""), "/rules/0", "missing-field"),
        (GOOD.replace("low", "loud"), "/rules/0/severity", "unknown-word"),
        (GOOD.replace("name: a", "name: A b"), "/rules/0/name", "bad-name"),
        (GOOD.replace("name: a", f"name: {'a' * 65}"), "/rules/0/name", "bad-name"),
        (GOOD.replace("name: a", 'name: ""'), "/rules/0/name", "empty"),
        (GOOD.replace("PT1H", "1h"), "/rules/0/cooldown", "bad-duration"),
        (GOOD.replace("PT1H", "P1M"), "/rules/0/cooldown", "bad-duration"),
        (GOOD.replace("PT1H", "PT0S"), "/rules/0/cooldown", "bad-duration"),
        (GOOD.replace("PT1H", "P367D"), "/rules/0/cooldown", "bad-duration"),
        (GOOD.replace("PT1H", '""'), "/rules/0/cooldown", "empty"),
        ("name: a, kind: refusal-burst, severity: low, cooldown: PT1H, count: 0, window: PT1M", "/rules/0/count", "bad-number"),
        ("name: a, kind: refusal-burst, severity: low, cooldown: PT1H, count: 1001, window: PT1M", "/rules/0/count", "bad-number"),
        ("name: a, kind: refusal-burst, severity: low, cooldown: PT1H, count: true, window: PT1M", "/rules/0/count", "bad-number"),
        ("name: a, kind: refusal-burst, severity: low, cooldown: PT1H, window: PT1M", "/rules/0", "missing-field"),
        ("name: a, kind: out-of-hours, severity: low, cooldown: PT1H, level: secret", "/rules/0/level", "unknown-level"),
        ('name: a, kind: out-of-hours, severity: low, cooldown: PT1H, level: ""', "/rules/0/level", "empty"),
        ("name: a, kind: occurrence, severity: low, cooldown: PT1H, events: [report.eaten], outcomes: [failed]", "/rules/0/events/0", "unknown-word"),
        ("name: a, kind: occurrence, severity: low, cooldown: PT1H, events: [alert.raised], outcomes: [failed]", "/rules/0/events/0", "endless"),
        ("name: a, kind: occurrence, severity: low, cooldown: PT1H, events: [], outcomes: [failed]", "/rules/0/events", "empty"),
        ("name: a, kind: occurrence, severity: low, cooldown: PT1H, events: [log.begun], outcomes: [fine]", "/rules/0/outcomes/0", "unknown-word"),
        ("name: a, kind: first-address, severity: low, cooldown: PT1H, level: HIGH", "/rules/0/level", "unknown-level"),
        ("name: a, kind: first-certificate, severity: low, cooldown: PT1H", "/rules/0", "missing-field"),
        ("name: a, kind: read-after-change, severity: low, cooldown: PT1H, events: [alert.raised], window: P1D", "/rules/0/events/0", "endless"),
        ("name: a, kind: read-after-change, severity: low, cooldown: PT1H, events: [client.changed]", "/rules/0", "missing-field"),
        ("name: a, kind: mass-pulls, severity: low, cooldown: PT1H, minimum: many, deviations: 1, baseline_days: 1", "/rules/0/minimum", "bad-number"),
    ],
)  # fmt: skip
def test_fault_in_a_rule_is_pointed_at(fields, pointer, code):
    # The field that lacks has the line of what is around it: one and the same in a rule of one line.
    assert faults_of(with_rule(fields)) == [(pointer, code, 3)]


@pytest.mark.parametrize(
    ("old", "new", "pointer", "code"),
    [
        ("zone: UTC", "zone: Mars/Base", "/hours/default/zone", "unknown-zone"),
        ("zone: UTC", "zone: ../etc/passwd", "/hours/default/zone", "unknown-zone"),
        ("zone: UTC", "zone: Europe", "/hours/default/zone", "unknown-zone"),
        ("[mon]", "[monday]", "/hours/default/days/0", "unknown-word"),
        ('"06:00"', '"6"', "/hours/default/from", "bad-time"),
        ('"06:00"', '"24:00"', "/hours/default/from", "bad-time"),
        ('"06:00"', '"20:00"', "/hours/default", "bad-hours"),
        ('from: "06:00", ', "", "/hours/default", "missing-field"),
        ("members: {}", 'members: {Norge: {zone: UTC, days: [mon], from: "06:00", until: "20:00"}}', "/hours/members/Norge", "bad-code"),
    ],
)  # fmt: skip
def test_fault_in_the_hours_is_pointed_at(old, new, pointer, code):
    assert faults_of(HOURS.replace(old, new) + "rules: []\n") == [(pointer, code, 1)]


def test_empty_time_of_day_is_one_fault():
    assert faults_of(HOURS.replace('"06:00"', '""') + "rules: []\n") == [("/hours/default/from", "empty", 1)]


def test_two_rules_of_one_name():
    assert faults_of(f"{HOURS}rules:\n  - {{{GOOD}}}\n  - {{{GOOD}}}\n") == [("/rules/1/name", "repeated", 4)]


def test_every_fault_is_told_at_once():
    found = faults_of(f"{HOURS}rules:\n  - {{{GOOD.replace('PT1H', 'x')}}}\n  - {{name: b}}\n")

    assert [code for _, code, _ in found] == ["bad-duration", *["missing-field"] * 3]


def test_text_that_is_no_yaml():
    assert faults_of("rules: [") == [("", "not-yaml", 2)] or faults_of("rules: [")[0][1] == "not-yaml"
    assert faults_of("[]\n")[0][1] == "wrong-type"
