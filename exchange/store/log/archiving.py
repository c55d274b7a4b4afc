"""What the archiver does to the database: finds whole bundles that are old enough, and lets go of what was moved.

One transaction says that bundles are in the archive and deletes their entries: either both or neither. The database
lets an entry go for no other reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select

from exchange.audit.tile_paths import TILE_WIDTH
from exchange.store.database.dialect import Sql
from exchange.store.log.archive import BundleArchive
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.log_statements import in_stretch
from exchange.store.log.tree_database import LogSteps, OpenedLog, TreeDatabase
from exchange.store.tables.main_tables import table
from exchange.store.writer.batch import Ask, Put

_MOVED_COLUMNS = ("log", "idx", "location", "digest", "archived_at", "entry_id")


@dataclass(frozen=True, slots=True)
class Moved:
    """A bundle that is in the archive, SHA-256 of its bytes, and the entry that says so.

    `archived_at` is in microseconds since 1970.
    """

    log: int
    index: int
    location: str
    digest: bytes
    archived_at: int
    entry_id: str


class LogArchiving(OpenedLog):
    """The log as its archiver sees it.

    Its reader reads the archive too: another archiver may be ahead.
    """

    def __init__(self, database: TreeDatabase, sql: Sql, archive: BundleArchive | None) -> None:
        super().__init__(database, sql, archive)
        entry, leaf, moved = (table(name) for name in ("audit_entry", "log_leaf", "log_archive"))
        in_range = in_stretch(leaf)
        is_one = (moved.c.log == bindparam("log"), moved.c.idx >= 0, moved.c.idx < bindparam("stop"))
        self._next = sql.compile(select(func.max(moved.c.idx)).where(*is_one))
        self._newest = sql.compile(select(func.max(leaf.c.entry_id)).where(*in_range))
        self._say = sql.insert("log_archive", _MOVED_COLUMNS)
        gone = delete(entry).where(entry.c.id.in_(select(leaf.c.entry_id).where(*in_range)))
        self._let_go = sql.compile(gone.returning(entry.c.id))

    async def next_index(self, log: int, stop: int) -> int:
        """Return the first bundle of a log that is not in the archive, of those before `stop`.

        What stands behind them is none of its bundles, and keeps none of them from being moved.
        """
        ((last,),) = await self._database.fetch(self._next, {"log": log, "stop": stop})
        return 0 if last is None else int(last) + 1

    async def newest_id(self, log: int, index: int) -> str:
        """Return the greatest id in a whole bundle: ids are UUIDv7, their order is that of time."""
        start = index * TILE_WIDTH
        ((newest,),) = await self._database.fetch(
            self._newest, {"log": log, "start": start, "stop": start + TILE_WIDTH}
        )
        if newest is None:
            raise LogDamagedError(f"the store lacks the entry at position {start}")
        return str(newest)

    async def let_go(self, moved: Sequence[Moved]) -> None:
        """Say that these bundles of one log, side by side, are in the archive, and delete their entries.

        Raises ConflictError where another archiver said so first; nothing was done then, nor in any other failure.
        """
        await self._database.transact(self._letting_go(moved))

    def _letting_go(self, moved: Sequence[Moved]) -> LogSteps[None]:
        rows = [(each.log, each.index, each.location, each.digest, each.archived_at, each.entry_id) for each in moved]
        yield Put(self._say, rows)
        first, stop = moved[0].index * TILE_WIDTH, (moved[-1].index + 1) * TILE_WIDTH
        gone = yield Ask(self._let_go, {"log": moved[0].log, "start": first, "stop": stop})
        if len(gone) != stop - first:
            raise LogDamagedError(f"the store has {len(gone)} of the {stop - first} entries from position {first} on")
