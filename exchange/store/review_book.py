"""Reviews of agreements that were noted in the log, each once."""

from collections.abc import Callable
from datetime import date

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from exchange.store.treaty_tables import AgreementReviewTable


class ReviewBook:
    """Reviews that fell due, in one transaction."""

    def __init__(self, session: AsyncSession, note_write: Callable[[], None]) -> None:
        self._session = session
        self._note_write = note_write

    async def noted(self) -> frozenset[tuple[str, date]]:
        """Return every review that was noted: of which agreement, due on which day."""
        row = AgreementReviewTable
        found = await self._session.execute(select(col(row.agreement_id), col(row.due_on)))
        return frozenset((agreement, date.fromisoformat(due)) for agreement, due in found)

    async def note(self, agreement_id: str, due: date, entry: str) -> None:
        """Keep that a review was noted; ConflictError where another process came first."""
        self._note_write()
        row = {"agreement_id": agreement_id, "due_on": due.isoformat(), "entry_id": entry}
        await self._session.execute(insert(AgreementReviewTable), row)
