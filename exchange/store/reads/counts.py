"""How much the database holds, for the operator's one-screen state; never asked on behalf of a client."""

from dataclasses import dataclass

from sqlalchemy import func, select

from exchange.store.database.engine import checked_url, new_engine, used_once
from exchange.store.tables.main_tables import AuditEntryTable, ReportTable

_WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of the two tables that grow."""

    reports: int
    entries: int


async def count_rows(url: str) -> Counts:
    """Return the number of reports and audit entries; raises UnavailableError where the database does not answer."""
    async with (
        used_once(new_engine(checked_url(url), wait_seconds=_WAIT_SECONDS)) as engine,
        engine.connect() as connection,
    ):
        reports = await connection.scalar(select(func.count()).select_from(ReportTable))
        entries = await connection.scalar(select(func.count()).select_from(AuditEntryTable))
    return Counts(int(reports or 0), int(entries or 0))
