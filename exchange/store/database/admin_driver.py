"""aiosqlite as administrative sessions use it: a statement, its rows and its end are one turn of its thread.

By itself it takes four, and each wakes the thread and then the event loop, while others wait for SQLite's one lock.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

import aiosqlite

from exchange.store.database.dialect import taking_no_text
from exchange.store.database.faults import is_of_no_text


class _Outcome(NamedTuple):
    """What is left of a statement that has been run to its end."""

    rows: list[Any]
    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None


class _Cursor:
    """What SQLAlchemy asks of a cursor; it holds no statement of SQLite's, and so no lock."""

    arraysize = 1

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._outcome = _Outcome([])

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        """Return the names of the columns, None of a statement without rows."""
        return self._outcome.description

    @property
    def rowcount(self) -> int:
        """Return how many rows the statement changed."""
        return self._outcome.rowcount

    @property
    def lastrowid(self) -> int | None:
        """Return the number of the row that was inserted last."""
        return self._outcome.lastrowid

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement and take its rows."""
        self._outcome = await self._connection.in_thread(_run, sql, parameters)

    async def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each of `rows`; it returns none itself."""
        self._outcome = await self._connection.in_thread(_run_for_each, sql, rows)

    async def fetchall(self) -> list[Any]:
        """Return the rows of the statement."""
        return self._outcome.rows

    async def close(self) -> None:
        """Do nothing: the statement ended when it was run."""


class _Connection(aiosqlite.Connection):
    _ending: "asyncio.Future[Any] | None" = None

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True  # as SQLAlchemy has it: whoever ends waits for no database

    async def _connect(self) -> aiosqlite.Connection:
        try:
            return await super()._connect()
        except Exception:
            # Where no file is opened the thread answers once more: to a loop that is over by then, with a traceback.
            if self._ending is not None:
                await self._ending
            raise

    def stop(self) -> "asyncio.Future[Any] | None":
        """Have the thread end; it says so by what is returned."""
        self._ending = super().stop()
        return self._ending

    def cursor(self) -> _Cursor:  # type: ignore[override]  # SQLAlchemy enters it, as it would aiosqlite's
        return _Cursor(self)

    async def in_thread(self, run: Any, *arguments: Any) -> Any:
        """Return what `run` returns in the connection's thread, where it is given SQLite's connection first."""
        return await self._execute(run, self._conn, *arguments)  # type: ignore[no-untyped-call]  # aiosqlite's


def connect(*arguments: Any, **named: Any) -> aiosqlite.Connection:
    """Return a connection that is opened when it is awaited, with the arguments of `sqlite3.connect`."""
    return _Connection(partial(sqlite3.connect, *arguments, **named))


def _run(connection: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> _Outcome:
    before = connection.total_changes
    try:
        return _run_once(connection, sql, parameters)
    except sqlite3.OperationalError as exc:
        # What has written is not done twice.
        if not is_of_no_text(exc) or connection.total_changes != before:
            raise
    with taking_no_text(connection):
        return _run_once(connection, sql, parameters)


def _run_once(connection: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> _Outcome:
    cursor = connection.execute(sql, parameters)
    try:
        rows = cursor.fetchall()
        return _Outcome(rows, cursor.description, cursor.rowcount, cursor.lastrowid)
    finally:
        cursor.close()


def _run_for_each(connection: sqlite3.Connection, sql: str, rows: Sequence[Sequence[Any]]) -> _Outcome:
    cursor = connection.executemany(sql, rows)
    try:
        return _Outcome([], None, cursor.rowcount, cursor.lastrowid)
    finally:
        cursor.close()
