"""What an operator has to see to before an instance serves whose database went back in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Final

from sqlalchemy import ColumnElement, false, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlmodel import col

from exchange.kernel import Clock, to_micros
from exchange.store.database.dialect import as_text
from exchange.store.database.engine import checked_url, new_engine, read_rows, used_once
from exchange.store.tables.restore_tables import RestoreClaimTable

_WAIT_SECONDS: Final = 30.0

UNKNOWN_ACTS: Final = "unknown-acts"
_UNKNOWN: Final = (
    "what was revoked, recalled, suspended, withdrawn or erased, and which legal holds were put, after {}:"
    " ask the members, and do it again"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that an operator has to see to before the restored instance serves."""

    id: str
    kind: str
    subject: str
    told: str


def unknown_acts(last: str) -> Claim:
    """Return the claim for what no kept log tells of: all that was ended after `last`, the moment of what is there."""
    return Claim(UNKNOWN_ACTS, UNKNOWN_ACTS, "", _UNKNOWN.format(last))


async def put_claims(connection: AsyncConnection | AsyncSession, claims: Sequence[Claim]) -> None:
    """Add what is to be confirmed to what is there already, confirmed or not: each stands for itself."""
    row = RestoreClaimTable
    taken = set(await connection.scalars(select(col(row.id))))
    for claim in claims:
        names = chain((claim.id,), (f"{claim.id}-{number}" for number in count(2)))
        free = next(name for name in names if name not in taken)
        values = {"id": free, "kind": claim.kind, "subject": claim.subject, "told": claim.told}
        await connection.execute(insert(row), values)
        taken.add(free)


async def is_open(session: AsyncSession, claim: Claim) -> bool:
    """Return whether the same waits to be confirmed."""
    row = RestoreClaimTable
    same = (col(row.kind) == claim.kind, col(row.subject) == claim.subject, col(row.told) == claim.told)
    asked = select(col(row.id)).where(*same, col(row.confirmed_at).is_(None)).limit(1)
    return await session.scalar(asked) is not None


async def open_claims(url: str) -> list[Claim]:
    """Return what is still to be confirmed, the oldest first."""
    row = RestoreClaimTable
    asked = (
        select(col(row.id), col(row.kind), col(row.subject), col(row.told))
        .where(col(row.confirmed_at).is_(None))
        .order_by(col(row.id))
    )
    async with used_once(new_engine(checked_url(url), wait_seconds=_WAIT_SECONDS)) as engine:
        return [Claim(*map(as_text, found)) for found in await read_rows(engine, asked)]


async def confirm_claim(url: str, claim_id: str, *, clock: Clock) -> bool:
    """Note that an operator saw to a claim; False where there is none of this id that waits."""
    row = RestoreClaimTable
    waits = col(row.confirmed_at).is_(None)
    async with (
        used_once(new_engine(checked_url(url), wait_seconds=_WAIT_SECONDS)) as engine,
        engine.begin() as connection,
    ):
        ids = await connection.scalars(select(col(row.id)).where(waits))
        which = [_is_id(each) for each in ids if as_text(each) == claim_id]
        seen = update(row).where(or_(false(), *which), waits).values(confirmed_at=to_micros(clock()))
        return bool((await connection.execute(seen)).rowcount)


def _is_id(stored: str | bytes) -> ColumnElement[bool]:
    """Return whether a claim has this id: what is no text, as SQLite keeps it, is known by its bytes."""
    column = col(RestoreClaimTable.id)
    return column == stored if isinstance(stored, str) else func.hex(column) == stored.hex().upper()
