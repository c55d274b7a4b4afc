"""What is known of the clock: written within a unit of work, and read beside it."""

from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from exchange.kernel import UnavailableError, from_micros, to_micros
from exchange.kernel.timekeeping import Timekeeping
from exchange.store.database.dialect import Fetch, Sql, Statement
from exchange.store.tables.main_tables import table
from exchange.store.tables.time_tables import TimekeepingTable

_ROW = 1
_COLUMNS = ("believed_at", "doubted_since", "doubted_at")


class TimeBook:
    """The one row of one transaction. No decision rests on it: a change of it needs no entry."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def held(self) -> Timekeeping | None:
        """Return what is kept, held to the end of the unit; None before the first time."""
        columns = [getattr(TimekeepingTable, name) for name in _COLUMNS]
        found = (await self._session.execute(select(*columns).with_for_update())).first()
        return None if found is None else _kept(found)

    async def begin(self, kept: Timekeeping) -> None:
        """Keep it for the first time; ConflictError where another process did."""
        await self._session.execute(insert(TimekeepingTable), {"id": _ROW, **_columns(kept)})

    async def move(self, kept: Timekeeping) -> None:
        """Keep it in place of what was."""
        await self._session.execute(update(TimekeepingTable).values(_columns(kept)))


class TimeReader:
    """What is kept, as it was committed last."""

    def __init__(self, fetch: Fetch, sql: Sql) -> None:
        self._fetch = fetch
        self._kept = sql.once(_kept_statement)

    async def kept(self) -> Timekeeping | None:
        """Return what is kept; None before the first time."""
        rows = await self._fetch(self._kept, {})
        return _kept(rows[0]) if rows else None


def _kept_statement(sql: Sql) -> Statement:
    kept = table("timekeeping")
    return sql.compile(select(*(kept.c[name] for name in _COLUMNS)))


def _kept(row: Any) -> Timekeeping:
    try:
        since, last = (None if each is None else from_micros(each) for each in row[1:])
        kept = Timekeeping(from_micros(row[0]), since, last)
        _ = kept.doubted_until  # lies beyond the calendar where it was written there
    except (TypeError, OverflowError) as exc:
        raise UnavailableError("what is kept of the clock is damaged: delete the row of `timekeeping`") from exc
    return kept


def _columns(kept: Timekeeping) -> dict[str, int | None]:
    moments = (kept.believed_at, kept.doubted_since, kept.doubted_at)
    return {name: None if moment is None else to_micros(moment) for name, moment in zip(_COLUMNS, moments, strict=True)}
