"""A log old enough to be archived, its archiver, and its readers, wherever the archive is."""

import asyncio
import os
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
from exchange.store.archive import BundleArchive
from exchange.store.archiving import LogArchiving
from exchange.store.log_desk import LogDesk
from exchange.usecases.archive_log import Archiver
from exchange.usecases.sweep_log import Index
from tests.support.log import Log
from tests.support.store import NOW, open_store, rows_of

DAYS = timedelta(days=30)
LATER = NOW + timedelta(days=31)


@pytest.fixture
async def old(log: Log) -> Log:
    """A log of two whole bundles and eight entries, all of it searchable."""
    sequencer = await log.sequencer()
    await log.append(519)
    await log.drain(sequencer)
    index = Index(log.trees[0])
    while await index.chunk():
        continue
    return log


def archive_at(at: Path | str) -> BundleArchive:
    """Return the archive in a folder, or at a URL."""
    return BundleArchive(at if isinstance(at, str) else at.as_uri())


@asynccontextmanager
async def archiver(log: Log, at: Path | str, *, now: datetime = LATER, **fields: Any) -> AsyncIterator[Archiver]:
    archive = archive_at(at)
    opened = await LogArchiving.open(log.url, archive)
    given = {"archive": archive, "record": log.store.append, "older_than": DAYS, **fields}
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
