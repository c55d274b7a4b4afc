"""Consents of one kind, and what was asked for, in one transaction: added, moved on, and read by whom they concern."""

from abc import abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlmodel import col

from exchange.store.books.book import Book
from exchange.store.rows.unread import Unread, UnreadRow, read_alone, read_each

RowT = TypeVar("RowT")


class ConsentedRows(Book, Generic[RowT]):
    """The rows of one table, each of an originator and of `_partner`, a column with the other member."""

    _table: ClassVar[Any]
    _noun: ClassVar[str]
    _partner: ClassVar[str]

    @classmethod
    @abstractmethod
    def _columns(cls, row: RowT) -> dict[str, Any]:
        """Return the columns of a row."""

    @staticmethod
    @abstractmethod
    def _read(row: Any) -> RowT:
        """Return what a row of the table holds; raises one of `UNREADABLE` where it was altered."""

    async def add(self, row: RowT) -> None:
        """Add what was asked for."""
        self._note_write()
        await self._session.execute(insert(self._table), self._columns(row))

    async def put(self, row: RowT) -> None:
        """Keep what became of it."""
        self._note_write()
        columns = self._columns(row)
        await self._session.execute(update(self._table).where(col(self._table.id) == columns["id"]).values(columns))

    async def one(self, row_id: str) -> RowT | None:
        """Return one, held to the end of the unit."""
        found = await self._session.scalar(select(self._table).where(col(self._table.id) == row_id).with_for_update())
        return None if found is None else read_alone(found, self._read, f"{self._noun} {row_id}")

    async def of_member(self, member: str, unread: Unread | None = None) -> list[RowT]:
        """Return those about what is a member's own, and those in which it is the other one; oldest first.

        With `unread`, without those that cannot be read.
        """
        return await self._rows(self._is_of(member), unread=unread)

    def _is_of(self, member: str) -> ColumnElement[bool]:
        return or_(col(self._table.originator) == member, col(getattr(self._table, self._partner)) == member)

    async def _rows(self, *conditions: ColumnElement[bool], unread: Unread | None = None) -> list[RowT]:
        found = await self._session.scalars(select(self._table).where(*conditions).order_by(col(self._table.id)))
        return read_each(found, self._read, unread, self._unread)

    def _unread(self, row: Any) -> UnreadRow:
        return UnreadRow(f"{self._noun} {row.id}", frozenset({row.originator, getattr(row, self._partner)}))
