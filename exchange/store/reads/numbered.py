"""Reports by number: the rows that the index in memory named, with who asks and what is in force, in one statement.

PostgreSQL gives one row with an array for each column: a hundred rows of their own cost its driver a hundred
microseconds more. SQLite gives rows, and has a placeholder for each number, which it finds sooner than those in a list.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, CompoundSelect, Select, bindparam, func, null, select, true

from exchange.store.database.dialect import Parameters, Row, Sql, Statement, Value
from exchange.store.reads.class_index import Reads
from exchange.store.reads.page_statements import is_shown
from exchange.store.rows.main_rows import ReportRow
from exchange.store.writer.standing import (
    REPORT,
    REPORT_WIDTH,
    STANDING_WIDTH,
    report_columns,
    standing,
    the_one,
    whose,
)

_FEWEST_PLACES = 16
"""Placeholders of the shortest statement for SQLite; the next ones have twice as many each."""


class NumberedReports:
    """Reads reports by number from one database."""

    def __init__(self, database: Reads, sql: Sql) -> None:
        self._database = database
        self._sql = sql

    async def read(self, parameters: Parameters, numbers: Sequence[int]) -> tuple[Row, list[ReportRow]]:
        """Return the standing, and of the reports with these numbers those that a list shows, in order.

        `parameters` are `thumbprint`, `now` and `since`, the moments in microseconds.
        """
        return await (self._in_rows if self._sql.is_sqlite else self._in_arrays)(parameters, numbers)

    async def _in_rows(self, parameters: Parameters, numbers: Sequence[int]) -> tuple[Row, list[ReportRow]]:
        places = max(_FEWEST_PLACES, 1 << (len(numbers) - 1).bit_length())
        statement, names = _made(self._sql, places)
        # A place that is left over holds NULL, which is no report's number.
        values: list[Value] = [*numbers, *[None] * (places - len(numbers))]
        found = await self._database.fetch(statement, {**parameters, **dict(zip(names, values, strict=True))})
        head = the_one(row for row in found if row[-1] is None)
        return head[:STANDING_WIDTH], sorted(ReportRow._make(row) for row in found if row[-1] is not None)

    async def _in_arrays(self, parameters: Parameters, numbers: Sequence[int]) -> tuple[Row, list[ReportRow]]:
        statement, _ = _made(self._sql, 0)
        row = the_one(await self._database.fetch(statement, {**parameters, "numbers": list(numbers)}))
        columns = row[STANDING_WIDTH:]
        reports = [] if columns[0] is None else sorted(map(ReportRow._make, zip(*columns, strict=True)))
        return row[:STANDING_WIDTH], reports


@cache
def _made(sql: Sql, places: int) -> tuple[Statement, list[str]]:
    """Return the statement with so many places, and their names; PostgreSQL's has none."""
    names = [f"number_{place}" for place in range(places)]
    return sql.compile(in_rows(names) if places else in_arrays(sql)), names


def in_rows(names: Sequence[str]) -> CompoundSelect[Any]:
    """Return a row with the standing and no header, and a row for each report of the numbers in these parameters."""
    head = [*standing(), *(null() for _ in range(REPORT_WIDTH - STANDING_WIDTH))]
    numbers = [bindparam(name, type_=BigInteger) for name in names]
    listed = select(*report_columns()).where(REPORT.c.seq.in_(numbers), is_shown(REPORT.c))
    return select(*head).select_from(whose()).union_all(listed)


def in_arrays(sql: Sql) -> Select[Any]:
    """Return one row: the standing, and an array for each column of the reports; NULL where there are none."""
    # INVARIANT: all arrays are in one order, that in which the rows come: none has an order of its own.
    columns = [func.array_agg(column).label(column.name) for column in report_columns()]
    # One walk that the index makes for all numbers: joined with them it begins one for each, a tenth more in all.
    found = select(*columns).where(sql.is_one_of(REPORT.c.seq, "numbers"), is_shown(REPORT.c)).subquery("found")
    return select(*standing(), *found.c).select_from(whose().join(found, true()))
