"""What streams are to tell of besides reports, written within a unit of work."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from enum import Enum

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from exchange.store.tables.stream_tables import StreamEventTable


class StreamKind(Enum):
    """What an event is about."""

    REQUEST = "request"
    BREACH = "breach"


class StreamBook:
    """Events in one transaction; `next_place` gives each its place among the reports, and holds that to the end."""

    def __init__(self, session: AsyncSession, next_place: Callable[[datetime], Awaitable[tuple[int, int]]]) -> None:
        self._session = session
        self._next_place = next_place

    async def add(self, kind: StreamKind, subject: str, members: Collection[str], now: datetime) -> None:
        """Have the streams of `members` tell of `subject`, as far as each reader may know of it then."""
        if not members:
            return
        seq, _ = await self._next_place(now)
        rows = [{"seq": seq, "member": each, "kind": kind.value, "subject": subject} for each in sorted(set(members))]
        await self._session.execute(insert(StreamEventTable), rows)
