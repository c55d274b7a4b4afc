"""Alerts: raised once, whatever happens in between; shown to those whose entries they are about; on the record."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from importlib import import_module

import orjson
import pytest

from exchange import usecases
from exchange.audit import Actor, EventName, Outcome, parse_entry
from exchange.kernel import ForbiddenError, InvalidError, MalformedError, UnavailableError
from exchange.markings import Label
from exchange.members import Standing
from exchange.release.alert_rules import load_alert_rules
from exchange.store.log.alerting import AlertBook
from exchange.usecases import ClearanceChange, change_clearance
from exchange.usecases.log import watch_alerts
from exchange.usecases.log.watch_alerts import AlertWatch
from tests.support.alerted_world import RULES, AlertedWorld
from tests.support.lived import MakeLived
from tests.support.store import draft
from tests.support.witnessed_world import Watched
from tests.support.world import NOW, World
from tests.usecases.test_crises import FOR_DNK, OLDER_TOO, agreed, opened

NIGHT = NOW.replace(hour=22)


async def with_auditors(world: World) -> None:
    for member in ("GBR", "NOR", "DNK"):
        await world.enrol(f"{member} auditor", member, "auditor", level="TOP SECRET", compartments=("ATOMAL",))
    await world.enrol("NOR low auditor", "NOR", "auditor", level="RESTRICTED")


async def with_auditors_and_alerts(world: World) -> None:
    await with_auditors(world)
    await (await AlertedWorld.open(world)).close()


@pytest.fixture
async def alerted(make_lived: MakeLived) -> AsyncIterator[AlertedWorld]:
    world, _ = await make_lived(with_auditors_and_alerts)
    opened = await AlertedWorld.open(world)
    yield opened
    await opened.close()


async def pull_some(alerted: AlertedWorld, name: str = "GBR reader", count: int = 3) -> list[str]:
    reports = [await alerted.world.post() for _ in range(count)]
    for report in reports:
        await alerted.pull(name, report)
    return reports


async def refused_often(alerted: AlertedWorld, name: str = "DNK reader", count: int = 3) -> None:
    report = await alerted.world.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)))
    for _ in range(count):
        await alerted.pull(name, report)


async def test_what_was_before_the_rules_raises_nothing(populated: World) -> None:
    report = await populated.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)))
    unwatched = AlertedWorld(populated, None, None)  # type: ignore[arg-type]  # nobody watches yet
    for _ in range(5):
        await unwatched.pull("DNK reader", report)
    alerted = await AlertedWorld.open(populated)
    assert await alerted.rules_told() == []

    # Learning counts as having told: the rule cools like after an alert.
    populated.clock.advance(timedelta(hours=2))
    for _ in range(3):
        await alerted.pull("DNK reader", report)
    await alerted.settle()
    assert await alerted.rules_told() == ["refusals"]
    await alerted.close()


async def test_below_the_threshold_nothing_and_at_it_one(alerted: AlertedWorld) -> None:
    reports = await pull_some(alerted, count=2)
    await alerted.pull("GBR reader", reports[0])
    await alerted.settle()
    assert await alerted.rules_told() == []

    await pull_some(alerted, count=4)
    await alerted.settle()
    (alert,) = await alerted.alerts()
    assert (alert.rule, alert.severity, alert.member, alert.owner) == ("pulls", "high", "GBR", None)
    assert (alert.subject_kind, alert.subject_id) == ("client", alerted.world.clients["GBR reader"].id)


async def test_alert_is_an_entry_of_the_log(alerted: AlertedWorld) -> None:
    await pull_some(alerted)
    await alerted.settle()
    (alert,), (entry,) = await alerted.alerts(), await alerted.raised()

    assert entry["id"] == alert.entry_id
    assert entry["detail"]["alert"] == alert.id
    assert entry["detail"]["evidence"] == list(alert.evidence)
    assert (entry["actor"], entry["member"], entry["label"]["classification"]) == ({"kind": "service"}, "GBR", "SECRET")
    # It is sequenced like all others, and evaluated, and raises nothing.
    await alerted.settle()
    assert len(await alerted.alerts()) == 1


async def test_reading_at_night_is_told_to_both_members(alerted: AlertedWorld) -> None:
    report = await alerted.world.post()
    alerted.world.clock.now = NIGHT
    await alerted.pull("GBR reader", report)
    await alerted.settle()
    await alerted.pull("NOR reader", report)
    await alerted.settle()
    found = [alert for alert in await alerted.alerts() if alert.rule == "hours"]

    assert [(alert.member, alert.owner) for alert in found] == [("GBR", "GBR"), ("NOR", "GBR")]
    assert [alert.member for alert in (await alerted.seen_by("NOR auditor")).items] == ["NOR"]
    assert [alert.member for alert in (await alerted.seen_by("GBR auditor")).items] == ["GBR", "NOR"]
    assert (await alerted.seen_by("DNK auditor")).items == ()
    assert (await alerted.seen_by("NOR low auditor")).items == ()


async def test_client_at_two_addresses(alerted: AlertedWorld) -> None:
    report = await alerted.world.post()
    await alerted.pull("GBR reader", report)
    await alerted.pull("NOR reader", report, source="198.51.100.1")
    await alerted.settle()
    assert "addresses" not in await alerted.rules_told()

    await alerted.pull("GBR reader", report, source="198.51.100.1")
    await alerted.settle()
    (alert,) = [each for each in await alerted.alerts() if each.rule == "addresses"]
    assert alert.subject_id == alerted.world.clients["GBR reader"].id
    assert "198.51.100.1" not in str(await alerted.raised())


async def test_log_that_stands_still_is_told_of_without_an_entry_being_placed(alerted: AlertedWorld) -> None:
    await alerted.settle()
    alerted.world.clock.advance(timedelta(seconds=11))
    await alerted.watch.look()
    assert await alerted.rules_told() == []

    await alerted.world.post()
    alerted.world.clock.advance(timedelta(seconds=11))
    await alerted.watch.look()
    await alerted.watch.look()
    assert await alerted.rules_told() == ["behind"]


async def test_frozen_log_is_told_of(alerted: AlertedWorld) -> None:
    state = await alerted.log.state()
    await alerted.log.tree.freeze(state.log, at=1, why="it is not the one that was signed")
    await alerted.watch.look()

    (alert,) = await alerted.alerts()
    assert (alert.rule, alert.severity, alert.subject_id, alert.member) == ("frozen", "critical", state.origin, None)


async def test_refusing_witness_is_told_of(alerted: AlertedWorld) -> None:
    entry = draft(EventName.WITNESS_REFUSED, outcome=Outcome.FAILED, actor=Actor(kind="service"), at=NOW)
    await alerted.world.services.store.append(entry)
    await alerted.settle()

    assert await alerted.rules_told() == ["refusing"]


async def test_log_without_its_witness_is_told_of_though_its_time_lies_ahead(alerted: AlertedWorld) -> None:
    """Another node's clock was ahead by hours when the first checkpoint was signed that no witness cosigned."""
    watched = Watched(alerted.log)
    await watched.enrol("nor")
    right = alerted.world.clock.now
    alerted.world.clock.advance(timedelta(hours=5))
    await alerted.log.grow()
    await watched.ask("nor")
    await alerted.log.grow()
    alerted.world.clock.now = right
    told = []
    for minutes in (0, 14, 2):
        alerted.world.clock.advance(timedelta(minutes=minutes))
        await alerted.watch.look()
        told.append("witnesses" in await alerted.rules_told())
    watched.made["nor"].close()

    assert told == [False, False, True]


async def test_node_that_falls_silent_is_told_of_once(alerted: AlertedWorld) -> None:
    running = {"upto": 1, "state": "running"}
    service = Actor(kind="service")
    store = alerted.world.services.store
    await store.append(draft(EventName.NODE_HEARTBEAT, actor=service, source="local", detail=running, at=NOW))
    await alerted.settle()
    alerted.world.clock.advance(timedelta(minutes=2))
    await alerted.watch.look()
    assert await alerted.rules_told() == []

    alerted.world.clock.advance(timedelta(minutes=2))
    await alerted.watch.look()
    await alerted.watch.look()
    assert await alerted.rules_told() == ["silent"]


async def test_two_watches_raise_one_alert(alerted: AlertedWorld) -> None:
    await pull_some(alerted)
    await refused_often(alerted)
    await alerted.log.step()
    async with alerted.world.another_node() as services:
        other = alerted.another_watch(services)
        for _ in range(3):
            await asyncio.gather(alerted.watch.round(), other.round())

    assert sorted(await alerted.rules_told()) == ["pulls", "refusals"]
    assert len(await alerted.raised()) == 2


async def test_watch_that_comes_second_begins_nothing(alerted: AlertedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await alerted.world.services.store.alerts.position()
    await alerted.watch._begin(None)

    async def nobody_was_here(_: AlertBook) -> None:
        return None

    # Two at once: neither sees the other's row, and the database takes one of them.
    monkeypatch.setattr(AlertBook, "held_position", nobody_was_here)
    await alerted.watch._begin(None)

    assert await alerted.world.services.store.alerts.position() == before


async def test_batches_make_no_difference(alerted: AlertedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_alerts, "BATCH", 1)
    await pull_some(alerted)
    await refused_often(alerted)
    await alerted.settle()

    assert await alerted.rules_told() == ["pulls", "refusals"]


@pytest.mark.parametrize("step", ["held_position", "has", "add", "remember", "move"])
async def test_failure_at_any_step_loses_and_doubles_nothing(
    alerted: AlertedWorld, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await pull_some(alerted)
    await alerted.log.step()

    async def fail(*_: object, **__: object) -> None:
        raise UnavailableError("the database went away")

    with monkeypatch.context() as broken:
        broken.setattr(AlertBook, step, fail)
        with pytest.raises(UnavailableError):
            await alerted.watch.round()
    assert (await alerted.alerts(), await alerted.raised()) == ([], [])

    await alerted.settle()
    assert await alerted.rules_told() == ["pulls"]
    assert len(await alerted.raised()) == 1


async def test_position_that_was_set_back_doubles_nothing(alerted: AlertedWorld) -> None:
    await pull_some(alerted)
    await alerted.settle()
    alerted.world.sql("UPDATE alert_position SET position = 0, learned_to = 0")
    alerted.world.sql("DELETE FROM alert_memory")
    await alerted.settle()

    assert await alerted.rules_told() == ["pulls"]
    assert len(await alerted.raised()) == 1


@pytest.mark.parametrize(
    "change",
    ["position = 1000000", "learned_to = 1000000", "log = 7", "log = 0, position = -3", f"position = {-(2**60)}"],
)
async def test_position_where_no_entry_is_silences_nothing(alerted: AlertedWorld, change: str) -> None:
    await pull_some(alerted, count=2)
    await alerted.settle()
    alerted.world.sql(f"UPDATE alert_position SET {change}")
    await pull_some(alerted, count=1)
    await alerted.settle()

    assert "pulls" in await alerted.rules_told()
    (told,) = [each for each in await alerted.world.entries() if each["type"] == "row.contradicted"]
    assert (told["object"]["type"], told["decision"]) == ("alert-position", "failed")


@pytest.mark.parametrize("entry", ["x", b"\xff"])
async def test_alert_whose_row_names_no_entry_keeps_no_auditor_from_the_others(
    alerted: AlertedWorld, entry: object
) -> None:
    await pull_some(alerted)
    await refused_often(alerted)
    await alerted.settle()
    entry = "y" if isinstance(entry, bytes) and alerted.world.url.startswith("postgresql") else entry
    alerted.world.sql("UPDATE alert SET entry_id = $1 WHERE rule = 'pulls'", entry)

    assert [alert.rule for alert in (await alerted.seen_by("auditor")).items] == ["refusals"]


@pytest.mark.parametrize("column", ["log", "position", "learned_to", "revision", "last_number"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL keeps the types of its columns
async def test_position_that_is_none_silences_nothing(alerted: AlertedWorld, column: str) -> None:
    await pull_some(alerted, count=2)
    await alerted.settle()
    alerted.world.sql(f"UPDATE alert_position SET {column} = $1", b"\xff")
    await pull_some(alerted, count=1)
    await alerted.settle()

    assert "pulls" in await alerted.rules_told()


@pytest.mark.parametrize("change", ["last_number = 0", "last_number = {most}", "revision = {most}"])
async def test_counts_of_the_position_that_were_altered_silence_nothing(alerted: AlertedWorld, change: str) -> None:
    await pull_some(alerted)
    await alerted.settle()
    alerted.world.sql(f"UPDATE alert_position SET {change.format(most=2**63 - 1)}")
    for _ in range(3):
        await alerted.pull("DNK reader", "01980000-0000-7000-8000-000000000000")
    await alerted.settle()

    assert await alerted.rules_told() == ["pulls", "refusals"]


async def test_other_rules_are_on_the_record_and_memory_goes_on(alerted: AlertedWorld) -> None:
    await pull_some(alerted, count=2)
    await alerted.settle()
    services = alerted.world.services
    other = load_alert_rules(RULES.replace("severity: high", "severity: low"), services.law.catalogue)
    alerted.watch = AlertWatch(replace(services, law=replace(services.law, alerts=other)))
    await pull_some(alerted, count=1)
    await alerted.settle()

    assert await changed_rules(alerted) == sorted([services.law.alerts.digest, other.digest])
    assert [alert.severity for alert in await alerted.alerts()] == ["low"]


async def test_nodes_with_different_rules_do_not_take_turns_and_the_later_ones_hold(
    alerted: AlertedWorld,
) -> None:
    world, services = alerted.world, alerted.world.services
    other = load_alert_rules(RULES.replace("severity: high", "severity: low"), services.law.catalogue)
    async with world.another_node() as node:
        later = AlertWatch(replace(node, law=replace(services.law, alerts=other)))
        for _ in range(10):
            await alerted.log.grow()
            while await later.round():
                continue
            await alerted.watch.round()
            world.clock.advance(timedelta(minutes=1))
        await pull_some(alerted)
        await alerted.log.step()
        for watch in (alerted.watch, later):
            await watch.round()

    assert await changed_rules(alerted) == sorted([services.law.alerts.digest, other.digest])
    assert [alert.severity for alert in await alerted.alerts() if alert.rule == "pulls"] == ["low"]


async def test_rules_of_a_node_that_is_gone_give_way_to_those_of_one_that_stood_by(alerted: AlertedWorld) -> None:
    world, services = alerted.world, alerted.world.services
    other = load_alert_rules(RULES.replace("severity: high", "severity: low"), services.law.catalogue)
    async with world.another_node() as node:
        later = AlertWatch(replace(node, law=replace(services.law, alerts=other)))
        while await later.round():
            continue
    await pull_some(alerted)
    await alerted.settle()
    world.clock.advance(timedelta(hours=-1))
    await alerted.settle()
    world.clock.advance(timedelta(minutes=4))
    await alerted.settle()
    before = await alerted.alerts()
    world.clock.advance(timedelta(minutes=1))
    await alerted.settle()

    assert before == []
    assert [alert.severity for alert in await alerted.alerts() if alert.rule == "pulls"] == ["high"]
    own = services.law.alerts.digest
    assert await changed_rules(alerted) == sorted([own, other.digest, own])


async def changed_rules(alerted: AlertedWorld) -> list[str]:
    """Return which rules were put in force, each as often as it was."""
    entries = await alerted.world.entries()
    return sorted(entry["object"]["id"] for entry in entries if entry["type"] == "alert.rules_changed")


async def test_damaged_entry_does_not_end_the_watch(alerted: AlertedWorld) -> None:
    # What guards the table is the database's; whoever owns it takes that away first.
    contents = [b"not an entry", *await alerted.world.services.store.entries(limit=1)]

    assert len(watch_alerts._parsed(contents)) == 1


IMPOSSIBLE = [
    {"ts": "0001-01-01T00:00:00Z"},
    {"ts": "9999-12-31T23:59:59Z", "member": "NOR"},
    {"actor": {"kind": "client", "id": "a\0b"}},
    {"actor": {"kind": "client", "id": os.urandom(6000).hex()}},
]


@pytest.mark.parametrize("fields", IMPOSSIBLE, ids=["early", "late", "nul", "long"])
async def test_entry_that_nobody_sealed_so_does_not_end_the_watch(
    alerted: AlertedWorld, fields: dict[str, object]
) -> None:
    await pull_some(alerted, count=1)
    await alerted.log.step()
    (read,) = [entry for entry in await alerted.world.entries() if entry["type"] == "report.read"]
    forged = orjson.dumps({**read, **fields}, option=orjson.OPT_SORT_KEYS)
    alerted.world.unguard()
    alerted.world.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", forged, read["id"])
    await alerted.settle()
    await pull_some(alerted)
    await alerted.settle()

    assert parse_entry(forged)
    assert await alerted.rules_told() == ["pulls"]


async def test_entry_that_was_deleted_does_not_end_the_watch(alerted: AlertedWorld) -> None:
    await pull_some(alerted)
    await alerted.log.step()
    (posted, *_) = [entry for entry in await alerted.world.entries() if entry["type"] == "report.posted"]
    alerted.world.unguard()
    alerted.world.sql("DELETE FROM audit_entry WHERE id = $1", posted["id"])
    await alerted.settle()

    assert await alerted.rules_told() == ["pulls"]


async def test_size_that_was_set_far_ahead_hides_nothing_that_comes_later(alerted: AlertedWorld) -> None:
    await alerted.settle()
    size = (await alerted.log.state()).size
    alerted.world.sql("UPDATE log_state SET size = $1", 2**60)
    for _ in range(3):
        assert not await alerted.watch.round()
    alerted.world.unguard("log_state")
    alerted.world.sql("UPDATE log_state SET size = $1", size)
    await pull_some(alerted)
    await alerted.settle()

    assert "pulls" in await alerted.rules_told()


async def test_without_a_log_there_is_nothing_to_watch(world: World) -> None:
    watch = AlertWatch(world.services)

    assert await watch.round()
    assert not await watch.round()
    await watch.look()


@pytest.mark.parametrize("name", ["GBR reader", "operator", "GBR contributor"])
async def test_only_auditors_see_alerts(alerted: AlertedWorld, name: str) -> None:
    with pytest.raises(ForbiddenError):
        await alerted.seen_by(name)


async def test_members_auditor_sees_no_other_members_alerts(alerted: AlertedWorld) -> None:
    await pull_some(alerted, "GBR reader")
    await refused_often(alerted, "DNK reader")
    await alerted.settle()

    seen = {
        name: (await alerted.seen_by(name)).items for name in ("auditor", "GBR auditor", "DNK auditor", "NOR auditor")
    }
    assert {name: [alert.rule for alert in items] for name, items in seen.items()} == {
        "auditor": ["pulls", "refusals"],
        "GBR auditor": ["pulls"],
        "DNK auditor": ["refusals"],
        "NOR auditor": [],
    }


async def test_pages_go_on_and_each_look_is_an_entry(alerted: AlertedWorld) -> None:
    await pull_some(alerted)
    await refused_often(alerted)
    await alerted.settle()
    first = await alerted.seen_by("auditor", limit=1)
    second = await alerted.seen_by("auditor", limit=1, cursor=first.next)
    third = await alerted.seen_by("auditor", cursor=second.next)

    assert [alert.rule for page in (first, second, third) for alert in page.items] == ["pulls", "refusals"]
    looks = [entry for entry in await alerted.world.entries() if entry["type"] == "alert.listed"]
    assert [entry["result_ids"] for entry in looks] == [
        [a.entry_id for a in page.items] for page in (first, second, third)
    ]
    assert (await alerted.seen_by("auditor", rule="refusals")).items == second.items
    assert (await alerted.seen_by("auditor", rule="no-such-rule")).items == ()


async def test_long_way_to_the_next_alert_of_ones_own(alerted: AlertedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    # By its path: the room gives the name of this file to the function in it.
    monkeypatch.setattr(import_module("exchange.usecases.auditors.list_alerts"), "_CHUNK", 1)
    await pull_some(alerted)
    await refused_often(alerted)
    await alerted.settle()

    assert [alert.rule for alert in (await alerted.seen_by("DNK auditor")).items] == ["refusals"]
    assert [alert.rule for alert in (await alerted.seen_by("auditor")).items] == ["pulls", "refusals"]


async def test_foreign_cursor_and_impossible_rule_are_refused(alerted: AlertedWorld) -> None:
    foreign = (await alerted.seen_by("GBR auditor")).next
    for cursor in (foreign, "forged"):
        with pytest.raises(MalformedError):
            await alerted.seen_by("auditor", cursor=cursor)
    for rule in ("", "a" * 65, "e\u0301"):
        with pytest.raises(InvalidError):
            await alerted.seen_by("auditor", rule=rule)
    refused = [entry for entry in await alerted.world.entries() if entry["type"] == "alert.listed"]
    assert [entry["decision"] for entry in refused][-5:] == ["refused"] * 5


OBTAINED = """
hours: {default: {zone: UTC, days: [], from: "06:00", until: "20:00"}, members: {}}
rules:
  - {name: obtained, kind: read-after-change, severity: medium, cooldown: PT1H, events: [client.changed], window: P1D}
  - {name: certificate, kind: first-certificate, severity: low, cooldown: PT1M, level: SECRET}
  - {name: address, kind: first-address, severity: low, cooldown: PT1M, level: SECRET}
"""


async def test_reading_what_a_change_opened_is_told_to_the_readers_member(populated: World) -> None:
    for member in ("GBR", "NOR"):
        await populated.enrol(f"{member} auditor", member, "auditor", level="TOP SECRET")
    reader = await populated.enrol("NOR low reader", "NOR", "reader", level="RESTRICTED")
    alerted = await AlertedWorld.open(populated, OBTAINED)
    report = await populated.post()
    await alerted.pull("NOR low reader", report)
    await alerted.settle()
    assert await alerted.rules_told() == []

    await change_clearance(populated.services, populated.call(None), reader.id, ClearanceChange("SECRET"))
    for source in ("192.0.2.7", "192.0.2.7", "192.0.2.8"):
        populated.clock.advance(timedelta(minutes=2))
        await alerted.pull("NOR low reader", report, source=source)
    await alerted.settle()

    assert await alerted.rules_told() == ["obtained", "certificate", "address", "address"]
    seen = (await alerted.seen_by("NOR auditor")).items
    assert {(alert.member, alert.owner, alert.subject_id) for alert in seen} == {("NOR", None, reader.id)}
    assert (await alerted.seen_by("GBR auditor")).items == ()
    await alerted.close()


async def test_reading_what_a_crisis_of_two_others_opened_is_told_to_the_readers_member(populated: World) -> None:
    for member in ("GBR", "NOR", "DNK"):
        await populated.enrol(f"{member} auditor", member, "auditor", level="TOP SECRET")
    await agreed(populated, OLDER_TOO)
    alerted = await AlertedWorld.open(populated, OBTAINED.replace("client.changed", "crisis.declared"))
    report = await populated.post(label=FOR_DNK)
    for name in ("DNK reader", "NOR reader"):
        await alerted.pull(name, report)
    await opened(populated)
    populated.clock.advance(timedelta(minutes=2))
    for name in ("DNK reader", "NOR reader"):
        await alerted.pull(name, report)
    await alerted.settle()

    seen = (await alerted.seen_by("DNK auditor")).items
    assert [alert.subject_id for alert in seen if alert.rule == "obtained"] == [populated.clients["DNK reader"].id]
    for name in ("GBR auditor", "NOR auditor"):
        assert "obtained" not in {alert.rule for alert in (await alerted.seen_by(name)).items}
    await alerted.close()


async def test_revoked_client_that_tries_again_is_told_once_and_so_is_a_suspended_member(populated: World) -> None:
    rule = "rules: [{name: revoked, kind: after-revocation, severity: medium, cooldown: P1D}]"
    alerted = await AlertedWorld.open(populated, OBTAINED.partition("rules:")[0] + rule)
    report, client = await populated.post(), populated.clients["NOR reader"]
    await alerted.pull("NOR reader", report)
    await usecases.change_standing(populated.services, populated.call(None), client.id, Standing.REVOKED)
    await usecases.suspend_member(populated.services, populated.call(None), "NOR")
    for name in ("NOR contributor", "NOR reader", "NOR signatory", "NOR reader"):
        await alerted.pull(name, report)
    await alerted.settle()

    told = [(alert.subject_kind, alert.subject_id, alert.member) for alert in await alerted.alerts()]
    assert told == [("member", "NOR", "NOR"), ("client", client.id, "NOR")]
    await alerted.close()
