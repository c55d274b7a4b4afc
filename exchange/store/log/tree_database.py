"""The sequencer's own connection: one, for its reads and for the transactions in which the tree grows.

Its settings let others take over within seconds: a sequencer that was stopped or cut off loses its transaction.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Protocol, Self, TypeVar

import asyncpg

from exchange.store.database.dialect import Parameters, Row, Sql, Statement, sql_for
from exchange.store.database.engine import checked_url, is_sqlite
from exchange.store.database.faults import DRIVER_ERRORS, driver_errors
from exchange.store.database.lineage import Lineage
from exchange.store.database.password import Password
from exchange.store.database.schema import require_schema
from exchange.store.log.archive import BundleArchive
from exchange.store.log.log_reader import LogReader
from exchange.store.writer.batch import Ask, Put
from exchange.store.writer.postgres import connector
from exchange.store.writer.postgres import drive as drive_postgres
from exchange.store.writer.sqlite import FileConnection, begin, connect_writer, drive, read

T = TypeVar("T")

LogSteps = Generator[Ask | Put, Sequence[Row], T]
"""One transaction: it yields statements and is sent their rows."""

_CHECKPOINT_PAGES = 10_000
"""Pages of SQLite's log, 40 MB, after which they are put into their places."""

_GUARD = "SET lock_timeout = '5s'"


class TreeDatabase(Protocol):
    """A connection that opens when first used, and anew after every failure."""

    async def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        """Return the rows of one read."""
        ...

    async def transact(self, steps: LogSteps[T], *, is_durable: bool = True) -> T:
        """Do `steps` in one transaction and return their result, `is_durable`: once it is on the disk.

        What is not durable may be lost with the power, never a part of it, nor anything before it alone.
        """
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


async def opened_database(
    url: str, *, wait_seconds: float, lineage: Lineage | None = None, password: Password | None = None
) -> TreeDatabase:
    """Open the database at `url`; UnavailableError where it does not answer or has another version's schema."""
    parsed = checked_url(url)
    database: TreeDatabase = (
        SqliteTree(str(parsed.database), wait_seconds=wait_seconds)
        if is_sqlite(parsed)
        else PostgresTree(url, lineage, password)
    )
    try:
        await require_schema(database.fetch, url)
    except BaseException:
        await database.close()
        raise
    return database


class OpenedLog:
    """The log over one connection of its own; with `archive`, what was moved there is read too."""

    def __init__(self, database: TreeDatabase, sql: Sql, archive: BundleArchive | None = None) -> None:
        self._database = database
        self.reader = LogReader(database.fetch, sql, archive)

    @classmethod
    async def open(
        cls,
        url: str,
        archive: BundleArchive | None = None,
        *,
        wait_seconds: float = 5.0,
        lineage: Lineage | None = None,
        password: Password | None = None,
    ) -> Self:
        """Open the database at `url`; UnavailableError where it does not answer or has another version's schema.

        With `lineage` it is of one history with whatever else of this process is.
        """
        database = await opened_database(url, wait_seconds=wait_seconds, lineage=lineage, password=password)
        return cls(database, sql_for(is_sqlite=is_sqlite(checked_url(url))), archive)

    async def close(self) -> None:
        """Close the connection."""
        await self._database.close()


class SqliteTree:
    """A transaction holds SQLite's one write lock, over all processes, from its beginning on.

    Everything happens in a thread of its own: whoever waits for the lock must not keep its holder from going on.
    """

    def __init__(self, path: str, *, wait_seconds: float) -> None:
        self._wait_seconds = wait_seconds
        opened = partial(connect_writer, wait_seconds=wait_seconds, checkpoint_pages=_CHECKPOINT_PAGES)
        self._connection = FileConnection(path, opened)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-tree")

    async def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        return await self._apart(lambda: read(self._connection.open(), statement, parameters))

    async def transact(self, steps: LogSteps[T], *, is_durable: bool = True) -> T:
        return await self._apart(lambda: self._transact(steps, "FULL" if is_durable else "NORMAL"))

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.drop)
        self._thread.shutdown()

    async def _apart(self, work: Callable[[], T]) -> T:
        with driver_errors():
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._careful, work)

    def _careful(self, work: Callable[[], T]) -> T:
        # Before anything is at stake: a connection that may not be used is kept.
        connection = self._connection.open()
        try:
            return work()
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            self._connection.drop()
            raise

    def _transact(self, steps: LogSteps[T], synchronous: str) -> T:
        connection = self._connection.open()
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        begin(connection, wait_seconds=self._wait_seconds)
        result = drive(connection, steps)
        connection.execute("COMMIT")
        return result


class PostgresTree:
    """A transaction begins by locking the log's row; a second sequencer waits for it."""

    def __init__(self, url: str, lineage: Lineage | None = None, password: Password | None = None) -> None:
        self._connect = connector(url, lineage, password)
        self._connection: asyncpg.Connection | None = None

    async def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        with driver_errors():
            try:
                connection = await self._open()
                rows: Sequence[Row] = await connection.fetch(statement.sql, *statement.arguments(parameters))
            except BaseException:
                await self._drop()
                raise
            return rows

    async def transact(self, steps: LogSteps[T], *, is_durable: bool = True) -> T:
        with driver_errors():
            try:
                connection = await self._open()
                async with connection.transaction():
                    if not is_durable:
                        await connection.execute("SET LOCAL synchronous_commit = off")
                    result = await drive_postgres(connection, steps)
            except BaseException:
                await self._drop()
                raise
            return result

    async def close(self) -> None:
        await self._drop()

    async def _open(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
            await self._connection.execute(_GUARD)
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=1)
            except DRIVER_ERRORS:
                connection.terminate()
