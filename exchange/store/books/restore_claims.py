"""What an operator has to see to before an instance serves whose database went back in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlmodel import col

from exchange.store.tables.restore_tables import RestoreClaimTable

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
