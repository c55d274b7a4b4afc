"""What the books of a unit of work have of it: its session, its one time, and how they tell it of what they write."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from exchange.store.database.dialect import is_among


@dataclass(frozen=True, slots=True)
class Writing:
    """A unit of work as its books write in it: what is noted needs an entry, and the law moves the policy besides."""

    session: AsyncSession
    now: datetime
    note_write: Callable[[], None]
    note_law: Callable[[], None]


class Book:
    """One matter, loaded and written in one transaction; the unit is told of each write before it is made."""

    def __init__(self, writing: Writing) -> None:
        self._session = writing.session
        self._now = writing.now
        self._note_write = writing.note_write
        self._note_law = writing.note_law

    def _is_among(self, column: Any, values: Collection[int] | Collection[str]) -> ColumnElement[bool]:
        """Return whether `column` is one of `values`, however many."""
        return is_among(column, values, self._session.get_bind().dialect.name)
