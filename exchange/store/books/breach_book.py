"""Breaches within a unit of work, and beside it for whoever tells of them."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import col

from exchange.kernel import LAST_MOMENT, from_micros, to_micros
from exchange.markings import Label, label_from_json
from exchange.store.books.book import Book
from exchange.store.database.faults import driver_errors
from exchange.store.rows.shapes import id_in, member_in
from exchange.store.rows.unread import UNREADABLE, UnreadRow
from exchange.store.tables.duty_tables import BreachTable

_NAMES = ("id", "agreement_id", "kind", "party", "owed_to", "scope", "subject", "label", "due_at", "found_at")
_ADD = text(
    f"INSERT INTO duty_breach ({', '.join(_NAMES)})"  # noqa: S608  the names are the ones above
    f" VALUES ({', '.join(':' + name for name in _NAMES)}) ON CONFLICT DO NOTHING"
)


class BreachKind(Enum):
    """What was not done: a report did not come, or one was not acknowledged."""

    REPORT = "report"
    ACKNOWLEDGEMENT = "acknowledgement"


@dataclass(frozen=True, slots=True)
class BreachRow:
    """A breach by `party` of what it owed `owed_to`. `number` is None before it is kept.

    `subject` is the report's id for an acknowledgement, for a report the moment at which it was due.
    """

    id: str
    agreement: str
    kind: BreachKind
    party: str
    owed_to: str
    scope: str
    subject: str
    label: dict[str, str | list[str]]
    due_at: datetime
    found_at: datetime
    number: int | None = None


@dataclass(frozen=True, slots=True)
class UnreadBreach:
    """A breach that cannot be read, between whom it claims to be, and its label where that can be read alone."""

    id: str
    members: frozenset[str]
    label: Label | None

    @property
    def row(self) -> UnreadRow:
        """Return it as it is recorded."""
        return UnreadRow(f"breach {self.id}", self.members)


def is_moment(column: Any) -> ColumnElement[bool]:
    """Return whether a time is one of the calendar's: a row that was altered must not keep the others from counting."""
    is_one: ColumnElement[bool] = col(column).between(0, to_micros(LAST_MOMENT))
    return is_one


class BreachBook(Book):
    """Breaches in one transaction."""

    async def add(self, row: BreachRow) -> None:
        """Keep a breach that no row is of; who adds one holds its agreement, and has asked the log.

        One that somebody wrote in its place stays where it lies: this one is kept beside it.
        """
        for subject in (row.subject, _beside(row.subject, row.id)):
            result: Any = await self._session.execute(_ADD, _columns(replace(row, subject=subject)))
            if result.rowcount == 1:
                break
        self._note_write()

    async def of_agreement(
        self, agreement: str, *, after: int, limit: int
    ) -> list[tuple[int, BreachRow | UnreadBreach]]:
        """Return number and breach of those of an agreement behind a number, the first found first."""
        row = BreachTable
        which = (col(row.agreement_id) == agreement, col(row.number) > after)
        found = await self._session.scalars(select(row).where(*which).order_by(col(row.number)).limit(limit))
        return [(each.number or after, _read(each)) for each in found]

    async def one(self, breach_id: str) -> BreachRow | None:
        """Return a breach; None, too, for one that cannot be read: the list of them says so."""
        return await _found(self._session, breach_id)


async def breach_row(engine: AsyncEngine, breach_id: str) -> BreachRow | None:
    """Return a breach, outside any unit of work."""
    with driver_errors():
        async with AsyncSession(engine) as session:
            return await _found(session, breach_id)


def subject_of(kept: str, breach_id: str) -> str:
    """Return the subject of a breach as it is kept, which names the breach besides where another row was in its way."""
    return kept.removesuffix(_beside("", breach_id))


def _beside(subject: str, breach_id: str) -> str:
    return f"{subject} {breach_id}"


def _read(row: BreachTable) -> BreachRow | UnreadBreach:
    try:
        return _row(row)
    except UNREADABLE:
        return UnreadBreach(str(row.id), frozenset({str(row.party), str(row.owed_to)}), _label_alone(row))


def _label_alone(row: BreachTable) -> Label | None:
    try:
        return label_from_json(json.loads(row.label))
    except UNREADABLE:
        return None


async def _found(session: AsyncSession, breach_id: str) -> BreachRow | None:
    found = await session.scalar(select(BreachTable).where(col(BreachTable.id) == breach_id))
    read = None if found is None else _read(found)
    return read if isinstance(read, BreachRow) else None


def _columns(row: BreachRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "agreement_id": row.agreement,
        "kind": row.kind.value,
        "party": row.party,
        "owed_to": row.owed_to,
        "scope": row.scope,
        "subject": row.subject,
        "label": json.dumps(row.label),
        "due_at": to_micros(row.due_at),
        "found_at": to_micros(row.found_at),
    }


def _row(row: BreachTable) -> BreachRow:
    kind, subject = BreachKind(row.kind), subject_of(row.subject, row.id)
    return BreachRow(
        id=id_in(row.id),
        agreement=row.agreement_id,
        kind=kind,
        party=member_in(row.party),
        owed_to=member_in(row.owed_to),
        scope=row.scope,
        subject=id_in(subject) if kind is BreachKind.ACKNOWLEDGEMENT else subject,
        label=label_from_json(json.loads(row.label)).as_json(),
        due_at=from_micros(row.due_at),
        found_at=from_micros(row.found_at),
        number=row.number,
    )
