"""A log old enough to be archived, its archiver, and its readers, wherever the archive is."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.audit import parse_verifier_key
from exchange.audit.verify import Expectations, Verification, verify_log
from exchange.cli.audit_instance import InstanceLog, Waiter, beginnings_of
from exchange.kernel import to_micros
from exchange.store import Store
from exchange.store.log.archive import BundleArchive
from exchange.store.log.archiving import LogArchiving
from exchange.store.reads.log_desk import LogDesk
from exchange.usecases.log.archive_log import Archiver
from exchange.usecases.log.sweep_log import Index
from tests.support.log import Log, opened_log
from tests.support.postgres import PostgresServer
from tests.support.store import NOW, migrate_template, open_store, rows_of, run_apart

DAYS = timedelta(days=30)
LATER = NOW + timedelta(days=31)

_TIME = "time"
"""The file in a log's folder that says which time it was when it had grown."""


@pytest.fixture(scope="session")
def old_file(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """The folder of an old log that nobody has open, its database on SQLite beside its keys."""
    folder = tmp_path_factory.mktemp("old")
    file = shutil.copy(migrated_file, folder / "exchange.db")
    run_apart(lambda: asyncio.run(_grow_old(f"sqlite+aiosqlite:///{file}", folder / "log")))
    return folder


@pytest.fixture
async def old(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    """A log of two whole bundles and eight entries, all of it searchable: a copy, which takes a fifth of the time."""
    server: PostgresServer | None = None
    if backend == "sqlite":
        made: Path = request.getfixturevalue("old_file")
        url, kept = f"sqlite+aiosqlite:///{shutil.copy(made / 'exchange.db', tmp_path / 'exchange.db')}", made / "log"
    else:
        server = request.getfixturevalue("postgres_server")
        url, kept = server.create_database(_postgres_template(server, tmp_path)), _kept_by(server)
    folder = Path(shutil.copytree(kept, tmp_path / "log"))
    try:
        async with opened_log(url, folder) as log:
            log.clock.now = datetime.fromisoformat((folder / _TIME).read_text())
            yield log
    finally:
        if server is not None:
            server.drop_database(url)


def _postgres_template(server: PostgresServer, folder: Path) -> str:
    """Return the name of a database that holds an old log, whose keys are then kept beside the server."""

    def build(url: str) -> None:
        migrate_template(url)
        run_apart(lambda: asyncio.run(_grow_old(url, folder / "grown")))
        shutil.copytree(folder / "grown", _kept_by(server))

    return server.template("old_log", build)


def _kept_by(server: PostgresServer) -> Path:
    return server.folder / f"{server.run}_old_log"


async def _grow_old(url: str, folder: Path) -> None:
    async with opened_log(url, folder) as log:
        sequencer = await log.sequencer()
        await log.append(519)
        await log.drain(sequencer)
        index = Index(log.trees[0])
        while await index.chunk():
            continue
        await asyncio.to_thread((folder / _TIME).write_text, log.clock.now.isoformat())


def archive_at(at: Path | str) -> BundleArchive:
    """Return the archive in a folder, or at a URL."""
    return BundleArchive(at if isinstance(at, str) else at.as_uri())


async def never() -> bool:
    return False


@asynccontextmanager
async def archiver(log: Log, at: Path | str, *, now: datetime = LATER, **fields: Any) -> AsyncIterator[Archiver]:
    archive = archive_at(at)
    opened = await LogArchiving.open(log.url, archive)
    given = {"archive": archive, "record": log.store.append, "older_than": DAYS, "is_held": never, **fields}
    try:
        yield Archiver(log=opened, clock=lambda: now, randomness=os.urandom, **given)
    finally:
        await opened.close()


@asynccontextmanager
async def reading(log: Log, at: Path | str | None) -> AsyncIterator[Store]:
    store = await open_store(log.url, archive=None if at is None else archive_at(at))
    try:
        yield store
    finally:
        await store.close()


async def archive_all(log: Log, at: Path | str, **fields: Any) -> int:
    async with archiver(log, at, **fields) as working:
        return await working.step()


async def kept(log: Log) -> int:
    ((count,),) = await rows_of(log.store, "SELECT count(*) FROM audit_entry e JOIN log_leaf l ON l.entry_id = e.id")
    return int(count)


async def verified(log: Log, at: Path | str) -> Verification:
    keys = tuple(parse_verifier_key(line) for line in log.key.verifier_keys.splitlines())

    def work() -> Verification:
        wait = Waiter()
        desk = wait(LogDesk.open(log.url, archive=archive_at(at)))
        try:
            beginnings = wait(beginnings_of(desk))
            state = wait(desk.reader.state())
            assert state is not None
            source = InstanceLog(desk, state, beginnings[state.log], wait)
            return verify_log(source, Expectations(keys, now_micros=to_micros(log.clock.now)))
        finally:
            wait(desk.close())
            wait.close()

    return await asyncio.to_thread(work)
