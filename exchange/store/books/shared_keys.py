"""Fingerprints of the secrets that nodes hold alike: written within a unit of work, and read beside it."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from exchange.store.database.dialect import Fetch, Sql, Statement
from exchange.store.tables.main_tables import table
from exchange.store.tables.shared_tables import SharedKeyTable

CURSOR_KEY = "cursor"


class SharedKeyBook:
    """The row of the cursor key in one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def begin(self, fingerprint: str) -> None:
        """Keep the first one; ConflictError where another node did."""
        await self._session.execute(insert(SharedKeyTable), {"name": CURSOR_KEY, "fingerprint": fingerprint})

    async def replace(self, fingerprint: str) -> None:
        """Keep it in place of what was."""
        await self._session.execute(update(SharedKeyTable).values(fingerprint=fingerprint))


class SharedKeyReader:
    """What is kept, as it was committed last."""

    def __init__(self, fetch: Fetch, sql: Sql) -> None:
        self._fetch = fetch
        self._kept = sql.once(_kept_statement)

    async def fingerprint(self) -> str | None:
        """Return the fingerprint of the cursor key that nodes hold; None before the first one has started."""
        rows = await self._fetch(self._kept, {})
        return str(rows[0][0]) if rows else None


def _kept_statement(sql: Sql) -> Statement:
    kept = table("shared_key")
    return sql.compile(select(kept.c.fingerprint).where(kept.c.name == CURSOR_KEY))
