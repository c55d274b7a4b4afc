"""Which reports time alone has something to do with: found here, decided and changed by whoever asks."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from exchange.kernel import to_micros
from exchange.reports import ReportStatus
from exchange.store.dialect import is_among
from exchange.store.engine import read_rows
from exchange.store.life_tables import ReportVersionTable
from exchange.store.tables import ReportTable

_LIVING = (ReportStatus.CURRENT.value, ReportStatus.SUPERSEDED.value)


class ReportSweeps:
    """Looks for reports whose time has come, beside the hot paths of one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def to_declassify(self, now: datetime, *, after: int, limit: int) -> list[tuple[str, int]]:
        """Return id and sequence number of living reports whose day of declassification has come, by number."""
        row = ReportTable
        is_due = (col(row.declassify_on) <= to_micros(now), col(row.status).in_(_LIVING), col(row.seq) > after)
        found = await read_rows(
            self._engine, select(col(row.id), col(row.seq)).where(*is_due).order_by(col(row.seq)).limit(limit)
        )
        return [(str(report), int(seq)) for report, seq in found]

    async def posted_before(
        self, class_ids: Collection[int], moment: datetime, *, after: int, limit: int
    ) -> list[tuple[str, int]]:
        """Return id and sequence number of reports of these classes posted before `moment` that still have their keys.

        By number, behind the number `after`.
        """
        row = ReportTable
        is_old = (
            is_among(col(row.class_id), class_ids, self._engine.dialect.name),
            col(row.posted_at) < to_micros(moment),
            col(row.status).in_(_LIVING),
            col(row.seq) > after,
        )
        found = await read_rows(
            self._engine, select(col(row.id), col(row.seq)).where(*is_old).order_by(col(row.seq)).limit(limit)
        )
        return [(str(report), int(seq)) for report, seq in found]

    async def replaced_since(self, moment: datetime) -> list[str]:
        """Return the ids of reports of which a version was replaced at or after `moment`."""
        row = ReportVersionTable
        found = await read_rows(
            self._engine, select(col(row.report_id)).where(col(row.replaced_at) >= to_micros(moment)).distinct()
        )
        return sorted(str(report) for (report,) in found)
