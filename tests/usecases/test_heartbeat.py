"""What a process signs of its own entries, and when."""

import asyncio
import logging

import pytest

from exchange import usecases
from exchange.audit import EventName, hash_leaf
from exchange.audit.boot_checks import BootFinding
from exchange.kernel import UnavailableError, canonical_bytes
from exchange.services import ended_with_database
from exchange.store import OutgrownError
from exchange.usecases.log import heartbeat
from tests.support.boots import check_boots
from tests.support.store import NODE_KEY
from tests.support.world import World


async def findings(world: World) -> tuple[BootFinding, ...]:
    """Return what is wrong with the boots that signed anything; that which made the world did not."""
    entries = await world.entries()
    signed = {entry["boot"] for entry in entries if "signature" in entry.get("detail", {})}
    told = [(entry, hash_leaf(canonical_bytes(entry))) for entry in entries if entry["boot"] in signed]
    return check_boots([(place, *each) for place, each in enumerate(told)], [NODE_KEY.verifying_key])


async def record_something(world: World) -> None:
    await usecases.read_entries(world.services, world.call(None))


async def beats(world: World) -> list[dict[str, object]]:
    return [entry for entry in await world.entries() if entry["type"] == "node.heartbeat"]


async def test_start_and_stop_are_signed(world: World) -> None:
    started = await world.attempt(usecases.record_service(world.services, EventName.SERVICE_STARTED))
    stopped = await world.attempt(usecases.record_service(world.services, EventName.SERVICE_STOPPED))

    assert (started.entry["actor"], started.entry["source"]) == ({"kind": "service"}, "local")
    assert started.value.entry == started.entry["id"]
    assert {"upto", "hash", "state", "signature", "boot_key", "certificate"} == set(started.entry["detail"])
    assert {"upto", "hash", "state", "signature"} == set(stopped.entry["detail"])
    assert [each.entry["detail"]["state"] for each in (started, stopped)] == ["running", "closed"]
    assert await findings(world) == ()


async def test_heartbeat_comes_when_something_was_recorded_or_one_is_due(world: World) -> None:
    await record_something(world)
    first = await heartbeat.beat(world.services, is_due=False)
    silent = await heartbeat.beat(world.services, is_due=False)
    due = await heartbeat.beat(world.services, is_due=True)
    await record_something(world)
    after = await heartbeat.beat(world.services, is_due=False)

    assert [receipt is None for receipt in (first, silent, due, after)] == [False, True, False, False]
    assert [entry["id"] for entry in await beats(world)] == [each.entry for each in (first, due, after)]
    assert await findings(world) == ()


async def test_process_that_said_it_runs_says_that_it_ends(world: World) -> None:
    services = world.services
    own = usecases.Recorder(services.store, services.clock, services.randomness)
    await record_something(world)
    await heartbeat.beat(own, is_due=False)
    await usecases.close_record(own)

    assert [entry["detail"]["state"] for entry in await beats(world)] == ["running", "closed"]
    assert await findings(world) == ()


async def test_process_that_may_be_killed_signs_before_it_does_anything(world: World) -> None:
    async with usecases.heartbeats(world.services, is_opening=True):
        (opened,) = await beats(world)
        assert "boot_key" in opened["detail"]
        assert opened["node_seq"] == 1


async def test_heart_beats_until_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "IDLE_BEATS", 5)
    async with usecases.heartbeats(world.services):
        while len(await beats(world)) < 3:  # noqa: ASYNC110  nobody tells of a beat
            await asyncio.sleep(0.01)
    count = len(await beats(world))
    await asyncio.sleep(0.1)

    assert len(await beats(world)) == count
    assert await findings(world) == ()


async def test_silent_process_beats_seldom(world: World) -> None:
    await record_something(world)
    signed = []
    silent = 0
    for _ in range(2 * heartbeat.IDLE_BEATS + 1):
        silent = await heartbeat._beat_or_tell(world.services, silent, heartbeat.Troubles())
        signed.append(silent)

    assert signed.count(0) == 3
    assert len(await beats(world)) == 3


async def test_heart_goes_on_when_the_log_is_away(world: World, caplog: pytest.LogCaptureFixture) -> None:
    troubles = heartbeat.Troubles()
    await record_something(world)
    world.sql("ALTER TABLE audit_entry RENAME TO gone")
    with caplog.at_level(logging.WARNING, "exchange.log"):
        silent = await heartbeat._beat_or_tell(world.services, 7, troubles)
        silent = await heartbeat._beat_or_tell(world.services, silent, troubles)
    world.sql("ALTER TABLE gone RENAME TO audit_entry")
    again = await heartbeat._beat_or_tell(world.services, silent, troubles)

    # Once, not every second: a night without the database must not fill the disk that the log is written to.
    assert (silent, again) == (9, 0)
    assert caplog.messages == ["no heartbeat", "over now: no heartbeat"]
    assert await findings(world) == ()


def test_trouble_whose_causes_take_turns_is_told_once_for_each(caplog: pytest.LogCaptureFixture) -> None:
    troubles = heartbeat.Troubles()
    with caplog.at_level(logging.WARNING, "exchange.log"):
        for number in range(1000):
            troubles.tell("no heartbeat", UnavailableError("the disk is full" if number % 2 else "it is locked"))
            troubles.tell("the clock is not looked at", UnavailableError(f"no answer from port {number}"))
        troubles.end("no heartbeat")
        troubles.tell("no heartbeat", UnavailableError("the disk is full"))

    assert caplog.messages.count("no heartbeat") == 3
    assert caplog.messages.count("over now: no heartbeat") == 1
    assert caplog.messages.count("the clock is not looked at") == 200


async def test_heart_goes_on_after_what_nobody_foresaw(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("odd")

    await record_something(world)
    monkeypatch.setattr(type(world.services.store.node), "settle_doubts", broken)
    silent = await heartbeat._beat_or_tell(world.services, 3, heartbeat.Troubles())
    monkeypatch.undo()

    assert silent == 4
    assert "RuntimeError" in caplog.text
    assert await heartbeat._beat_or_tell(world.services, silent, heartbeat.Troubles()) == 0


async def test_heart_goes_on_after_a_look_that_nobody_foresaw(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "IDLE_BEATS", 1)
    monkeypatch.setattr(world.services.store, "look_at_schema", broken)
    async with asyncio.timeout(20), usecases.heartbeats(world.services):
        while len(await beats(world)) < 2:  # noqa: ASYNC110  nobody tells of a beat
            await asyncio.sleep(0.01)

    assert [record.message for record in caplog.records if record.exc_info] == ["the schema is not looked at"]


async def test_end_of_a_process_is_signed_once_and_only_if_it_recorded_something(world: World) -> None:
    async with world.another_node() as services:
        await usecases.close_record(services)
        assert await beats(world) == []
        await usecases.read_entries(services, world.call(None))
        await usecases.close_record(services)
        await usecases.close_record(services)
        with pytest.raises(UnavailableError):
            await usecases.read_entries(services, world.call(None))

    (closed,) = await beats(world)
    assert closed["detail"]["state"] == "closed"
    assert "boot_key" in closed["detail"]
    assert closed["node_seq"] == 2


async def test_end_that_cannot_be_recorded_is_told_to_the_operator(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await record_something(world)
    world.sql("ALTER TABLE audit_entry RENAME TO gone")
    with caplog.at_level(logging.WARNING):
        await usecases.close_record(world.services)
    world.sql("ALTER TABLE gone RENAME TO audit_entry")

    assert "not in the log" in caplog.text


async def test_process_ends_within_a_beat_of_a_newer_version_making_the_database_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    stopping = asyncio.Event()

    async def run() -> None:
        async with ended_with_database(world.services.store, stopping), usecases.heartbeats(world.services):
            world.sql("UPDATE alembic_version SET version_num = '9001'")
            world.sql("UPDATE schema_floor SET revision = '9001'")
            await asyncio.wait_for(stopping.wait(), 30)

    with pytest.raises(OutgrownError, match="run a version at `9001` or newer"):
        await run()
    with pytest.raises(OutgrownError):
        await usecases.list_reports(world.services, world.call("GBR reader"), usecases.ListQuery())


async def test_heart_goes_on_where_the_schema_cannot_be_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks, count = asyncio.Event(), 0

    async def away(_: object) -> None:
        nonlocal count
        count += 1
        if count > 1:
            looks.set()
        raise UnavailableError("the database is away")

    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(type(world.services.store), "look_at_schema", away)
    with caplog.at_level(logging.WARNING):
        async with usecases.heartbeats(world.services):
            await asyncio.wait_for(looks.wait(), 30)

    assert caplog.messages == ["the schema is not looked at"]
    assert not world.services.store.lineage.has_ended.is_set()
