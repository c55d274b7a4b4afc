"""Brings a database to the schema of this version, and tells whether it is there.

Safe to run twice, and by several nodes at once: each takes the database's own lock first. A database newer than this
version is one it may work with where every revision since has only added: the database says so itself, as the version
cannot know them. An older one it never works with, and never makes older.
"""

import asyncio
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic

from sqlalchemy import text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

import exchange
from exchange.kernel import UnavailableError
from exchange.kernel.files import fault_in_words, shut_out
from exchange.store.database.dialect import Fetch, Statement
from exchange.store.database.engine import checked_url, is_sqlite, new_engine, used_once
from exchange.store.database.lineage import OutgrownError
from exchange.store.database.roles import grant_roles
from exchange.store.database.scrubbing import tell_upkeep

_MIGRATIONS = Path(exchange.__file__).resolve().parents[1] / "migrations"

_LOCK = 0x65786368616E6765
"""Key of the advisory lock, the same for every version: `exchange` in ASCII."""

_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)
_WAIT_SECONDS = 30.0
"""How long a node waits for another one that is migrating."""


_STATEMENT_SECONDS = 3600.0
"""A statement that fills a column of a large table takes long; where the server has gone without a word, it ends."""

_TABLE_WAIT_MILLISECONDS = 500
"""How long everybody may have to wait behind a migration that waits for a table; no request fails for so little."""

_PAUSE_SECONDS = 2.0
"""Four fifths of the time are the service's meanwhile."""

_HELD = ("55P03", "40P01")  # lock_not_available, deadlock_detected
_TOLD_HELD = (
    "somebody holds a table of the exchange for long, as a backup does, or migrates it: nothing was changed, and the "
    "service goes on; run `exchange migrate` again when that has ended. As the tables' owner, what goes on for long: "
    "`SELECT pid, xact_start, query FROM pg_stat_activity ORDER BY xact_start`"
)


_VERSION = Statement("SELECT version_num FROM alembic_version", (), {})
_FLOOR = Statement("SELECT revision FROM schema_floor", (), {})
_BOTH = Statement("SELECT v.version_num, f.revision FROM alembic_version v LEFT JOIN schema_floor f ON 1 = 1", (), {})
_TABLES = "'alembic_version', 'schema_floor'"
_SQLITE_HAS = Statement(f"SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ({_TABLES})", (), {})  # noqa: S608  names only
_POSTGRES_HAS = Statement(f"SELECT name FROM unnest(ARRAY[{_TABLES}]) name WHERE to_regclass(name) IS NOT NULL", (), {})  # noqa: S608  names only


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The revision of a database, and `floor`: the oldest version of the program that may work with it."""

    revision: str
    floor: str

    @property
    def is_newer(self) -> bool:
        """Whether a newer version of the program made it."""
        return self.revision > head()

    @property
    def is_workable(self) -> bool:
        """Whether this version may work with it: at its revision, or at one that only added to it."""
        return self.revision == head() or self.floor <= head() < self.revision


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a database was at, None where it had no schema, and what it is at now: this version's, or a newer one."""

    before: str | None
    reached: str


async def migrate(url: str) -> Migrated:
    """Bring the database at `url` to this version's schema; one that has a newer one is left as it is.

    Raises UnavailableError where the database cannot be reached or changed, or this version is too old for it.
    """
    parsed = checked_url(url)
    made = new_engine(parsed, wait_seconds=_WAIT_SECONDS, may_create=True, statement_seconds=_STATEMENT_SECONDS)
    async with used_once(made) as engine:
        if is_sqlite(parsed):
            # Made here and not by SQLite: ciphertext and metadata are nobody else's to read.
            _make_file(Path(str(parsed.database)))
            await _begin_write_ahead(engine)
        return await _upgraded(engine, parsed)


async def _upgraded(engine: AsyncEngine, url: URL) -> Migrated:
    """Upgrade in one transaction, begun anew where somebody holds a table for long, as a backup does that reads it.

    Behind who waits for such a table everybody waits: the service would stand still for as long as that backup takes.
    """
    deadline = monotonic() + _WAIT_SECONDS
    while True:
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(_upgrade, url)
        except DBAPIError as exc:
            if getattr(exc.orig, "sqlstate", None) not in _HELD:
                raise
            if monotonic() > deadline:
                raise UnavailableError(_TOLD_HELD) from exc
        await asyncio.sleep(_PAUSE_SECONDS)


def _make_file(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except PermissionError as exc:
        raise UnavailableError(f"`{path}` cannot be written: {shut_out(path)}") from exc
    except OSError as exc:
        raise UnavailableError(f"`{path}` cannot be written: {fault_in_words(exc)}: see its disk") from exc


async def _begin_write_ahead(engine: AsyncEngine) -> None:
    """Let a new file of SQLite begin its write-ahead log; two at the same moment are refused, and do not wait."""
    for pause in _PAUSES_SECONDS:
        try:
            async with engine.connect():
                return
        except OperationalError:
            await asyncio.sleep(pause)


async def require_schema(fetch: Fetch, url: str) -> None:
    """Raise UnavailableError where the schema is not one this version works with; `fetch` asks the database at `url`.

    It is asked over a connection that is there: another one costs more than all that it is asked.
    """
    parsed = checked_url(url)
    require_file(parsed)
    tables = {row[0] for row in await fetch(_SQLITE_HAS if is_sqlite(parsed) else _POSTGRES_HAS, {})}
    version = await fetch(_VERSION, {}) if "alembic_version" in tables else []
    floor = await fetch(_FLOOR, {}) if "schema_floor" in tables else []
    _require_found(_state(version[0][0] if version else None, floor[0][0] if floor else None))


def require_file(url: URL) -> None:
    """Raise UnavailableError where the file of SQLite is not there; of a server nothing is asked."""
    if is_sqlite(url) and not _is_there(url):
        message = (
            f"the database file `{url.database}` is missing: put it back, or restore a backup "
            "(`exchange migrate` would begin an empty one)"
        )
        raise UnavailableError(message)


async def why_outgrown(fetch: Fetch) -> str | None:
    """Return why this version may not work any more with a database that it began with; None where it may."""
    for at, floor in await fetch(_BOTH, {}):
        found = _state(at, floor)
        if found is not None and found.is_newer and not found.is_workable:
            return _told_newer(found)
    return None


def _require_found(found: SchemaState | None) -> None:
    if found is None:
        # Whoever lost one and is told to migrate begins an empty exchange beside keys in use.
        message = (
            f"the database is empty, this version needs schema `{head()}`: `exchange migrate` begins a new one; "
            "where there was one, put it back, or `exchange restore` a backup"
        )
        raise UnavailableError(message)
    _require_workable(found)


async def revision(url: str) -> str | None:
    """Return the revision of the schema in the database, None where there is none."""
    found = await schema_state(url)
    return None if found is None else found.revision


async def schema_state(url: str) -> SchemaState | None:
    """Return what schema the database has, None where there is none."""
    parsed = checked_url(url)
    if is_sqlite(parsed) and not _is_there(parsed):
        return None
    async with used_once(new_engine(parsed, wait_seconds=_WAIT_SECONDS)) as engine, engine.connect() as connection:
        return await connection.run_sync(_found)


@cache
def head() -> str:
    """Return the revision that this version works with: the highest number that a migration's file begins with."""
    # By name and not by Alembic, which every start would have to import; a test holds the two against each other.
    names = [path.name for path in (_MIGRATIONS / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")]
    if not names:
        raise UnavailableError(f"there are no migrations in `{_MIGRATIONS}`: install the exchange with its migrations")
    return max(names).partition("_")[0]


def _require_workable(found: SchemaState) -> None:
    if found.is_workable:
        return
    if found.is_newer:
        raise OutgrownError(_told_newer(found))
    raise UnavailableError(f"{_told(found)}: run `exchange migrate`")


def _told(found: SchemaState) -> str:
    return f"the database has schema `{found.revision}`, this version needs `{head()}`"


def _told_newer(found: SchemaState) -> str:
    return f"{_told(found)}: run a version at `{found.floor}` or newer"


def _found(connection: Connection) -> SchemaState | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    at = connection.scalar(text(_VERSION.sql))
    has_floor = connection.dialect.has_table(connection, "schema_floor")
    return _state(at, connection.scalar(text(_FLOOR.sql)) if has_floor else None)


def _state(at: str | None, floor: str | None) -> SchemaState | None:
    # INVARIANT: a database that does not say so is none that an older version may work with.
    return None if at is None else SchemaState(at, at if floor is None else floor)


def _upgrade(connection: Connection, url: URL) -> Migrated:
    # Imported late: what only looks whether the schema is at head does without Alembic.
    from alembic import command
    from alembic.config import Config

    if not is_sqlite(url):
        # Until the end of the transaction. SQLite's transaction began by taking the only write lock there is.
        connection.execute(text(f"SET LOCAL lock_timeout = '{_WAIT_SECONDS:.0f}s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        connection.execute(text(f"SET LOCAL lock_timeout = '{_TABLE_WAIT_MILLISECONDS}ms'"))
    before = _found(connection)
    if before is not None and before.is_newer:
        # Rights too are left as they are: this version would give away tables that it does not know.
        _require_workable(before)
        return Migrated(before.revision, before.revision)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if not is_sqlite(url):
        grant_roles(connection)
        tell_upkeep(connection)
    return Migrated(None if before is None else before.revision, head())


def _is_there(url: URL) -> bool:
    return Path(str(url.database)).exists()
