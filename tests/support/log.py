"""A log on a real database, stepped by hand; and what it must always be."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.audit import hash_leaf, parse_entry, root_of
from exchange.audit.proofs import verify_consistency
from exchange.custody import LogKey, checkpoint_signed_by, create_log_key, load_log_key
from exchange.store import Store
from exchange.store.log.last_signed import LastSignedFile
from exchange.store.log.sequencing import LogTree
from exchange.usecases.log.sequence_log import Desk, Sequencer, Step
from tests.support.postgres import PostgresServer, database_of
from tests.support.store import NOW, PATIENCE, draft, open_store, rows_of

ORIGIN = "exchange.example/log/1"


@dataclass
class LogClock:
    """A clock that moves by a step each time it is asked."""

    now: datetime = NOW
    step: timedelta = timedelta(milliseconds=1)

    def __call__(self) -> datetime:
        self.now += self.step
        return self.now


@dataclass
class Log:
    """A log, and who steps it: `sequencer` is one process's, the file and the key are its host's."""

    url: str
    folder: Path
    store: Store
    key: LogKey
    clock: LogClock = field(default_factory=LogClock)
    trees: list[LogTree] = field(default_factory=list)

    @property
    def file(self) -> LastSignedFile:
        return LastSignedFile(self.folder / "last-signed.json")

    async def desk(self, **fields: Any) -> Desk:
        tree = await LogTree.open(self.url, wait_seconds=PATIENCE)
        self.trees.append(tree)
        given = {
            "tree": tree,
            "key": self.key,
            "file": self.file,
            "record": self.store.append,
            "clock": self.clock,
            "randomness": os.urandom,
            **fields,
        }
        return Desk(**given)

    async def sequencer(self, **fields: Any) -> Sequencer:
        return Sequencer(await self.desk(**fields))

    async def append(self, count: int) -> list[str]:
        receipts = await asyncio.gather(*(self.store.append(draft()) for _ in range(count)))
        return [receipt.entry for receipt in receipts]

    async def drain(self, sequencer: Sequencer | None = None) -> Step:
        """Step until nothing waits or nothing is signed any more."""
        sequencer = sequencer or await self.sequencer()
        while (step := await sequencer.step()) in {Step.MORE, Step.PLACED}:
            continue
        return step

    async def events(self) -> list[str]:
        return [parse_entry(content)["type"] for content in await self.store.entries(100_000)]

    async def close(self) -> None:
        for tree in self.trees:
            await tree.close()
        await self.store.close()


async def check_log(log: Log, *, complete: bool = True) -> None:
    """Hold the log against its definition: each entry once, the tree over their bytes, the signatures, the file."""
    state = await log.store.log.state()
    assert state is not None
    contents = await log.store.log.contents(state.log, 0, state.size)
    leaves = [hash_leaf(content) for content in contents]
    assert state.root == root_of(leaves)
    assert await log.store.log.root(state.log, state.size) == state.head
    assert await log.store.log.leaf_hashes(state.log, 0, state.size) == leaves
    signed = checkpoint_signed_by(state.keys, state.note)
    assert (signed.origin, signed.head) == (state.origin, state.head)
    await _check_kept(log, leaves)
    if complete:
        placed = [row[0] for row in await rows_of(log.store, "SELECT entry_id FROM log_leaf")]
        known = [row[0] for row in await rows_of(log.store, "SELECT id FROM audit_entry")]
        assert sorted(placed) == sorted(known)
        assert await rows_of(log.store, "SELECT id FROM audit_outbox") == []


async def _check_kept(log: Log, leaves: list[bytes]) -> None:
    state = await log.store.log.state()
    assert state is not None
    before = None
    for kept in await log.store.log.checkpoints(state.log):
        signed = checkpoint_signed_by(state.keys, kept.note)
        assert signed.root == kept.root == root_of(leaves[: kept.size])
        proof = await log.store.log.consistency_proof(state.log, kept.size, state.size)
        verify_consistency(proof, old=signed.head, new=state.head)
        assert before is None or before.signed_at <= kept.signed_at
        before = kept


@asynccontextmanager
async def opened_log(url: str, folder: Path) -> AsyncIterator[Log]:
    """Open a log whose keys are in `folder`, or are made there."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240
    file = folder / "log.key"
    key = load_log_key(file) if file.exists() else create_log_key(file, ORIGIN, os.urandom)
    log = Log(url, folder, await open_store(url), key)
    try:
        yield log
    finally:
        await log.close()


@pytest.fixture
async def log(store_url: str, tmp_path: Path) -> AsyncIterator[Log]:
    async with opened_log(store_url, tmp_path / "log") as opened:
        yield opened


Snapshot = Callable[[], str]


@pytest.fixture
def snapshot(store_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Snapshot:
    """Gives the address of a copy of the database as it is now; nobody may be connected to it meanwhile."""

    def copy() -> str:
        if store_url.startswith("sqlite"):
            shutil.copy(tmp_path / "exchange.db", tmp_path / "snapshot.db")
            return f"sqlite+aiosqlite:///{tmp_path}/snapshot.db"
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database(database_of(store_url))
        request.addfinalizer(lambda: server.drop_database(url))
        return url

    return copy
