"""What a process has to tell the log over and over: written at once, and then together.

Promises: what comes first is written at once, what follows within the pause behind it in one go, and what waits at the
end before the end: `async with`, so that nothing is lost.
Does not: say what is written, or what becomes of it where the log is away.
"""

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class PacedRecord(ABC):
    """Writes what waits, no more often than once a pause. `name` is that of its tasks."""

    def __init__(self, pause_seconds: float, *, name: str) -> None:
        self._pause_seconds = pause_seconds
        self._name = name
        self._later: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._later is not None:
            self._later.cancel()
        if self._writing is not None:
            await self._writing
        await self._write()

    @abstractmethod
    def _is_waiting(self) -> bool:
        """Return whether there is anything to write."""

    @abstractmethod
    async def _write(self) -> None:
        """Write what waits; what cannot be written goes on waiting."""

    def _noted(self) -> None:
        """Write what waits now, or once the pause is over."""
        if self._later is None:
            self._go_on()

    def _go_on(self) -> None:
        self._later = None
        if self._is_waiting():
            loop = asyncio.get_running_loop()
            self._later = loop.call_later(self._pause_seconds, self._go_on)
            self._writing = loop.create_task(self._write(), name=self._name)
