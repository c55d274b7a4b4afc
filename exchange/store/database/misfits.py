"""On SQLite: what stands where a number belongs and is none, written by whoever owns the file.

A column of SQLite takes anything. What is read from one is never looked at on the way, for that would cost every
request: here it is, after a request failed for a reason that nobody foresaw, and for who asks whether all is well.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Integer, Table

from exchange.store.database.dialect import Fetch, Statement
from exchange.store.tables.main_tables import table

_LOOKED_EVERY: Final = timedelta(minutes=1)
"""A fault of ours that a client can call up must not have all rows looked at each time."""

_OF_THE_LOG: Final = ("audit_", "log_")
"""The verifier looks at what stands beside the log."""


class Misfits:
    """Looks for them in one database; in PostgreSQL there are none."""

    def __init__(self, fetch: Fetch, clock: Callable[[], datetime], *, is_sqlite: bool) -> None:
        self._fetch = fetch
        self._clock = clock
        self._is_sqlite = is_sqlite
        self._last: tuple[datetime, tuple[str, ...]] | None = None

    async def lately(self) -> tuple[str, ...]:
        """Return what `found` does, as of a minute ago at most."""
        now = self._clock()
        if self._last is None or not timedelta(0) <= now - self._last[0] < _LOOKED_EVERY:
            self._last = (now, await self.found())
        return self._last[1]

    async def found(self) -> tuple[str, ...]:
        """Return the first row of each table in which something is no number that has to be one, and its columns."""
        places: list[str] = []
        for rows in table("report").metadata.sorted_tables if self._is_sqlite else ():
            columns = [column.name for column in rows.columns if isinstance(column.type, Integer)]
            if not columns or rows.name.startswith(_OF_THE_LOG):
                continue
            for row in await self._fetch(_looked(rows, columns), {}):
                *key, named = row
                places.append(f"{rows.name} {' '.join(map(str, key))}: {named.strip()}")
        return tuple(places)


def _looked(rows: Table, columns: list[str]) -> Statement:
    def is_wrong(name: str) -> str:
        return f"typeof(\"{name}\") NOT IN ('integer', 'null')"

    key = ", ".join(f'"{column.name}"' for column in rows.primary_key.columns)
    named = " || ".join(f"CASE WHEN {is_wrong(name)} THEN '{name} ' ELSE '' END" for name in columns)
    wrong = " OR ".join(map(is_wrong, columns))
    return Statement(f'SELECT {key}, {named} FROM "{rows.name}" WHERE {wrong} LIMIT 1', (), {})  # noqa: S608  names only
