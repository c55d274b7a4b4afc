"""When the instance was last put aside, as the log bears it out."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import NoReturn

import pytest

from exchange.audit import EventName
from exchange.kernel import UnavailableError, rfc3339, to_micros
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.upkeep.inspect_service import LogFigures, inspect_service
from exchange.usecases.upkeep.last_backup import last_backup, written_backup
from tests.support.placing import place_entries
from tests.support.rotating import add_version
from tests.support.world import World


async def backed_up(world: World) -> datetime:
    """Put on the record that a backup stands whole in its place, and return when."""
    draft = service_draft(world.services, EventName.INSTANCE_BACKED_UP)
    await world.services.store.append(replace(draft, detail=written_backup(17)))
    return world.clock()


async def test_newest_one_counts_and_none_that_was_altered(world: World) -> None:
    """An old backup whose entry somebody gave a later time was taken for one of today."""
    times = []
    for _ in range(3):
        times.append(await backed_up(world))
        world.clock.advance(timedelta(days=1))
    assert await last_backup(world.services, with_waiting=True) == times[-1]
    await place_entries(world, is_searchable=True)
    assert await last_backup(world.services) == times[-1]

    world.unguard()
    (oldest, *_) = [entry for entry in await world.entries() if entry["type"] == EventName.INSTANCE_BACKED_UP.value]
    ((content,),) = world.sql("SELECT content FROM audit_entry WHERE id = $1", oldest["id"])
    later = bytes(content).replace(oldest["ts"].encode(), rfc3339(times[-1] + timedelta(days=1)).encode())
    assert later != bytes(content)
    world.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", later, oldest["id"])
    world.unguard("audit_search")
    world.sql("UPDATE audit_search SET at_micros = $1 WHERE id = $2", to_micros(world.clock()), oldest["id"])

    assert await last_backup(world.services) == times[-1]


async def test_page_of_which_nothing_is_whole_hides_no_older_backup(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.usecases.upkeep.last_backup._AT_A_TIME", 1)
    times = []
    for _ in range(2):
        times.append(await backed_up(world))
        world.clock.advance(timedelta(days=1))
    await place_entries(world, is_searchable=True)
    world.unguard()
    (_, newest) = [entry for entry in await world.entries() if entry["type"] == EventName.INSTANCE_BACKED_UP.value]
    world.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b"{}", newest["id"])

    assert await last_backup(world.services) == times[0]


@pytest.mark.parametrize("away", ["found_places", "status"])
async def test_figure_that_cannot_be_told_keeps_no_other_from_being_told(
    world: World, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    at = await backed_up(world)
    world.clock.advance(timedelta(seconds=3))
    await add_version(world)
    size = await place_entries(world, is_searchable=True)
    await backed_up(world)
    world.clock.advance(timedelta(seconds=3))
    whole = await inspect_service(world.services)
    assert (whole.backup, whole.custody_key_made_at) == (at, at + timedelta(seconds=3))
    assert whole.log == LogFigures(size, 1, timedelta(seconds=3), timedelta(seconds=3), is_frozen=False)

    def gone(*_: object, **__: object) -> NoReturn:
        raise UnavailableError("it does not answer")

    owner = world.services.store if away == "found_places" else world.services.custodian
    monkeypatch.setattr(type(owner), away, gone)
    told = await inspect_service(world.services)
    lacks = {"found_places": "backup", "status": "custody_key_made_at"}[away]
    assert getattr(told, lacks) is None
    assert replace(told, **{lacks: getattr(whole, lacks)}) == whole
    # A clock that was put back shows no wait below nothing.
    world.clock.advance(timedelta(seconds=-60))
    assert (await inspect_service(world.services)).log == LogFigures(size, 1, timedelta(), timedelta(), is_frozen=False)


async def test_without_one_there_is_none(world: World) -> None:
    assert await last_backup(world.services, with_waiting=True) is None
