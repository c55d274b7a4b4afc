"""aiosqlite as administrative sessions use it, where no file is opened."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from exchange.store.database.admin_driver import connect


class Held:
    """What the thread of a connection is given to do, of which all but the first waits for a gate."""

    def __init__(self, given: Any, gate: threading.Event) -> None:
        self.put_nowait = given.put_nowait
        self._given = given
        self._gate = gate
        self._taken = 0

    def get(self) -> Any:
        given = self._given.get()
        if self._taken:
            self._gate.wait(20)
        self._taken += 1
        return given


async def test_connection_that_does_not_open_is_told_of_when_its_thread_has_nothing_more_to_say(tmp_path: Path) -> None:
    gate, connection = threading.Event(), connect(tmp_path / "none" / "some.db")
    connection._thread._args = (Held(connection._tx, gate),)  # type: ignore[attr-defined]
    asyncio.get_running_loop().call_later(0.05, gate.set)

    with pytest.raises(sqlite3.OperationalError):
        await connection

    assert gate.is_set()


async def test_text_that_is_none_takes_no_other_row_with_it_and_has_nothing_written_twice(tmp_path: Path) -> None:
    connection = await connect(tmp_path / "some.db", isolation_level=None)
    cursor = connection.cursor()
    await cursor.execute("CREATE TABLE some (word TEXT, count INTEGER)")
    await cursor.execute("INSERT INTO some VALUES ('whole', 1), (CAST(x'7bff' AS TEXT), 1)")
    await cursor.execute("SELECT word FROM some")
    words = await cursor.fetchall()
    with pytest.raises(sqlite3.OperationalError):
        await cursor.execute("UPDATE some SET count = count + 1 RETURNING word")
    await cursor.execute("SELECT count FROM some")
    counts = await cursor.fetchall()
    await connection.close()

    assert words == [("whole",), (b"{\xff",)]
    assert counts == [(2,), (2,)]
