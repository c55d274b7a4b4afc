"""What one transaction of the writer does, told once for both databases.

`write_batch` is a generator: it yields steps, the database that drives it answers with rows. Steps of a batch with
posts: (1) lock the policy state, which is what puts commits in the order of sequence numbers; (2) look up
state, release classes and idempotency keys; (3) place each post or refuse it alone; (4) insert; (5) move the state on.
A batch of audit entries alone touches nothing but the log. On PostgreSQL (4) and (5) are mostly one statement, and (1)
comes with the BEGIN: each statement of its own is a way there and back, in which every other post waits for the lock.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field

import orjson

from exchange.audit import EntryDraft, Guard, SealedEntry
from exchange.kernel import CanonicalError, ConflictError, StalePolicyError, UnavailableError, to_micros
from exchange.release import class_as_json
from exchange.reports import ReportStatus
from exchange.store.database.dialect import Parameters, Row, Statement, Value
from exchange.store.rows.life_rows import NoticeRow, Superseding
from exchange.store.rows.main_rows import Idempotency, IdempotentReplay, NewPart, NewReport, PostedRow, Sealed
from exchange.store.writer.places import Place, place_of
from exchange.store.writer.rates import LeaseJob
from exchange.store.writer.sealing import Sealer
from exchange.store.writer.standing import numbers_of, the_one
from exchange.store.writer.write_statements import WriteStatements, by_column

REPLAY_MICROS = 24 * 3600 * 1_000_000
"""How long an Idempotency-Key is honoured (contract: 24 hours)."""


@dataclass(frozen=True, slots=True)
class AppendJob:
    """Make one entry durable."""

    entry: SealedEntry


@dataclass(frozen=True, slots=True)
class PostJob:
    """Make one report durable with its entry, if the policy is still the one it was decided under.

    `registration` is the entry of its distribution, where the rules of its level ask for one; `superseding` what goes
    with it where the report in whose place it comes stands as superseded from now on.
    """

    report: NewReport
    draft: EntryDraft
    policy_version: int
    idempotency: Idempotency | None
    registration: EntryDraft | None
    guard: Guard | None
    superseding: Superseding | None = None


@dataclass(frozen=True, slots=True)
class KeyJob:
    """Make a key of personal data durable."""

    row: "tuple[Value, ...]"


@dataclass(frozen=True, slots=True)
class BlobsJob:
    """Note that blobs will be there (where, and when nothing waits for them any more), or that they are seen to.

    `pieces` are of large parts that the database keeps itself (where, which, content); those of `removed` go.
    """

    expected: Sequence[tuple[str, int]] = ()
    settled: Sequence[str] = ()
    pieces: Sequence[tuple[str, int, bytes]] = ()
    removed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """Commit a write that changes nothing."""


Job = AppendJob | PostJob | KeyJob | BlobsJob | ProbeJob | LeaseJob
Result = PostedRow | IdempotentReplay | bool | None | Exception


@dataclass(frozen=True, slots=True)
class Ask:
    """Run a statement and give its rows."""

    statement: Statement
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Put:
    """Insert rows."""

    statement: Statement
    rows: Sequence[tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Lock:
    """Run a statement without parameters first of all: what follows sees everything up to the lock that it takes."""

    statement: Statement


Step = Lock | Ask | Put
Steps = Generator[Step, Sequence[Row], list[Result]]


def write_batch(jobs: Sequence[Job], statements: WriteStatements, sealer: Sealer) -> Steps:
    """Do `jobs` in one transaction; return one result per job, in order, an exception where one was refused."""
    batch = _Batch(statements, sealer)
    posts = [job for job in jobs if isinstance(job, PostJob)]
    if is_locking(jobs):
        yield Lock(statements.lock_state)
    if any(isinstance(job, ProbeJob) for job in jobs):
        for statement in statements.probe:
            yield Ask(statement, {})
    if posts:
        yield from batch.begin(posts)
    granted = yield from _lend(jobs, statements)
    results = [granted[id(job)] if isinstance(job, LeaseJob) else batch.place(job) for job in jobs]
    yield from batch.insert()
    return results


def is_locking(jobs: Sequence[Job]) -> bool:
    """Return whether the steps for `jobs` begin with the lock on the policy state."""
    return any(isinstance(job, PostJob | ProbeJob) for job in jobs)


def _lend(jobs: Sequence[Job], statements: WriteStatements) -> Generator[Step, Sequence[Row], dict[int, bool]]:
    # In the order of their rows: two nodes that lend to the same clients must not wait for each other.
    leases, granted = [job for job in jobs if isinstance(job, LeaseJob)], {}
    holders: dict[str, str] = {}
    if len(leases) > 1:
        # A certificate's row is that of its client, who has several.
        rows = yield Ask(statements.holders, {"thumbprints": _listed(lease.client for lease in leases)})
        holders = {row[0]: row[1] for row in rows}
    for lease in sorted(leases, key=lambda each: holders.get(each.client, each.client)):
        granted[id(lease)] = bool((yield Ask(statements.lease, lease.parameters())))
    return granted


@dataclass(slots=True)
class _Batch:
    """What is known in one transaction, and the rows it will insert."""

    statements: WriteStatements
    sealer: Sealer
    policy_version: int = 0
    class_version: int = 0
    seq: int = 0
    time: int = 0
    keys: dict[tuple[str, str], tuple[str, str, int]] = field(default_factory=dict)
    class_ids: dict[str, int] = field(default_factory=dict)
    classes: list[tuple[Value, ...]] = field(default_factory=list)
    reports: list[tuple[Value, ...]] = field(default_factory=list)
    parts: list[tuple[Value, ...]] = field(default_factory=list)
    new_keys: list[tuple[Value, ...]] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    superseded: list[str] = field(default_factory=list)
    notices: list[NoticeRow] = field(default_factory=list)
    personal_keys: list[tuple[Value, ...]] = field(default_factory=list)
    expected_blobs: list[tuple[Value, ...]] = field(default_factory=list)
    settled_blobs: list[str] = field(default_factory=list)
    new_pieces: list[tuple[Value, ...]] = field(default_factory=list)
    removed_pieces: list[str] = field(default_factory=list)
    entries: list[SealedEntry] = field(default_factory=list)

    def begin(self, posts: Sequence[PostJob]) -> Generator[Step, Sequence[Row], None]:
        # (2) what earlier transactions left; everything below is as of the lock
        digests = _listed(post.report.digest for post in posts)
        rows = yield Ask(self.statements.state_and_classes, {"digests": digests})
        # A row for each class that is known, or one without.
        self.policy_version, self.class_version, self.seq, self.time = numbers_of(the_one({row[:4] for row in rows}))
        self.class_ids = {row[4]: row[5] for row in rows if row[4] is not None}
        asked = [post.idempotency for post in posts if post.idempotency is not None]
        if asked:
            since = max(to_micros(post.report.posted_at) for post in posts) - REPLAY_MICROS
            yield Ask(self.statements.forget_keys, {"since": since})
            names = {"client_ids": _listed(key.client_id for key in asked), "keys": _listed(key.key for key in asked)}
            # None that is kept is older.
            rows = yield Ask(self.statements.known_keys, names)
            self.keys = {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}
        replaced = _listed(post.report.supersedes for post in posts if post.report.supersedes is not None)
        if replaced:
            rows = yield Ask(self.statements.places, {"report_ids": replaced})
            self.places = {row[0]: place_of(row) for row in rows}

    def place(self, job: AppendJob | PostJob | KeyJob | BlobsJob | ProbeJob) -> Result:
        # (3) a refusal concerns one job and harms no other, also that of a sealer that seals nothing more
        match job:
            case AppendJob(entry):
                self.entries.append(entry)
                return None
            case KeyJob(row):
                self.personal_keys.append(row)
                return None
            case BlobsJob(expected, settled, pieces, removed):
                self.expected_blobs.extend(expected)
                self.settled_blobs.extend(settled)
                self.new_pieces.extend(pieces)
                self.removed_pieces.extend(removed)
                return None
            case ProbeJob():
                return None
            case PostJob():
                try:
                    return self._replayed(job) or self._posted(job)
                except (ConflictError, StalePolicyError, CanonicalError, UnavailableError) as refusal:
                    return refusal

    def insert(self) -> Generator[Step, Sequence[Row], None]:
        # (4) in the order of the references between tables
        statements = self.statements
        if self.classes:
            yield Put(statements.new_class, self.classes)
        if self.reports and statements.posted is not None:
            tables = {"report": self.reports, "report_part": self.parts, "audit_entry": self._entry_rows()}
            yield Ask(statements.posted, {**by_column(tables), **self._end()})
        else:
            yield from self._entered()
        for statement, rows in (
            (statements.key, self.new_keys),
            (statements.personal_key, self.personal_keys),
            (statements.expected_blob, self.expected_blobs),
            (statements.piece, self.new_pieces),
        ):
            if rows:
                yield Put(statement, rows)
        if self.removed_pieces:
            yield Ask(statements.remove_pieces, {"locations": self.removed_pieces})
        if self.settled_blobs:
            yield Ask(statements.settle_blobs, {"locations": self.settled_blobs})
        if self.superseded:
            yield Ask(statements.supersede, {"report_ids": self.superseded})
        if self.notices:
            yield Put(statements.notice, [_notice_row(row) for row in self.notices])

    def _entered(self) -> Generator[Step, Sequence[Row], None]:
        statements, entries = self.statements, self._entry_rows()
        for statement, rows in (
            (statements.report, self.reports),
            (statements.part, self.parts),
            (statements.entry, entries),
        ):
            if rows:
                yield Put(statement, rows)
        if statements.outbox is not None and entries:
            yield Put(statements.outbox, [(entry_id,) for entry_id, _ in entries])
        if self.reports:
            yield Ask(statements.advance_state, self._end())

    def _entry_rows(self) -> list[tuple[Value, ...]]:
        return [(entry.id, entry.content) for entry in self.entries]

    def _end(self) -> dict[str, Value]:
        # (5) the next batch begins where this one ended
        return {"to_class": self.class_version, "to_seq": self.seq, "to_time": self.time}

    def _replayed(self, job: PostJob) -> IdempotentReplay | None:
        key = job.idempotency
        known = None if key is None else self.keys.get((key.client_id, key.key))
        if key is None or known is None:
            return None
        request_digest, report_id, posted_at = known
        if request_digest != key.request_digest:
            raise ConflictError("this Idempotency-Key came with another request before: use a new one")
        return IdempotentReplay(report_id, posted_at)

    def _posted(self, job: PostJob) -> PostedRow:
        report = job.report
        if job.policy_version != self.policy_version:
            raise StalePolicyError("the policy has changed since the decision: decide again")
        # Not before a replay was looked for: what was posted with a key is what has the place.
        place = self._free_place(report)
        told = None if place is None else job.superseding
        if place is not None and told is not None:
            told.require_due(was_current=place.is_current)
        drafts = (job.draft, job.registration, None if told is None else told.draft)
        entries = tuple(self.sealer.seal(draft, job.guard) for draft in drafts if draft is not None)
        self.entries.extend(entries)
        self.seq += 1
        # INVARIANT: `recorded_at` never falls while `seq` grows, whatever the clock does: `since` relies on it.
        self.time = max(self.time, to_micros(report.posted_at))
        class_id = self._class_id(job)
        self.reports.append(_report_row(report, seq=self.seq, class_id=class_id, recorded_at=self.time))
        self.parts.extend(_part_row(report, part) for part in report.parts)
        self.settled_blobs.extend(part.location for part in report.parts if part.location is not None)
        if place is not None:
            # Not before its entries are sealed: what cannot be recorded takes nothing.
            place.take(report)
            self.superseded.append(place.report)
        if told is not None:
            self.notices += told.notices(entries[-1].id)
        if (key := job.idempotency) is not None:
            posted_at = to_micros(report.posted_at)
            self.keys[key.client_id, key.key] = (key.request_digest, report.id, posted_at)
            self.new_keys.append((key.client_id, key.key, key.request_digest, report.id, posted_at))
        return PostedRow(report.id, self.seq, class_id, entries)

    def _free_place(self, report: NewReport) -> Place | None:
        """Return the place that `report` is to take, None where it takes none; raises as `Place.require_free_for`."""
        if report.supersedes is None:
            return None
        place = self.places.get(report.supersedes)
        if place is None:
            raise ConflictError("the report to be superseded is gone")
        place.require_free_for(report)
        return place

    def _class_id(self, job: PostJob) -> int:
        known = self.class_ids.get(job.report.digest)
        if known is not None:
            return known
        self.class_version += 1
        self.class_ids[job.report.digest] = self.class_version
        facts = orjson.dumps(class_as_json(job.report.facts)).decode()
        self.classes.append((self.class_version, job.report.digest, facts))
        return self.class_version


def _listed(names: Iterable[str]) -> list[str]:
    return sorted(set(names))


def _report_row(report: NewReport, *, seq: int, class_id: int, recorded_at: int) -> tuple[Value, ...]:
    """Return the row of a report, in the order of the table's columns."""
    facts = report.facts
    until = None if report.valid_until is None else to_micros(report.valid_until)
    place = (seq, report.id, class_id, report.version, facts.agreement, facts.originator)
    times = (recorded_at, to_micros(report.posted_at), until)
    standing = (report.precedence.value, ReportStatus.CURRENT.value, report.supersedes)
    declassify_on = None if report.declassify_on is None else to_micros(report.declassify_on)
    return (*place, *times, *standing, *_sealed_values(report.header), declassify_on)


def _part_row(report: NewReport, part: NewPart) -> tuple[Value, ...]:
    """Return the row of a part, in the order of the table's columns."""
    place = (report.id, part.number, part.label_index, part.size_bytes)
    return (*place, *_sealed_values(part.key), part.suite, part.ciphertext, part.location)


def _notice_row(row: NoticeRow) -> tuple[Value, ...]:
    """Return what a client is to be told, in the order of the table's columns behind its number."""
    return (row.client, row.member, row.kind.value, row.report, row.version, to_micros(row.at), row.entry)


def _sealed_values(sealed: Sealed) -> tuple[Value, ...]:
    return (sealed.key_id, sealed.key_version, sealed.suite, sealed.blob)
