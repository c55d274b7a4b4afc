"""Gives entries their places in the log of a world, by the sequencer itself."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from exchange.custody import create_log_key, load_log_key, replace_log_key
from exchange.store.log.last_signed import LastSignedFile
from exchange.store.log.sequencing import LogTree
from exchange.usecases.log.recover_log import next_origin, recover_log
from exchange.usecases.log.sequence_log import Desk, Sequencer, Step
from exchange.usecases.log.sweep_log import Index
from tests.support.world import World

ORIGIN = "exchange.example/log/1"


async def place_entries(world: World, *, is_searchable: bool = False, begins_only: bool = False) -> int:
    """Place every entry so far, make them searchable where asked to, and return the size of the log.

    Where it `begins_only`, the log is begun with its empty tree and everything waits still.
    """
    async with _desk_of(world) as desk:
        sequencer = Sequencer(desk)
        while await sequencer.step() in {Step.MORE, Step.PLACED} and not begins_only:
            continue
        index = Index(desk.tree)
        while is_searchable and await index.chunk():
            continue
    state = await world.services.store.log.state()
    assert state is not None
    return state.size


async def begin_another_log(world: World) -> None:
    """Freeze the log of a world, and begin another one in its place."""
    async with _desk_of(world) as desk:
        desk.file.path.write_bytes(b"{}")
        assert await Sequencer(desk).step() is Step.FROZEN
        key = replace_log_key(world.folder / "log.key", await next_origin(desk.tree.reader), os.urandom)
        await recover_log(world.services, world.call(None), desk, key=key)


@asynccontextmanager
async def _desk_of(world: World) -> AsyncIterator[Desk]:
    key_file = world.folder / "log.key"
    key = load_log_key(key_file) if key_file.exists() else create_log_key(key_file, ORIGIN, os.urandom)
    tree = await LogTree.open(world.url or f"sqlite+aiosqlite:///{world.folder}/exchange.db")
    try:
        yield Desk(
            tree=tree,
            key=key,
            file=LastSignedFile(world.folder / "last-signed.json"),
            record=world.services.store.append,
            clock=world.clock,
            randomness=os.urandom,
        )
    finally:
        await tree.close()


async def place_anew(world: World) -> int:
    """Place in a tree all that only the search was given: what the log proves and to whom is asked of that."""
    world.unguard("log_leaf")
    for table in ("audit_search", "audit_outbox", "log_leaf"):
        world.sql(f"DELETE FROM {table}")
    world.sql("INSERT INTO audit_outbox (entry_id) SELECT id FROM audit_entry ORDER BY id")
    return await place_entries(world, is_searchable=True)
