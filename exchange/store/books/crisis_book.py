"""Uses of crisis clauses: written within a unit of work, and read back onto their agreements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlmodel import col

from exchange.agreements import Agreement, Crisis
from exchange.kernel import from_micros, to_micros
from exchange.members import Client
from exchange.store.books.book import Book
from exchange.store.database.dialect import Row
from exchange.store.rows.shapes import id_in, member_in, number_in, text_in
from exchange.store.rows.unread import Unread, UnreadRow, read_each
from exchange.store.tables.crisis_tables import CrisisTable
from exchange.store.tables.main_tables import table

_COLUMNS = (
    *("agreement_id", "id", "clause", "edition", "reason", "opened_at", "until_at"),
    *("first_member", "second_member", "ended_at"),
)


@dataclass(frozen=True, slots=True)
class CrisisOpeners:
    """Who opened a crisis: the first person asked, the second one confirmed the act."""

    first: Client
    second: Client
    act: str


class CrisisBook(Book):
    """Crises in one transaction, which is told of every write: each changes what may be read."""

    async def add(self, agreement_id: str, crisis: Crisis, openers: CrisisOpeners) -> None:
        """Add a crisis, open from this unit's end on."""
        self._note_law()
        row = {
            "id": crisis.id,
            "agreement_id": agreement_id,
            "edition": crisis.edition,
            "clause": crisis.clause,
            "reason": crisis.reason,
            "opened_at": to_micros(crisis.opened_at),
            "until_at": to_micros(crisis.until),
            "first_client": openers.first.id,
            "first_member": openers.first.member,
            "second_client": openers.second.id,
            "second_member": openers.second.member,
            "act_id": openers.act,
        }
        await self._session.execute(insert(CrisisTable), row)

    async def end(self, crisis_id: str, client: Client, now: datetime) -> None:
        """Write down that `client` ended a crisis before its time; the caller holds the agreement."""
        self._note_law()
        ended = update(CrisisTable).where(col(CrisisTable.id) == crisis_id)
        await self._session.execute(ended.values(ended_at=to_micros(now), ended_by=client.id))


def crisis_rows() -> Select[Any]:
    """Return the statement for every crisis there was, the oldest first: there are few, two persons opened each."""
    crisis = table(CrisisTable)
    # UUIDv7: the order of ids is the order of time.
    return select(*(crisis.c[name] for name in _COLUMNS)).order_by(crisis.c.id)


def with_crises(agreements: Sequence[Agreement], rows: Iterable[Row], unread: Unread) -> list[Agreement]:
    """Return agreements with their crises; rows are of `crisis_rows`, and may be of other agreements too.

    Crises that cannot be read open nothing, and are noted in `unread`.
    """
    found: dict[str, list[Crisis]] = {}
    asked = {agreement.id for agreement in agreements}

    def take(row: Row) -> None:
        found.setdefault(row[0], []).append(_crisis(*row[1:]))

    own = [row for row in rows if row[0] in asked]
    read_each(own, take, unread, lambda row: UnreadRow(f"crisis {row[1]}"))
    return [
        replace(agreement, crises=tuple(found[agreement.id])) if agreement.id in found else agreement
        for agreement in agreements
    ]


def _crisis(  # noqa: PLR0913, PLR0917  the columns of a crisis, in their order
    crisis_id: str,
    clause: str,
    edition: int,
    reason: str,
    opened_at: int,
    until_at: int,
    first_member: str,
    second_member: str,
    ended_at: int | None,
) -> Crisis:
    return Crisis(
        id=id_in(crisis_id),
        clause=clause,
        edition=number_in(edition),
        reason=text_in(reason),
        opened_at=from_micros(opened_at),
        until=from_micros(until_at),
        opened_by=(member_in(first_member), member_in(second_member)),
        ended_at=None if ended_at is None else from_micros(ended_at),
    )
