"""Rows that a test alters, put back as they were: to make another world takes longer than to try what was altered."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.support.world import World

Keys = Mapping[str, tuple[str, ...]]
"""By table, the columns that tell its rows apart."""


def columns_of(world: World, table: str) -> list[str]:
    """Return the names of a table's columns, in their order."""
    if world.url.startswith("postgresql"):
        asked = "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position"
        return [row[0] for row in world.sql(asked, table)]
    return [row[1] for row in world.sql(f"PRAGMA table_info({table})")]


def kept_rows(world: World, keys: Keys) -> Callable[[], None]:
    """Keep what is in these tables; return how all of it, and nothing else, is put back there."""
    kept = world.rows_of(*keys)
    names = {table: columns_of(world, table) for table in keys}

    def key_of(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = dict(zip(names[table], row, strict=True))
        return tuple(values[name] for name in keys[table])

    def put_back() -> None:
        now = world.rows_of(*keys)
        for table, key in keys.items():
            standing = {key_of(table, row) for row in now[table]}
            for added in standing - {key_of(table, row) for row in kept[table]}:
                world.sql(f"DELETE FROM {table} WHERE {_marks(key, ' AND ')}", *added)
            for row in set(kept[table]) - set(now[table]):
                if (which := key_of(table, row)) in standing:
                    sets = _marks(names[table], ", ")
                    where = _marks(key, " AND ", after=len(row))
                    world.sql(f"UPDATE {table} SET {sets} WHERE {where}", *row, *which)
                else:
                    marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
                    world.sql(f"INSERT INTO {table} VALUES ({marks})", *row)

    return put_back


def _marks(names: list[str] | tuple[str, ...], between: str, *, after: int = 0) -> str:
    return between.join(f"{name} = ${number}" for number, name in enumerate(names, start=after + 1))
