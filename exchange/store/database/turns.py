"""Whose turn it is to change something, of one process's administrative sessions on SQLite.

SQLite has one write lock, and who waits for it looks again after up to a tenth of a second: of several that wait, most
sleep while it is free. Here they wait in a row, and only the first of them asks SQLite.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from exchange.kernel import UnavailableError

WorkT = TypeVar("WorkT")


class Turns:
    """A row of writers; none waits longer than `wait_seconds`."""

    def __init__(self, wait_seconds: float) -> None:
        self._lock = asyncio.Lock()
        self._wait_seconds = wait_seconds

    @asynccontextmanager
    async def within(self, work: AbstractAsyncContextManager[WorkT]) -> AsyncIterator[WorkT]:
        """Do the work once its turn has come; UnavailableError where it does not come."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._lock.acquire()
        except TimeoutError as exc:
            raise UnavailableError("the store cannot answer: others are changing it") from exc
        try:
            async with work as unit:
                yield unit
        finally:
            self._lock.release()
