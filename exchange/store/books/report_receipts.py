"""Who has received which report: the first read and the first acknowledgement of each client, each with its entry."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import col

from exchange.kernel import ConflictError, from_micros, to_micros
from exchange.store.database.engine import read_rows, write_rows
from exchange.store.rows.shapes import id_in
from exchange.store.rows.unread import read_alone
from exchange.store.tables.life_tables import ReportReceiptTable

ACKNOWLEDGED_MEANWHILE: Final = "acknowledged-meanwhile"
"""The code of the one ConflictError after which an acknowledgement is only to be looked up."""


class ReceiptHow(Enum):
    """How a report was received: by reading it, or by saying so."""

    READ = "read"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """That a client received a report; `entry` is the audit entry that registers it."""

    report: str
    client: str
    how: ReceiptHow
    at: datetime
    entry: str


Key = tuple[str, str]
"""A report and a client."""

# The first one stays: who reads at the same moment on another node has received it no less.
_ADD = text(
    "INSERT INTO report_receipt (report_id, client_id, how, received_at, entry_id)"
    " VALUES (:report_id, :client_id, :how, :received_at, :entry_id) ON CONFLICT DO NOTHING"
)


class ReportReceipts:
    """The receipts of one database, beside its hot paths."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def known(self, keys: Collection[Key]) -> set[Key]:
        """Return those of `keys` of which a read is registered."""
        table = ReportReceiptTable
        reports, clients = {key[0] for key in keys}, {key[1] for key in keys}
        asked = select(col(table.report_id), col(table.client_id)).where(
            col(table.report_id).in_(reports),
            col(table.client_id).in_(clients),
            col(table.how) == ReceiptHow.READ.value,
        )
        return {(report, client) for report, client in await read_rows(self._engine, asked)}.intersection(keys)

    async def add(self, rows: Sequence[ReceiptRow]) -> None:
        """Keep receipts; where one of its kind is there already, that one stays."""
        if not rows:
            return
        # In one order: two nodes through which a client read the same reports must not wait for each other.
        ordered = sorted(rows, key=lambda row: (row.report, row.client, row.how.value))
        await write_rows(self._engine, _ADD, [_parameters(row) for row in ordered])


async def acknowledgement(session: AsyncSession, report: str, client: str) -> ReceiptRow | None:
    """Return the acknowledgement of a report by a client, in the transaction of `session`."""
    row = await session.get(ReportReceiptTable, (report, client, ReceiptHow.ACKNOWLEDGED.value))
    return None if row is None else read_alone(row, _receipt, f"receipt of report {report} by {client}")


async def acknowledge(session: AsyncSession, row: ReceiptRow) -> None:
    """Keep an acknowledgement in the transaction of `session`.

    Raises ConflictError with the code ACKNOWLEDGED_MEANWHILE where another one came first.
    """
    result: Any = await session.execute(_ADD, _parameters(row))
    if result.rowcount != 1:
        raise ConflictError("somebody else acknowledged it at the same moment", code=ACKNOWLEDGED_MEANWHILE)


def _receipt(row: ReportReceiptTable) -> ReceiptRow:
    at = from_micros(row.received_at)
    return ReceiptRow(row.report_id, row.client_id, ReceiptHow(row.how), at, id_in(row.entry_id))


def _parameters(row: ReceiptRow) -> dict[str, str | int]:
    return {
        "report_id": row.report,
        "client_id": row.client,
        "how": row.how.value,
        "received_at": to_micros(row.at),
        "entry_id": row.entry,
    }
