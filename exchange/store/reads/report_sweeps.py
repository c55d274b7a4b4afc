"""Which reports time alone has something to do with: found here, decided and changed by whoever asks."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from exchange.kernel import to_micros
from exchange.store.database.dialect import is_among
from exchange.store.database.engine import read_rows
from exchange.store.rows.main_rows import LIVING
from exchange.store.tables.life_tables import ReportVersionTable
from exchange.store.tables.main_tables import ReportTable


class ReportSweeps:
    """Looks for reports whose time has come, beside the hot paths of one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def to_declassify(self, now: datetime, *, after: int, limit: int) -> list[tuple[str, int]]:
        """Return id and sequence number of living reports whose day of declassification has come, by number."""
        return await self._living(col(ReportTable.declassify_on) <= to_micros(now), after=after, limit=limit)

    async def posted_before(
        self, class_ids: Collection[int], moment: datetime, *, after: int, limit: int
    ) -> list[tuple[str, int]]:
        """Return id and sequence number of reports of these classes posted before `moment` that still have their keys.

        By number, behind the number `after`.
        """
        is_of = is_among(col(ReportTable.class_id), class_ids, self._engine.dialect.name)
        return await self._living(is_of, col(ReportTable.posted_at) < to_micros(moment), after=after, limit=limit)

    async def replaced_since(self, moment: datetime) -> list[str]:
        """Return the ids of reports of which a version was replaced at or after `moment`."""
        row = ReportVersionTable
        found = await read_rows(
            self._engine, select(col(row.report_id)).where(col(row.replaced_at) >= to_micros(moment)).distinct()
        )
        return sorted(str(report) for (report,) in found)

    async def _living(self, *which: ColumnElement[bool], after: int, limit: int) -> list[tuple[str, int]]:
        row = ReportTable
        asked = select(col(row.id), col(row.seq)).where(*which, col(row.status).in_(LIVING), col(row.seq) > after)
        found = await read_rows(self._engine, asked.order_by(col(row.seq)).limit(limit))
        return [(str(report), int(seq)) for report, seq in found]
