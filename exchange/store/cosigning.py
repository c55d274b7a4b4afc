"""Keeps what witnesses say of checkpoints."""

from dataclasses import asdict

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from exchange.store.faults import driver_errors
from exchange.store.log_rows import CosignatureRow
from exchange.store.log_tables import LogCosignatureTable


async def add_cosignature(engine: AsyncEngine, cosignature: CosignatureRow) -> None:
    """Add a witness's line; what it said first stays. ConflictError where the checkpoint is not kept."""
    kept = LogCosignatureTable
    is_there = select(col(kept.log)).where(
        col(kept.log) == cosignature.log,
        col(kept.size) == cosignature.size,
        col(kept.witness) == cosignature.witness,
    )
    with driver_errors():
        async with engine.begin() as connection:
            if (await connection.execute(is_there)).first() is None:
                await connection.execute(insert(kept), asdict(cosignature))
