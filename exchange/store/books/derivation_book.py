"""Requests for consent to mark what derives from a report lower than that report, within a unit of work.

Promises: whatever takes a consent back moves the policy version: a post that was decided before is decided again.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from exchange.kernel import from_micros, to_micros
from exchange.markings import Label
from exchange.store.books.consent_states import ConsentState, RequestedConsents
from exchange.store.rows.shapes import bytes_in, id_in, label_in, member_in, none_or, number_in, text_in
from exchange.store.tables.derivation_tables import DerivationTable


@dataclass(frozen=True, slots=True)
class DerivationWish:
    """What is asked for: the lowest label of what derives from the report, until when, and why."""

    lowest: Label
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class DerivationRow:
    """A request about one version of a report, for the reports of one member, and what became of it."""

    id: str
    report: str
    version: int
    originator: str
    requester: str
    requester_member: str
    wish: DerivationWish
    state: ConsentState
    asked_at: datetime
    entry: str
    decided_at: datetime | None = None
    decided_by: str | None = None
    conditions: str | None = None
    note: bytes | None = None

    def holds(self, version: int, now: datetime) -> bool:
        """Return whether it is a grant that holds at `now` for this version of the report."""
        return self.state is ConsentState.GRANTED and self.version == version and now < self.wish.until


class DerivationBook(RequestedConsents[DerivationRow]):
    """Such requests in one transaction."""

    _table = DerivationTable
    _noun = "derivation"

    def __init__(self, session: AsyncSession, note_write: Callable[[], None], note_law: Callable[[], None]) -> None:
        super().__init__(session, note_write)
        self._note_law = note_law

    async def put(self, row: DerivationRow) -> None:
        """Keep what became of a request."""
        if row.state is ConsentState.REVOKED:
            self._note_law()
        await super().put(row)

    async def granted(self, report_id: str, member: str) -> list[DerivationRow]:
        """Return the grants about a report for the reports of `member`; their time, or their version, may be over."""
        row = DerivationTable
        which = (col(row.report_id) == report_id, col(row.requester_member) == member)
        return await self._rows(*which, col(row.state) == ConsentState.GRANTED.value)

    @staticmethod
    def _columns(row: DerivationRow) -> dict[str, Any]:
        return {
            "id": row.id,
            "report_id": row.report,
            "version": row.version,
            "originator": row.originator,
            "requester": row.requester,
            "requester_member": row.requester_member,
            "lowest": json.dumps(row.wish.lowest.as_json()),
            "until": to_micros(row.wish.until),
            "reason": row.wish.reason,
            "state": row.state.value,
            "asked_at": to_micros(row.asked_at),
            "decided_at": None if row.decided_at is None else to_micros(row.decided_at),
            "decided_by": row.decided_by,
            "conditions": row.conditions,
            "note": row.note,
            "entry_id": row.entry,
        }

    @staticmethod
    def _read(row: DerivationTable) -> DerivationRow:
        return DerivationRow(
            id=id_in(row.id),
            report=id_in(row.report_id),
            version=number_in(row.version),
            originator=member_in(row.originator),
            requester=id_in(row.requester),
            requester_member=member_in(row.requester_member),
            wish=DerivationWish(label_in(json.loads(row.lowest)), from_micros(row.until), text_in(row.reason)),
            state=ConsentState(row.state),
            asked_at=from_micros(row.asked_at),
            entry=row.entry_id,
            decided_at=None if row.decided_at is None else from_micros(row.decided_at),
            decided_by=none_or(id_in, row.decided_by),
            conditions=none_or(text_in, row.conditions),
            note=none_or(bytes_in, row.note),
        )
