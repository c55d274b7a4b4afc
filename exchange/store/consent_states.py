"""Where a request for the originator's consent stands: to pass a report on, or to mark lower what derives from it."""

from enum import Enum
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from exchange.store.consent_tables import OnwardTable
from exchange.store.derivation_tables import DerivationTable

ConsentTable = type[OnwardTable] | type[DerivationTable]


class ConsentState(Enum):
    """Where a request stands. LAPSED: what it was about is gone. WITHDRAWN: who asked took it back, undecided."""

    ASKED = "asked"
    AWAITING = "awaiting-second-person"
    GRANTED = "granted"
    REFUSED = "refused"
    REVOKED = "revoked"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


UNDECIDED: Final = (ConsentState.ASKED, ConsentState.AWAITING)
"""States in which a request waits for the originator."""

ENDED_VALUES: Final = tuple(each.value for each in ConsentState if each not in {*UNDECIDED, ConsentState.GRANTED})
"""What stands in the row of a request that is over."""


async def count_undecided(session: AsyncSession, row: ConsentTable, client: str, member: str, originator: str) -> int:
    """Return how many requests of one kind a client of `member` has before an originator that nobody has decided."""
    is_its = (col(row.requester_member) == member, col(row.requester) == client, col(row.originator) == originator)
    count = select(func.count()).select_from(row).where(*is_its, col(row.state).in_(_values(UNDECIDED)))
    return int(await session.scalar(count) or 0)


async def lapse(session: AsyncSession, row: ConsentTable, report_id: str) -> None:
    """End every request and grant of one kind about a report: what they were about is gone."""
    living = _values((*UNDECIDED, ConsentState.GRANTED))
    which = (col(row.report_id) == report_id, col(row.state).in_(living))
    await session.execute(update(row).where(*which).values(state=ConsentState.LAPSED.value))


def _values(states: tuple[ConsentState, ...]) -> tuple[str, ...]:
    return tuple(each.value for each in states)
