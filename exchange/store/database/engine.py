"""The engine behind administrative sessions and migrations."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

from sqlalchemy import Executable, event
from sqlalchemy.engine import URL, Connection, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

from exchange.kernel import UnavailableError, UnsafeSettingError
from exchange.store.database.admin_driver import connect
from exchange.store.database.faults import SILENT_STORE, driver_errors, is_of_one_row
from exchange.store.database.lineage import COURSE, Course, Lineage
from exchange.store.database.password import Password, logged_in

SQLITE = "sqlite+aiosqlite"
POSTGRESQL = "postgresql+asyncpg"

SESSION = {
    "application_name": "exchange",
    "jit": "off",
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "60s",
    # A machine that is gone says no goodbye: without these what it had locked would stay locked for two hours.
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
"""Settings of every session on PostgreSQL. A commit returns when it is on the disk, whatever the server's default; a
transaction that nobody goes on with ends, and lets go of what all nodes need."""

PRIMARY = "primary"
"""The server that is asked, of several at an address too: a standby lags, and does not know what was just revoked."""


LOCK_RETRY_SECONDS = 0.001
"""How often one who waits for SQLite's write lock looks again. SQLite's own waiting sleeps up to a tenth of a second:
where writers follow each other closely it never meets the moment in which the lock is free."""

_CODE_BITS = 0xFF

_STATEMENT_SECONDS = 60.0

_READ_ONLY = "25006"
"""PostgreSQL's `read_only_sql_transaction`."""


def checked_url(url: str) -> URL:
    """Return the parsed address; UnsafeSettingError for a database that the exchange does not know how to keep safe."""
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise UnsafeSettingError("this is no address of a database: see docs/operations.md for both forms") from exc
    if parsed.drivername not in {SQLITE, POSTGRESQL}:
        raise UnsafeSettingError(
            f"`{parsed.drivername}` is no database of the exchange: use `{SQLITE}` or `{POSTGRESQL}`"
        )
    if parsed.drivername == SQLITE and parsed.database in {None, "", ":memory:"}:
        raise UnsafeSettingError(
            f"the store is kept in a file: name one, as in `{SQLITE}:////var/lib/exchange/exchange.db`"
        )
    return parsed


def is_sqlite(url: URL) -> bool:
    """Return whether the database is a file of SQLite."""
    return url.drivername == SQLITE


def new_engine(  # noqa: PLR0913  what a connection may be told
    url: URL,
    *,
    wait_seconds: float,
    may_create: bool = False,
    lineage: Lineage | None = None,
    statement_seconds: float | None = _STATEMENT_SECONDS,
    password: Password | None = None,
) -> AsyncEngine:
    """Return an engine that connects when first used; its transactions on SQLite take the write lock when they begin.

    `may_create` lets SQLite make the file. Nothing else may: an empty file in place of a lost one would hide the loss.
    With `lineage` each connection to PostgreSQL leads to the history that the first one led to; `password` is in place
    of the address's.
    """
    if not is_sqlite(url):
        arguments: dict[str, Any] = {"timeout": wait_seconds, "server_settings": SESSION}
        arguments["command_timeout"] = statement_seconds
        arguments["target_session_attrs"] = PRIMARY
        arguments["async_creator_fn"] = partial(logged_in, password)
        engine = create_async_engine(url, pool_size=2, max_overflow=6, pool_pre_ping=True, connect_args=arguments)
        event.listen(engine.sync_engine, "handle_error", _part_from_read_only)
        if lineage is not None:
            event.listen(engine.sync_engine, "connect", partial(_meet, lineage=lineage))
        return engine
    path = Path(str(url.database))
    if not may_create:
        url = url.set(database=existing_file(str(url.database)), query={"uri": "true"})
    # A thread per connection is what aiosqlite costs: one is kept, and who comes at the same time gets one of its own.
    arguments = {"timeout": wait_seconds, "isolation_level": None, "async_creator_fn": connect}
    engine = create_async_engine(url, pool_size=1, max_overflow=-1, connect_args=arguments)
    event.listen(engine.sync_engine, "do_connect", partial(_note_file, path=path))
    event.listen(engine.sync_engine, "connect", partial(_set_up_sqlite, path=path))
    event.listen(engine.sync_engine, "checkout", partial(_require_file, path=path))
    event.listen(engine.sync_engine, "checkin", _require_end)
    event.listen(engine.sync_engine, "begin", partial(_begin_immediate, wait_seconds=wait_seconds, path=path))
    event.listen(engine.sync_engine, "handle_error", _keep_unfailed)
    return engine


async def dispose(engine: AsyncEngine) -> None:
    """Close its connections for good: those in use once they are given back, where the library would keep them."""
    event.listen(engine.sync_engine, "checkin", _close_at_last)
    await engine.dispose()


@asynccontextmanager
async def used_once(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """Give an engine for one piece of work, with the driver's errors told as the store's, and leave nothing open."""
    try:
        with driver_errors():
            yield engine
    finally:
        await engine.dispose()


async def read_rows(engine: AsyncEngine, chosen: Executable) -> list[tuple[Any, ...]]:
    """Return what a statement reads, on a connection of its own; UnavailableError where the database is away."""
    with driver_errors():
        async with engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(chosen)]


async def write_rows(engine: AsyncEngine, change: Executable, rows: Any = None) -> None:
    """Run one statement that writes, in a transaction of its own; UnavailableError where the database is away."""
    with driver_errors():
        async with engine.begin() as connection:
            await connection.execute(change, rows)


def _part_from_read_only(context: ExceptionContext) -> None:
    """Keep no session that began while the database took no writes: it would take none for as long as it lives."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def _meet(connection: Any, _record: object, *, lineage: Lineage) -> None:
    """Let no connection in that leads to another history of the database than was known before."""
    before, cursor = lineage.course, connection.cursor()
    try:
        cursor.execute(COURSE)
        lineage.meet(Course(*cursor.fetchone()), before)
        connection.rollback()
    except BaseException:
        connection.terminate()
        raise


def existing_file(path: str, *, mode: str = "rw") -> str:
    """Return the SQLite URI that opens the file at `path` and never makes one; `mode` may be `ro`."""
    return f"file:{quote(str(Path(path).absolute()))}?mode={mode}"


def _set_up_sqlite(connection: Any, record: ConnectionPoolEntry, *, path: Path) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    record.info["beside"] = held_beside(cursor, str(path))
    # Until here SQLite itself waits where another process has just ended; then `_begin_immediate` does.
    cursor.execute("PRAGMA busy_timeout = 0")
    cursor.close()


def _note_file(_dialect: object, record: ConnectionPoolEntry, *_: object, path: Path) -> None:
    # Before it is opened: where the file is replaced meanwhile it is opened once more, and never taken for the other's.
    record.info["file"] = _file_at(path)


def _require_file(_connection: object, record: ConnectionPoolEntry, _: object, *, path: Path) -> None:
    """Have a connection opened anew where another file is at the path than the one it is to, or none."""
    file = _file_at(path)
    if file is None or record.info["file"] != file:
        raise DisconnectionError


def _require_end(connection: object | None, record: ConnectionPoolEntry) -> None:
    # INVARIANT: nobody holds the lock between two transactions. A COMMIT that is refused leaves its transaction open.
    driver: Any = record.driver_connection
    if connection is not None and driver.in_transaction:
        record.invalidate()


def _close_at_last(connection: object | None, record: ConnectionPoolEntry) -> None:
    if connection is not None:
        record.invalidate()


def _file_at(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:  # who opens it says why
        return None
    return found.st_dev, found.st_ino


def _keep_unfailed(failure: ExceptionContext) -> None:
    """Have a connection opened anew after every failure of the database."""
    failure.is_disconnect = not is_of_one_row(failure.original_exception)


def files_beside(path: str) -> tuple[int, int]:
    """Return which files lie beside a database of SQLite: its log, and the index of that; 0 where there is none."""
    return _number(f"{path}-wal"), _number(f"{path}-shm")


def held_beside(cursor: Any, path: str) -> tuple[int, int]:
    """Return the files beside the database, opened by the connection of this cursor: as long as it is, they stay."""
    # Who has just made the database, or changed how it is kept, opens them with what it reads or writes next.
    cursor.execute("PRAGMA schema_version")
    cursor.fetchall()
    return files_beside(path)


def require_beside(path: str, known: tuple[int, int]) -> None:
    """Refuse where another log or index, or none, lies beside the database than a connection of this process goes by.

    The connection is kept: the last one to be closed puts what was committed to that log into the database.
    """
    # INVARIANT: durable means these files. SQLite writes on, without an error, to a log that has no name any more: what
    # is committed there is lost with the processes that have it open. Without its index others write over it.
    if files_beside(path) != known:
        raise UnavailableError(
            f"{SILENT_STORE}: `{path}-wal` or `{path}-shm` was deleted or replaced while this process had it open: "
            "put it back; else stop every process of the exchange before anything else, and none by force: the last "
            "one puts what was committed into the database",
            told=f"{SILENT_STORE}: a file beside the database is gone",
        )


def _number(path: str) -> int:
    try:
        return os.stat(path).st_ino  # noqa: PTH116  a Path made for each read costs as much as some reads
    except OSError:  # no file that was opened has this number
        return 0


def _begin_immediate(connection: Connection, *, wait_seconds: float, path: Path) -> None:
    require_beside(str(path), connection.info["beside"])
    # At once, not at the first write: a read that becomes a write under another writer fails and cannot be waited for.
    cursor: Any = connection.connection.cursor()
    deadline = monotonic() + wait_seconds
    try:
        while not has_begun(cursor, is_last=monotonic() > deadline):
            await_only(asyncio.sleep(LOCK_RETRY_SECONDS))
    except BaseException:
        connection.invalidate()  # who gave up may be given the lock yet
        raise


def has_begun(cursor: Any, *, is_last: bool) -> bool:
    """Begin a transaction that writes; return False where others hold the lock, and it is not the last try."""
    try:
        cursor.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as exc:
        # The code says why it is busy too: while the log of a killed process is read again, for one.
        if is_last or exc.sqlite_errorcode & _CODE_BITS != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
