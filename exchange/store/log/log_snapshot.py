"""The log as a verifier wants it: what lies there, gaps and all, and never an opinion on it.

SQLite keeps a text where bytes belong, if somebody puts it there: what is read here is bytes all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import LargeBinary, and_, bindparam, cast, exists, not_, or_, select

from exchange.audit import EntryColumns, TilePath
from exchange.store.database.dialect import Fetch, Sql
from exchange.store.log.log_statements import in_stretch
from exchange.store.tables.main_tables import table

_COLUMNS = tuple(field.name for field in fields(EntryColumns))


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """What is kept at one position: a leaf hash, and bytes and columns of the entry, None where they are gone."""

    position: int
    leaf_hash: bytes
    content: bytes | None
    columns: EntryColumns | None


class LogSnapshot:
    """Reads for a verifier."""

    def __init__(self, fetch: Fetch, sql: Sql) -> None:
        entry, leaf, search, tile = (table(name) for name in ("audit_entry", "log_leaf", "audit_search", "log_tile"))
        cosigned = table("log_cosignature")
        beside = and_(search.c.log == leaf.c.log, search.c.position == leaf.c.position)
        self._sql = sql
        self._fetch = fetch
        key = table("personal_key")
        self._keys = sql.compile(select(key.c.kid, key.c.subject, key.c.period, key.c.destroyed_at))
        self._rows = sql.compile(
            select(
                leaf.c.position,
                cast(leaf.c.leaf_hash, LargeBinary),
                cast(entry.c.content, LargeBinary),
                *(search.c[name] for name in _COLUMNS),
            )
            .select_from(leaf)
            .outerjoin(entry, entry.c.id == leaf.c.entry_id)
            .outerjoin(search, beside)
            .where(*in_stretch(leaf))
            .order_by(leaf.c.position)
        )
        self._tile = sql.compile(
            select(cast(tile.c.hashes, LargeBinary)).where(
                tile.c.log == bindparam("log"), tile.c.level == bindparam("level"), tile.c.idx == bindparam("index")
            )
        )
        self._cosignatures = sql.compile(
            select(cosigned.c.size, cosigned.c.line)
            .where(
                cosigned.c.log == bindparam("log"),
                cosigned.c.size > bindparam("after"),
                cosigned.c.size <= bindparam("upto"),
            )
            .order_by(cosigned.c.size, cosigned.c.witness)
        )

    async def personal_keys(self) -> dict[str, tuple[str, str, bool]]:
        """Return the keys of personal data by id: whose, of which period, and whether it is destroyed."""
        rows = await self._fetch(self._keys, {})
        return {kid: (subject, period, destroyed_at is not None) for kid, subject, period, destroyed_at in rows}

    async def rows(self, log: int, start: int, stop: int) -> list[SnapshotRow]:
        """Return what is kept at these positions, in order; positions of which nothing is kept are left out."""
        found = await self._fetch(self._rows, {"log": log, "start": start, "stop": stop})
        return [
            SnapshotRow(row[0], bytes(row[1]), None if row[2] is None else bytes(row[2]), _columns(row[3:]))
            for row in found
        ]

    async def tile(self, log: int, path: TilePath) -> bytes | None:
        """Return the hashes of a tile as kept, more or fewer than the path's width as may be; None for none."""
        rows = await self._fetch(self._tile, {"log": log, "level": path.level, "index": path.index})
        return bytes(rows[0][0]) if rows else None

    async def unplaced(self, sizes: Mapping[int, int], limit: int) -> list[str]:
        """Return the ids of entries that are in no log, the oldest first, whether anything waits for them or not.

        `sizes` says how large each log was signed: a place behind its end, or in a log that is none, is no place.
        """
        entry, leaf = table("audit_entry"), table("log_leaf")
        is_signed = or_(
            *(and_(leaf.c.log == log, leaf.c.position >= 0, leaf.c.position < size) for log, size in sizes.items())
        )
        is_placed = exists().where(leaf.c.entry_id == entry.c.id, is_signed)
        missing = self._sql.compile(
            select(entry.c.id).where(not_(is_placed)).order_by(entry.c.id).limit(bindparam("limit"))
        )
        return [row[0] for row in await self._fetch(missing, {"limit": limit})]

    async def cosignatures(self, log: int, after: int, upto: int) -> dict[int, list[str | bytes]]:
        """Return the cosignature lines of the checkpoints of sizes `after` (without) to `upto` (with), by size.

        A line is text; on SQLite somebody may have put bytes in its place.
        """
        lines: dict[int, list[str | bytes]] = {}
        for size, line in await self._fetch(self._cosignatures, {"log": log, "after": after, "upto": upto}):
            lines.setdefault(size, []).append(line)
        return lines


def _columns(values: Sequence[object]) -> EntryColumns | None:
    # Every row of columns has the entry's id.
    return None if values[0] is None else EntryColumns(*values)  # type: ignore[arg-type]  # as `search_row` wrote them
