"""What the books of a unit of work have of it: its session, its one time, and how they tell it of what they write."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession


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
