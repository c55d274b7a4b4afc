"""The statements behind a page: the next reports of the permitted classes, in the order they were committed.

For where the index in memory names none (`class_index`, `numbered`): two ways to find them, both
of a cost that does not depend on how many reports there are. *By class* takes the
first few of each class from the index on (class, sequence). *By window* walks a stretch of all reports and keeps
those of permitted classes; it wins for a reader of hundreds of classes.
"""

from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    bindparam,
    case,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.sql.selectable import CTE, FromClause

from exchange.store.database.dialect import Sql, Statement
from exchange.store.writer.standing import REPORT, STATE, report_columns, standing, whose

WINDOW = 4_000
"""How many reports one window covers: about as dear as asking 300 classes each for its first few."""

_BEYOND = literal_column(str(2**63 - 1), BigInteger)


@dataclass(frozen=True, slots=True)
class PageStatements:
    """The statements of a page, compiled for one database.

    One row holds the standing and the number up to which the page is complete (NULL = to the end), each other row
    a report behind as many NULLs. Reports come in no order: the caller sorts the few there are.
    """

    by_class: Statement
    by_class_and_precedence: Statement
    by_window: Statement
    first_since: Statement
    last_number: Statement
    numbers_of_class: Statement
    numbers_behind: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> Self:
        """Compile all of them."""
        return cls(
            by_class=sql.compile(_page(*_by_class(sql, precedence=False))),
            by_class_and_precedence=sql.compile(_page(*_by_class(sql, precedence=True))),
            by_window=sql.compile(_page(*_by_window(sql))),
            first_since=sql.compile(_first_since()),
            last_number=sql.compile(select(STATE.c.report_seq)),
            numbers_of_class=sql.compile(_numbers_of_class()),
            numbers_behind=sql.compile(
                select(REPORT.c.seq, REPORT.c.class_id)
                .where(REPORT.c.seq > bindparam("after"), REPORT.c.seq <= bindparam("to"))
                .order_by(REPORT.c.seq)
            ),
        )


def _numbers_of_class() -> Select[Any]:
    of_class = and_(REPORT.c.class_id == bindparam("class_id"), REPORT.c.seq > bindparam("after"))
    chosen = select(REPORT.c.seq).where(of_class, REPORT.c.seq <= bindparam("to")).order_by(REPORT.c.seq)
    return chosen.limit(bindparam("limit", type_=BigInteger))


def _page(candidates: CTE, complete_to: ColumnElement[Any]) -> CompoundSelect[Any]:
    bound = select(complete_to.label("seq")).cte("bound")
    shown = (
        select(candidates.c.seq)
        .where(candidates.c.seq <= func.coalesce(select(bound.c.seq).scalar_subquery(), _BEYOND))
        .order_by(candidates.c.seq)
        .limit(bindparam("limit", type_=BigInteger))
        .subquery("shown")
    )
    head = [*standing(), bound.c.seq.label("complete_to")]
    body = report_columns()
    # The head once, not beside every report: a hundred repeats cost as much as the search.
    first = select(*head, *(null() for _ in body)).select_from(whose().join(bound, true()))
    others = select(*(null() for _ in head), *body).select_from(shown.join(REPORT, REPORT.c.seq == shown.c.seq))
    return first.union_all(others)


def _by_class(sql: Sql, *, precedence: bool) -> tuple[CTE, ColumnElement[Any]]:
    # INVARIANT: a class that gave as many as it was asked for may have more behind its last one; the page
    # is complete up to the smallest such last number, and the next round goes on from there.
    listed = sql.numbers("class_ids")
    if sql.is_sqlite:
        return _by_class_in_sqlite(listed, precedence=precedence)
    report = REPORT.alias("of_class")
    per_class = bindparam("per_class", type_=BigInteger)
    wanted = _of_class(report, listed.c.value, precedence=precedence)
    candidate = select(report.c.seq).where(*wanted).order_by(report.c.seq).limit(per_class).lateral("candidate")
    source = listed.join(candidate, true())
    found = select(listed.c.value.label("class_id"), candidate.c.seq).select_from(source).cte("candidates")
    last = select(func.max(found.c.seq).label("seq")).group_by(found.c.class_id).having(func.count() == per_class)
    return found, select(func.min(last.subquery("last").c.seq)).scalar_subquery()


def _by_class_in_sqlite(listed: FromClause, *, precedence: bool) -> tuple[CTE, ColumnElement[Any]]:
    # SQLite has no LATERAL, and looks up each row that a correlated list names. So two walks along the index:
    # where each class would stop, then what lies before the first of these stops.
    report, candidate = REPORT.alias("of_class"), REPORT.alias("candidate")
    stop = select(report.c.seq).where(*_of_class(report, listed.c.value, precedence=precedence)).order_by(report.c.seq)
    stop = stop.offset(bindparam("per_class", type_=BigInteger) - 1).limit(literal_column("1")).correlate(listed)
    value = listed.c.value.label("class_id")
    stops = select(value, stop.scalar_subquery().label("seq")).select_from(listed).cte("stops")
    complete_to = select(func.min(stops.c.seq)).scalar_subquery()
    wanted = _of_class(candidate, stops.c.class_id, precedence=precedence)
    source = stops.join(candidate, and_(*wanted, candidate.c.seq <= func.coalesce(complete_to, _BEYOND)))
    return select(candidate.c.seq).select_from(source).cte("candidates"), complete_to


def _of_class(report: FromClause, class_id: ColumnElement[Any], *, precedence: bool) -> list[ColumnElement[bool]]:
    wanted = [report.c.class_id == class_id, report.c.seq > bindparam("after"), is_shown(report.c)]
    if precedence:
        wanted.append(report.c.precedence == bindparam("precedence"))
    return wanted


def _by_window(sql: Sql) -> tuple[CTE, ColumnElement[Any]]:
    after = bindparam("after", type_=BigInteger)
    # The sum keeps both planners from the index on (class, sequence): this is the walk along the sequence.
    # IS TRUE keeps PostgreSQL's from making it a join, which would sort the whole window before the first row.
    is_permitted = (REPORT.c.class_id + 0).in_(select(sql.numbers("class_ids").c.value)).is_(true())
    stretch = and_(REPORT.c.seq > after, REPORT.c.seq <= after + WINDOW)
    first = select(REPORT.c.seq).where(stretch, is_permitted, is_shown(REPORT.c)).order_by(REPORT.c.seq)
    return first.limit(bindparam("limit", type_=BigInteger)).cte("candidates"), after + WINDOW


def is_shown(report: Any) -> ColumnElement[bool]:
    """Return which reports a list shows: neither recalled nor expired, posted since the moment asked for."""
    named = report.status.in_([literal_column("'current'"), literal_column("'superseded'")])
    # CASE keeps the list out of PostgreSQL's index condition: with a list in it the index gives no order.
    status = case((named, true()), else_=false())
    unexpired = or_(report.valid_until.is_(None), report.valid_until > bindparam("now"))
    return and_(status, unexpired, report.posted_at >= bindparam("since"))


def _first_since() -> Select[Any]:
    """Return the first sequence number recorded since `since`; the one after the last where there is none."""
    first = (
        select(REPORT.c.seq)
        .where(REPORT.c.recorded_at >= bindparam("since"))
        .order_by(REPORT.c.recorded_at, REPORT.c.seq)
    )
    return select(func.coalesce(first.limit(1).scalar_subquery(), STATE.c.report_seq + 1))
