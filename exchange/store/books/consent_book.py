"""Requests for onward release within a unit of work."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col

from exchange.kernel import from_micros, to_micros
from exchange.store.books.consent_states import ConsentState, RequestedConsents
from exchange.store.rows.shapes import bytes_in, each_in, id_in, member_in, none_or, number_in, text_in
from exchange.store.rows.unread import Unread
from exchange.store.tables.consent_tables import OnwardTable


@dataclass(frozen=True, slots=True)
class OnwardWish:
    """What is asked for: to whom, which parts (none: the whole report), for which purposes (none: any), until when.

    `parts` are the report's own numbers; `seen` are the numbers that its requester asked by, who may see fewer parts.
    """

    recipient: str
    parts: tuple[int, ...]
    purposes: tuple[str, ...]
    until: datetime | None
    reason: str
    seen: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class OnwardRow:
    """A request, and what became of it. `salt` goes into the digest by which its entry names what is asked for."""

    id: str
    report: str
    originator: str
    requester: str
    requester_member: str
    wish: OnwardWish
    state: ConsentState
    asked_at: datetime
    entry: str
    decided_at: datetime | None = None
    decided_by: str | None = None
    conditions: str | None = None
    note: bytes | None = None
    salt: str = ""


class ConsentBook(RequestedConsents[OnwardRow]):
    """Requests for onward release in one transaction."""

    _table = OnwardTable
    _noun = "onward"

    async def granted(self, report_id: str, unread: Unread) -> list[OnwardRow]:
        """Return the grants that hold for a report, without those that cannot be read."""
        is_of = col(OnwardTable.report_id) == report_id
        return await self._rows(is_of, col(OnwardTable.state) == ConsentState.GRANTED.value, unread=unread)

    @staticmethod
    def _columns(row: OnwardRow) -> dict[str, Any]:
        wish = row.wish
        asked = {
            "recipient": wish.recipient,
            "parts": list(wish.parts),
            "seen": list(wish.seen),
            "purposes": list(wish.purposes),
            "until": None if wish.until is None else to_micros(wish.until),
            "reason": wish.reason,
            "salt": row.salt,
        }
        return {
            "id": row.id,
            "report_id": row.report,
            "originator": row.originator,
            "requester": row.requester,
            "requester_member": row.requester_member,
            "asked": json.dumps(asked),
            "state": row.state.value,
            "asked_at": to_micros(row.asked_at),
            "decided_at": None if row.decided_at is None else to_micros(row.decided_at),
            "decided_by": row.decided_by,
            "conditions": row.conditions,
            "note": row.note,
            "entry_id": row.entry,
        }

    @staticmethod
    def _read(row: OnwardTable) -> OnwardRow:
        asked = json.loads(row.asked)
        until = None if asked["until"] is None else from_micros(asked["until"])
        return OnwardRow(
            id=id_in(row.id),
            report=id_in(row.report_id),
            originator=member_in(row.originator),
            requester=id_in(row.requester),
            requester_member=member_in(row.requester_member),
            wish=OnwardWish(
                recipient=member_in(asked["recipient"]),
                parts=each_in(number_in, asked["parts"]),
                purposes=each_in(text_in, asked["purposes"]),
                until=until,
                reason=text_in(asked["reason"]),
                seen=each_in(number_in, asked.get("seen", [])),
            ),
            state=ConsentState(row.state),
            asked_at=from_micros(row.asked_at),
            entry=row.entry_id,
            decided_at=None if row.decided_at is None else from_micros(row.decided_at),
            decided_by=none_or(id_in, row.decided_by),
            conditions=none_or(text_in, row.conditions),
            note=none_or(bytes_in, row.note),
            salt=text_in(asked.get("salt", "")),
        )
