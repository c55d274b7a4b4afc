"""Rows that refer to others, as a restore meets them: what they refer to may be gone.

Whoever owns a database may delete from it what others refer to, on SQLite without being asked about it.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from exchange.store.database.dialect import is_among

Values = dict[str, Any]
"""A row by its columns."""


async def referring(connection: AsyncConnection, rows: Table, values: Sequence[Values]) -> list[Values]:
    """Return those of `values` that refer to nothing that is gone; no database takes the others."""
    kept = list(values)
    for constraint in rows.foreign_key_constraints:
        kept = await _referring(connection, constraint, kept)
    return kept


async def _referring(
    connection: AsyncConnection, constraint: ForeignKeyConstraint, values: Sequence[Values]
) -> list[Values]:
    names, columns = constraint.column_keys, [element.column for element in constraint.elements]
    places = [tuple(each.get(name) for name in names) for each in values]
    asked = [place for place in places if None not in place]
    there: set[tuple[Any, ...]] = set()
    if asked:
        dialect = connection.dialect.name
        named = zip(columns, zip(*asked, strict=True), strict=True)
        which = [is_among(column, sorted(set(each)), dialect) for column, each in named]
        there = {tuple(found) for found in await connection.execute(select(*columns).where(*which))}
    return [each for each, place in zip(values, places, strict=True) if None in place or place in there]
