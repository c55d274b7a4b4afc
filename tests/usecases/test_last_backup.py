"""When the instance was last put aside, as the log bears it out."""

from dataclasses import replace
from datetime import datetime, timedelta

from exchange.audit import EventName
from exchange.kernel import rfc3339, to_micros
from exchange.usecases.heartbeat import service_draft
from exchange.usecases.last_backup import last_backup, written_backup
from tests.support.placing import place_entries
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


async def test_without_one_there_is_none(world: World) -> None:
    assert await last_backup(world.services, with_waiting=True) is None
