"""The store as use cases see it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Self, TypedDict, Unpack, assert_never

from exchange.agreements import Agreement
from exchange.audit import Deed, EntryDraft, Receipt, SealedEntry
from exchange.crypto import OpeningError, SigningKey
from exchange.kernel import Clock, ExchangeError, UnavailableError, to_micros
from exchange.kernel.spans import UNTRACED, Tracer
from exchange.members import Client, Member
from exchange.store.books.agreement_rows import Besides, agreements_of, whole
from exchange.store.books.personal_keys import PersonalCustody, PersonalKeyRow, PersonalKeys, no_custody
from exchange.store.books.put_aside import Keep, PutAside
from exchange.store.books.records import class_row, client_of, member_of, unread_member
from exchange.store.books.report_receipts import ReportReceipts
from exchange.store.books.shared_keys import SharedKeyReader
from exchange.store.books.subscriptions import Subscriptions
from exchange.store.books.time_book import TimeReader
from exchange.store.books.unit_of_work import UnitOfWork, unit_of_work
from exchange.store.books.walk_book import WalkReader
from exchange.store.database.dialect import Row, Statement, Value, as_bytes, named, sql_for
from exchange.store.database.engine import checked_url, dispose, is_sqlite, new_engine, write_rows
from exchange.store.database.fair_turns import FairTurns
from exchange.store.database.lineage import Lineage
from exchange.store.database.misfits import Misfits
from exchange.store.database.observing import StoreLoad, StoreObserver
from exchange.store.database.password import Password
from exchange.store.database.schema import require_schema, why_outgrown
from exchange.store.database.scrubbing import Scrubber
from exchange.store.database.turns import Turns
from exchange.store.log.alert_reader import AlertReader
from exchange.store.log.archive import BundleArchive
from exchange.store.log.deliveries import Deliveries
from exchange.store.log.large_parts import BlobPlace, LargeParts
from exchange.store.log.log_reader import LogReader
from exchange.store.log.search_statements import SearchStatements
from exchange.store.log.searching import Found, Hit, Search, Sought
from exchange.store.log.witness_reader import ADD_COSIGNATURE, WitnessReader
from exchange.store.reads.caveat_reader import CaveatReader
from exchange.store.reads.duty_reader import DutyReader
from exchange.store.reads.history import HistoryReader
from exchange.store.reads.paging import Asked, PageReader
from exchange.store.reads.pulse import Pulse
from exchange.store.reads.report_sweeps import ReportSweeps
from exchange.store.reads.rows_kept import RowsKept
from exchange.store.reads.statements import CLIENT_COLUMNS, MEMBER_COLUMNS, HotStatements
from exchange.store.reads.upload_reader import UploadReader
from exchange.store.rows.life_rows import Superseding
from exchange.store.rows.log_rows import CosignatureRow
from exchange.store.rows.main_rows import (
    CallerRow,
    ClassRow,
    Idempotency,
    IdempotentReplay,
    NewReport,
    PageRow,
    PartRow,
    Parts,
    PolicyState,
    PostedRow,
    PullRow,
    ReportRow,
    Sealed,
    StoredClass,
)
from exchange.store.rows.unread import Unread, UnreadRow, UnreadRowError, read_alone, read_each
from exchange.store.writer.batch import AppendJob, Job, KeyJob, PostJob, ProbeJob, Result, Steps, write_batch
from exchange.store.writer.node_record import NodeRecord
from exchange.store.writer.postgres import READ_CONNECTIONS, PostgresDatabase
from exchange.store.writer.rates import LeaseJob
from exchange.store.writer.sealing import Sealer
from exchange.store.writer.sqlite import SqliteDatabase
from exchange.store.writer.standing import REPORT_WIDTH, STANDING_WIDTH, numbers_of, the_one
from exchange.store.writer.traced import TracedDatabase, traced_transaction
from exchange.store.writer.write_statements import WriteStatements

_LOCK_WAIT_SECONDS = 5.0
"""How long a writer waits for another process's transaction before its callers are told 503."""

_FIRST_ID, _LAST_ID = "", "\U0010ffff"
_CLIENTS_KEPT = 50_000
_CLIENT_ID, _CLIENT_MEMBER = CLIENT_COLUMNS.index("id"), CLIENT_COLUMNS.index("member")


class PageFields(TypedDict):
    """How a page is asked for: a position, at most how many, the request's one time, and the filters."""

    after: int
    limit: int
    now: datetime
    precedence: str | None
    since: datetime | None


class Store:
    """One database, as seen by one process and one event loop.

    Connections open when first used, so none is shared over a fork.
    """

    def __init__(  # noqa: PLR0913  what wires it
        self,
        url: str,
        sealer: Sealer,
        clock: Clock,
        *,
        personal: PersonalCustody,
        randomness: Callable[[int], bytes],
        wait_seconds: float,
        archive: BundleArchive | None = None,
        blobs: BlobPlace | None = None,
        tracer: Tracer = UNTRACED,
        password: Password | None = None,
    ) -> None:
        self.password = password
        parsed = checked_url(url)
        sql = sql_for(is_sqlite=is_sqlite(parsed))
        writes = sql.once(WriteStatements.compiled)

        def write(jobs: Sequence[Job]) -> Steps:
            return write_batch(jobs, writes, sealer)

        self._hot = sql.once(HotStatements.compiled)
        self._search = sql.once(SearchStatements.compiled)
        self._is_sqlite = sql.is_sqlite
        self._sealer = sealer
        self._clock = clock
        self.lineage = Lineage()
        self._engine = new_engine(parsed, wait_seconds=wait_seconds, lineage=self.lineage, password=password)
        self._tracer = tracer
        database = (
            SqliteDatabase(str(parsed.database), write, sealer.observer, wait_seconds=wait_seconds)
            if sql.is_sqlite
            else PostgresDatabase(url, write, sealer.observer, self.lineage, password)
        )
        self._database: SqliteDatabase | PostgresDatabase | TracedDatabase = (
            database if tracer is UNTRACED else TracedDatabase(database, tracer)
        )
        fetch = self._database.fetch
        self._turns = Turns(wait_seconds) if sql.is_sqlite else None
        self._aside = PutAside()
        self._searches = FairTurns(1 if sql.is_sqlite else READ_CONNECTIONS // 4)
        self._pages = PageReader(self._database, sql)
        self._besides = Besides(
            crises=partial(fetch, self._hot.crises, {}),
            absences=partial(fetch, self._hot.absences, {}),
            texts=partial(fetch, self._hot.earlier_texts, {}),
        )
        self.history = HistoryReader(fetch, sql, self._besides)
        self.log = LogReader(fetch, sql, archive)
        self.alerts = AlertReader(fetch, sql, self.log.archived)
        self.caveats = CaveatReader(fetch, sql)
        self.deliveries = Deliveries(self._engine)
        self.large_parts = LargeParts(fetch, self._submitted, sql, place=blobs, clock=clock, randomness=randomness)
        self.uploads = UploadReader(fetch, sql)
        self.time = TimeReader(fetch, sql)
        self._personal = PersonalKeys(
            personal,
            partial(fetch, self._hot.destroyed_keys),
            lambda row: self._submitted(KeyJob(row)),
            boot=sealer.boot,
            clock=clock,
            randomness=randomness,
        )
        self.node = NodeRecord(sealer, self._append_sealed, self.entry)
        self.witnesses = WitnessReader(fetch, sql)
        self.receipts = ReportReceipts(self._engine)
        self.sweeps = ReportSweeps(self._engine)
        self.rows_kept = RowsKept(fetch, sql)
        self.walk = WalkReader(fetch, sql)
        self.shared_keys = SharedKeyReader(fetch, sql)
        self.misfits = Misfits(fetch, clock, is_sqlite=sql.is_sqlite)
        self._scrubber = Scrubber(self._engine)
        self.duties = DutyReader(self._engine)
        self.pulse = Pulse(fetch, sql)
        self.subscriptions = Subscriptions(self._engine)
        self._clients: dict[str, tuple[int, int, Client]] = {}
        self._classes: dict[int, ClassRow] = {}

    @classmethod
    async def open(  # noqa: PLR0913  what wires it
        cls,
        url: str,
        *,
        node: str,
        clock: Clock,
        randomness: Callable[[int], bytes],
        identity: SigningKey,
        personal: PersonalCustody | None = None,
        archive: BundleArchive | None = None,
        blobs: BlobPlace | None = None,
        wait_seconds: float = _LOCK_WAIT_SECONDS,
        observer: StoreObserver | None = None,
        tracer: Tracer = UNTRACED,
        password: Password | None = None,
    ) -> Self:
        """Open the database at `url` (as SQLAlchemy writes it) and prove that it can be read.

        `node` names this process's host in every audit entry, `identity` signs for it; `personal` keeps what is
        personal in them, and without it no permitted act of a client can be recorded; `archive` has the entries that
        left the database, `blobs` takes large parts, which the database keeps itself without it; `observer` watches for
        the operator's figures, `tracer` for traces; `password` is in place of the address's. Raises UnavailableError
        for a database that cannot be reached or whose schema is another version's, UnsafeSettingError for one that
        would lose commits.
        """
        sealer = Sealer(node, clock, randomness, identity=identity, observer=observer)
        personal = personal or no_custody(randomness)
        store = cls(
            url,
            sealer,
            clock,
            personal=personal,
            randomness=randomness,
            wait_seconds=wait_seconds,
            archive=archive,
            blobs=blobs,
            tracer=tracer,
            password=password,
        )
        try:
            await require_schema(store._database.fetch, url)
            await store.ping()
        except BaseException:
            await store.close()
            raise
        return store

    @property
    def load(self) -> StoreLoad:
        """Return what the store has in its hands."""
        return self._database.load

    def look_at_password(self) -> None:
        """See what lies there, whether or not a connection is opened soon: it is told where that is broken."""
        if self.password is not None:
            self.password.newest()

    async def look_at_schema(self) -> None:
        """See whether a newer version has made the database its own meanwhile: nothing is read from it then."""
        why = await why_outgrown(self._database.fetch)
        if why is not None:
            self.lineage.outgrow(why)

    async def close(self) -> None:
        """Finish the writes that wait and close every connection."""
        await self._database.close()
        await dispose(self._engine)

    async def ping(self) -> None:
        """Read, and commit a write that changes nothing; UnavailableError where either fails."""
        await self._database.fetch(self._hot.members, {})
        await self._submitted(ProbeJob())

    async def lease(self, client: str, tokens: int, *, per_second: int) -> bool:
        """Lend a client some of the requests that it may make of all nodes together; False where it has made them."""
        return await self._submitted(LeaseJob(client, tokens, per_second, to_micros(self._clock()))) is True

    async def caller(self, thumbprint: str) -> CallerRow:
        """Return who uses the certificate, and the policy state."""
        row = the_one(await self._database.fetch(self._hot.caller, {"thumbprint": thumbprint}))
        client = None if row[4] is None else self._kept_client(row, row[STANDING_WIDTH:])
        return CallerRow(self._state(row), client)

    async def report_for(self, thumbprint: str, report_id: str, *, parts: Parts | int) -> PullRow:
        """Return caller, policy state, and one report with the parts asked for, as of one moment."""
        parameters: dict[str, Value] = {"thumbprint": thumbprint, "report_id": report_id}
        if isinstance(parts, int):
            statement, parameters["number"] = self._hot.report_with_part, parts
        else:
            statement = self._statement_for(parts)
        rows = await self._database.fetch(statement, parameters)
        end = STANDING_WIDTH + REPORT_WIDTH
        # A row for each part, and one of each.
        part = rows[0][end : end + 1] if rows else None
        first = the_one(row for row in rows if row[end : end + 1] == part)
        client = await self._client(first)
        if first[STANDING_WIDTH] is None:
            return PullRow(self._state(first), client, None, ())
        found = () if parts is Parts.NONE else tuple(PartRow._make(row[end:]) for row in rows if row[end] is not None)
        return PullRow(self._state(first), client, ReportRow._make(first[STANDING_WIDTH:end]), found)

    async def page(self, thumbprint: str, class_ids: Sequence[int], **asked: Unpack[PageFields]) -> PageRow:
        """Return the next reports of these classes after a position, oldest first, neither recalled nor expired.

        `position` of the answer is what to pass as `after` next time: no report committed later lies before it.
        """
        page = Asked(thumbprint, list(class_ids), **asked)
        standing, rows, position = await self._pages.read(page)
        return PageRow(self._state(standing), await self._client(standing), tuple(rows), position)

    async def release_classes(self, after_version: int) -> list[ClassRow]:
        """Return the classes that came into being after a class version, oldest first."""
        rows = await self._database.fetch(self._hot.classes_after, {"after": after_version})
        return [class_row(row) for row in rows]

    async def release_class(self, class_id: int) -> ClassRow:
        """Return one class; it never changes, so it is read once."""
        kept = self._classes.get(class_id)
        if kept is None:
            rows = await self._database.fetch(self._hot.class_by_id, {"class_id": class_id})
            if not rows:
                raise OpeningError(f"the store lacks the release class `{class_id}` that a report refers to")
            kept = self._classes[class_id] = class_row(rows[0])
        return kept

    async def stored_classes(self, after_version: int) -> list[StoredClass]:
        """Return the classes behind a class version as their rows have them, unread: where one could not be read."""
        rows = await self._database.fetch(self._hot.classes_after, {"after": after_version})
        return [StoredClass._make(row) for row in rows]

    async def stored_class(self, class_id: int) -> StoredClass | None:
        """Return one class as its row has it, unread; None where there is none."""
        rows = await self._database.fetch(self._hot.class_by_id, {"class_id": class_id})
        return StoredClass._make(rows[0]) if rows else None

    async def agreement(self, agreement_id: str) -> Agreement | None:
        """Return the current version of an agreement."""
        rows = await self._database.fetch(self._hot.agreement, {"agreement_id": agreement_id})
        found = await self._whole(agreements_of(rows))
        return found[0] if found else None

    async def agreements(self, unread: Unread | None = None) -> list[Agreement]:
        """Return the current version of every agreement, by id; with `unread`, without those that cannot be read."""
        rows = await self._database.fetch(self._hot.agreements, {})
        return await self._whole(agreements_of(rows, unread), unread)

    async def clients(self, unread: Unread | None = None) -> list[Client]:
        """Return the current version of every client, by id; with `unread`, without those that cannot be read."""
        rows = await self._database.fetch(self._hot.clients, {})
        return read_each(rows, _client, unread, _unread_client)

    async def members_of_clients(self) -> dict[str, str]:
        """Return the member of every client by its id, whatever else of it can be read."""
        rows = await self._database.fetch(self._hot.clients, {})
        return {str(row[_CLIENT_ID]): str(row[_CLIENT_MEMBER]) for row in rows}

    async def members(self, unread: Unread | None = None) -> list[Member]:
        """Return the current version of every member, by code; with `unread`, without those that cannot be read."""
        rows = await self._database.fetch(self._hot.members, {})
        return read_each([named(MEMBER_COLUMNS, row) for row in rows], member_of, unread, unread_member)

    async def open_restore_claims(self) -> int:
        """Return how many things a restore left to be confirmed that nobody has seen to."""
        ((count,),) = await self._database.fetch(self._hot.open_restore_claims, {})
        return int(count)

    async def entries(self, limit: int, after: str | None = None, *, newest_first: bool = False) -> list[bytes]:
        """Return the bytes of audit entries that are in the database, by id, beginning behind the id `after`."""
        statement = self._hot.entries_before if newest_first else self._hot.entries_after
        start = _LAST_ID if newest_first else _FIRST_ID
        rows = await self._database.fetch(statement, {"place": start if after is None else after, "limit": limit})
        return [as_bytes(row[0]) for row in rows]

    def found_entries(self, sought: Sought, *, at_a_time: int) -> AsyncIterator[list[Hit]]:
        """Yield the audit entries that `sought` may mean, in its order; the slice decides about each.

        What has no place in the log yet is not found.
        """
        return self._searching(sought).hits(at_a_time)

    def found_places(self, sought: Sought, *, at_a_time: int) -> AsyncIterator[list[Found]]:
        """Yield where the entries of `found_entries` are, and read none of them."""
        return self._searching(sought).found(at_a_time)

    async def entry(self, entry_id: str) -> bytes | None:
        """Return the bytes of an audit entry, None where there is none."""
        rows = await self._database.fetch(self._search.content, {"entry_id": entry_id})
        if rows:
            return as_bytes(rows[0][1])
        return (await self.log.archived.named([entry_id])).get(entry_id)

    async def first_owner(self, subject_id: str) -> str | None:
        """Return whose a thing is by the first entry about it that a search finds; None where that names nobody."""
        rows = await self._database.fetch(self._search.owner, {"subject": subject_id})
        return rows[0][0] if rows else None

    async def waiting_entries(self) -> list[bytes]:
        """Return the bytes of the audit entries that no search finds yet: they wait for a place, or just got one."""
        return [as_bytes(row[0]) for row in await self._database.fetch(self._hot.waiting, {})]

    async def personal_keys(self, kids: Sequence[str]) -> dict[str, PersonalKeyRow]:
        """Return the keys of personal data with these ids; one that was never made is left out."""
        rows = await self._database.fetch(self._hot.personal_keys, {"kids": list(kids)})
        return {row[0]: _personal_key(row) for row in rows}

    async def append(self, draft: EntryDraft) -> Receipt:
        """Make one audit entry durable and return its receipt; UnavailableError where it is not.

        Within a unit of work on SQLite it is durable when the unit is left, which raises then where it is not.
        """
        aside = self._aside.current
        if aside is None:
            entry = self._sealer.seal(draft, await self._personal.guard(draft))
            await self._appended(entry)
            return entry.receipt
        guard, keep_key = await self._personal.guard_to_keep(draft)
        entry = self._sealer.seal(draft, guard)
        aside.entries.append(partial(self._appended, entry, keep_key))
        return entry.receipt

    async def _appended(self, entry: SealedEntry, keep_key: Keep | None = None) -> None:
        try:
            if keep_key is not None:
                await keep_key()
            await self._submitted(AppendJob(entry))
        except ExchangeError:
            self._sealer.doubt(entry)
            raise
        self._sealer.settle(entry)

    async def post_report(  # noqa: PLR0913  a report, and all that becomes durable with it
        self,
        report: NewReport,
        draft: EntryDraft,
        *,
        policy_version: int,
        idempotency: Idempotency | None,
        registration: EntryDraft | None = None,
        superseding: Superseding | None = None,
    ) -> PostedRow | IdempotentReplay:
        """Make a report and its audit entries durable, if `policy_version` is still in force.

        `registration` is the entry of its distribution, where the rules of its level ask for one; `superseding` what
        goes with it where the report in whose place it comes stands as superseded from now on.

        Raises StalePolicyError where it is not, ConflictError for an idempotency key that came with another request.
        """
        guard = await self._personal.guard(draft)
        job = PostJob(report, draft, policy_version, idempotency, registration, guard, superseding)
        result = await self._submitted(job)
        if isinstance(result, PostedRow):
            for entry in result.entries:
                self._sealer.settle(entry)
            return result
        if isinstance(result, IdempotentReplay):
            return result
        raise UnavailableError("the store gave no answer to a post")

    def attest(self, deed: Deed) -> bytes:
        """Return `deed` signed by this node."""
        return self._sealer.attest(deed)

    async def add_cosignature(self, cosignature: CosignatureRow) -> None:
        """Keep what a witness says of a kept checkpoint; ConflictError where that checkpoint is not kept."""
        await write_rows(self._engine, ADD_COSIGNATURE, asdict(cosignature))

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Return one administrative transaction; it commits only what was recorded."""
        work = unit_of_work(self._engine, self._sealer, self._personal, self._clock)
        if self._turns is not None:
            work = self._turns.within(self._aside.around(work))
        return work if self._tracer is UNTRACED else traced_transaction(self._tracer, work)

    async def scrub_destroyed_keys(self) -> None:
        """Write over what destroyed keys left behind in the database's files, as far as the database does it."""
        await self._scrubber.scrub()

    async def scrub_what_was_destroyed(self) -> None:
        """Do so where anything was destroyed since it was last done, by whomever; the jobs see to it every minute."""
        await self._scrubber.scrub_if_due()

    async def set_policy_digest(self, digest: str, draft: EntryDraft) -> Receipt | None:
        """Put the policy files with this digest in force; return the entry's receipt, None where they were already."""
        async with self.unit_of_work() as unit:
            if await unit.hold_policy_digest() == digest:
                return None
            await unit.put_policy_digest(digest)
            return await unit.record(draft)

    async def _whole(self, agreements: Sequence[Agreement], unread: Unread | None = None) -> list[Agreement]:
        return await whole(agreements, self._besides, unread)

    def _searching(self, sought: Sought) -> Search:
        return Search(
            self._database.fetch,
            self._search,
            sought,
            archived=self.log.archived,
            turns=self._searches,
            is_sqlite=self._is_sqlite,
        )

    def _statement_for(self, parts: Parts) -> Statement:
        match parts:
            case Parts.NONE:
                return self._hot.report
            case Parts.FIRST:
                return self._hot.report_with_first_parts
            case Parts.ALL:
                return self._hot.report_with_parts
            case other:
                assert_never(other)

    def _state(self, standing: Row) -> PolicyState:
        policy_version, class_version = numbers_of(standing[:2])
        self.lineage.see(policy_version)
        self._personal.see(policy_version)
        return PolicyState(policy_version, class_version, policy_digest=standing[2])

    async def _append_sealed(self, entry: SealedEntry) -> None:
        await self._submitted(AppendJob(entry))

    async def _submitted(self, job: Job) -> Result:
        return await self._database.submit(job)

    async def _client(self, standing: Row) -> Client | None:
        """Return the client that a row's standing names; its version is read only where it is not at hand."""
        client_id, version, member_version = standing[4:STANDING_WIDTH]
        if client_id is None:
            return None
        kept = self._clients.get(client_id)
        if kept is not None and kept[:2] == (version, member_version):
            return kept[2]
        which = {"client_id": client_id, "client_version": version, "member_version": member_version}
        rows = await self._database.fetch(self._hot.client_version, which)
        if len(rows) != 1:
            # Rewritten since its standing was read, or of a version that is no number and that nothing finds again.
            raise UnreadRowError(f"client {client_id}")
        return self._kept_client(standing, rows[0])

    def _kept_client(self, standing: Row, columns: Row) -> Client:
        client_id, version, member_version = standing[4:STANDING_WIDTH]
        kept = self._clients.get(client_id)
        if kept is not None and kept[:2] == (version, member_version):
            return kept[2]
        if len(self._clients) >= _CLIENTS_KEPT:
            self._clients.clear()
        client = read_alone(columns, _client, f"client {client_id}")
        self._clients[client_id] = (version, member_version, client)
        return client


def _personal_key(row: Row) -> PersonalKeyRow:
    kid, subject, period, boot, *wrapped, destroyed_at = row
    return PersonalKeyRow(kid, subject, period, boot, Sealed(*wrapped) if destroyed_at is None else None)


def _unread_client(row: Row) -> UnreadRow:
    return UnreadRow(f"client {row[_CLIENT_ID]}", frozenset({str(row[_CLIENT_MEMBER])}))


def _client(columns: Row) -> Client:
    row = named(CLIENT_COLUMNS, columns)
    return client_of(row, row.member_standing)
