"""Keeps what witnesses say of checkpoints."""

from dataclasses import asdict

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from exchange.store.faults import driver_errors
from exchange.store.log_rows import CosignatureRow

# The first one stays, also of two that come at the same moment.
_ADD = text(
    "INSERT INTO log_cosignature (log, size, witness, line, received_at)"
    " VALUES (:log, :size, :witness, :line, :received_at) ON CONFLICT DO NOTHING"
)


async def add_cosignature(engine: AsyncEngine, cosignature: CosignatureRow) -> None:
    """Add a witness's line; what it said first stays. ConflictError where the checkpoint is not kept."""
    with driver_errors():
        async with engine.begin() as connection:
            await connection.execute(_ADD, asdict(cosignature))
