"""The same database again in PostgreSQL: every row of every table, copied from SQLite."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
from sqlmodel import SQLModel

from benchmarks.progress import Progress
from exchange.store import migrate

_CHUNK = 10_000


def copy_database(source: Path, url: str, count: int, *, title: str) -> None:
    """Bring the empty database at `url` to the schema and copy all of `source` into it."""
    asyncio.run(_copy(source, url, count, title))


async def _copy(source: Path, url: str, count: int, title: str) -> None:
    await migrate(url)
    rows = sqlite3.connect(source)
    target = await asyncpg.connect(url.replace("+asyncpg", ""))
    for seeded in ("policy_state", "schema_floor"):
        await target.execute(f"DELETE FROM {seeded}")
    with Progress(title, 2 * count) as progress:
        for table in SQLModel.metadata.sorted_tables:
            columns = table.c.keys()
            for chunk in _chunks(rows, f"SELECT {', '.join(columns)} FROM {table.name}"):
                await target.copy_records_to_table(table.name, records=chunk, columns=columns)
                progress.advance(len(chunk))
    await target.execute(
        "SELECT setval(pg_get_serial_sequence('audit_outbox', 'id'), (SELECT max(id) FROM audit_outbox))"
    )
    # What autovacuum would have done on a database that grew up by itself.
    await target.execute("VACUUM (ANALYZE)")
    await target.execute("CHECKPOINT")
    await target.close()
    rows.close()


def _chunks(source: sqlite3.Connection, query: str) -> Iterator[list[tuple[Any, ...]]]:
    cursor = source.execute(query)
    while chunk := cursor.fetchmany(_CHUNK):
        yield chunk
