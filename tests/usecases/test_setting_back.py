"""A clock that is set back revives nothing that ended by date alone, and that it was is on the record."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from exchange import usecases
from exchange.kernel import InvalidError, NotFoundError, to_micros
from exchange.kernel.steady import SteadyClock
from exchange.kernel.timekeeping import Timekeeping
from exchange.store.books.time_book import TimeReader
from exchange.usecases import ClearanceChange, Services
from exchange.usecases.life.sweep_reports import Swept
from exchange.usecases.log import keep_time
from exchange.usecases.log.keep_time import ClockWatch, accept_clock, hold_clock
from exchange.usecases.upkeep import rounds_of_time
from exchange.usecases.upkeep.believe_clock import believes_clock
from exchange.usecases.upkeep.rounds_of_time import RoundsOfTime
from tests.support.world import World

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@dataclass
class Node:
    """A process of the service: its clock is its machine's, which may be another one than the world's."""

    world: World
    lead: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self.passed = 0.0
        self.clock = SteadyClock(lambda: self.world.clock.now + self.lead, lambda: self.passed)
        self.services: Services = replace(self.world.services, clock=self.clock)
        self.watch = ClockWatch(self.services)

    async def begins(self) -> "Node":
        await hold_clock(self.services.store, self.clock)
        return self

    async def looks(self, times: int = 60) -> None:
        """Look at the clock every second for so long, while time stands still."""
        for _ in range(times):
            await self.watch.look()

    async def pulls(self, report: str, name: str = "NOR reader") -> bool:
        try:
            await usecases.pull_report(self.services, self.world.call(name, at=self.clock()), report)
        except NotFoundError:
            return False
        return True


@pytest.fixture
async def cleared(populated: World) -> tuple[World, str]:
    """A world where a reader's clearance was over an hour ago."""
    report = await populated.post()
    until = populated.clock.now + timedelta(hours=1)
    change = ClearanceChange("SECRET", (), until)
    await usecases.change_clearance(
        populated.services, populated.call(None), populated.clients["NOR reader"].id, change
    )
    assert await (await Node(populated).begins()).pulls(report)
    for _ in range(4):
        populated.clock.advance(timedelta(minutes=30))
        await believes_clock(populated.services)
    return populated, report


async def test_a_clearance_that_was_over_stays_over(cleared: tuple[World, str]) -> None:
    """In the process that saw it end, and in one that is begun with the clock set back."""
    world, report = cleared
    node = await Node(world).begins()
    assert not await node.pulls(report)
    world.clock.advance(-DAY)
    begun = await Node(world).begins()

    assert [await each.pulls(report) for each in (node, begun)] == [False, False]


async def test_it_is_on_the_record_once_and_so_is_its_end(
    cleared: tuple[World, str], caplog: pytest.LogCaptureFixture
) -> None:
    world, _ = cleared
    node = await Node(world).begins()
    world.clock.advance(-DAY)
    with caplog.at_level(logging.CRITICAL, "exchange.clock"):
        back = await world.attempt(node.looks())
    world.clock.advance(DAY)
    right = await world.attempt(node.looks())

    (entry,) = back.entries
    assert (entry["type"], entry["decision"], entry["actor"]) == ("clock.behind", "failed", {"kind": "service"})
    assert entry["detail"] == {"clock": "2026-05-31T14:00:00Z", "decided_by": "2026-06-01T14:00:00Z"}
    assert [each["type"] for each in right.entries] == ["clock.right"]
    assert "exchange clock accept" in caplog.text


async def test_a_process_that_began_before_anything_was_kept_is_held_as_soon_as_it_is(populated: World) -> None:
    node = await Node(populated).begins()
    await node.looks(1)
    now = populated.clock.now
    await believes_clock(populated.services)
    await node.looks(1)
    populated.clock.advance(-DAY)

    assert node.clock() == now


async def test_less_than_a_minute_is_told_nobody(cleared: tuple[World, str]) -> None:
    world, _ = cleared
    node = await Node(world).begins()
    world.clock.advance(-MINUTE)

    assert (await world.attempt(node.looks())).entries == []


async def test_what_is_over_on_one_node_is_over_on_the_others_where_none_of_them_does_jobs(
    cleared: tuple[World, str],
) -> None:
    """The node that is behind has it from the row, which the other one moves on, and tells of it."""
    world, report = cleared
    change = ClearanceChange("SECRET", (), world.clock.now + 8 * MINUTE)
    await usecases.change_clearance(world.services, world.call(None), world.clients["NOR reader"].id, change)
    ahead, behind = await Node(world, 5 * MINUTE).begins(), await Node(world).begins()
    world.clock.advance(4 * MINUTE)
    assert [await each.pulls(report) for each in (ahead, behind)] == [False, True]

    for each in (ahead, behind):
        await each.looks()

    assert [await each.pulls(report) for each in (ahead, behind)] == [False, False]
    assert "clock.behind" in [entry["type"] for entry in await world.entries()]


async def test_a_node_whose_clock_is_a_day_ahead_moves_no_other(cleared: tuple[World, str]) -> None:
    """It is in doubt while another one is in step with what was believed; that one decides by its own clock."""
    world, _ = cleared
    ahead, right = await Node(world, DAY).begins(), await Node(world).begins()
    for _ in range(26):
        world.clock.advance(timedelta(minutes=59))
        assert not await believes_clock(ahead.services)
        await ahead.looks()
        assert await believes_clock(right.services)
        await right.looks()
        assert (right.clock(), right.clock.behind) == (world.clock.now, timedelta(0))
    ahead.lead = timedelta(0)

    assert (ahead.clock(), ahead.clock.behind) == (world.clock.now, timedelta(0))


async def test_a_clock_that_was_ahead_is_accepted_on_every_node(cleared: tuple[World, str]) -> None:
    """One person at the host says so, on the record; running nodes take it up within a minute."""
    world, report = cleared
    node, other = await Node(world).begins(), await Node(world).begins()
    world.clock.advance(-timedelta(minutes=90))
    await other.looks()
    call = replace(world.call(None), now=node.clock())
    made = await world.attempt(accept_clock(node.services, call, "a wrong time server"))
    assert not await other.pulls(report)
    await other.looks()

    assert made.entry["type"] == "clock.accepted"
    assert made.entry["detail"]["reason"] == "a wrong time server"
    assert (await node.pulls(report), await other.pulls(report)) == (True, True)
    with pytest.raises(InvalidError, match="nothing to accept"):
        await accept_clock(node.services, call, "again")


@pytest.mark.parametrize("lead", [timedelta(minutes=40), timedelta(hours=5)])
async def test_what_was_accepted_is_not_undone_by_who_looks_before_it_took_it_up(
    populated: World, lead: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jobs ran under the lead too, and look at the clock at any moment."""
    ended: list[datetime] = []

    async def sweeps(_: Services, now: datetime, **others: object) -> Swept:
        ended.append(now)
        return Swept(0, 0, 0, 0)

    monkeypatch.setattr(rounds_of_time, "sweep_reports", sweeps)
    for _ in range(10):
        await believes_clock(populated.services)
        populated.clock.advance(lead / 10)
    await believes_clock(populated.services)
    node, jobs = await Node(populated).begins(), await Node(populated).begins()
    populated.clock.advance(-lead)
    await accept_clock(node.services, replace(populated.call(None), now=node.clock()), "it was ahead")
    made = await populated.attempt(RoundsOfTime(jobs.services).reports())
    await node.looks()

    assert [node.clock(), jobs.clock(), *ended] == [populated.clock.now] * 3
    assert made.entries == []


async def test_belief_is_not_given_up_by_who_is_behind(cleared: tuple[World, str]) -> None:
    """An older process, or one whose clock was not held yet, looks at a clock that was set back."""
    world, _ = cleared
    world.clock.advance(-DAY)
    believed = world.sql("SELECT believed_at FROM timekeeping")
    assert await believes_clock(world.services)

    assert world.sql("SELECT believed_at FROM timekeeping") == believed


@pytest.mark.parametrize(
    "meanwhile",
    ["UPDATE timekeeping SET doubted_since = believed_at, doubted_at = believed_at", "DELETE FROM timekeeping"],
    ids=["doubted", "gone"],
)
async def test_what_another_node_did_to_the_time_meanwhile_is_not_moved_over(
    cleared: tuple[World, str], monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    world, _ = cleared
    node = await Node(world).begins()
    world.clock.advance(2 * MINUTE)
    reads = TimeReader.kept

    async def and_then(reader: TimeReader) -> Timekeeping | None:
        kept = await reads(reader)
        world.sql(meanwhile)
        return kept

    monkeypatch.setattr(TimeReader, "kept", and_then)
    await keep_time._move_on(node.services.store, node.clock)
    after = world.sql("SELECT believed_at, doubted_since FROM timekeeping")

    believed = to_micros(world.clock.now - 2 * MINUTE)
    assert after == ([(believed, believed)] if "doubted" in meanwhile else [])
