"""A closed store leaves no connection behind: what was in use at that moment is closed once it is given back."""

import asyncio
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from exchange.store import Store
from exchange.store.database import servers
from tests.support.store import open_store


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[asyncpg.Connection]:
    """Every connection that is opened to PostgreSQL from now on; held here, none is closed by being forgotten."""
    made: list[asyncpg.Connection] = []
    connect = asyncpg.connect

    async def keeping(**arguments: Any) -> asyncpg.Connection:
        made.append(await connect(**arguments))
        return made[-1]

    monkeypatch.setattr(servers.asyncpg, "connect", keeping)
    return made


def left(opened: list[asyncpg.Connection]) -> list[asyncpg.Connection]:
    return [each for each in opened if not each.is_closed()]


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_read_whose_asker_has_gone_leaves_no_connection(store_url: str, opened: list[asyncpg.Connection]) -> None:
    store = await open_store(store_url)
    await store.caller("0" * 64)
    asked = [asyncio.create_task(store.caller(f"{number:064x}")) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for each in asked:
        each.cancel()
    await asyncio.wait(asked)
    await store.close()

    assert len(opened) >= 2
    assert left(opened) == []


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_read_on_its_way_is_answered_and_leaves_no_connection(
    store_url: str, opened: list[asyncpg.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(store_url)
    statement = store._hot.members
    assert statement.shared is None
    fetch, asked, may_go_on = asyncpg.Connection.fetch, asyncio.Semaphore(0), asyncio.Event()

    async def slow(connection: asyncpg.Connection, sql: str, *arguments: object) -> Any:
        asked.release()
        await may_go_on.wait()
        return await fetch(connection, sql, *arguments)

    monkeypatch.setattr(asyncpg.Connection, "fetch", slow)
    reading = [asyncio.create_task(store._database.fetch(statement, {})) for _ in range(3)]
    for _ in reading:
        await asked.acquire()
    await store.close()
    may_go_on.set()
    answers = await asyncio.gather(*reading)

    assert answers == [answers[0]] * 3
    assert left(opened) == []


async def test_unit_of_work_on_its_way_ends_and_leaves_no_connection(store_url: str) -> None:
    store = await open_store(store_url)
    opened, closed = count_of(store)
    is_in, may_end = asyncio.Event(), asyncio.Event()

    async def work() -> int:
        async with store.unit_of_work() as unit:
            is_in.set()
            await may_end.wait()
            return len(await unit.members())

    working = asyncio.create_task(work())
    await is_in.wait()
    await store.close()
    may_end.set()

    assert await working == 0
    assert len(opened) >= 1
    assert len(closed) == len(opened)


def count_of(store: Store) -> tuple[list[object], list[object]]:
    """Return the connections of the engine that are opened from now on, and those that are closed."""
    opened: list[object] = []
    closed: list[object] = []
    event.listen(store._engine.sync_engine, "connect", lambda connection, _: opened.append(connection))
    event.listen(store._engine.sync_engine, "close", lambda connection, _: closed.append(connection))
    return opened, closed
