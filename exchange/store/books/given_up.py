"""Gives up the blobs of parts that go, in the transaction in which they go: nothing else lists what a part named."""

from typing import Any

from sqlalchemy import BigInteger, Select, delete, insert, literal
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from exchange.store.tables.blob_tables import BlobDebrisTable
from exchange.store.tables.main_tables import table


async def give_up_blobs(within: AsyncSession | AsyncConnection, named: Select[Any], due_at: int) -> None:
    """Have what `named` (one column of locations) gives deleted from `due_at` on, in microseconds since 1970.

    A location that is on the list already, or comes twice, stands there once: a row that was written by hand must not
    keep a report from being destroyed.
    """
    debris = table(BlobDebrisTable)
    await within.execute(delete(debris).where(debris.c.location.in_(named)))
    each = named.add_columns(literal(due_at, BigInteger)).distinct()
    await within.execute(insert(debris).from_select(["location", "due_at"], each))
