"""Certificates of clients, the keys in them and what blinds their marks, within a unit of work."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from exchange.audit.certificates_told import CertificateKept, CertificateMark
from exchange.crypto import CertificateFacts
from exchange.kernel import ConflictError, NotFoundError, from_micros, to_micros
from exchange.store.books.acting import hold_client, hold_policy
from exchange.store.books.book import Book
from exchange.store.tables.main_tables import CertificateTable, ClientTable


class Certificates(Book):
    """Loads and writes within one unit of work, which it tells of every change of rights."""

    async def add(self, client_id: str, certificate: CertificateFacts, blind: bytes | None) -> None:
        """Add a certificate; ConflictError for one that is or was in use.

        Or whose key is or was another client's of the same member.
        """
        # Before anything is looked up: of two that are enrolled at once with one key the second finds the first.
        await hold_policy(self._session)
        if await self._session.get(CertificateTable, certificate.thumbprint) is not None:
            # INVARIANT: a thumbprint names one client for ever, or old entries would name another one.
            raise ConflictError("this certificate is enrolled, or was: use a new one")
        if await self._session.scalar(select(exists().where(*_has_key_beside(client_id, certificate.public_key)))):
            # INVARIANT: one key pair is one client's of its member: whoever holds it could be two persons otherwise.
            raise ConflictError("another client uses the key of this certificate, or did: make a new key")
        self._note_law()
        self._session.add(
            CertificateTable(
                thumbprint=certificate.thumbprint,
                client_id=client_id,
                added_at=to_micros(self._now),
                not_after=to_micros(certificate.not_after),
                public_key=certificate.public_key,
                blind=blind,
            )
        )
        await self._session.flush()

    async def ending(self, before: datetime) -> list[tuple[str, datetime]]:
        """Return each client whose last certificate ends before that moment, and when, the first one first."""
        row = CertificateTable
        last = func.max(col(row.not_after))
        used = select(col(row.client_id), last).where(col(row.removed_at).is_(None)).group_by(col(row.client_id))
        found = await self._session.execute(used.having(last < to_micros(before)).order_by(last, col(row.client_id)))
        return [(client_id, from_micros(end)) for client_id, end in found]

    async def remove(self, client_id: str, thumbprint: str) -> CertificateMark | None:
        """End the use of a certificate and return its mark; NotFoundError where the client does not use it."""
        row = await self._session.get(CertificateTable, thumbprint)
        if row is None or not await self.end(client_id, thumbprint):
            raise NotFoundError("the client uses no such certificate")
        return _kept(row).mark

    async def end(self, client_id: str, thumbprint: str) -> bool:
        """End the use of a certificate; return whether the client used it."""
        # No decision rests on it, but streams that were opened with it stay open until the policy version moves.
        self._note_law()
        await hold_client(self._session, client_id)
        row = CertificateTable
        used = (col(row.thumbprint) == thumbprint, col(row.client_id) == client_id, col(row.removed_at).is_(None))
        ended = update(row).where(*used).values(removed_at=to_micros(self._now)).returning(col(row.thumbprint))
        return (await self._session.execute(ended)).first() is not None

    async def ended(self, client_id: str, thumbprint: str) -> CertificateMark | None:
        """Return the mark of a certificate that a client uses no more; NotFoundError where it never did."""
        row = await self._session.get(CertificateTable, thumbprint)
        if row is None or row.client_id != client_id:
            raise NotFoundError("the client uses no such certificate")
        return _kept(row).mark

    async def put_on_record(self, client_id: str, blinds: Callable[[], bytes]) -> list[CertificateMark]:
        """Blind each certificate that a client uses and that nothing blinds; return the marks of all that it uses."""
        row = CertificateTable
        used = select(row).where(col(row.client_id) == client_id, col(row.removed_at).is_(None)).with_for_update()
        rows = list(await self._session.scalars(used.order_by(col(row.thumbprint))))
        for each in rows:
            if _kept(each).mark is None:
                each.blind = blinds()
        await self._session.flush()
        return [mark for mark in (_kept(each).mark for each in rows) if mark is not None]

    async def learn_key(self, thumbprint: str | None, public_key: str | None) -> None:
        """Keep the key of a certificate of which none is kept; it decides nothing that a cache holds."""
        if thumbprint is None or public_key is None:
            return
        row = CertificateTable
        unknown = (col(row.thumbprint) == thumbprint, col(row.public_key).is_(None))
        await self._session.execute(update(CertificateTable).where(*unknown).values(public_key=public_key))

    async def share_a_key(self, one: str, other: str) -> bool:
        """Return whether certificates of two clients, in use or not, are known to hold one key."""
        first, second = aliased(CertificateTable), aliased(CertificateTable)
        same = (col(first.public_key) == col(second.public_key), col(first.client_id) == one)
        return bool(await self._session.scalar(select(exists().where(*same, col(second.client_id) == other))))


def _has_key_beside(client_id: str, public_key: str) -> tuple[ColumnElement[bool], ...]:
    """Return when a certificate holds a key and is another client's of the same member.

    Of other members' keys nothing is told and none is in the way (ADR 0061): a key is public, and anybody's authority
    may issue a certificate over it. What persons of two members do together looks at their keys then.
    """
    row, other, own = CertificateTable, aliased(ClientTable), aliased(ClientTable)
    of_client = select(col(own.member)).where(col(own.id) == client_id, col(own.version) == 1).scalar_subquery()
    return (
        col(row.public_key) == public_key,
        col(row.client_id) != client_id,
        col(other.id) == col(row.client_id),
        col(other.version) == 1,
        col(other.member) == of_client,
    )


def _kept(row: CertificateTable) -> CertificateKept:
    return CertificateKept(row.client_id, row.thumbprint, row.public_key, row.blind, row.added_at)
