"""Indexes of PostgreSQL that are taken away while a table is filled: over the finished table they are built faster."""

from collections.abc import Sequence

import asyncpg

_SECONDARY = (
    "SELECT c.oid::regclass::text AS name, pg_get_indexdef(c.oid) AS statement FROM pg_index i"
    " JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid::regclass::text = ANY($1) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = c.oid)"
)
_BUILD_SECONDS = 3_600


async def take_indexes(connection: asyncpg.Connection, tables: Sequence[str]) -> list[str]:
    """Drop the indexes of these tables that no constraint needs; return the statements that make them again."""
    found = await connection.fetch(_SECONDARY, list(tables))
    for row in found:
        await connection.execute(f"DROP INDEX {row['name']}")
    return [row["statement"] for row in found]


async def build_indexes(connection: asyncpg.Connection, statements: Sequence[str]) -> None:
    """Make them again."""
    await connection.execute("SET maintenance_work_mem = '1GB'")
    for statement in statements:
        await connection.execute(statement, timeout=_BUILD_SECONDS)
