"""Brings a database to the schema of this version, and tells whether it is there.

Safe to run twice, and by several nodes at once: each takes the database's own lock first.
"""

import os
from functools import cache
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import URL, Connection

import exchange
from exchange.kernel import UnavailableError
from exchange.store.engine import checked_url, is_sqlite, new_engine
from exchange.store.faults import driver_errors
from exchange.store.roles import grant_roles

_MIGRATIONS = Path(exchange.__file__).resolve().parents[1] / "migrations"

_LOCK = 0x65786368616E6765
"""Key of the advisory lock, the same for every version: `exchange` in ASCII."""

_WAIT_SECONDS = 30.0
"""How long a node waits for another one that is migrating."""


async def migrate(url: str) -> str:
    """Bring the database at `url` to this version's schema and return its revision.

    Raises UnavailableError where the database cannot be reached or changed.
    """
    parsed = checked_url(url)
    engine = new_engine(parsed, wait_seconds=_WAIT_SECONDS, may_create=True)
    try:
        with driver_errors():
            if is_sqlite(parsed):
                # Made here and not by SQLite: ciphertext and metadata are nobody else's to read.
                os.close(os.open(str(parsed.database), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade, parsed)
    finally:
        await engine.dispose()
    return head()


async def require_head(url: str) -> None:
    """Raise UnavailableError where the schema is not the one this version works with."""
    parsed = checked_url(url)
    if is_sqlite(parsed) and not _is_there(parsed):
        message = (
            f"the database file `{parsed.database}` is missing: put it back, or restore a backup "
            "(`exchange migrate` would begin an empty one)"
        )
        raise UnavailableError(message)
    found = await revision(url)
    if found != head():
        state = "has no schema" if found is None else f"has schema `{found}`"
        raise UnavailableError(f"the database {state}, this version needs `{head()}`: run `exchange migrate`")


async def revision(url: str) -> str | None:
    """Return the revision of the schema in the database, None where there is none."""
    parsed = checked_url(url)
    if is_sqlite(parsed) and not _is_there(parsed):
        return None
    engine = new_engine(parsed, wait_seconds=_WAIT_SECONDS)
    try:
        with driver_errors():
            async with engine.connect() as connection:
                tables = await connection.run_sync(lambda sync: sync.dialect.has_table(sync, "alembic_version"))
                if not tables:
                    return None
                rows = await connection.execute(text("SELECT version_num FROM alembic_version"))
                return str(rows.scalar_one())
    finally:
        await engine.dispose()


@cache
def head() -> str:
    """Return the revision that this version works with: the highest number that a migration's file begins with."""
    # By name and not by Alembic, which every start would have to import; a test holds the two against each other.
    names = [path.name for path in (_MIGRATIONS / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")]
    if not names:
        raise UnavailableError(f"there are no migrations in `{_MIGRATIONS}`: install the exchange with its migrations")
    return max(names).partition("_")[0]


def _upgrade(connection: Connection, url: URL) -> None:
    # Imported late: what only looks whether the schema is at head does without Alembic.
    from alembic import command
    from alembic.config import Config

    if not is_sqlite(url):
        # Until the end of the transaction. SQLite's transaction began by taking the only write lock there is.
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if not is_sqlite(url):
        grant_roles(connection)


def _is_there(url: URL) -> bool:
    return Path(str(url.database)).exists()
