"""Consultations and disputes within a unit of work."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from exchange.agreements import Matter, MatterKind, Said, Speech
from exchange.kernel import from_micros, to_micros
from exchange.store.consultation_tables import ConsultationSaidTable, ConsultationTable


class ConsultationBook:
    """Consultations in one transaction."""

    def __init__(self, session: AsyncSession, note_write: Callable[[], None]) -> None:
        self._session = session
        self._note_write = note_write

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

    async def of_agreement(self, agreement_id: str) -> list[Matter]:
        """Return every matter under an agreement, oldest first."""
        return await self._matters(col(ConsultationTable.agreement_id) == agreement_id)

    async def _matters(self, which: ColumnElement[bool]) -> list[Matter]:
        matter, said = ConsultationTable, ConsultationSaidTable
        joined = select(matter, said).join(said, col(said.consultation_id) == col(matter.id)).where(which)
        ordered = joined.order_by(col(matter.id), col(said.number))
        rows: dict[str, tuple[ConsultationTable, list[Said]]] = {}
        for one, words in await self._session.execute(ordered):
            rows.setdefault(one.id, (one, []))[1].append(_said(words))
        return [
            Matter(
                one.id,
                one.agreement_id,
                MatterKind(one.kind),
                tuple(json.loads(one.members)),
                one.breach_id,
                tuple(words),
            )
            for one, words in rows.values()
        ]


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


def _said(row: ConsultationSaidTable) -> Said:
    return Said(row.member, row.client_id, Speech(row.speech), row.text, from_micros(row.said_at), row.entry_id)
