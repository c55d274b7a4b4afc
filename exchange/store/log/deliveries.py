"""What webhooks are to be sent, and what became of it. At least once: a sender that dies in between sends again."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from exchange.store.database.engine import write_rows
from exchange.store.database.faults import driver_errors
from exchange.store.database.put_off import PUT_OFF_AT_MOST_MICROS, is_due, one_more
from exchange.store.log.alert_reader import ALERT_COLUMNS, alert_row
from exchange.store.rows.alert_rows import MOST_COUNTED, TO_BE_SENT, DueDelivery
from exchange.store.tables.alert_tables import AlertDeliveryTable, AlertTable

_LONGEST_TOLD = 200


class Deliveries:
    """The deliveries of one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(self, hooks: Sequence[str], *, now: int, until: int, limit: int) -> list[DueDelivery]:
        """Return what is due at `now`, oldest first; until `until` nobody else is given it."""
        alert, due = AlertTable, AlertDeliveryTable
        may_go = is_due(col(due.next_at), now, now + PUT_OFF_AT_MOST_MICROS)
        chosen = (
            select(col(due.hook), col(due.tries), *(getattr(alert, name) for name in ALERT_COLUMNS))
            .join(alert, col(alert.number) == col(due.number))
            .where(col(due.ended_at).is_(None), may_go, col(due.hook).in_(hooks))
            .order_by(col(due.number), col(due.hook))
            .limit(limit)
            .with_for_update(of=AlertDeliveryTable, skip_locked=True)
        )
        with driver_errors():
            async with self._engine.begin() as connection:
                found = [
                    DueDelivery(alert_row(columns), hook, one_more(tries))
                    for hook, tries, *columns in await connection.execute(chosen)
                ]
                for one in found:
                    await connection.execute(_of(one).values(tries=one.tries, next_at=until))
        return found

    async def add_missing(self, hooks: Sequence[str], *, after: int) -> int:
        """Have each alert behind number `after` sent to each of `hooks`; return the number of the newest one.

        Whoever raised it may know other webhooks. Raises ConflictError where another process does the same just now.
        """
        number, due = col(AlertTable.number), AlertDeliveryTable
        with driver_errors():
            async with self._engine.begin() as connection:
                raised = set(await connection.scalars(select(number).where(number > after, number <= MOST_COUNTED)))
                kept = select(col(due.number), col(due.hook)).where(col(due.number) > after, col(due.hook).in_(hooks))
                missing = {(each, hook) for each in raised for hook in hooks} - {
                    (each, hook) for each, hook in await connection.execute(kept)
                }
                if missing:
                    rows = [{**TO_BE_SENT, "number": each, "hook": hook} for each, hook in sorted(missing)]
                    await connection.execute(insert(due), rows)
        return max(raised, default=after)

    async def put_off(self, one: DueDelivery, *, next_at: int, told: str) -> None:
        """Note that it failed, and when it is tried again."""
        await self._write(one, next_at=next_at, told=told[:_LONGEST_TOLD])

    async def end(self, one: DueDelivery, *, at: int, told: str | None) -> None:
        """Note that it was delivered, or (with what was `told` last) that it is given up."""
        cut = None if told is None else told[:_LONGEST_TOLD]
        await self._write(one, ended_at=at, is_delivered=told is None, told=cut)

    async def _write(self, one: DueDelivery, **values: Any) -> None:
        await write_rows(self._engine, _of(one).values(**values))


def _of(one: DueDelivery) -> Any:
    due = AlertDeliveryTable
    return update(due).where(col(due.number) == one.alert.number, col(due.hook) == one.hook)
