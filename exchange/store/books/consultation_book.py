"""Consultations and disputes within a unit of work."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from exchange.agreements import Matter, MatterKind, Said, Speech
from exchange.kernel import from_micros, to_micros
from exchange.members import Client
from exchange.store.books.book import Book
from exchange.store.rows.shapes import id_in, member_in, text_in
from exchange.store.rows.unread import Unread, UnreadRow, read_each
from exchange.store.tables.consultation_tables import ConsultationSaidTable, ConsultationTable


class ConsultationBook(Book):
    """Consultations in one transaction."""

    async def add(self, matter: Matter) -> None:
        """Keep what was opened, with the words that opened it."""
        self._note_write()
        row = {
            "id": matter.id,
            "agreement_id": matter.agreement,
            "kind": matter.kind.value,
            "members": json.dumps(list(matter.members)),
            "breach_id": matter.breach,
        }
        await self._session.execute(insert(ConsultationTable), row)
        await self._session.execute(insert(ConsultationSaidTable), _columns(matter.id, 1, matter.said[0]))

    async def say(self, matter: Matter, said: Said) -> None:
        """Keep what was said after all that `matter` holds; the caller holds the matter."""
        self._note_write()
        row = _columns(matter.id, len(matter.said) + 1, said)
        await self._session.execute(insert(ConsultationSaidTable), row)

    async def one(self, matter_id: str) -> Matter | None:
        """Return a matter, held to the end of the unit."""
        await self._session.scalar(
            select(ConsultationTable).where(col(ConsultationTable.id) == matter_id).with_for_update()
        )
        # Looked up to the end where there is none: what may not be seen costs what an absent one costs.
        found = await self._matters(col(ConsultationTable.id) == matter_id)
        return found[0] if found else None

    async def of_agreement(self, agreement_id: str, member: str, unread: Unread) -> list[Matter]:
        """Return every matter under an agreement that names `member`, oldest first, without what cannot be read."""
        row = ConsultationTable
        named = col(row.members).contains(f'"{member}"')
        return await self._matters(col(row.agreement_id) == agreement_id, named, unread=unread, member=member)

    async def unanswered(self, agreement_id: str, client: Client, *, settled_since: datetime) -> int:
        """Return how many matters `client` opened under an agreement in which no other member has said anything.

        Of those that its own member has settled, the ones from `settled_since` on.
        """
        row, opened = ConsultationTable, ConsultationSaidTable
        other = aliased(ConsultationSaidTable)
        is_same = col(other.consultation_id) == col(row.id)
        answered = select(col(other.number)).where(is_same, col(other.member) != client.member).exists()
        is_settled = col(other.speech) == Speech.SETTLE.value
        settled = select(col(other.number)).where(is_same, is_settled).exists()
        is_open = or_(
            col(row.kind) == MatterKind.DISPUTE.value, ~settled, col(opened.said_at) >= to_micros(settled_since)
        )
        is_first = (col(opened.consultation_id) == col(row.id), col(opened.number) == 1)
        is_its = (col(row.agreement_id) == agreement_id, col(opened.client_id) == client.id)
        count = select(func.count()).select_from(row).join(opened, and_(*is_first)).where(*is_its, ~answered, is_open)
        return int(await self._session.scalar(count) or 0)

    async def _matters(
        self, *which: ColumnElement[bool], unread: Unread | None = None, member: str = ""
    ) -> list[Matter]:
        matter, said = ConsultationTable, ConsultationSaidTable
        joined = select(matter, said).join(said, col(said.consultation_id) == col(matter.id)).where(*which)
        ordered = joined.order_by(col(matter.id), col(said.number))
        rows: dict[str, tuple[ConsultationTable, list[ConsultationSaidTable]]] = {}
        for one, words in await self._session.execute(ordered):
            rows.setdefault(one.id, (one, []))[1].append(words)
        return read_each(
            rows.values(), _matter, unread, lambda row: UnreadRow(f"consultation {row[0].id}", frozenset({member}))
        )


def _columns(matter_id: str, number: int, said: Said) -> dict[str, Any]:
    return {
        "consultation_id": matter_id,
        "number": number,
        "member": said.member,
        "client_id": said.client,
        "speech": said.speech.value,
        "text": said.text,
        "said_at": to_micros(said.at),
        "entry_id": said.entry,
    }


def _matter(row: tuple[ConsultationTable, list[ConsultationSaidTable]]) -> Matter:
    one, words = row
    members = tuple(json.loads(one.members))
    said = tuple(_said(each) for each in words)
    return Matter(id_in(one.id), id_in(one.agreement_id), MatterKind(one.kind), members, one.breach_id, said)


def _said(row: ConsultationSaidTable) -> Said:
    words, at = text_in(row.text), from_micros(row.said_at)
    return Said(member_in(row.member), id_in(row.client_id), Speech(row.speech), words, at, id_in(row.entry_id))
