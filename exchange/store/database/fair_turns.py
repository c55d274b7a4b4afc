"""Whose turn it is where few may go on at a time: what one asks for, however long it takes, keeps nobody else waiting.

A walk through the log, a draft that is tried out, a decision about much: each holds what others want, the event loop or
a connection of a few. So few go on at a time, one of each asker, and one of all askers of a member.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Row:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class FairTurns:
    """Lets `most` pieces of work through at a time."""

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)
        self._rows: dict[str, _Row] = {}

    @property
    def is_taken(self) -> bool:
        """Return whether whoever comes next waits."""
        return self._free.locked()

    @asynccontextmanager
    async def turn(self, asker: str, member: str | None = None) -> AsyncIterator[None]:
        """Wait behind what `asker` itself asked before, then for each other asker of its member, and then for others.

        `member` None: nobody else is of the same.
        """
        async with self._behind(asker), nullcontext() if member is None else self._behind(member), self._free:
            yield

    @asynccontextmanager
    async def _behind(self, name: str) -> AsyncIterator[None]:
        row = self._rows.setdefault(name, _Row())
        row.waiting += 1
        try:
            async with row.lock:
                yield
        finally:
            row.waiting -= 1
            if not row.waiting:
                del self._rows[name]
