"""Each rule about entries: just below nothing, at it one, and then silence until it has cooled."""

from datetime import timedelta
from math import sqrt
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import Subject
from exchange.audit.alerts import (
    MOST_EVIDENCE,
    AfterRevocation,
    FirstAddress,
    FirstCertificate,
    Key,
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
    counted,
    evaluate,
    keys_of,
)
from exchange.audit.alerts import memory as memory_module
from tests.core.audit.alerts.rows import HOURS, NOW, SECRET, entry, entry_id, heartbeat, rules, run, without

PULLS = MassPulls(minimum=5, deviations=2, baseline_days=30)
BURST = RefusalBurst(count=3, window=timedelta(minutes=5))
ADDRESSES = TwoAddresses(timedelta(minutes=2))
HIGH = OutOfHours(frozenset({("NATO", "SECRET"), ("NATO", "TOP SECRET")}), HOURS)
CHANGED = Occurrence(frozenset({"policy.changed"}), frozenset({"permitted"}))
LEVELS = frozenset({("NATO", "SECRET")})
OBTAINED = ReadAfterChange(frozenset({"client.changed", "agreement.signed", "crisis.declared"}), timedelta(days=1))
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
STRANGER = {"kind": "unknown", "thumbprint": "token"}


def pulls(count, *, at=NOW, first=0, **fields):
    return [entry(first + number, at=at + timedelta(seconds=number), **fields) for number in range(count)]


def refusals(*minutes, **fields):
    given_fields = {"decision": "refused", **fields}
    return [entry(number, at=NOW + minute * MINUTE, **given_fields) for number, minute in enumerate(minutes)]


def test_client_that_comes_after_it_was_revoked_is_told_whatever_it_asks_for():
    refused = {"decision": "refused", "reasons": ["client-suspended"]}
    came = [entry(1, type="report.listed", **refused), entry(2, **refused)]
    others = [entry(3, decision="refused", reasons=["role-missing"]), entry(4, actor=STRANGER, **refused), entry(5)]
    others += [entry(6, actor=STRANGER, detail={"inactive": "member"}, **refused)]

    (alert,), _ = run(rules(AfterRevocation()), [*others, *came])

    assert (alert.subject, alert.evidence) == (Subject("client", "client-1"), (entry_id(1),))
    assert (alert.label, alert.owner) == (None, None)


def test_suspended_member_is_told_once_and_hides_no_client_that_is_revoked_itself():
    def came(number, client, holder):
        fields = {"decision": "refused", "reasons": ["client-suspended"], "detail": {"inactive": holder}}
        return entry(number, actor={"kind": "client", "id": client}, **fields)

    entries = [came(1, "a", "member"), came(2, "b", "member"), came(3, "a", "client"), came(4, "c", "client")]
    alerts, _ = run(rules(AfterRevocation()), [*entries, came(5, "d", "member"), came(6, "a", "client")])

    told = [(alert.subject, alert.evidence, alert.member, alert.agency) for alert in alerts]
    assert told == [
        (Subject("member", "NOR"), (entry_id(1),), "NOR", None),
        (Subject("client", "a"), (entry_id(3),), "NOR", "NIS"),
        (Subject("client", "c"), (entry_id(4),), "NOR", "NIS"),
    ]
    # Where the entry does not name the member, the client is told.
    (alert,), _ = run(rules(AfterRevocation()), [without(came(1, "a", "member"), "member")])
    assert alert.subject == Subject("client", "a")


def test_pulls_below_the_minimum_are_silent_and_at_it_alarm_once():
    assert run(rules(PULLS), pulls(4))[0] == []
    (alert,), _ = run(rules(PULLS), pulls(9))

    assert (alert.rule, alert.kind, alert.subject) == ("rule-0", "the-kind", Subject("client", "client-1"))
    assert alert.evidence == (entry_id(4),)
    assert (alert.member, alert.agency, alert.owner, alert.label) == ("NOR", "NIS", None, SECRET)


def test_one_report_read_often_is_one_report():
    again = [entry(number, object={"type": "report", "id": "same"}) for number in range(50)]

    assert run(rules(PULLS), again)[0] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"decision": "refused"},
        {"type": "report.listed"},
        {"actor": {"kind": "host"}},
        {"actor": {"kind": "host", "id": "client-1"}},
        {"actor": {"kind": "unknown"}},
    ],
)
def test_what_is_no_read_of_a_client_is_not_counted(fields):
    assert run(rules(PULLS), pulls(50, **fields))[0] == []


def test_parts_count_as_their_report_and_an_entry_without_object_as_nothing():
    parts = [entry(number, type="report.part_read") for number in range(5)]

    assert len(run(rules(PULLS), parts)[0]) == 1
    assert run(rules(PULLS), [without(each, "object") for each in parts])[0] == []


def test_clients_do_not_share_a_count():
    others = [entry(number, actor={"kind": "client", "id": f"client-{number}"}) for number in range(50)]

    assert run(rules(PULLS), others)[0] == []


def test_evidence_of_a_burst_is_its_newest_refusals():
    (alert,), _ = run(rules(RefusalBurst(30, timedelta(hours=1))), refusals(*range(30)))

    assert alert.evidence == tuple(entry_id(number) for number in range(30 - MOST_EVIDENCE, 30))


def test_new_day_begins_anew_and_the_day_before_becomes_the_baseline():
    remembered = run(rules(PULLS), pulls(4))[1]
    assert run(rules(PULLS), pulls(4, at=NOW + DAY, first=10), remembered)[0] == []

    busy = run(rules(PULLS), pulls(100))[1]
    # One day of 100: 100 + 2 * sqrt(100) + 1 = 121.
    assert run(rules(PULLS), pulls(120, at=NOW + DAY, first=200), busy)[0] == []
    assert len(run(rules(PULLS), pulls(121, at=NOW + DAY, first=200), busy)[0]) == 1


def test_late_entry_of_the_day_before_counts_today():
    late = [*pulls(4, at=NOW + DAY), entry(99, at=NOW)]

    assert len(run(rules(PULLS), late)[0]) == 1


def test_days_outside_the_baseline_are_forgotten():
    busy = run(rules(PULLS), pulls(100))[1]
    _, after = run(rules(PULLS), pulls(1, at=NOW + 31 * DAY, first=200), busy)

    assert '"counts":[]' in after[Key("rule-0", "client-1")]
    assert len(run(rules(PULLS), pulls(5, at=NOW + 31 * DAY, first=200), busy)[0]) == 1


def test_who_reads_more_than_can_be_told_apart_is_alarmed_at_that(monkeypatch):
    monkeypatch.setattr(memory_module, "MOST_SEEN", 8)
    monkeypatch.setattr("exchange.audit.alerts.entries.MOST_SEEN", 8)

    assert run(rules(MassPulls(9, 2, 30)), pulls(7))[0] == []
    assert len(run(rules(MassPulls(9, 2, 30)), pulls(20))[0]) == 1


@given(st.dictionaries(st.integers(0, 29), st.integers(1, 5000), max_size=30), st.integers(1, 10))
def test_limit_is_the_smallest_number_above_the_mean_and_its_deviations(counts, deviations):
    limit = MassPulls(1, deviations, 30).limit(counts, 30)
    days = [counts.get(day, 0) for day in range(30)]
    spread = max(pstdev(days), sqrt(fmean(days)))

    assert limit - 1 <= fmean(days) + deviations * spread + 1e-6
    assert limit + 1e-6 > fmean(days) + deviations * spread


@pytest.mark.parametrize(
    ("counts", "days", "limit"),
    [({}, 0, 50), ({}, 30, 50), ({1: 10}, 1, 50), ({1: 100}, 1, 141), ({1: 100, 2: 100}, 2, 141), ({1: 300}, 2, 751)],
)
def test_limit_by_hand(counts, days, limit):
    found = MassPulls(50, 4, 30).limit(counts, days)

    # A whole number: half a report is not more than the last one that is allowed.
    assert (found, type(found)) == (limit, int)


@pytest.mark.parametrize(
    ("minutes", "alerts"),
    [
        ((0, 1), 0),
        ((0, 1, 2), 1),
        ((0, 1, 5), 1),
        ((0, 1, 5.02), 0),
        ((0, 4, 8, 9), 1),
        ((2, 1, 0), 1),
        ((0, 1, 2, 3, 4), 1),
        # A large upload that is refused in the end bears the time at which it came in: it hides nothing that is newer.
        ((10, 11, 2, 12), 1),
        ((10, 11, 2, 3, 4), 1),
        # As many as a window may have without an alert in each of four.
        ((18, 18, 12, 12, 6, 6, 0.5, 0.5, 20), 1),
        ((19, 20, 0, 21), 1),
        # What is further back is another clock's time.
        ((20.5, 21, 0, 22), 0),
    ],
)
def test_refusals_within_the_window(minutes, alerts):
    assert len(run(rules(BURST), refusals(*minutes))[0]) == alerts


def test_burst_tells_its_refusals_and_nothing_of_what_was_refused():
    (alert,), _ = run(rules(BURST), refusals(0, 1, 2))

    assert alert.evidence == tuple(entry_id(number) for number in range(3))
    assert (alert.member, alert.owner, alert.label) == ("NOR", None, None)


def test_strangers_are_one_subject_and_the_host_is_none():
    strangers = [without(each, "member", "agency") for each in refusals(0, 1, 2, actor=STRANGER)]
    (alert,), _ = run(rules(BURST), strangers)

    assert (alert.subject, alert.member) == (Subject("client", "stranger"), None)
    assert run(rules(BURST), refusals(0, 1, 2, actor={"kind": "host"}))[0] == []
    assert run(rules(BURST), refusals(0, 1, 2, decision="failed"))[0] == []


@pytest.mark.parametrize(
    ("hour", "member", "is_out"),
    [
        (12, "GBR", False),
        (6, "GBR", False),
        (5.99, "GBR", True),
        (19.99, "GBR", False),
        (20, "GBR", True),
        (6.5, "NOR", True),
        (7, "NOR", False),
        (15, "NOR", True),
        (12 - 24, "GBR", True),
    ],
)
def test_reading_outside_the_members_hours(hour, member, is_out):
    at = NOW.replace(hour=0) + timedelta(hours=hour)
    found, _ = run(rules(HIGH), [entry(1, at=at, member=member)])

    assert len(found) == int(is_out)


@pytest.mark.parametrize(
    ("label", "is_meant"),
    [
        ({"policy": "NATO", "classification": "TOP SECRET"}, True),
        ({"policy": "NATO", "classification": "CONFIDENTIAL"}, False),
        ({"policy": "XXX", "classification": "SECRET"}, False),
        ({}, False),
    ],
)
def test_only_the_levels_of_the_rule(label, is_meant):
    night = NOW.replace(hour=2)

    assert len(run(rules(HIGH), [entry(1, at=night, label=label)])[0]) == int(is_meant)


def test_out_of_hours_is_told_to_the_reports_owner_too():
    (alert,), _ = run(rules(HIGH), [entry(1, at=NOW.replace(hour=2))])

    assert (alert.member, alert.owner, alert.label, alert.evidence) == ("NOR", "GBR", SECRET, (entry_id(1),))


@pytest.mark.parametrize(
    ("second", "minutes", "alerts"),
    [("address-2", 2, 1), ("address-2", 2.02, 0), ("address-1", 1, 0), ("local", 1, 0), ("", 1, 0), ("withheld", 1, 0)],
)
def test_two_addresses_within_the_window(second, minutes, alerts):
    both = [entry(1), entry(2, at=NOW + minutes * MINUTE, source=second)]
    found, _ = run(rules(ADDRESSES), both)

    assert len(found) == alerts
    assert all(alert.evidence == (entry_id(2),) and alert.owner is None for alert in found)


@pytest.mark.parametrize(
    ("used", "alerts"),
    [
        ([(10, "a"), (5, "b"), (11, "b")], 1),
        ([(10, "a"), (5, "b"), (6, "a")], 1),
        ([(10, "a"), (2, "a"), (11, "b")], 1),
        ([(10, "a"), (5, "b"), (13, "b")], 0),
        ([(19, "a"), (2, "b"), (20, "b")], 1),
        ([(19.5, "a"), (2, "b"), (20, "b")], 0),
    ],
)
def test_what_comes_late_hides_no_second_address(used, alerts):
    entries = [entry(number, at=NOW + minute * MINUTE, source=source) for number, (minute, source) in enumerate(used)]

    assert len(run(rules(ADDRESSES), entries)[0]) == alerts


@pytest.mark.parametrize(("condition", "decision", "most"), [(ADDRESSES, "permitted", 16), (BURST, "refused", 12)])
def test_only_so_much_is_remembered_of_one_client(condition, decision, most):
    came = [entry(number, decision=decision, source=f"address-{number}") for number in range(20)]
    ((_, text),) = run(rules(condition), came)[1].items()

    assert [mark.entry for mark in memory_module.Memory.of(text).marks] == [entry_id(n) for n in range(20 - most, 20)]


def test_address_of_another_client_is_no_second_one():
    other = entry(2, source="address-2", actor={"kind": "client", "id": "client-2"})

    assert run(rules(ADDRESSES), [entry(1), other, entry(3, actor={"kind": "host"}, source="address-3")])[0] == []


def with_certificate(number, token, **fields):
    return entry(number, actor={"kind": "client", "id": "client-1", "thumbprint": token}, **fields)


@pytest.mark.parametrize("condition", [FirstCertificate(LEVELS), FirstAddress(LEVELS)])
def test_first_use_at_a_level_is_told_once(condition):
    def used(number, what, **fields):
        return with_certificate(number, what, source=what, at=NOW + number * DAY, **fields)

    low = {"label": {"policy": "NATO", "classification": "CONFIDENTIAL"}}
    entries = [used(1, "a"), used(2, "a"), used(3, "b", **low), used(4, "b"), used(5, "a"), used(6, "b")]
    found, _ = run(rules(condition), entries)

    assert [alert.evidence for alert in found] == [(entry_id(1),), (entry_id(4),)]
    assert all((alert.subject, alert.owner) == (Subject("client", "client-1"), None) for alert in found)


@pytest.mark.parametrize("condition", [FirstCertificate(LEVELS), FirstAddress(LEVELS)])
def test_first_use_while_the_rule_is_silent_is_told_when_it_comes_again(condition):
    used = [(0, "a"), (1, "b"), (2, "b"), (61, "b"), (122, "a"), (123, "b")]
    entries = [
        with_certificate(each, what, source=what, at=NOW + minute * MINUTE) for each, (minute, what) in enumerate(used)
    ]
    found, _ = run(rules(condition), entries)

    assert [alert.evidence for alert in found] == [(entry_id(0),), (entry_id(3),)]


@pytest.mark.parametrize("source", ["local", "", "host", "withheld"])
def test_what_is_no_address_and_no_certificate_is_not_used_for_the_first_time(source):
    both = rules(FirstCertificate(LEVELS), FirstAddress(LEVELS))
    bare = {"actor": {"kind": "client", "id": "client-1"}, "source": source}

    assert run(both, [entry(1, **bare), with_certificate(2, "", source=source)])[0] == []
    assert run(both, [with_certificate(3, "t", decision="refused"), entry(4, type="report.listed")])[0] == []


def refusal(number, report="r", **fields):
    return entry(number, decision="refused", object={"type": "report", "id": report}, **fields)


def change(number, **fields):
    made = {"type": "client.changed", "object": {"type": "client", "id": "client-1"}, "member": "EXCHANGE"}
    return without(entry(number, **{**made, "owner": "NOR", **fields}), "label")


def crisis(number, parties, **fields):
    made = {"type": "crisis.declared", "object": {"type": "agreement", "id": "a"}, "member": "GBR"}
    detail = {} if parties is None else {"parties": parties}
    return without(entry(number, **{**made, "detail": detail, **fields}), "label", "owner")


def agreed(number, parties, **fields):
    return crisis(number, parties, **{"type": "agreement.signed", **fields})


def read(number, report="r", **fields):
    return entry(number, object={"type": "report", "id": report}, **fields)


@pytest.mark.parametrize(
    ("entries", "alerts"),
    [
        ([refusal(1), change(2), read(3)], 1),
        ([refusal(1), change(2, type="agreement.signed", member="NOR", owner=None), read(3)], 1),
        ([refusal(1), change(2), read(3, actor={"kind": "client", "id": "client-2"})], 1),
        ([refusal(1), change(2), change(3), refusal(4), read(5)], 1),
        ([change(1), refusal(2), read(3)], 0),
        ([refusal(1), read(2)], 0),
        ([change(1), read(2)], 0),
        ([refusal(1), change(2), read(3, "another")], 0),
        ([refusal(1), change(2, owner="GBR"), read(3)], 0),
        # By one party, and for every one.
        ([refusal(1), agreed(2, ["GBR", "NOR"]), read(3)], 1),
        ([refusal(1), agreed(2, ["GBR", "DNK"]), read(3)], 0),
        ([refusal(1), agreed(2, ["GBR", "NOR"], type="agreement.suspended"), read(3)], 0),
        # Opened by two others, and for every party.
        ([refusal(1), crisis(2, ["GBR", "DNK", "NOR"]), read(3)], 1),
        ([refusal(1), crisis(2, ["GBR", "DNK"]), read(3)], 0),
        ([refusal(1), crisis(2, ["GBR", "NOR"], decision="refused"), read(3)], 0),
        ([crisis(1, ["GBR", "NOR"]), refusal(2), read(3)], 0),
        ([refusal(1), crisis(2, "NOR"), read(3)], 0),
        ([refusal(1), crisis(2, None), read(3)], 0),
        ([refusal(1), change(2, decision="refused"), read(3)], 0),
        ([refusal(1), change(2, type="client.revoked"), read(3)], 0),
        ([refusal(1, member="GBR"), change(2), read(3)], 0),
        ([refusal(1), change(2), read(3, member="GBR")], 0),
        ([refusal(1), change(2), read(3, actor={"kind": "unknown"})], 0),
        ([refusal(1), change(2), read(3, at=NOW + DAY)], 1),
        ([refusal(1), change(2), read(3, at=NOW + DAY + MINUTE)], 0),
        ([refusal(1), change(2), read(3), read(4, at=NOW + 2 * MINUTE)], 1),
        # What was obtained was told: it takes another refusal.
        ([refusal(1), change(2), read(3), change(4), read(5, at=NOW + 2 * MINUTE)], 1),
        ([refusal(1), without(crisis(2, None), "detail"), read(3)], 0),
        ([refusal(1), change(2), read(3, type="report.amended")], 0),
        ([without(refusal(1), "object"), change(2), without(read(3), "object")], 0),
        ([refusal(1, member=None), change(2, member=None, owner=None), read(3, member=None)], 0),
    ],
)
def test_member_reads_what_it_was_refused_before_a_change(entries, alerts):
    given = [{name: value for name, value in each.items() if value is not None} for each in entries]
    found, _ = run(rules(OBTAINED, cooldown=MINUTE), given)

    assert len(found) == alerts
    for alert in found:
        assert alert.evidence == (
            next(each["id"] for each in given if each["decision"] == "permitted" and each["type"] == "report.read"),
        )
        assert alert.subject.id in {"client-1", "client-2"}
        assert (alert.member, alert.owner, alert.label) == ("NOR", None, SECRET)


def test_one_change_may_open_several_reports():
    sought = [refusal(1, "a"), refusal(2, "b"), change(3), read(4, "a"), read(5, "b", at=NOW + 2 * MINUTE)]
    found, _ = run(rules(OBTAINED, cooldown=MINUTE), sought)

    assert [alert.evidence for alert in found] == [(entry_id(4),), (entry_id(5),)]


def test_alert_bears_the_names_of_its_rule_and_one_id_for_ever():
    found = rules(PULLS)
    (alert,), _ = run(found, pulls(5))

    assert (alert.rule, alert.kind, alert.severity) == ("rule-0", "the-kind", Severity.HIGH)
    # Whoever evaluates the log again finds the same one, also with the exchange of a later day.
    assert alert.id == "019cae6b-75a0-7000-98cf-15102fe03524"


def test_read_without_a_label_is_at_no_level():
    night = NOW.replace(hour=2)

    assert run(rules(HIGH), [without(entry(1, at=night), "label")])[0] == []


def test_event_is_remembered_of_what_it_is_about_or_of_who_did_it():
    made = entry(7, type="policy.changed")

    assert keys_of(counted(rules(CHANGED), [made])) == {Key("rule-0", "report-7")}
    assert keys_of(counted(rules(CHANGED), [without(made, "object")])) == {Key("rule-0", "client-1")}


def test_event_without_object_and_client_is_remembered_of_nobody():
    bare = without(entry(7, type="policy.changed", actor={"kind": "host"}), "object", "label", "owner")

    assert keys_of(counted(rules(CHANGED), [bare])) == {Key("rule-0", "")}


@pytest.mark.parametrize(
    ("event", "outcome", "alerts"),
    [("policy.changed", "permitted", 1), ("policy.changed", "failed", 0), ("log.begun", "permitted", 0)],
)
def test_event_comes_to_pass(event, outcome, alerts):
    found, _ = run(rules(CHANGED), [entry(1, type=event, decision=outcome)])

    assert [alert.subject for alert in found] == [Subject("report", "report-1")] * alerts
    # Whoever may know the entry may know the alert: its owner and its label stand there too.
    assert all((alert.owner, alert.label) == ("GBR", SECRET) for alert in found)


def test_what_was_refused_is_told_to_nobody_but_the_clients_member():
    refused = Occurrence(frozenset({"report.read"}), frozenset({"refused"}))
    (alert,), _ = run(rules(refused), [entry(1, decision="refused")])

    assert (alert.member, alert.owner, alert.label) == ("NOR", None, None)


def test_event_without_object_is_its_own_subject():
    (alert,), _ = run(rules(CHANGED), [without(entry(7, type="policy.changed"), "object", "label", "owner")])

    assert (alert.subject, alert.owner, alert.label) == (Subject("entry", entry_id(7)), None, None)


@pytest.mark.parametrize(("minutes", "alerts"), [(0, 1), (59, 1), (60, 2), (-59, 1), (-60, 2)])
def test_cooldown_holds_and_ends(minutes, alerts):
    night = NOW.replace(hour=2)
    found, _ = run(rules(HIGH), [entry(1, at=night), entry(2, at=night + minutes * MINUTE)])

    assert len(found) == alerts
    assert len({alert.id for alert in found}) == alerts


def test_rules_do_not_share_what_they_remember():
    both = rules(BURST, RefusalBurst(2, timedelta(minutes=1)))

    assert [alert.rule for alert in run(both, refusals(0, 1, 2))[0]] == ["rule-1", "rule-0"]


def test_boot_is_remembered_while_it_runs():
    silent = rules(NodeSilent(timedelta(minutes=3)))
    _, running = run(silent, [heartbeat(1, event="service.started"), heartbeat(2, boot="boot-2")])
    _, after = run(silent, [heartbeat(3, "closed"), heartbeat(4, boot="boot-2")], running)

    assert set(running) == {Key("rule-0", "boot-1"), Key("rule-0", "boot-2")}
    assert set(after) == {Key("rule-0", "boot-2")}
    assert run(silent, [heartbeat(1, "closed"), entry(2), without(heartbeat(3), "detail")])[1] == {}
    assert run(silent, [entry(2, detail={"state": "running"})])[1] == {}
    # Of a boot its last word alone: it signs every second.
    assert run(silent, [heartbeat(6), heartbeat(7)])[1] == run(silent, [heartbeat(7)])[1]
    # What states nothing of its process, which whoever writes into the log can add, does not end the watch over it.
    assert run(silent, [without(heartbeat(5), "detail")], running)[1] == running


@pytest.mark.parametrize("condition", [LogBehind(timedelta(seconds=1)), WitnessBehind(timedelta(1)), LogFrozen()])
def test_rule_about_the_log_itself_counts_no_entry(condition):
    assert run(rules(condition), [*pulls(3), heartbeat(4)]) == ([], {})


def test_damaged_memory_is_none():
    (key,) = run(rules(PULLS), pulls(1))[1]
    for text in ("", "{}", "[]", '{"told":null,"marks":[1]}', '{"seen":"!"}'):
        assert run(rules(PULLS), pulls(1), {key: text}) == run(rules(PULLS), pulls(1))


MOMENTS = st.integers(0, 3 * 24 * 60).map(lambda minute: NOW + minute * MINUTE)
ENTRIES = st.lists(
    st.builds(
        lambda at, event, decision, client, source, report: {
            "at": at,
            "type": event,
            "decision": decision,
            "actor": {"kind": "client", "id": client},
            "source": source,
            "object": {"type": "report", "id": report},
        },
        MOMENTS,
        st.sampled_from(["report.read", "report.part_read", "policy.changed", "client.changed"]),
        st.sampled_from(["permitted", "refused"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["x", "y", "local"]),
        st.integers(0, 9).map(str),
    ),
    max_size=40,
)
ALL = rules(
    *(MassPulls(3, 1, 2), RefusalBurst(2, 60 * MINUTE), HIGH, TwoAddresses(60 * MINUTE), CHANGED),
    *(FirstCertificate(LEVELS), FirstAddress(LEVELS), OBTAINED),
)


@given(ENTRIES, st.lists(st.integers(0, 40)))
def test_batches_make_no_difference(rows, cuts):
    entries = [entry(number, **row) for number, row in enumerate(rows)]
    whole = run(ALL, entries)
    alerts, remembered, start = [], {}, 0
    for end in [*sorted(cuts), len(entries)]:
        more, remembered = run(ALL, entries[start:end], remembered)
        alerts += more
        start = max(start, end)

    assert (alerts, remembered) == whole


@given(ENTRIES)
def test_alert_is_about_entries_that_there_are_and_has_an_id_of_its_own(rows):
    entries = [entry(number, **row) for number, row in enumerate(rows)]
    alerts, _ = run(ALL, entries)
    known = {each["id"] for each in entries}

    assert len({alert.id for alert in alerts}) == len(alerts)
    assert all(set(alert.evidence) <= known and len(alert.evidence) <= MOST_EVIDENCE for alert in alerts)


def test_what_did_not_change_is_not_written_again():
    entries = counted(rules(PULLS), [entry(1)])
    remembered = evaluate(entries, {}).memory

    assert evaluate(entries, remembered).memory == {}
