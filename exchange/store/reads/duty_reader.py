"""What was posted and acknowledged, to be counted: of the classes that the caller names, and of no others."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from exchange.kernel import from_micros, to_micros
from exchange.reports import ReportStatus
from exchange.store.books.breach_book import BreachRow, breach_row, is_moment
from exchange.store.books.report_receipts import ReceiptHow
from exchange.store.database.dialect import is_among
from exchange.store.database.engine import read_rows
from exchange.store.rows.main_rows import LIVING
from exchange.store.tables.life_tables import ReportPastTable, ReportReceiptTable
from exchange.store.tables.main_tables import ReportTable


@dataclass(frozen=True, slots=True)
class CountedReport:
    """A report as far as it is counted, nothing of it opened. `posted_class_id`: the class that it was posted in.

    `was` has the precedences that it had before, each with until when, oldest first.
    """

    id: str
    class_id: int
    posted_class_id: int
    precedence: str
    posted_at: datetime
    valid_until: datetime | None
    is_recalled: bool
    was: Sequence[tuple[str, datetime]] = ()


@dataclass(frozen=True, slots=True)
class Countable:
    """Which reports: of these classes, and of those that are gone by `now` only such as were posted from `known_since`.

    Whoever could not read a report while it was there must not learn from a number that it was.
    """

    class_ids: Collection[int]
    known_since: datetime
    now: datetime


class DutyReader:
    """Counts beside the hot paths of one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def posted(self, asked: Countable, since: datetime) -> list[CountedReport]:
        """Return the reports that were posted at or after `since`, in no order."""
        row = ReportTable
        columns = (row.id, row.class_id, row.posted_class, row.precedence, row.posted_at, row.valid_until, row.status)
        chosen = select(*(col(column) for column in columns))
        which = (*self._counted(asked), col(row.posted_at) >= to_micros(since))
        found = await read_rows(self._engine, chosen.where(*which))
        was = await self._precedences_before(which)
        return [replace(_report(each), was=was.get(each[0], ())) for each in found]

    async def _precedences_before(
        self, which: tuple[ColumnElement[bool], ...]
    ) -> dict[str, list[tuple[str, datetime]]]:
        past = ReportPastTable
        chosen = (
            select(col(past.report_id), col(past.precedence), col(past.until_at))
            .join(ReportTable, col(ReportTable.id) == col(past.report_id))
            .where(*which, col(past.precedence).is_not(None), is_moment(past.until_at))
            .order_by(col(past.seq))
        )
        found: dict[str, list[tuple[str, datetime]]] = {}
        for report, precedence, until_at in await read_rows(self._engine, chosen):
            found.setdefault(report, []).append((precedence, from_micros(until_at)))
        return found

    async def last_before(self, asked: Countable, before: datetime) -> dict[int, datetime]:
        """Return when the last report of each class before a moment was posted; a class without one is left out."""
        row = ReportTable
        chosen = select(col(row.class_id), func.max(col(row.posted_at))).where(*self._counted(asked))
        found = await read_rows(
            self._engine, chosen.where(col(row.posted_at) < to_micros(before)).group_by(col(row.class_id))
        )
        return {int(class_id): from_micros(at) for class_id, at in found}

    async def posted_then(self, moments: Mapping[int, datetime]) -> dict[str, datetime]:
        """Return the reports of which rows say that they were posted in a class at its moment here; when each was."""
        row = ReportTable
        then = [and_(col(row.class_id) == each, col(row.posted_at) == to_micros(at)) for each, at in moments.items()]
        found = await read_rows(self._engine, select(col(row.id), col(row.posted_at)).where(or_(*then)))
        return {str(report): from_micros(at) for report, at in found}

    async def acknowledged(self, asked: Countable, since: datetime) -> list[tuple[str, str, datetime]]:
        """Return report, client and time of each acknowledgement of reports that were posted at or after `since`."""
        row, receipt = ReportTable, ReportReceiptTable
        chosen = (
            select(col(receipt.report_id), col(receipt.client_id), col(receipt.received_at))
            .join(row, col(row.id) == col(receipt.report_id))
            .where(*self._counted(asked), col(row.posted_at) >= to_micros(since))
            .where(col(receipt.how) == ReceiptHow.ACKNOWLEDGED.value, is_moment(receipt.received_at))
        )
        return [(report, client, from_micros(at)) for report, client, at in await read_rows(self._engine, chosen)]

    async def acknowledging(self, report_id: str) -> list[str]:
        """Return the ids of the entries that acknowledgements of a report name, in no order."""
        receipt = ReportReceiptTable
        which = (col(receipt.report_id) == report_id, col(receipt.how) == ReceiptHow.ACKNOWLEDGED.value)
        return [each for (each,) in await read_rows(self._engine, select(col(receipt.entry_id)).where(*which))]

    async def altered(self, class_ids: Collection[int]) -> list[str]:
        """Return the reports of these classes of which a time, or an acknowledgement's, is none."""
        row, receipt, dialect = ReportTable, ReportReceiptTable, self._engine.dialect.name
        is_living = (is_among(col(row.class_id), class_ids, dialect), col(row.status).in_(LIVING))
        until, how = col(row.valid_until), col(receipt.how) == ReceiptHow.ACKNOWLEDGED.value
        is_timeless = or_(~is_moment(row.posted_at), and_(until.is_not(None), ~is_moment(row.valid_until)))
        asked = select(col(row.id)).where(*is_living)
        joined = asked.join(receipt, col(row.id) == col(receipt.report_id))
        found = await read_rows(self._engine, asked.where(is_timeless))
        found += await read_rows(self._engine, joined.where(how, ~is_moment(receipt.received_at)))
        return sorted({str(report) for (report,) in found})

    async def breach(self, breach_id: str) -> BreachRow | None:
        """Return a breach that was found."""
        return await breach_row(self._engine, breach_id)

    def _counted(self, asked: Countable) -> tuple[ColumnElement[bool], ...]:
        row = ReportTable
        until = col(row.valid_until)
        is_there = and_(col(row.status).in_(LIVING), or_(until.is_(None), until > to_micros(asked.now)))
        was_known = col(row.posted_at) >= to_micros(asked.known_since)
        is_asked = is_among(col(row.class_id), asked.class_ids, self._engine.dialect.name)
        are_moments = and_(is_moment(row.posted_at), or_(until.is_(None), is_moment(row.valid_until)))
        return (is_asked, or_(is_there, was_known), are_moments)


def _report(row: tuple[Any, ...]) -> CountedReport:
    report, class_id, posted_class, precedence, posted_at, valid_until, status = row
    return CountedReport(
        report,
        class_id,
        class_id if posted_class is None else posted_class,
        precedence,
        from_micros(posted_at),
        None if valid_until is None else from_micros(valid_until),
        status == ReportStatus.RECALLED.value,
    )
