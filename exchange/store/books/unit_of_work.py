"""Administration: one transaction in which a change and its audit entry become durable together.

INVARIANT: what was written without an entry is rolled back, and leaving so is an error.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import SQLModel, col

from exchange.agreements import Agreement
from exchange.audit import EntryDraft, Guard, Receipt, SealedEntry
from exchange.audit.certificates_told import CertificateMark
from exchange.crypto import CertificateFacts
from exchange.kernel import Clock, ConflictError, ExchangeError, NotFoundError, to_micros
from exchange.members import Client, Member
from exchange.store.books.acting import Acting, hold_client, hold_member, hold_policy
from exchange.store.books.agreement_book import AgreementBook
from exchange.store.books.agreement_rows import agreement_row, party_rows
from exchange.store.books.amendments import Amendments
from exchange.store.books.book import Writing
from exchange.store.books.breach_book import BreachBook
from exchange.store.books.caveat_book import CaveatBook
from exchange.store.books.certificates import Certificates
from exchange.store.books.consent_book import ConsentBook, DerivationBook
from exchange.store.books.consultation_book import ConsultationBook
from exchange.store.books.crisis_book import CrisisBook
from exchange.store.books.kept_keys import KeptKeys
from exchange.store.books.pending_acts import PendingActs
from exchange.store.books.personal_keys import PersonalKeys, Place, count_personal_keys, destroy_personal_keys
from exchange.store.books.proxy_book import ProxyBook
from exchange.store.books.records import client_of, client_row, member_of, member_row, unread_member
from exchange.store.books.report_book import ReportBook
from exchange.store.books.report_receipts import ReceiptRow, acknowledge, acknowledgement
from exchange.store.books.request_book import RequestBook
from exchange.store.books.restore_claims import Claim, is_open, put_claims
from exchange.store.books.review_book import ReviewBook
from exchange.store.books.row_mending import RowMending
from exchange.store.books.shared_keys import SharedKeyBook
from exchange.store.books.signatory_keys import SignatoryKeys
from exchange.store.books.stream_book import StreamBook
from exchange.store.books.subscriptions import SubscriptionBook
from exchange.store.books.time_book import TimeBook
from exchange.store.books.upload_book import UploadBook
from exchange.store.books.walk_book import WalkBook
from exchange.store.database.faults import driver_errors
from exchange.store.database.lineage import next_lineage
from exchange.store.log.alerting import AlertBook
from exchange.store.rows.life_rows import NoticeRow
from exchange.store.rows.unread import Unread, UnreadRow, read_alone, read_each
from exchange.store.tables.main_tables import (
    AgreementTable,
    AuditEntryTable,
    AuditOutboxTable,
    CertificateTable,
    ClientTable,
    MemberTable,
    PolicyStateTable,
)
from exchange.store.tables.personal_tables import PersonalKeyTable
from exchange.store.writer.sealing import Sealer
from exchange.store.writer.standing import hold_state

_PERSONAL_KEY_COLUMNS = tuple(PersonalKeyTable.model_fields)

_ACTIVE_CERTIFICATES = 2
"""The one in use and its successor (design §4)."""


class UnrecordedChangeError(ExchangeError):
    """A unit of work wrote without an audit entry; it was rolled back."""


class UnitOfWork:
    """Loads and writes members, clients and agreements. Every write needs `record` before the unit ends."""

    def __init__(self, session: AsyncSession, sealer: Sealer, personal: PersonalKeys, now: datetime) -> None:
        self._session = session
        self._sealer = sealer
        self._personal = personal
        self._new_guards: dict[Place, Guard] = {}
        self._now = now
        self._has_written = False
        self._has_recorded = False
        self._has_asides = False
        self._sealed: list[SealedEntry] = []
        self._moves_policy = False
        self._writing = Writing(session, now, self._note_write, self._note_law)
        self._acting = Acting(session)

    async def member(self, code: str) -> Member | None:
        """Return the current version of a member."""
        row = await self._session.scalar(_current(MemberTable, col(MemberTable.code) == code))
        return None if row is None else read_alone(row, member_of, f"member {code}")

    async def members(self, unread: Unread | None = None) -> list[Member]:
        """Return the current version of every member, by code; with `unread`, without those that cannot be read."""
        rows = await self._session.scalars(_current(MemberTable).order_by(col(MemberTable.code)))
        return read_each(rows, member_of, unread, unread_member)

    async def add_member(self, member: Member) -> None:
        """Add a member; ConflictError where its code is taken."""
        await self._add(member_row(member, self._now))

    async def put_member(self, member: Member) -> None:
        """Add the next version of a member; ConflictError where another one came first."""
        await hold_member(self._session, member.code)
        self._acting.changed(await self.member(member.code))
        await self._supersede(MemberTable, col(MemberTable.code) == member.code, member.version)
        await self._add(member_row(member, self._now))

    async def client(self, client_id: str) -> Client | None:
        """Return the current version of a client."""
        found = await self._clients(col(ClientTable.id) == client_id, limit=1)
        return found[0] if found else None

    async def clients(
        self,
        member: str | None = None,
        *,
        after: str | None = None,
        limit: int | None = None,
        unread: Unread | None = None,
    ) -> list[Client]:
        """Return the current version of clients by id: of one member or of all, after the id `after`.

        With `unread`, without those that cannot be read.
        """
        conditions = []
        if member is not None:
            conditions.append(col(ClientTable.member) == member)
        if after is not None:
            conditions.append(col(ClientTable.id) > after)
        return await self._clients(*conditions, limit=limit, unread=unread)

    async def add_client(self, client: Client, certificate: CertificateFacts, blind: bytes | None = None) -> None:
        """Add a client with its first certificate; ConflictError for a certificate or key that is or was in use.

        `blind` makes the mark by which its entry names the certificate.
        """
        await self._add(client_row(client, self._now))
        await self.held_certificates().add(client.id, certificate, blind)

    async def put_client(self, client: Client) -> None:
        """Add the next version of a client; ConflictError where another one came first."""
        await hold_client(self._session, client.id)
        self._acting.changed(await self.client(client.id))
        await self._supersede(ClientTable, col(ClientTable.id) == client.id, client.version)
        await self._add(client_row(client, self._now))

    async def certificates(self, client_id: str) -> list[str]:
        """Return the thumbprints of a client's active certificates, oldest first."""
        is_active = (col(CertificateTable.client_id) == client_id, col(CertificateTable.removed_at).is_(None))
        active = select(col(CertificateTable.thumbprint)).where(*is_active)
        order = (col(CertificateTable.added_at), col(CertificateTable.thumbprint))
        found = await self._session.scalars(active.order_by(*order))
        # What is no text admits nobody: the jobs tell of it, and it keeps no list from being shown.
        return [each for each in found if isinstance(each, str)]

    async def add_certificate(self, client_id: str, certificate: CertificateFacts, blind: bytes | None = None) -> None:
        """Add a certificate; ConflictError for a third active one, or for one that is or was in use.

        So is one whose key is or was another client's; a client may keep its key.
        """
        # The lock makes two nodes count one after the other.
        if not await hold_client(self._session, client_id):
            raise NotFoundError("no such client")
        if len(await self.certificates(client_id)) >= _ACTIVE_CERTIFICATES:
            raise ConflictError(f"the client has {_ACTIVE_CERTIFICATES} certificates in use: remove one first")
        await self.held_certificates().add(client_id, certificate, blind)

    def held_certificates(self) -> Certificates:
        """Return the certificates of all clients and the keys in them, to be read here, and written with an entry."""
        return Certificates(self._writing)

    async def remove_certificate(self, client_id: str, thumbprint: str) -> CertificateMark | None:
        """End the use of a certificate and return its mark; NotFoundError where the client does not use it."""
        mark = await self.held_certificates().remove(client_id, thumbprint)
        self._acting.parted(thumbprint)
        return mark

    def agreements(self) -> AgreementBook:
        """Return the agreements, to be read here; each that is written moves the policy."""
        return AgreementBook(self._session)

    async def add_agreement(self, agreement: Agreement, proposed_by: str | None) -> None:
        """Add an agreement that a client proposed, None for the host's operator."""
        await self._add(agreement_row(agreement, proposed_by, self._now), *party_rows(agreement))

    async def put_agreement(self, agreement: Agreement) -> None:
        """Add the next version of an agreement; ConflictError where another one came first."""
        which = col(AgreementTable.id) == agreement.id
        proposed_by = await self.agreements().proposer(agreement.id)
        await self._supersede(AgreementTable, which, agreement.version)
        await self._add(agreement_row(agreement, proposed_by, self._now), *party_rows(agreement))

    def signatory_keys(self) -> SignatoryKeys:
        """Return the keys of signatories and what they signed, to be read and written here."""
        return SignatoryKeys(self._writing)

    def amendments(self) -> Amendments:
        """Return the amendments that were proposed, to be read and written here."""
        return Amendments(self._writing)

    async def hold_policy_digest(self) -> str:
        """Return the digest of the policy files in force, held to the end of the unit."""
        (digest,) = await hold_state(self._session, "policy_digest")
        return str(digest)

    async def put_policy_digest(self, digest: str) -> None:
        """Put other policy files in force."""
        self._note_law()
        await self._session.execute(update(PolicyStateTable).values(policy_digest=digest))

    def acts(self) -> PendingActs:
        """Return the acts that wait for a second person, to be read here, and written with an entry."""
        return PendingActs(self._writing)

    async def count_personal_keys(self, subject: str, period: str) -> int:
        """Return how many keys of a subject's period are not destroyed."""
        return await count_personal_keys(self._session, subject, period)

    async def destroy_personal_keys(self, subject: str, period: str) -> int:
        """Destroy the keys of a subject's period, in every process from its next request on; return how many."""
        # The policy version is what tells the others.
        self._note_law()
        self._personal.forget(Place(subject, period))
        return await destroy_personal_keys(self._session, subject, period, self._now)

    async def acknowledgement(self, report_id: str, client_id: str) -> ReceiptRow | None:
        """Return a client's acknowledgement of a report."""
        return await acknowledgement(self._session, report_id, client_id)

    async def acknowledge(self, row: ReceiptRow) -> None:
        """Add an acknowledgement, which no decision rests on; ConflictError where another one came first."""
        self._has_written = True
        await acknowledge(self._session, row)

    def reports(self) -> ReportBook:
        """Return the life of reports, to be read here, and written with an entry."""
        return ReportBook(self._writing)

    async def tell_late(self, rows: Sequence[NoticeRow]) -> None:
        """Keep what clients are to be told of acts that are on the record already: this is no change of its own.

        Call `ReportBook.hold_order` before.
        """
        if rows:
            self._has_asides = True
            await ReportBook(replace(self._writing, note_write=_nothing_more)).tell(rows)

    def consents(self) -> ConsentBook:
        """Return the requests for onward release, to be read here, and written with an entry."""
        return ConsentBook(self._writing)

    def derivations(self) -> DerivationBook:
        """Return the requests to mark lower what derives from a report, to be read here, and written with an entry."""
        return DerivationBook(self._writing)

    def proxies(self) -> ProxyBook:
        """Return the standing consents to posting on behalf, to be read here, and written with an entry."""
        return ProxyBook(self._writing)

    def mending(self) -> RowMending:
        """Return what ends rows again that were put back, to be written with an entry."""
        return RowMending(self._writing)

    def breaches(self) -> BreachBook:
        """Return what parties did not do, to be read here, and written with an entry."""
        return BreachBook(self._writing)

    def caveats(self) -> CaveatBook:
        """Return the national caveats, to be read here, and written with an entry."""
        return CaveatBook(self._writing)

    def crises(self) -> CrisisBook:
        """Return the uses of crisis clauses, to be written here."""
        return CrisisBook(self._writing)

    def requests(self) -> RequestBook:
        """Return the requests for information, to be read here, and written with an entry."""
        return RequestBook(self._writing)

    def uploads(self) -> UploadBook:
        """Return the reports that are not whole yet, to be read here, and written with an entry."""
        return UploadBook(self._writing)

    def kept_keys(self) -> KeptKeys:
        """Return what custody sealed, to be read here, and put under another version with an entry."""
        return KeptKeys(self._writing)

    def consultations(self) -> ConsultationBook:
        """Return consultations and disputes, to be read here, and written with an entry."""
        return ConsultationBook(self._writing)

    def reviews(self) -> ReviewBook:
        """Return the reviews of agreements that were noted, to be read here, and written with an entry."""
        return ReviewBook(self._writing)

    def alerts(self) -> AlertBook:
        """Return the alerts, to be read and written here. What rules remember is no change that needs an entry."""
        self._has_asides = True
        return AlertBook(self._session)

    def time(self) -> TimeBook:
        """Return what is known of the clock, to be read and written here; no decision rests on it."""
        self._has_asides = True
        return TimeBook(self._session)

    def walk(self) -> WalkBook:
        """Return how far the walk over reports has come, to be written here; no decision rests on it."""
        self._has_asides = True
        return WalkBook(self._session)

    def shared_keys(self) -> SharedKeyBook:
        """Return what tells nodes that they hold the same secrets, to be written here; no decision rests on it."""
        self._has_asides = True
        return SharedKeyBook(self._session)

    def subscriptions(self) -> SubscriptionBook:
        """Return the subscriptions, to be read and written here; no decision rests on them."""
        self._has_written = True
        return SubscriptionBook(self._session)

    def streams(self) -> StreamBook:
        """Return what streams are to tell of besides reports, to be written here with its entry."""
        return StreamBook(self._session, self.reports().next_place)

    async def require_room(
        self, client: Client, count: Callable[[], Awaitable[int]], most: int, full: ExchangeError
    ) -> None:
        """Raise `full` where `client` has `most` of something; the commit does where others of its came first."""

        async def require() -> None:
            if await count() > most:
                raise full

        if await count() >= most:
            raise full
        self._acting.counted(client, require)

    def rest_on(self, client: Client) -> None:
        """Let the unit commit only while `client` is what it was read as here: something that is done rests on it."""
        self._acting.rest_on(client)

    async def record(self, draft: EntryDraft) -> Receipt:
        """Add the audit entry of what was done, and return its receipt."""
        self._acting.note(draft)
        entry = self._sealer.seal(draft, await self._guard(draft))
        self._sealed.append(entry)
        await self._session.execute(insert(AuditEntryTable), {"id": entry.id, "content": entry.content})
        await self._session.execute(insert(AuditOutboxTable), {"entry_id": entry.id})
        self._has_recorded = True
        return entry.receipt

    async def begin_lineage(self) -> None:
        """Have whoever knows the database of before begin anew: processes, and who goes on at a place in a list."""
        (at,) = await hold_state(self._session, "policy_version")
        begun = next_lineage(at, self._now)
        await self._session.execute(update(PolicyStateTable).values(policy_version=begun))
        self._has_written = True

    async def leave_to_confirm(self, claim: Claim) -> None:
        """Have nothing served before an operator has seen to `claim`; where the same waits already, it is that one."""
        if not await is_open(self._session, claim):
            await put_claims(self._session, [claim])
            self._has_written = True

    async def commit(self) -> None:
        """Make it all durable; UnrecordedChangeError where something was written and nothing recorded.

        Where something was written, whoever did it must be able to still: raises as `Acting.require`.
        """
        if self._has_written and not self._has_recorded:
            raise UnrecordedChangeError("a change without an audit entry was rolled back: record it in the same unit")
        if not self._has_recorded and not self._has_asides:
            return
        if self._moves_policy:
            # Late, for posts wait for this row.
            await hold_policy(self._session)
        if self._has_written:
            await self._acting.require(self.client)
        if self._moves_policy:
            next_version = col(PolicyStateTable.policy_version) + 1
            await self._session.execute(update(PolicyStateTable).values(policy_version=next_version))
        await self._session.commit()
        for place, guard in self._new_guards.items():
            self._personal.remember(place, guard)
        for entry in self._sealed:
            self._sealer.settle(entry)

    def doubt(self) -> None:
        """Note that the unit ended without a commit, or nobody knows how."""
        for entry in self._sealed:
            self._sealer.doubt(entry)

    def _note_write(self) -> None:
        self._has_written = True

    async def _guard(self, draft: EntryDraft) -> Guard | None:
        """Return what keeps the personal data of `draft`; a key that has to be made becomes durable with this unit."""
        place = self._personal.place_of(draft)
        if place is None:
            return None
        held = await self._personal.held(place) or self._new_guards.get(place)
        if held is not None:
            return held
        # In this transaction: on SQLite another one would wait for it.
        new = await self._personal.new_key(place)
        row = dict(zip(_PERSONAL_KEY_COLUMNS, new.row, strict=True))
        await self._session.execute(insert(PersonalKeyTable), row)
        self._new_guards[place] = new.guard
        return new.guard

    async def _clients(
        self, *conditions: ColumnElement[bool], limit: int | None, unread: Unread | None = None
    ) -> list[Client]:
        is_of = (col(MemberTable.code) == col(ClientTable.member)) & col(MemberTable.superseded_at).is_(None)
        chosen = select(ClientTable, col(MemberTable.standing)).join(MemberTable, is_of)
        current = chosen.where(col(ClientTable.superseded_at).is_(None), *conditions)
        rows = await self._session.execute(current.order_by(col(ClientTable.id)).limit(limit))
        found: list[tuple[Any, ...]] = [tuple(row) for row in rows]
        return read_each(
            found,
            lambda row: client_of(*row),
            unread,
            lambda row: UnreadRow(f"client {row[0].id}", frozenset({row[0].member})),
        )

    def _note_law(self) -> None:
        self._has_written = self._moves_policy = True

    async def _add(self, *rows: SQLModel) -> None:
        self._note_law()
        self._session.add_all(rows)
        await self._session.flush()

    async def _supersede(self, kind: type[SQLModel], which: ColumnElement[bool], next_version: int) -> None:
        columns: Any = kind
        previous = (which, columns.version == next_version - 1, columns.superseded_at.is_(None))
        closed = update(kind).where(*previous).values(superseded_at=to_micros(self._now))
        done: Any = await self._session.execute(closed)
        if done.rowcount != 1:
            raise ConflictError("somebody else changed it meanwhile: read it again and repeat the change")


@asynccontextmanager
async def unit_of_work(
    engine: AsyncEngine, sealer: Sealer, personal: PersonalKeys, clock: Clock
) -> AsyncIterator[UnitOfWork]:
    """Begin a transaction; commit it at the end if something was recorded, roll it back on any error."""
    with driver_errors():
        async with AsyncSession(engine, expire_on_commit=False, autoflush=False) as session:
            await session.connection()
            unit = UnitOfWork(session, sealer, personal, clock())
            try:
                yield unit
                await unit.commit()
            except BaseException:
                unit.doubt()
                raise


def _current(kind: Any, *conditions: ColumnElement[bool]) -> Any:
    return select(kind).where(kind.superseded_at.is_(None), *conditions)


def _nothing_more() -> None:
    """Note nothing: no entry is to come."""
