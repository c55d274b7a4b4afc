"""What a destroyed key leaves behind in the files of a database, written over.

An UPDATE leaves the old row: on SQLite in free pages and in the write-ahead log, on PostgreSQL until a vacuum. Backups
and archived logs are out of reach here; a key in them is still wrapped under custody's.
"""

import logging
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from exchange.store.faults import DRIVER_ERRORS

_STATEMENTS = {"sqlite": "PRAGMA wal_checkpoint(TRUNCATE)", "postgresql": "VACUUM personal_key"}

_log = logging.getLogger("exchange.store")


async def scrub(engine: AsyncEngine) -> None:
    """Write over the remains of updated rows of `personal_key`.

    The keys are destroyed already: what fails here is told to the operator and done by the database's own upkeep.
    """
    try:
        async with engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            await driver.execute(_STATEMENTS[engine.dialect.name])
    except (*DRIVER_ERRORS, SQLAlchemyError) as exc:
        _log.warning("destroyed keys not written over yet", extra={"cause": type(exc).__name__})
