"""The hot reads. Each is one statement, so that its answer is true as of one moment."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, bindparam, func, select, union_all
from sqlalchemy.sql.selectable import FromClause

from exchange.store.books.agreement_rows import absence_rows, current_agreements, earlier_texts
from exchange.store.books.crisis_book import crisis_rows
from exchange.store.database.dialect import Sql, Statement
from exchange.store.log.log_statements import last_searched
from exchange.store.tables.main_tables import table
from exchange.store.tables.personal_tables import PersonalKeyTable
from exchange.store.tables.restore_tables import RestoreClaimTable
from exchange.store.writer.standing import CLIENT, MEMBER, REPORT, report_columns, standing, whose

_CLASS = table("release_class")
_PART = table("report_part")
_ENTRY = table("audit_entry")
_AGREEMENT = table("agreement")
_KEY = table(PersonalKeyTable)

CLIENT_COLUMNS = (*CLIENT.c.keys(), "member_standing")
MEMBER_COLUMNS = tuple(MEMBER.c.keys())
_CLAIM = table(RestoreClaimTable)
_FIRST_PARTS = 4
_SMALL_BYTES = 16_384
"""With the parts before: at most 64 KiB are loaded before it is known whether the caller may have them."""
_PART_COLUMNS = [name for name in _PART.c.keys() if name != "report_id"]  # noqa: SIM118  a collection, no dict


@dataclass(frozen=True, slots=True)
class HotStatements:
    """The hot reads besides pages, compiled for one database."""

    caller: Statement
    client_version: Statement
    report: Statement
    report_with_parts: Statement
    report_with_first_parts: Statement
    report_with_part: Statement
    classes_after: Statement
    class_by_id: Statement
    clients: Statement
    members: Statement
    agreements: Statement
    agreement: Statement
    earlier_texts: Statement
    crises: Statement
    absences: Statement
    entries_after: Statement
    entries_before: Statement
    waiting: Statement
    personal_keys: Statement
    destroyed_keys: Statement
    open_restore_claims: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> Self:
        """Compile all of them."""
        all_parts = _PART.c.report_id == REPORT.c.id
        first_parts = and_(all_parts, _PART.c.number <= _FIRST_PARTS, _PART.c.size_bytes <= _SMALL_BYTES)
        one_part = and_(all_parts, _PART.c.number == bindparam("number"))
        classes = select(_CLASS.c.id, _CLASS.c.digest, _CLASS.c.facts)
        agreements = current_agreements()
        entries = select(_ENTRY.c.content).limit(bindparam("limit"))
        return cls(
            caller=sql.shared(_caller, "thumbprint"),
            client_version=sql.compile(_client_version()),
            report=sql.shared(_report, "thumbprint", "report_id"),
            report_with_parts=sql.compile(_with_parts(all_parts)),
            report_with_first_parts=sql.shared(partial(_with_parts, first_parts), "thumbprint", "report_id"),
            report_with_part=sql.compile(_with_parts(one_part)),
            classes_after=sql.compile(classes.where(_CLASS.c.id > bindparam("after")).order_by(_CLASS.c.id)),
            class_by_id=sql.compile(classes.where(_CLASS.c.id == bindparam("class_id"))),
            clients=sql.compile(_current_clients()),
            members=sql.compile(select(*MEMBER.c).where(MEMBER.c.superseded_at.is_(None)).order_by(MEMBER.c.code)),
            agreements=sql.compile(agreements),
            agreement=sql.compile(agreements.where(_AGREEMENT.c.id == bindparam("agreement_id"))),
            earlier_texts=sql.compile(earlier_texts()),
            crises=sql.compile(crisis_rows()),
            absences=sql.compile(absence_rows()),
            # UUIDv7: the order of ids is the order of time.
            entries_after=sql.compile(entries.where(_ENTRY.c.id > bindparam("place")).order_by(_ENTRY.c.id)),
            entries_before=sql.compile(entries.where(_ENTRY.c.id < bindparam("place")).order_by(_ENTRY.c.id.desc())),
            waiting=sql.compile(_waiting()),
            personal_keys=sql.compile(select(*_key_columns()).where(sql.is_one_of(_KEY.c.kid, "kids"))),
            open_restore_claims=sql.compile(
                select(func.count()).select_from(_CLAIM).where(_CLAIM.c.confirmed_at.is_(None))
            ),
            destroyed_keys=sql.compile(
                select(_KEY.c.kid).where(_KEY.c.boot == bindparam("boot"), _KEY.c.destroyed_at.is_not(None))
            ),
        )


def _waiting() -> CompoundSelect[Any]:
    # What an entry is found by is written after its place: between the two it stands in neither outbox nor search.
    outbox, leaf = table("audit_outbox"), table("log_leaf")
    log = select(func.max(table("log_state").c.log)).scalar_subquery()
    last = func.coalesce(last_searched(log).scalar_subquery(), -1)
    placed = select(_ENTRY.c.content).join(leaf, leaf.c.entry_id == _ENTRY.c.id)
    return union_all(
        select(_ENTRY.c.content).join(outbox, outbox.c.entry_id == _ENTRY.c.id),
        placed.where(leaf.c.log == log, leaf.c.position > last),
    )


def _key_columns() -> list[ColumnElement[Any]]:
    return [column for column in _KEY.c if column.name != "created_at"]


def _client_columns() -> list[ColumnElement[Any]]:
    return [*CLIENT.c, MEMBER.c.standing.label("member_standing")]


def _client_version() -> Select[Any]:
    versions = and_(CLIENT.c.version == bindparam("client_version"), MEMBER.c.version == bindparam("member_version"))
    source = CLIENT.join(MEMBER, MEMBER.c.code == CLIENT.c.member)
    return select(*_client_columns()).select_from(source).where(CLIENT.c.id == bindparam("client_id"), versions)


def _current_clients() -> Select[Any]:
    current = and_(MEMBER.c.code == CLIENT.c.member, MEMBER.c.superseded_at.is_(None))
    source = CLIENT.join(MEMBER, current)
    return select(*_client_columns()).select_from(source).where(CLIENT.c.superseded_at.is_(None)).order_by(CLIENT.c.id)


def _caller(askers: FromClause | None) -> Select[Any]:
    columns = [*standing(), *_client_columns(), *_asker(askers)]
    return select(*columns).select_from(whose(askers))


def _report(askers: FromClause | None) -> Select[Any]:
    return select(*standing(), *report_columns(), *_asker(askers)).select_from(_asked(askers))


def _with_parts(parts: ColumnElement[bool], askers: FromClause | None = None) -> Select[Any]:
    columns = [*standing(), *report_columns(), *(_PART.c[name] for name in _PART_COLUMNS), *_asker(askers)]
    return select(*columns).select_from(_asked(askers).outerjoin(_PART, parts)).order_by(_PART.c.number)


def _asked(askers: FromClause | None) -> FromClause:
    wanted: ColumnElement[Any] = bindparam("report_id") if askers is None else askers.c.report_id
    return whose(askers).outerjoin(REPORT, REPORT.c.id == wanted)


def _asker(askers: FromClause | None) -> list[ColumnElement[Any]]:
    return [] if askers is None else [askers.c.asker]
