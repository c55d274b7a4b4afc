"""A database opened for nothing but to look at its log, and at the rows that it tells of."""

from typing import Self

from exchange.store.database.dialect import Sql, sql_for
from exchange.store.database.engine import checked_url, is_sqlite
from exchange.store.log.archive import BundleArchive
from exchange.store.log.log_reader import LogReader
from exchange.store.log.log_snapshot import LogSnapshot
from exchange.store.log.tree_database import TreeDatabase, opened_database
from exchange.store.reads.rows_kept import RowsKept


class LogDesk:
    """Reads the log over one connection. Writes nothing, records nothing: whoever looks is on the database's host."""

    def __init__(self, database: TreeDatabase, sql: Sql, archive: BundleArchive | None = None) -> None:
        self._database = database
        self.reader = LogReader(database.fetch, sql, archive)
        self.snapshot = LogSnapshot(database.fetch, sql)
        self.rows = RowsKept(database.fetch, sql)

    @classmethod
    async def open(cls, url: str, *, archive: BundleArchive | None = None, wait_seconds: float = 5.0) -> Self:
        """Open the database at `url`; UnavailableError where it does not answer or has another version's schema."""
        sql = sql_for(is_sqlite=is_sqlite(checked_url(url)))
        return cls(await opened_database(url, wait_seconds=wait_seconds), sql, archive)

    async def close(self) -> None:
        """Close the connection."""
        await self._database.close()
