"""What the evaluation of the log writes, within a unit of work: alerts, what rules remember, and how far it has come.

INVARIANT: all of it and the alerts' entries become durable together. Whoever evaluated from another revision finds
out here, under the lock on the position's row, and writes nothing: no alert is doubled, none is lost.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from exchange.audit.alerts import Alert, Key
from exchange.store.log.alert_reader import POSITION_COLUMNS
from exchange.store.rows.alert_rows import MOST_COUNTED, TO_BE_SENT, AlertPosition
from exchange.store.tables.alert_tables import AlertDeliveryTable, AlertPositionTable, AlertTable
from exchange.store.tables.main_tables import table

_ROW = 1
_MEMORY = table("alert_memory")
_FORGET = delete(_MEMORY).where(_MEMORY.c.rule == bindparam("old_rule"), _MEMORY.c.subject == bindparam("old_subject"))


class AlertBook:
    """Alerts and their memory in one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def held_position(self) -> AlertPosition | None:
        """Return how far the log was evaluated, held to the end of the unit; None before the first time."""
        columns = [getattr(AlertPositionTable, name) for name in POSITION_COLUMNS]
        row = (await self._session.execute(select(*columns).with_for_update())).first()
        return None if row is None else AlertPosition.of(row)

    async def begin(self, position: AlertPosition) -> None:
        """Begin the evaluation; ConflictError where another process has begun it."""
        await self._session.execute(insert(AlertPositionTable), {"id": _ROW, **_columns(position)})

    async def move(self, position: AlertPosition) -> None:
        """Say how far the log was evaluated."""
        await self._session.execute(update(AlertPositionTable).values(_columns(position)))

    async def last_number(self, position: AlertPosition) -> int:
        """Return the number of the newest alert: the position says it, or an alert whose number is taken already."""
        number = col(AlertTable.number)
        taken = await self._session.scalar(select(func.max(number)).where(number <= MOST_COUNTED))
        return max(position.last_number, taken or 0)

    async def has(self, alert_id: str) -> bool:
        """Return whether the alert was raised already."""
        found = select(col(AlertTable.number)).where(col(AlertTable.id) == alert_id)
        return await self._session.scalar(found) is not None

    async def add(self, alert: Alert, number: int, *, entry_id: str, hooks: Iterable[str]) -> None:
        """Add an alert whose entry is recorded in this unit, to be sent to `hooks` at once."""
        row = {
            "number": number,
            "id": alert.id,
            "rule": alert.rule,
            "kind": alert.kind,
            "severity": alert.severity.value,
            "subject_kind": alert.subject.kind,
            "subject_id": alert.subject.id,
            "member": alert.member,
            "owner": alert.owner,
            "raised_at": alert.at,
            "entry_id": entry_id,
            "evidence": json.dumps(alert.evidence),
        }
        await self._session.execute(insert(AlertTable), row)
        for hook in hooks:
            await self._session.execute(insert(AlertDeliveryTable), {**TO_BE_SENT, "number": number, "hook": hook})

    async def remember(self, memory: Mapping[Key, str | None]) -> None:
        """Keep what rules remember in place of what they did; None forgets it."""
        if not memory:
            return
        # Two statements, whatever the number of keys: on SQLite every other writer waits meanwhile.
        connection = await self._session.connection()
        await connection.execute(_FORGET, [{"old_rule": key.rule, "old_subject": key.subject} for key in memory])
        kept = [
            {"rule": key.rule, "subject": key.subject, "content": content}
            for key, content in memory.items()
            if content is not None
        ]
        if kept:
            await connection.execute(insert(_MEMORY), kept)


def _columns(position: AlertPosition) -> dict[str, Any]:
    return {name: getattr(position, name) for name in POSITION_COLUMNS}
