"""Requests for an originator's consent about its reports, within a unit of work: to pass one on, or to mark lower.

Promises: whatever takes back or ends a consent to mark lower moves the policy version: a post that was decided before
is decided again.
"""

import json
from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import case, exists, func, select, update
from sqlmodel import col

from exchange.kernel import from_micros, to_micros
from exchange.markings import Label
from exchange.store.books.consented_rows import ConsentedRows
from exchange.store.rows.shapes import bytes_in, each_in, id_in, label_in, member_in, none_or, number_in, text_in
from exchange.store.rows.unread import Unread
from exchange.store.tables.consent_tables import ConsentColumns, DerivationTable, OnwardTable


class ConsentState(Enum):
    """Where a request stands. LAPSED: what it was about is gone. WITHDRAWN: who asked took it back, undecided."""

    ASKED = "asked"
    AWAITING = "awaiting-second-person"
    GRANTED = "granted"
    REFUSED = "refused"
    REVOKED = "revoked"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


UNDECIDED: Final = (ConsentState.ASKED, ConsentState.AWAITING)
"""States in which a request waits for the originator."""

ENDED_VALUES: Final = tuple(each.value for each in ConsentState if each not in {*UNDECIDED, ConsentState.GRANTED})
"""What stands in the row of a request that is over."""

WishT = TypeVar("WishT")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRow(Generic[WishT]):
    """A request for consent about a report, and what became of it."""

    id: str
    report: str
    originator: str
    requester: str
    requester_member: str
    wish: WishT
    state: ConsentState
    asked_at: datetime
    entry: str
    decided_at: datetime | None = None
    decided_by: str | None = None
    conditions: str | None = None
    note: bytes | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OnwardRow(ConsentRow[OnwardWish]):
    """A request to pass a report on. `salt` goes into the digest by which its entry names what is asked for."""

    salt: str = ""


@dataclass(frozen=True, slots=True)
class DerivationWish:
    """What is asked for: the lowest label of what derives from the report, until when, and why."""

    lowest: Label
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivationRow(ConsentRow[DerivationWish]):
    """A request about one version of a report, for the reports of one member."""

    version: int

    def holds(self, version: int, now: datetime) -> bool:
        """Return whether it is a grant that holds at `now` for this version of the report."""
        return self.state is ConsentState.GRANTED and self.version == version and now < self.wish.until


RowT = TypeVar("RowT", OnwardRow, DerivationRow)


class RequestedConsents(ConsentedRows[RowT]):
    """Requests of one kind, in one transaction."""

    _partner = "requester_member"

    async def undecided(self, client: str, member: str, originator: str) -> tuple[int, int]:
        """Return how many requests about the reports of `originator` nobody has decided.

        First those of a client of `member`, then those of all clients of `member`.
        """
        row = self._table
        is_theirs = (col(row.requester_member) == member, col(row.originator) == originator)
        is_open = col(row.state).in_(_values(UNDECIDED))
        own = func.sum(case((col(row.requester) == client, 1), else_=0))
        counted = await self._session.execute(select(own, func.count()).select_from(row).where(*is_theirs, is_open))
        of_client, of_member = counted.one()
        return int(of_client or 0), int(of_member)

    async def lapse(self, report_id: str) -> None:
        """End every request and grant about a report: what they were about is gone."""
        row, living = self._table, _values((*UNDECIDED, ConsentState.GRANTED))
        which = (col(row.report_id) == report_id, col(row.state).in_(living))
        await self._session.execute(update(row).where(*which).values(state=ConsentState.LAPSED.value))

    @staticmethod
    @abstractmethod
    def _asked(row: RowT) -> dict[str, Any]:
        """Return the columns that say what is asked for."""

    @classmethod
    def _columns(cls, row: RowT) -> dict[str, Any]:
        return {
            "id": row.id,
            "report_id": row.report,
            "originator": row.originator,
            "requester": row.requester,
            "requester_member": row.requester_member,
            "state": row.state.value,
            "asked_at": to_micros(row.asked_at),
            "decided_at": none_or(to_micros, row.decided_at),
            "decided_by": row.decided_by,
            "conditions": row.conditions,
            "note": row.note,
            "entry_id": row.entry,
            **cls._asked(row),
        }


class ConsentBook(RequestedConsents[OnwardRow]):
    """Requests for onward release in one transaction."""

    _table = OnwardTable
    _noun = "onward"

    async def granted(self, report_id: str, unread: Unread) -> list[OnwardRow]:
        """Return the grants that hold for a report, without those that cannot be read."""
        is_of = col(OnwardTable.report_id) == report_id
        return await self._rows(is_of, col(OnwardTable.state) == ConsentState.GRANTED.value, unread=unread)

    @staticmethod
    def _asked(row: OnwardRow) -> dict[str, Any]:
        wish = row.wish
        asked = {
            "recipient": wish.recipient,
            "parts": list(wish.parts),
            "seen": list(wish.seen),
            "purposes": list(wish.purposes),
            "until": none_or(to_micros, wish.until),
            "reason": wish.reason,
            "salt": row.salt,
        }
        return {"asked": json.dumps(asked)}

    @staticmethod
    def _read(row: OnwardTable) -> OnwardRow:
        asked = json.loads(row.asked)
        wish = OnwardWish(
            recipient=member_in(asked["recipient"]),
            parts=each_in(number_in, asked["parts"]),
            purposes=each_in(text_in, asked["purposes"]),
            until=none_or(from_micros, asked["until"]),
            reason=text_in(asked["reason"]),
            seen=each_in(number_in, asked.get("seen", [])),
        )
        return OnwardRow(**_standing_in(row), wish=wish, salt=text_in(asked.get("salt", "")))


class DerivationBook(RequestedConsents[DerivationRow]):
    """Requests to mark lower what derives from a report, in one transaction."""

    _table = DerivationTable
    _noun = "derivation"

    async def put(self, row: DerivationRow) -> None:
        """Keep what became of a request."""
        if row.state is ConsentState.REVOKED:
            self._note_law()
        await super().put(row)

    async def lapse(self, report_id: str) -> None:
        """End every request and grant about a report: what they were about is gone."""
        row = DerivationTable
        granted = (col(row.report_id) == report_id, col(row.state) == ConsentState.GRANTED.value)
        if await self._session.scalar(select(exists().where(*granted))):
            self._note_law()
        await super().lapse(report_id)

    async def granted(self, report_id: str, member: str) -> list[DerivationRow]:
        """Return the grants about a report for the reports of `member`; their time, or their version, may be over."""
        row = DerivationTable
        which = (col(row.report_id) == report_id, col(row.requester_member) == member)
        return await self._rows(*which, col(row.state) == ConsentState.GRANTED.value)

    @staticmethod
    def _asked(row: DerivationRow) -> dict[str, Any]:
        return {
            "version": row.version,
            "lowest": json.dumps(row.wish.lowest.as_json()),
            "until": to_micros(row.wish.until),
            "reason": row.wish.reason,
        }

    @staticmethod
    def _read(row: DerivationTable) -> DerivationRow:
        wish = DerivationWish(label_in(json.loads(row.lowest)), from_micros(row.until), text_in(row.reason))
        return DerivationRow(**_standing_in(row), wish=wish, version=number_in(row.version))


def _standing_in(row: ConsentColumns) -> dict[str, Any]:
    """Return what a row says of a request, whatever it asks for: the fields of `ConsentRow`."""
    return {
        "id": id_in(row.id),
        "report": id_in(row.report_id),
        "originator": member_in(row.originator),
        "requester": id_in(row.requester),
        "requester_member": member_in(row.requester_member),
        "state": ConsentState(row.state),
        "asked_at": from_micros(row.asked_at),
        "entry": row.entry_id,
        "decided_at": none_or(from_micros, row.decided_at),
        "decided_by": none_or(id_in, row.decided_by),
        "conditions": none_or(text_in, row.conditions),
        "note": none_or(bytes_in, row.note),
    }


def _values(states: tuple[ConsentState, ...]) -> tuple[str, ...]:
    return tuple(each.value for each in states)
