"""`policies/alerts.yaml` read strictly: every fault, with its line and how to mend it."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from exchange.audit.alerts import (
    AfterRevocation,
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


# What is said of the faults that only these rules can have, by code.
SAID = {
    "bad-code": r"`(Norge|NRO)` is no code that a member can have",
    "bad-hours": r"`from` and `until` are one: for no hours leave `days` empty",
    "endless": r"`alert\.(raised|undelivered)` would raise itself: leave it out",
    "bad-name": r"`[^`]+` is no name: use lower case, digits and hyphens",
    "bad-number": r"write a whole number from 1 to (1000|65536|100|366)",
    "bad-duration": r"`[^`]+`( is no duration of days, hours, minutes and seconds: write P1D or PT30M"
    r"|: write more than nothing, at most P366D)",
    "bad-time": r"`[^`]+` is no time of day: write 07:00",
    "unknown-zone": r"`[^`]+` is no time zone that this host knows: write one such as Europe/Oslo",
    "unknown-level": r"`[^`]+` is not one of UNCLASSIFIED, RESTRICTED, CONFIDENTIAL, SECRET, TOP SECRET",
}


def faults_of(text):
    with pytest.raises(InvalidError) as caught:
        load(text)
    assert caught.value.message == "the rules for alerts are not valid"
    for fault in caught.value.faults:
        assert fault.code not in SAID or re.fullmatch(SAID[fault.code], fault.message)
    return [(fault.pointer, fault.code, fault.line) for fault in caught.value.faults]


def test_the_repositorys_rules_load():
    rules = {rule.name: rule for rule in load(law_files()["alerts.yaml"]).rules}

    assert rules["mass-pulls"].condition == MassPulls(50, 4, 30)
    assert (rules["mass-pulls"].kind, rules["mass-pulls"].severity) == ("mass-pulls", Severity.HIGH)
    assert rules["mass-pulls"].cooldown == timedelta(days=1)
    assert rules["refusal-burst"].condition == RefusalBurst(20, timedelta(minutes=5))
    assert rules["two-addresses"].condition == TwoAddresses(timedelta(minutes=2))
    assert rules["after-revocation"].condition == AfterRevocation()
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
    assert (occurrence.events, occurrence.outcomes) == ({"key.opened", "row.contradicted"}, {"failed"})


def test_level_means_it_and_all_above_in_every_policy():
    condition = next(r.condition for r in load(law_files()["alerts.yaml"]).rules if isinstance(r.condition, OutOfHours))

    assert {("NATO", "SECRET"), ("NATO", "TOP SECRET"), ("EU", "SECRET"), ("NOR", "HEMMELIG")} <= condition.levels
    assert {("NATO", "CONFIDENTIAL"), ("NATO", "UNCLASSIFIED")}.isdisjoint(condition.levels)


@pytest.mark.parametrize("code", ["NOR", "EUROPOL"])
def test_members_have_hours_of_their_own(code):
    own = HOURS.replace(
        "members: {}", f'members: {{{code}: {{zone: Europe/Oslo, days: [sun], from: "07:30", until: "08:00"}}}}'
    )
    text = own + "rules:\n  - {name: a, kind: out-of-hours, severity: low, cooldown: PT1H, level: SECRET}\n"
    (rule,) = load(text).rules
    assert isinstance(rule.condition, OutOfHours)
    sunday = datetime(2026, 3, 1, 6, 45, tzinfo=UTC)

    assert rule.condition.hours.is_open(code, sunday)
    assert not rule.condition.hours.is_open("GBR", sunday)


@pytest.mark.parametrize(
    ("opens", "closes", "inside", "outside"),
    [
        ("00:00", "23:59", (23, 58), (23, 59)),
        ("19:05", "20:10", (20, 9), (20, 10)),
        ("09:59", "10:00", (9, 59), (9, 58)),
    ],
)
def test_hours_are_those_of_the_clock(opens, closes, inside, outside):
    text = HOURS.replace("06:00", opens).replace("20:00", closes)
    (rule,) = load(
        text + "rules:\n  - {name: a, kind: out-of-hours, severity: low, cooldown: PT1H, level: SECRET}\n"
    ).rules
    assert isinstance(rule.condition, OutOfHours)

    # A Monday.
    assert rule.condition.hours.is_open("NOR", datetime(2026, 3, 2, *inside, tzinfo=UTC))
    assert not rule.condition.hours.is_open("NOR", datetime(2026, 3, 2, *outside, tzinfo=UTC))


def test_days_are_those_of_the_week():
    for number, day in enumerate(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]):
        text = HOURS.replace("mon", day)
        (rule,) = load(
            text + "rules:\n  - {name: a, kind: out-of-hours, severity: low, cooldown: PT1H, level: SECRET}\n"
        ).rules
        assert isinstance(rule.condition, OutOfHours)
        noons = [datetime(2026, 3, 2 + each, 12, tzinfo=UTC) for each in range(7)]
        assert [rule.condition.hours.is_open("NOR", noon) for noon in noons] == [each == number for each in range(7)]


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
        ("name: a, kind: occurrence, severity: low, cooldown: PT1H, events: [log.begun], outcomes: []", "/rules/0/outcomes", "empty"),
        ("name: a, kind: two-addresses, severity: low, cooldown: PT1H, window: 1m", "/rules/0/window", "bad-duration"),
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


BURST = "name: a, kind: refusal-burst, severity: low, cooldown: PT1H, count: 1000, window: PT1M"
PULLS = "name: a, kind: mass-pulls, severity: low, cooldown: PT1H, minimum: 65536, deviations: 100, baseline_days: 366"


def the_rule(fields):
    (rule,) = load(with_rule(fields)).rules
    return rule


def test_most_that_may_be_written_is_taken_and_one_more_refused():
    assert the_rule(BURST).condition == RefusalBurst(1000, timedelta(minutes=1))
    assert the_rule(PULLS).condition == MassPulls(65_536, 100, 366)
    assert the_rule(BURST.replace("1000", "1")).condition == RefusalBurst(1, timedelta(minutes=1))
    for name, most in [("minimum", 65_536), ("deviations", 100), ("baseline_days", 366)]:
        more = PULLS.replace(f"{name}: {most}", f"{name}: {most + 1}")
        assert faults_of(with_rule(more)) == [(f"/rules/0/{name}", "bad-number", 3)]


@pytest.mark.parametrize("name", ["a" * 64, "a", "a1-2b-c", "x9"])
def test_plain_word_is_a_name(name):
    assert the_rule(GOOD.replace("name: a", f"name: {name}")).name == name


@pytest.mark.parametrize("name", ["1a", "-a", "a-", "a--b", "a_b", "å", '"a\\n"', "a.b"])
def test_what_is_no_plain_word_is_no_name(name):
    assert faults_of(with_rule(GOOD.replace("name: a", f"name: {name}"))) == [("/rules/0/name", "bad-name", 3)]


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("P366D", timedelta(days=366)),
        ("PT1S", timedelta(seconds=1)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("PT9999S", timedelta(seconds=9999)),
        ("PT2H4S", timedelta(hours=2, seconds=4)),
    ],
)
def test_duration_is_what_it_says(written, span):
    assert the_rule(GOOD.replace("PT1H", written)).cooldown == span


@pytest.mark.parametrize(
    "written",
    ["P", "PT", "P1DT", "P1W", "PT1.5S", "-PT1S", "PT1H1D", "PT10000S", "PT١S", "P366DT1S", "P0D"],
)
def test_what_is_no_duration_is_refused(written):
    assert faults_of(with_rule(GOOD.replace("PT1H", written))) == [("/rules/0/cooldown", "bad-duration", 3)]


WAITS = "name: a, kind: occurrence, severity: low, cooldown: PT1H, events: [log.begun], outcomes: [failed]"
AFTER = "name: a, kind: read-after-change, severity: low, cooldown: PT1H, events: [log.begun], window: P1D"


@pytest.mark.parametrize("event", ["alert.raised", "alert.undelivered"])
def test_no_rule_waits_for_an_alert(event):
    waits = (
        f"name: a, kind: occurrence, severity: low, cooldown: PT1H, events: [log.begun, {event}], outcomes: [failed]"
    )

    assert faults_of(with_rule(waits)) == [("/rules/0/events/1", "endless", 3)]


@pytest.mark.parametrize(
    ("old", "new", "pointer", "code"),
    [
        ("zone: UTC", "zone: Mars/Base", "/hours/default/zone", "unknown-zone"),
        ("zone: UTC", "zone: ../etc/passwd", "/hours/default/zone", "unknown-zone"),
        ("zone: UTC", "zone: Europe", "/hours/default/zone", "unknown-zone"),
        ("zone: UTC", 'zone: ""', "/hours/default/zone", "empty"),
        ("zone: UTC, ", "", "/hours/default", "missing-field"),
        ("[mon]", "[monday]", "/hours/default/days/0", "unknown-word"),
        ('"06:00"', '"6"', "/hours/default/from", "bad-time"),
        ('"06:00"', '"24:00"', "/hours/default/from", "bad-time"),
        ('"06:00"', '"06:000"', "/hours/default/from", "bad-time"),
        ('"06:00"', '"20:00"', "/hours/default", "bad-hours"),
        ('from: "06:00", ', "", "/hours/default", "missing-field"),
        ("members: {}", 'members: {Norge: {zone: UTC, days: [mon], from: "06:00", until: "20:00"}}', "/hours/members/Norge", "bad-code"),
        ("members: {}", 'members: {NRO: {zone: UTC, days: [mon], from: "06:00", until: "20:00"}}', "/hours/members/NRO", "bad-code"),
        ("members: {}", 'members: {NOR: {zone: UTC, days: [mon], from: "06:00", until: "20:00"}, Norge: {zone: UTC, days: [mon], from: "06:00", until: "20:00"}}', "/hours/members/Norge", "bad-code"),
    ],
)  # fmt: skip
def test_fault_in_the_hours_is_pointed_at(old, new, pointer, code):
    assert faults_of(HOURS.replace(old, new) + "rules: []\n") == [(pointer, code, 1)]


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("[]\n", ""),
        ("null\n", ""),
        (HOURS + "rules: 1\n", "/rules"),
        (HOURS + "rules: [7]\n", "/rules/0"),
        ("hours: 1\nrules: []\n", "/hours"),
        (HOURS.replace("members: {}", "members: []") + "rules: []\n", "/hours/members"),
        (HOURS.replace("members: {}", "members: {NOR: 1}") + "rules: []\n", "/hours/members/NOR"),
        (HOURS.replace("[mon]", "mon") + "rules: []\n", "/hours/default/days"),
        (HOURS.replace('"20:00"', "20") + "rules: []\n", "/hours/default/until"),
        (with_rule(WAITS.replace("log.begun", "[log.begun]")), "/rules/0/events/0"),
        (with_rule(WAITS.replace("log.begun", "{log.begun: failed}")), "/rules/0/events/0"),
        (with_rule(WAITS.replace("log.begun", "7")), "/rules/0/events/0"),
        (with_rule(WAITS.replace("[failed]", "[[failed]]")), "/rules/0/outcomes/0"),
        (with_rule(AFTER.replace("log.begun", "[log.begun]")), "/rules/0/events/0"),
    ],
)
def test_what_is_of_another_kind_is_told_once_where_it_stands(text, pointer):
    assert [(place, code) for place, code, _ in faults_of(text) if code == "wrong-type"] == [(pointer, "wrong-type")]


def test_text_that_cannot_be_read_is_one_fault_and_what_can_be_is_read_on():
    assert [code for _, code, _ in faults_of("rules: [")] == ["not-yaml"]
    twice = faults_of(HOURS.replace("UTC", "Mars/Base") + "rules: []\nrules: []\n")
    assert ("/hours/default/zone", "unknown-zone", 1) in twice
    assert len(twice) == 2


@pytest.mark.parametrize(("gone", "left"), [("from", '"06:00"'), ("until", '"20:00"')])
def test_time_that_is_not_there_is_no_midnight(gone, left):
    other = {"from": '"20:00"', "until": '"06:00"'}[gone]

    assert faults_of(
        HOURS.replace(f"{gone}: {left}", "").replace(", ,", ",").replace(", }", "}").replace(other, '"00:00"')
        + "rules: []\n"
    ) == [("/hours/default", "missing-field", 1)]


def test_nobody_need_be_in_the_house_at_all():
    shut = HOURS.replace("[mon]", "[]") + "rules: []\n"

    assert load(shut).rules == ()


def test_empty_time_of_day_is_one_fault():
    assert faults_of(HOURS.replace('"06:00"', '""') + "rules: []\n") == [("/hours/default/from", "empty", 1)]


@pytest.mark.parametrize(("bad", "code"), [('"6"', "bad-time"), ('""', "empty"), ("6", "wrong-type")])
def test_time_that_cannot_be_read_is_no_midnight(bad, code):
    begins = HOURS.replace('"06:00"', bad).replace("20:00", "00:00")
    ends = HOURS.replace("06:00", "00:00").replace('"20:00"', bad)
    neither = HOURS.replace('"06:00"', bad).replace('"20:00"', bad)

    assert faults_of(begins + "rules: []\n") == [("/hours/default/from", code, 1)]
    assert faults_of(ends + "rules: []\n") == [("/hours/default/until", code, 1)]
    assert faults_of(neither + "rules: []\n") == [
        ("/hours/default/from", code, 1),
        ("/hours/default/until", code, 1),
    ]


def test_midnight_is_a_time_and_twice_no_hours():
    midnights = HOURS.replace("06:00", "00:00").replace("20:00", "00:00")

    assert faults_of(midnights + "rules: []\n") == [("/hours/default", "bad-hours", 1)]


def test_two_rules_of_one_name():
    assert faults_of(f"{HOURS}rules:\n  - {{{GOOD}}}\n  - {{{GOOD}}}\n") == [("/rules/1/name", "repeated", 4)]


def test_two_rules_without_a_name_share_none():
    nameless = GOOD.replace("name: a, ", "")

    assert faults_of(f"{HOURS}rules:\n  - {{{nameless}}}\n  - {{{nameless}}}\n") == [
        ("/rules/0", "missing-field", 3),
        ("/rules/1", "missing-field", 4),
    ]


def test_every_fault_is_told_at_once():
    found = faults_of(f"{HOURS}rules:\n  - {{{GOOD.replace('PT1H', 'x')}}}\n  - {{name: b}}\n")

    assert [code for _, code, _ in found] == ["bad-duration", *["missing-field"] * 3]


def test_text_that_is_no_yaml():
    assert faults_of("rules: [") == [("", "not-yaml", 2)] or faults_of("rules: [")[0][1] == "not-yaml"
    assert faults_of("[]\n")[0][1] == "wrong-type"
