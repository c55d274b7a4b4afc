"""Destructions that are asked for as the log bears them out: a row alone accuses nobody, and lets nobody off.

The entry that asks names each client, and when; that of a certificate names whose destruction it certifies. A row that
says anything else was altered, and is told of as one that cannot be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from exchange.audit import EventName
from exchange.kernel import UnavailableError, rfc3339
from exchange.store import DestructionRow, UnreadDestruction
from exchange.usecases.context import Services
from exchange.usecases.destructions import DUE_DAYS
from exchange.usecases.told_entries import told_until_now


@dataclass(slots=True)
class _Told:
    """When each client was asked, and of whom it was certified."""

    asked: set[tuple[str, str]] = field(default_factory=set)
    certified: set[str] = field(default_factory=set)

    def bears_out(self, row: DestructionRow) -> bool:
        """Return whether a row says what the entries say."""
        client = row.given.client
        is_asked = (client, rfc3339(row.asked_at)) in self.asked
        is_due = row.due_at - row.asked_at == timedelta(days=DUE_DAYS)
        return is_asked and is_due and (row.returned_at is not None) == (client in self.certified)


async def borne_out(
    services: Services, report: str, rows: Sequence[DestructionRow]
) -> tuple[list[DestructionRow], list[UnreadDestruction]]:
    """Return these rows about a report, read before, apart from those that the log does not bear out.

    Where the archive lacks what the log says of it, they are told as they are.
    """
    try:
        told = await _told(services, report)
    except UnavailableError:
        return list(rows), []
    doubted = [row for row in rows if not told.bears_out(row)]
    if not doubted:
        return list(rows), []
    # What was certified meanwhile is in the log, and was not in its row yet.
    async with services.store.unit_of_work() as unit:
        now, altered = await unit.reports().destructions(report=report)
    found = [row for row in now if row not in doubted]
    forged = [UnreadDestruction(report, row.given.client, row.given.member) for row in now if row in doubted]
    return found, [*altered, *forged]


async def _told(services: Services, report: str) -> _Told:
    told = _Told()
    events = (EventName.DESTRUCTION_ASKED, EventName.DESTRUCTION_CERTIFIED)
    async for entry in told_until_now(services, *events, subject=report):
        detail = entry.get("detail", {})
        if entry["type"] == EventName.DESTRUCTION_CERTIFIED.value:
            told.certified.add(str(detail.get("client")))
            continue
        of = detail.get("of")
        told.asked.update((client, entry["ts"]) for client in (of if isinstance(of, list) else ()))
    return told
