"""Whose turn it is to walk the log: what one auditor looks for, however long it takes, keeps nobody else waiting.

A walk that passes over much holds what others want: on SQLite the event loop, on PostgreSQL a connection of a few. So
few go on at a time, and one of each asker.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Row:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class SearchTurns:
    """Lets `most` statements of searches through at a time."""

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)
        self._rows: dict[str, _Row] = {}

    @asynccontextmanager
    async def turn(self, asker: str) -> AsyncIterator[None]:
        """Wait behind what `asker` itself asked before, and then for as many others as ask too."""
        row = self._rows.setdefault(asker, _Row())
        row.waiting += 1
        try:
            async with row.lock, self._free:
                yield
        finally:
            row.waiting -= 1
            if not row.waiting:
                del self._rows[asker]
