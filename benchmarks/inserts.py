"""What the database alone makes durable: rows of 8 KiB, one commit each, with the store's own settings."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from time import perf_counter

import asyncpg

from benchmarks.places import BODY_BYTES, CONNECTIONS

_SECONDS = 2.0


def sqlite_inserts(folder: Path) -> str:
    """Return the rate on SQLite as a sentence; it has one writer."""
    path = folder / "inserts.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE inserted (id INTEGER PRIMARY KEY, body BLOB)")
        body, count, end = os.urandom(BODY_BYTES), 0, perf_counter() + _SECONDS
        while perf_counter() < end:
            connection.execute("INSERT INTO inserted (body) VALUES (?)", (body,))
            count += 1
    path.unlink()
    return f"the database alone: {count / _SECONDS:,.0f} durable inserts/s, one commit each"


def postgres_inserts(url: str) -> str:
    """Return the rates on PostgreSQL as a sentence: one writer, and as many as there are callers."""
    one, many = asyncio.run(_postgres(url.replace("+asyncpg", "")))
    return (
        f"the database alone, one commit each: {one:,.0f} durable inserts/s by one writer, {many:,.0f} by {CONNECTIONS}"
    )


async def _postgres(url: str) -> tuple[float, float]:
    writers = [await asyncpg.connect(url) for _ in range(CONNECTIONS)]
    await writers[0].execute("CREATE TABLE inserted (id bigserial PRIMARY KEY, body bytea)")
    one = await _write(writers[0], perf_counter() + _SECONDS)
    end = perf_counter() + _SECONDS
    many = sum(await asyncio.gather(*(_write(writer, end) for writer in writers)))
    await writers[0].execute("DROP TABLE inserted")
    for writer in writers:
        await writer.close()
    return one / _SECONDS, many / _SECONDS


async def _write(connection: asyncpg.Connection, end: float) -> int:
    body, count = os.urandom(BODY_BYTES), 0
    while perf_counter() < end:
        await connection.execute("INSERT INTO inserted (body) VALUES ($1)", body)
        count += 1
    return count
