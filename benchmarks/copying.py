"""The same database again in PostgreSQL: every row of every table, copied from SQLite."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from sqlmodel import SQLModel

from benchmarks.indexes import build_indexes, take_indexes
from benchmarks.pooling import in_order
from benchmarks.progress import Progress
from exchange.store import migrate

_CHUNK = 10_000
_BULKY = ("report", "report_part", "audit_search")
"""The tables that are copied in pieces, without their indexes; the others fit into one."""


class Piece(NamedTuple):
    """The rows of a table, or those among them whose numbers are `first` to `last`."""

    table: str
    columns: list[str]
    first: int | None = None
    last: int | None = None


def copy_database(source: Path, url: str, count: int, *, title: str) -> None:
    """Bring the empty database at `url` to the schema and copy all of `source` into it; `count` reports are in it."""
    plain = url.replace("+asyncpg", "")
    indexes = asyncio.run(_begin(url, plain))
    with Progress(title, 2 * count) as progress:
        for copied in in_order(partial(_copy, source, plain), _pieces(source)):
            progress.advance(copied)
    asyncio.run(_finish(plain, indexes))


async def _begin(url: str, plain: str) -> list[str]:
    await migrate(url)
    target = await asyncpg.connect(plain)
    for seeded in ("policy_state", "schema_floor"):
        await target.execute(f"DELETE FROM {seeded}")
    indexes = await take_indexes(target, _BULKY)
    await target.close()
    return indexes


def _pieces(source: Path) -> Iterator[Piece]:
    with closing(sqlite3.connect(source)) as connection:
        for table in SQLModel.metadata.sorted_tables:
            if table.name not in _BULKY:
                yield Piece(table.name, table.c.keys())
                continue
            ((most,),) = connection.execute(f"SELECT coalesce(max(rowid), 0) FROM {table.name}").fetchall()
            for first in range(1, most + 1, _CHUNK):
                yield Piece(table.name, table.c.keys(), first, first + _CHUNK - 1)


def _copy(source: Path, url: str, piece: Piece) -> int:
    query = f"SELECT {', '.join(piece.columns)} FROM {piece.table}"
    if piece.first is not None:
        query += f" WHERE rowid BETWEEN {piece.first} AND {piece.last}"
    with closing(sqlite3.connect(source)) as connection:
        rows = connection.execute(query).fetchall()
    asyncio.run(_put(url, piece.table, piece.columns, rows))
    return len(rows) if piece.first is not None else 0


async def _put(url: str, table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        return
    target = await asyncpg.connect(url)
    # What points elsewhere may come before what it points to: the source's own rows are whole.
    await target.execute("SET session_replication_role = replica")
    await target.execute("SET synchronous_commit = off")
    await target.copy_records_to_table(table, records=rows, columns=columns)
    await target.close()


async def _finish(url: str, indexes: list[str]) -> None:
    target = await asyncpg.connect(url)
    await build_indexes(target, indexes)
    await target.execute(
        "SELECT setval(pg_get_serial_sequence('audit_outbox', 'id'), (SELECT max(id) FROM audit_outbox))"
    )
    # What autovacuum would have done on a database that grew up by itself.
    await target.execute("VACUUM (ANALYZE)")
    await target.execute("CHECKPOINT")
    await target.close()
