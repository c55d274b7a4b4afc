"""Reviews of agreements that were noted in the log, each once."""

from datetime import date

from sqlalchemy import insert, select
from sqlmodel import col

from exchange.store.books.book import Book
from exchange.store.database.dialect import Row
from exchange.store.rows.unread import Unread, UnreadRow
from exchange.store.tables.treaty_tables import AgreementReviewTable


class ReviewBook(Book):
    """Reviews that fell due, in one transaction."""

    async def noted(self) -> dict[tuple[str, date], str]:
        """Return every review that was noted: of which agreement, due on which day, with the entry that notes it.

        One whose day was altered to what is none was noted of no day: it is noted again, and keeps no other from that.
        """
        row, unread = AgreementReviewTable, Unread()
        found = await self._session.execute(select(col(row.agreement_id), col(row.due_on), col(row.entry_id)))
        return dict(unread.each(found, _review, lambda row: UnreadRow(f"review of {row[0]}")))

    async def note(self, agreement_id: str, due: date, entry: str) -> None:
        """Keep that a review was noted; ConflictError where another process came first."""
        self._note_write()
        row = {"agreement_id": agreement_id, "due_on": due.isoformat(), "entry_id": entry}
        await self._session.execute(insert(AgreementReviewTable), row)


def _review(row: Row) -> tuple[tuple[str, date], str]:
    agreement, due, entry = row
    return (agreement, date.fromisoformat(due)), entry
