"""What a destroyed key leaves behind in the files of a database, written over.

An UPDATE leaves the old row: on SQLite in the write-ahead log (freed places in the file are zeroed), on PostgreSQL
until a vacuum. PostgreSQL is told to do one by itself where a row of these tables is dead, within its
`autovacuum_naptime` and as soon as nobody reads an older state: a login that does not own the tables may not ask for
it. Backups and archived logs are out of reach here; a key in them is still wrapped under custody's.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from exchange.store.database.faults import DRIVER_ERRORS, driver_errors

_STATEMENTS = {"sqlite": "PRAGMA wal_checkpoint(TRUNCATE)", "postgresql": "VACUUM personal_key"}

_BUSY_MILLISECONDS: Final = 500
"""While SQLite waits for a reader of an older state, nobody writes: it is tried again after a while."""

_DESTROYED: Final = (
    "SELECT (SELECT max(rowid) FROM report_tombstone),"
    " (SELECT max(approved_at) FROM pending_act WHERE kind = 'erase-personal'),"
    " (SELECT max(ended_at) FROM upload WHERE ended = 'abandoned')"
)
"""Another row where something was destroyed since: ended reports, erasures, uploads that were given up."""

_HOLDERS: Final = ("personal_key", "report", "report_part", "upload", "upload_part")
_AT_ONCE: Final = ("autovacuum_vacuum_threshold=0", "autovacuum_vacuum_scale_factor=0")

_log = logging.getLogger("exchange.store")


class Scrubber:
    """Writes over the remains of destroyed keys in one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._seen: object = None

    async def scrub(self) -> bool:
        """Write over what was destroyed; return whether that was done.

        The keys are destroyed already: what fails here is told to the operator, and done by the next round of the jobs
        or the database's own upkeep.
        """
        try:
            async with self._driver() as driver:
                return await _scrubbed(driver, self._engine.dialect.name)
        except (*DRIVER_ERRORS, SQLAlchemyError) as exc:
            _warn(type(exc).__name__)
            return False

    async def scrub_if_due(self) -> None:
        """Do so on SQLite where something was destroyed since the last time, which nothing else there would do."""
        if self._engine.dialect.name != "sqlite":
            return
        with driver_errors():
            async with self._driver() as driver:
                found = await (await driver.execute(_DESTROYED)).fetchall()
        if found != self._seen and await self.scrub():
            self._seen = found

    @asynccontextmanager
    async def _driver(self) -> AsyncIterator[Any]:
        """Give the driver's own connection; on SQLite it waits a while for others, and is kept for nobody else."""
        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            if self._engine.dialect.name != "sqlite":
                yield driver
                return
            try:
                await driver.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
                yield driver
            finally:
                await connection.invalidate()


def tell_upkeep(connection: Connection) -> None:
    """Have PostgreSQL vacuum the tables that hold keys as soon as a row of them is dead, by its own upkeep."""
    kept = text(
        "SELECT relname, coalesce(reloptions, '{}') FROM pg_class"
        " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname = ANY(:tables)"
        " AND pg_get_userbyid(relowner) = current_user"
    )
    for name, options in connection.execute(kept, {"tables": list(_HOLDERS)}).all():
        if not set(_AT_ONCE) <= set(options):
            connection.execute(text(f'ALTER TABLE "{name}" SET ({", ".join(_AT_ONCE)})'))


async def _scrubbed(driver: Any, dialect: str) -> bool:
    if dialect == "postgresql":
        await driver.execute(_STATEMENTS[dialect])
        return True
    ((is_busy, *_),) = await (await driver.execute(_STATEMENTS[dialect])).fetchall()
    if is_busy:
        _warn("an older state is being read")
    return not is_busy


def _warn(cause: str) -> None:
    _log.warning("destroyed keys not written over yet", extra={"cause": cause})
