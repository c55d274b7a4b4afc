"""Where a request for the originator's consent stands: to pass a report on, or to mark lower what derives from it."""

from enum import Enum
from typing import Final, TypeVar

from sqlalchemy import func, select, update
from sqlmodel import col

from exchange.store.books.consented_rows import ConsentedRows

RowT = TypeVar("RowT")


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


class RequestedConsents(ConsentedRows[RowT]):
    """Requests for consent about reports, of one kind, in one transaction."""

    _partner = "requester_member"

    async def undecided(self, client: str, member: str, originator: str) -> int:
        """Return how many requests of a client of `member` about the reports of `originator` nobody has decided."""
        row = self._table
        is_its = (col(row.requester_member) == member, col(row.requester) == client, col(row.originator) == originator)
        count = select(func.count()).select_from(row).where(*is_its, col(row.state).in_(_values(UNDECIDED)))
        return int(await self._session.scalar(count) or 0)

    async def lapse(self, report_id: str) -> None:
        """End every request and grant about a report: what they were about is gone."""
        row, living = self._table, _values((*UNDECIDED, ConsentState.GRANTED))
        which = (col(row.report_id) == report_id, col(row.state).in_(living))
        await self._session.execute(update(row).where(*which).values(state=ConsentState.LAPSED.value))


def _values(states: tuple[ConsentState, ...]) -> tuple[str, ...]:
    return tuple(each.value for each in states)
