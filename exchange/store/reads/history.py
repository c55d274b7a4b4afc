"""What was true when: every version of members, clients, certificates and one agreement, with its time of validity.

Read for questions about the past; the hot paths know the present only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Generic, Self, TypeVar

from sqlalchemy import ColumnElement, and_, bindparam, or_, select

from exchange.agreements import Agreement
from exchange.kernel import from_micros, to_micros
from exchange.members import Client, Member, Standing
from exchange.reports import ReportStatus
from exchange.store.books.agreement_rows import Besides, agreement_columns, agreement_of, whole, with_signatures
from exchange.store.books.records import client_of, member_of
from exchange.store.database.dialect import Fetch, Parameters, Row, Sql, Statement, named
from exchange.store.rows.main_rows import stored_status
from exchange.store.rows.unread import Unread, UnreadRow, read_alone
from exchange.store.tables.life_tables import ReportPastTable
from exchange.store.tables.main_tables import table
from exchange.store.tables.treaty_tables import AgreementSignatureTable, SignatoryKeyTable

T = TypeVar("T")
LAST_MICROS = 2**63 - 1
"""What a database counts to."""
_AT_ONCE = 500
"""Ids in one statement."""
_OF_A_REPORT = ("id", "version", "class_id", "originator", "posted_at", "valid_until", "status")
_ORIGINATOR = _OF_A_REPORT.index("originator")
_CLIENT, _MEMBER, _CERTIFICATE = table("client"), table("member"), table("client_certificate")
_AGREEMENT, _PARTY, _REPORT = table("agreement"), table("agreement_party"), table("report")
_PAST = table(ReportPastTable)
_SIGNATURE = table(AgreementSignatureTable)
_SIGNATORY_KEY = table(SignatoryKeyTable)


@dataclass(frozen=True, slots=True)
class Span(Generic[T]):
    """What held from `since` until `until` (exclusive; None = still)."""

    value: T
    since: datetime
    until: datetime | None

    def holds(self, moment: datetime) -> bool:
        """Return whether it held at `moment`."""
        return self.since <= moment and (self.until is None or moment < self.until)


@dataclass(frozen=True, slots=True)
class History:
    """All that held at some moment of a period. A client's member standing is in `members`, not in `clients`."""

    clients: tuple[Span[Client], ...]
    members: tuple[Span[Member], ...]
    certificates: tuple[Span[str], ...]
    """By the id of the client that could use one."""
    agreements: tuple[Span[Agreement], ...]


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """What the store knows of a report without opening anything."""

    id: str
    version: int
    class_id: int
    originator: str
    posted_at: datetime
    valid_until: datetime | None
    status: ReportStatus


@dataclass(frozen=True, slots=True)
class ReportThen:
    """What a report was while it stayed as it was: its class, and when it expired."""

    class_id: int
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class HistoryStatements:
    """The statements, compiled for one database."""

    clients: Statement
    clients_of: Statement
    members: Statement
    certificates: Statement
    agreements: Statement
    report: Statement
    past: Statement
    client: Statement
    classes: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> Self:
        """Compile all of them."""
        tables = (_AGREEMENT, _PARTY, _SIGNATURE, _SIGNATORY_KEY)
        agreement = select(
            _AGREEMENT.c.recorded_at, _AGREEMENT.c.superseded_at, *agreement_columns(*tables)
        ).select_from(with_signatures(*tables))
        clients = select(*_CLIENT.c).where(_within(_CLIENT.c)).order_by(_CLIENT.c.id, _CLIENT.c.version)
        certificate = _CERTIFICATE.c
        used = select(certificate.client_id, certificate.added_at, certificate.removed_at, certificate.not_after)
        current = and_(_CLIENT.c.id == bindparam("client_id"), _CLIENT.c.superseded_at.is_(None))
        return cls(
            clients=sql.compile(clients),
            clients_of=sql.compile(clients.where(_CLIENT.c.member == bindparam("member"))),
            members=sql.compile(select(*_MEMBER.c).where(_within(_MEMBER.c)).order_by(_MEMBER.c.code)),
            certificates=sql.compile(
                used.where(
                    certificate.added_at < bindparam("until"),
                    certificate.not_after > bindparam("since"),
                    or_(certificate.removed_at.is_(None), certificate.removed_at > bindparam("since")),
                )
            ),
            agreements=sql.compile(
                agreement.where(_AGREEMENT.c.id == bindparam("agreement_id"), _within(_AGREEMENT.c)).order_by(
                    _AGREEMENT.c.version, _PARTY.c.position
                )
            ),
            report=sql.compile(
                select(*(_REPORT.c[name] for name in _OF_A_REPORT)).where(_REPORT.c.id == bindparam("report_id"))
            ),
            past=sql.compile(
                select(_PAST.c.class_id, _PAST.c.valid_until, _PAST.c.until_at)
                .where(_PAST.c.report_id == bindparam("report_id"))
                .order_by(_PAST.c.seq)
            ),
            client=sql.compile(select(*_CLIENT.c).where(current)),
            classes=sql.compile(
                select(_REPORT.c.id, _REPORT.c.class_id).where(sql.is_one_of(_REPORT.c.id, "report_ids"))
            ),
        )


class HistoryReader:
    """The past of one database; `besides` is where agreements have their crises, absences and earlier texts from."""

    def __init__(self, fetch: Fetch, sql: Sql, besides: Besides) -> None:
        self._fetch = fetch
        self._statements = sql.once(HistoryStatements.compiled)
        self._besides = besides

    async def period(self, agreement_id: str, since: datetime, until: datetime) -> History:
        """Return what held of everyone, and of one agreement, at some moment from `since` until `until` (exclusive).

        Raises UnreadRowError where one version cannot be read: who could do what then is nothing that anybody can say.
        """
        statements, period = self._statements, {"since": to_micros(since), "until": to_micros(until)}
        clients = [named(_CLIENT.c.keys(), row) for row in await self._fetch(statements.clients, period)]
        members = [named(_MEMBER.c.keys(), row) for row in await self._fetch(statements.members, period)]
        used = await self._fetch(statements.certificates, period)
        return History(
            clients=tuple(read_alone(row, _client_span, f"client {row.id}: version {row.version}") for row in clients),
            members=tuple(
                read_alone(row, _member_span, f"member {row.code}: version {row.version}") for row in members
            ),
            certificates=tuple(read_alone(row, _use_of, f"client {row[0]}: certificate") for row in used),
            agreements=await self._versions(agreement_id, **period),
        )

    async def clients_of(self, member: str, since: datetime, until: datetime, unread: Unread) -> list[Span[Client]]:
        """Return the versions of a member's clients that held at some moment from `since` until `until` (exclusive).

        Those that cannot be read are noted in `unread`.
        """
        period: Parameters = {"member": member, "since": to_micros(since), "until": to_micros(until)}
        rows = [named(_CLIENT.c.keys(), row) for row in await self._fetch(self._statements.clients_of, period)]
        return unread.each(rows, _client_span, lambda row: UnreadRow(f"client {row.id}: version {row.version}"))

    async def agreement(self, agreement_id: str) -> tuple[Span[Agreement], ...]:
        """Return every version of an agreement and when it was the current one, oldest first.

        Raises UnreadRowError where one of them cannot be read.
        """
        return await self._versions(agreement_id, since=0, until=LAST_MICROS)

    async def report(self, report_id: str) -> ReportRecord | None:
        """Return what is known of a report without opening anything; None where there is none.

        Raises UnreadRowError where it cannot be read.
        """
        rows = await self._fetch(self._statements.report, {"report_id": report_id})
        return read_alone(rows[0], _record, f"report {report_id}") if rows else None

    async def report_past(self, report: ReportRecord, ended_at: datetime | None) -> tuple[Span[ReportThen], ...]:
        """Return what a report was when, oldest first, until its keys were destroyed at `ended_at`.

        Moves that were made before they were kept are not known: what it was after them holds from its beginning on.
        Raises UnreadRowError where one of them cannot be read.
        """
        rows = await self._fetch(self._statements.past, {"report_id": report.id})
        past = [read_alone(row, _then, f"report {report.id}: past") for row in rows]
        spans, since = [], report.posted_at
        for value, until in [*past, (ReportThen(report.class_id, report.valid_until), ended_at)]:
            spans.append(Span(value, since, until))
            since = until or since
        return tuple(spans)

    async def classes_of(self, report_ids: Sequence[str]) -> dict[str, int]:
        """Return the release class of each of these reports; what is no report is left out."""
        found: dict[str, int] = {}
        for start in range(0, len(report_ids), _AT_ONCE):
            some = {"report_ids": list(report_ids[start : start + _AT_ONCE])}
            found |= {row[0]: row[1] for row in await self._fetch(self._statements.classes, some)}
        return found

    async def client(self, client_id: str) -> Client | None:
        """Return the current version of a client, revoked or not, whatever its member's standing; None for none.

        Raises UnreadRowError where it cannot be read.
        """
        rows = await self._fetch(self._statements.client, {"client_id": client_id})
        return read_alone(named(_CLIENT.c.keys(), rows[0]), _client, f"client {client_id}") if rows else None

    async def owners_of(self, asked: str) -> frozenset[str]:
        """Return the member whose client or report has this id, also where its row cannot be read; else none."""
        clients = await self._fetch(self._statements.client, {"client_id": asked})
        reports = await self._fetch(self._statements.report, {"report_id": asked})
        owners = [named(_CLIENT.c.keys(), row).member for row in clients] + [row[_ORIGINATOR] for row in reports]
        return frozenset(map(str, owners))

    async def _versions(self, agreement_id: str, *, since: int, until: int) -> tuple[Span[Agreement], ...]:
        asked: Parameters = {"since": since, "until": until, "agreement_id": agreement_id}
        versions: dict[int, list[Row]] = {}
        for row in await self._fetch(self._statements.agreements, asked):
            versions.setdefault(row[3], []).append(row)
        spans = [
            read_alone(rows, _version, f"agreement {agreement_id}: version {number}")
            for number, rows in versions.items()
        ]
        texts = await whole([span.value for span in spans], self._besides, None)
        return tuple(replace(span, value=value) for span, value in zip(spans, texts, strict=True))


def _version(rows: Sequence[Row]) -> Span[Agreement]:
    return Span(agreement_of([row[2:] for row in rows]), *_validity(*rows[0][:2]))


def _within(columns: object) -> ColumnElement[bool]:
    """Return whether a version held at some moment of the period."""
    recorded_at, superseded_at = (getattr(columns, name) for name in ("recorded_at", "superseded_at"))
    return and_(recorded_at < bindparam("until"), or_(superseded_at.is_(None), superseded_at > bindparam("since")))


def _client(row: SimpleNamespace) -> Client:
    return client_of(row, Standing.ACTIVE.value)


def _client_span(row: SimpleNamespace) -> Span[Client]:
    return Span(_client(row), *_validity(row.recorded_at, row.superseded_at))


def _member_span(row: SimpleNamespace) -> Span[Member]:
    return Span(member_of(row), *_validity(row.recorded_at, row.superseded_at))


def _use_of(row: Row) -> Span[str]:
    client_id, added, gone, not_after = row
    return Span(client_id, from_micros(added), from_micros(not_after if gone is None else min(gone, not_after)))


def _record(row: Row) -> ReportRecord:
    found_id, version, class_id, originator, posted_at, valid_until, status = row
    until = None if valid_until is None else from_micros(valid_until)
    return ReportRecord(found_id, version, class_id, originator, from_micros(posted_at), until, stored_status(status))


def _then(row: Row) -> tuple[ReportThen, datetime]:
    class_id, end, until = row
    return ReportThen(class_id, None if end is None else from_micros(end)), from_micros(until)


def _validity(recorded_at: int, superseded_at: int | None) -> tuple[datetime, datetime | None]:
    return from_micros(recorded_at), None if superseded_at is None else from_micros(superseded_at)
