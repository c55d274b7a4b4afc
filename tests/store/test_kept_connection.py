"""The connection to a file of SQLite that administration keeps: no lock, no older state, and none that has failed."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from exchange.store.database.engine import checked_url, new_engine

Use = Callable[[AsyncEngine], Awaitable[None]]


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "some.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE some (id INTEGER PRIMARY KEY); INSERT INTO some VALUES (1), (2)"
        )
    return str(file)


@pytest.fixture
async def engine(path: str) -> AsyncIterator[AsyncEngine]:
    made = new_engine(checked_url(f"sqlite+aiosqlite:///{path}"), wait_seconds=0.05)
    yield made
    await made.dispose()


@pytest.fixture
def opened(engine: AsyncEngine) -> list[object]:
    """Every connection that was opened."""
    made: list[object] = []
    event.listen(engine.sync_engine, "connect", lambda connection, _: made.append(connection))
    return made


async def write(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        result = await connection.execute(text("INSERT INTO some SELECT max(id) + 1 FROM some"))
        assert result.rowcount == 1


async def read_one_of_two(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT id FROM some ORDER BY id"))
        assert found.keys() == ["id"]
        assert found.fetchone() == (1,)


async def leave_uncommitted(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("DELETE FROM some"))


async def fail_by_a_row(engine: AsyncEngine) -> None:
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO some VALUES (1)"))


async def fail_by_the_database(engine: AsyncEngine) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM another"))


async def be_locked_out(engine: AsyncEngine) -> None:
    with closing(sqlite3.connect(str(engine.url.database), uri=True, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            async with engine.begin():
                raise AssertionError("it began under another's lock")


async def be_cancelled(engine: AsyncEngine) -> None:
    """Be cancelled while the thread is at a statement."""
    has_begun, may_end = threading.Event(), threading.Event()

    def wait() -> int:
        has_begun.set()
        return int(may_end.wait(60))

    async def ask() -> None:
        async with engine.begin() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.create_function("wait", 0, wait)
            await connection.execute(text("DELETE FROM some"))
            await connection.execute(text("SELECT wait()"))

    asked = asyncio.create_task(ask())
    assert await asyncio.to_thread(has_begun.wait, 60)
    asked.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await asked


USES = [write, read_one_of_two, leave_uncommitted, fail_by_a_row, fail_by_the_database, be_locked_out, be_cancelled]
KEPT = [write, read_one_of_two, leave_uncommitted, fail_by_a_row]


@pytest.mark.parametrize("use", USES)
async def test_nothing_is_locked_or_seen_between_two_uses(engine: AsyncEngine, path: str, use: Use) -> None:
    await use(engine)
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        other.execute("INSERT INTO some VALUES (100)")
        # It would be busy while anybody looks at an older state.
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)

    async with engine.connect() as connection:
        found = (await connection.scalars(text("SELECT id FROM some"))).all()
    assert set(found) == {1, 2, 100} | ({3} if use is write else set())


@pytest.mark.parametrize("use", USES)
async def test_connection_is_kept_unless_it_failed(engine: AsyncEngine, opened: list[object], use: Use) -> None:
    await use(engine)
    await use(engine)
    assert len(opened) == (1 if use in KEPT else 2)


async def test_two_at_once_have_a_connection_each_and_one_is_kept(engine: AsyncEngine, opened: list[object]) -> None:
    async with engine.connect() as one, engine.connect() as other:
        raw = [await each.get_raw_connection() for each in (one, other)]
        assert raw[0].driver_connection is not raw[1].driver_connection
    await write(engine)
    assert len(opened) == 2


async def test_commit_that_fails_leaves_neither_lock_nor_change(engine: AsyncEngine, path: str) -> None:
    deferred = "CREATE TABLE part (some INTEGER REFERENCES some (id) DEFERRABLE INITIALLY DEFERRED)"
    async with engine.connect() as connection:
        await connection.execute(text(deferred))
        await connection.execute(text("INSERT INTO part VALUES (77)"))
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            await connection.commit()
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("some",)]
    await write(engine)
