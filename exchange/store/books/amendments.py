"""Amendments and the signatures under them, within a unit of work."""

from collections.abc import Collection
from typing import Any

import orjson
from sqlalchemy import CompoundSelect, func, literal, select, union, union_all
from sqlmodel import col

from exchange.agreements import Amendment, Terms, TextSignature, terms_as_json, terms_from_stored
from exchange.crypto import ObjectSignature, ObjectVerifyingKey
from exchange.kernel import from_micros, to_micros
from exchange.store.books.book import Book
from exchange.store.books.signatory_keys import signature_columns
from exchange.store.rows.shapes import digest_in, number_in
from exchange.store.rows.unread import Unread, UnreadRow
from exchange.store.tables.main_tables import AgreementTable, ClientTable, table
from exchange.store.tables.treaty_tables import (
    AgreementSignatureTable,
    AmendmentTable,
    SignatoryKeyTable,
    TakenBackTable,
)


class Amendments(Book):
    """Loads and writes within one unit of work, which it tells of every write."""

    async def of(self, agreement_id: str, unread: Unread, *, naming: str | None = None) -> list[Amendment]:
        """Return every amendment that was ever proposed to an agreement, the first one first, but what is unread.

        With `naming`, of those that do not name that member next to none: what they say is for the caller to look at.
        """
        found = select(AmendmentTable).where(col(AmendmentTable.agreement_id) == agreement_id)
        if naming is not None:
            # As JSON writes its code among the parties, or anywhere else.
            found = found.where(col(AmendmentTable.terms).contains(f'"{naming}"', autoescape=True))
        rows = await self._session.scalars(found.order_by(col(AmendmentTable.number)))
        return unread.each(rows, _amendment, lambda row: unread_amendment(agreement_id, row.number))

    async def count_by(self, member: str, agreement_id: str, previous: str) -> int:
        """Return how many amendments of the text with the digest `previous` clients of `member` proposed."""
        row, client = AmendmentTable, ClientTable
        is_who = (col(client.id) == col(row.proposed_by), col(client.member) == member)
        # A client is of one member for ever: its first version says which.
        by_it = select(col(client.id)).where(*is_who, col(client.version) == 1).exists()
        which = (col(row.agreement_id) == agreement_id, col(row.previous) == previous, by_it)
        return int(await self._session.scalar(select(func.count()).select_from(row).where(*which)) or 0)

    async def add(self, agreement_id: str, terms: Terms, *, previous: str, text: str, proposed_by: str) -> Amendment:
        """Add an amendment under the next number; the caller holds the agreement."""
        last = select(func.max(col(AmendmentTable.number))).where(col(AmendmentTable.agreement_id) == agreement_id)
        row = AmendmentTable(
            agreement_id=agreement_id,
            number=int(await self._session.scalar(last) or 0) + 1,
            previous=previous,
            text=text,
            terms=orjson.dumps(terms_as_json(terms)).decode(),
            proposed_by=proposed_by,
            proposed_at=to_micros(self._now),
        )
        self._note_law()
        self._session.add(row)
        await self._session.flush()
        return _amendment(row)

    async def signatures(self, text: str, unread: Unread) -> list[TextSignature]:
        """Return the signatures under a text, each with its keys, what was taken back too, but what is unread."""
        signature, key = table("agreement_signature"), table("signatory_key")
        columns = [col(getattr(AgreementSignatureTable, name)) for name in ("member", "signatory", "signed_at")]
        halves = [signature.c.ed25519, signature.c.ml_dsa_65, key.c.ed25519, key.c.ml_dsa_65]
        joined = signature.join(key, col(SignatoryKeyTable.key_id) == col(AgreementSignatureTable.key_id))
        asked = select(*columns, *halves).select_from(joined).where(col(AgreementSignatureTable.text) == text)
        rows = [tuple(row) for row in await self._session.execute(asked)]
        return unread.each(rows, lambda row: _signature(text, *row), lambda row: unread_signature(text, row[0]))

    async def taken_back(self, text: str) -> frozenset[str]:
        """Return the members that have taken back their signature under a text."""
        ended = select(col(TakenBackTable.member)).where(col(TakenBackTable.text) == text)
        return frozenset(await self._session.scalars(ended))

    async def take_back(self, agreement_id: str, statement: TextSignature) -> None:
        """Keep a member's statement that its signature holds no more; that one stays as it was made.

        So does what lies in its place already, of which no entry tells: the entry is what counts.
        """
        self._note_law()
        if await self._session.get(TakenBackTable, (statement.text, statement.member)) is not None:
            return
        self._session.add(
            TakenBackTable(**signature_columns(agreement_id, statement), taken_back_at=to_micros(statement.signed_at))
        )
        await self._session.flush()

    async def signers(self, texts: Collection[str]) -> dict[str, frozenset[str]]:
        """Return by text which members signed it; one statement, however many texts there are, and for none at all."""
        text, member = col(AgreementSignatureTable.text), col(AgreementSignatureTable.member)
        rows = await self._session.execute(select(text, member).where(text.in_(texts or ("",))))
        found: dict[str, set[str]] = {}
        for signed, by in rows:
            found.setdefault(signed, set()).add(by)
        return {signed: frozenset(members) for signed, members in found.items()}

    async def moves(self, agreement_id: str) -> frozenset[tuple[str, ...]]:
        """Return by whom which texts were proposed to an agreement, who signed one of its, and who took that back."""
        row, signed, ended = AmendmentTable, AgreementSignatureTable, TakenBackTable
        is_its = col(row.agreement_id) == agreement_id
        own = select(col(AgreementTable.text)).where(col(AgreementTable.id) == agreement_id)
        texts: CompoundSelect[Any] = union(select(col(row.text)).where(is_its), own)
        proposed = select(literal("proposed"), col(row.text), col(row.proposed_by)).where(is_its)
        by = [
            select(literal(kind), col(each.text), col(each.member)).where(col(each.text).in_(texts))
            for kind, each in (("signed", signed), ("taken back", ended))
        ]
        return frozenset(tuple(found) for found in await self._session.execute(union_all(proposed, *by)))

    async def current_reports(self, class_ids: list[int]) -> dict[int, int]:
        """Return how many current reports each of these classes has at this moment."""
        report = table("report")
        is_valid = report.c.valid_until.is_(None) | (report.c.valid_until > to_micros(self._now))
        is_of = self._is_among(report.c.class_id, class_ids)
        counted = select(report.c.class_id, func.count()).where(is_of, is_valid)
        rows = await self._session.execute(counted.where(report.c.status == "current").group_by(report.c.class_id))
        return {row[0]: row[1] for row in rows}


def unread_amendment(agreement_id: str, number: int) -> UnreadRow:
    """Return that an amendment cannot be read."""
    return UnreadRow(f"amendment {number} of agreement {agreement_id}")


def unread_signature(text: str, member: str) -> UnreadRow:
    """Return that a member's signature under a text cannot be read, or is none."""
    return UnreadRow(f"signature of {member} under text {text}")


def _amendment(row: AmendmentTable) -> Amendment:
    return Amendment(
        number=number_in(row.number),
        previous=digest_in(row.previous),
        text=digest_in(row.text),
        terms=terms_from_stored(orjson.loads(row.terms)),
        proposed_by=row.proposed_by,
        proposed_at=from_micros(row.proposed_at),
    )


def _signature(  # noqa: PLR0913, PLR0917  the columns of a row
    text: str, member: str, signatory: str, signed_at: int, ed25519: bytes, ml_dsa_65: bytes, *public: bytes
) -> TextSignature:
    key, made = ObjectVerifyingKey.from_raw(*public), ObjectSignature(ed25519, ml_dsa_65)
    return TextSignature(text, member, signatory, key, made, from_micros(signed_at))
