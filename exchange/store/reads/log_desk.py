"""A database opened for nothing but to look at its log, and at the rows that it tells of."""

from exchange.store.database.dialect import Sql
from exchange.store.log.archive import BundleArchive
from exchange.store.log.log_snapshot import LogSnapshot
from exchange.store.log.tree_database import OpenedLog, TreeDatabase
from exchange.store.reads.rows_kept import RowsKept


class LogDesk(OpenedLog):
    """Reads the log over one connection. Writes nothing, records nothing: whoever looks is on the database's host."""

    def __init__(self, database: TreeDatabase, sql: Sql, archive: BundleArchive | None = None) -> None:
        super().__init__(database, sql, archive)
        self.snapshot = LogSnapshot(database.fetch, sql)
        self.rows = RowsKept(database.fetch, sql)
