"""Destructions that are asked for as the log bears them out: a row alone accuses nobody, and lets nobody off.

The entry that asks names each client, and when; that of a certificate names whose destruction it certifies. A row that
says anything else was altered, and is told of as one that cannot be read. Where the log lacks an entry of one of the
two, that may have said what the row says; what the other ones say holds.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from exchange.audit import DeedKind, Entry, EventName, says_as
from exchange.kernel import Canonical, UnavailableError, parse_rfc3339, rfc3339, to_micros
from exchange.store import DestructionRow, UnreadDestruction
from exchange.store.log.searching import Found
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import (
    may_be_told,
    require_readable,
    told_of,
    told_of_each,
    told_until_now,
    waiting_of,
)

DUE_DAYS: Final = 30
"""Long enough to find every copy; the originator sees who is late."""

_EVENTS: Final = (EventName.DESTRUCTION_ASKED, EventName.DESTRUCTION_CERTIFIED)


@dataclass(slots=True)
class _Told:
    """When each client was asked, and what was certified of whom; and what the log lacks of either."""

    asked: set[tuple[str, str]] = field(default_factory=set)
    certified: dict[str, dict[str, Canonical]] = field(default_factory=dict)
    lacks: dict[EventName, list[Found]] = field(default_factory=lambda: {event: [] for event in _EVENTS})

    def take(self, entry: Entry) -> None:
        """Take what one entry says."""
        detail = entry.get("detail", {})
        if entry["type"] == EventName.DESTRUCTION_CERTIFIED.value:
            said = {name: detail.get(name) for name in ("client", "method", "copies")}
            by = {"certified_by": entry["actor"].get("id"), "certified_at": entry["ts"]}
            # It is certified once: what came behind says nothing of that.
            self.certified.setdefault(str(detail.get("client")), {"report": entry["object"]["id"], **said, **by})
            return
        of = detail.get("of")
        self.asked.update((client, entry["ts"]) for client in (of if isinstance(of, list) else ()))

    def bears_out(self, row: DestructionRow) -> bool:
        """Return whether a row says what the entries say, or may have said."""
        client = row.given.client
        is_due = row.due_at - row.asked_at == timedelta(days=DUE_DAYS)
        is_asked = (client, rfc3339(row.asked_at)) in self.asked
        is_asked |= self._may_have(EventName.DESTRUCTION_ASKED, row.asked_at)
        if row.returned_at is None:
            return is_due and is_asked and client not in self.certified
        may_be_certified = self._may_have(EventName.DESTRUCTION_CERTIFIED, row.returned_at)
        is_certified = _certifies(row, self.certified[client]) if client in self.certified else may_be_certified
        return is_due and is_asked and is_certified

    def _may_have(self, event: EventName, moment: datetime) -> bool:
        return may_be_told(self.lacks[event], to_micros(moment))


def _certifies(row: DestructionRow, said: Mapping[str, Canonical]) -> bool:
    """Return whether a row has the certificate that its entry tells of."""
    is_it = (row.returned_by, row.returned_at) == (said["certified_by"], parse_rfc3339(str(said["certified_at"])))
    return is_it and says_as(row.note or b"", DeedKind.DESTRUCTION, said)


async def borne_out(
    services: Services, rows: Sequence[DestructionRow]
) -> tuple[list[DestructionRow], list[UnreadDestruction]]:
    """Return these rows, read before, as they are now, apart from those that the log does not bear out.

    Where the archive lacks what the log says of them, they are told as they are. Raises UnavailableError as
    `require_readable`.
    """
    doubted = await _doubted(services, rows)
    if not doubted:
        return list(rows), []
    # What was certified meanwhile is in the log, and was not in its row yet.
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        again = [await book.destruction(row.report, row.given.client) for row in doubted]
    changed = dict(zip(doubted, again, strict=True))
    found = [now for row in rows if isinstance(now := changed.get(row, row), DestructionRow) and now not in doubted]
    forged = [row for row, now in changed.items() if now is not None and now not in found]
    return found, [UnreadDestruction(row.report, row.given.client, row.given.member) for row in forged]


async def never_asked(services: Services, report: str, clients: Collection[str]) -> frozenset[str]:
    """Return those of these clients, which a row says were asked to destroy a report, of whom no entry tells it.

    None of them where the log lacks an entry that may do so. Raises UnavailableError as `require_readable`, and where
    the log is away.
    """
    if not clients:
        return frozenset()
    await require_readable(services, "of whom destruction was asked")
    told, lacks = _Told(), list[Found]()
    async for entry in told_until_now(services, EventName.DESTRUCTION_ASKED, subject=report, lacks=lacks):
        told.take(entry)
    return frozenset() if lacks else frozenset(clients) - {client for client, _ in told.asked}


async def _doubted(services: Services, rows: Sequence[DestructionRow]) -> list[DestructionRow]:
    if not rows:
        return []
    await require_readable(services, "of whom destruction was asked")
    try:
        told = await _told(services, sorted({row.report for row in rows}))
    except UnavailableError:
        return []
    return [row for row in rows if not told[row.report].bears_out(row)]


async def _told(services: Services, reports: Sequence[str]) -> dict[str, _Told]:
    told = {report: _Told() for report in reports}
    waiting = await waiting_of(services, *_EVENTS, subjects=told)
    for event in _EVENTS:
        lacks: list[Found] = []
        async for entry in told_of_each(services, event, reports, lacks=lacks):
            told[entry["object"]["id"]].take(entry)
        # What the log lacks does not say what it is about: then each is asked of by itself.
        for report in reports if lacks else ():
            async for _ in told_of(services, event, subject=report, lacks=told[report].lacks[event]):
                continue
    for entry in waiting:
        told[entry["object"]["id"]].take(entry)
    return told
