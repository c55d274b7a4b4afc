"""Entries that somebody records within a unit of work on SQLite: durable before the unit is left.

A unit holds SQLite's one write lock, and what is recorded beside it, as that a row was altered, is to stand whether or
not the unit does. Were it waited for there, each would wait for the other, and everybody who writes for both.

INVARIANT: nobody leaves a unit before what it put aside is durable: nothing is answered before its entry.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from exchange.kernel import ExchangeError

WorkT = TypeVar("WorkT")

Keep = Callable[[], Awaitable[object]]
"""Makes one entry durable."""


@dataclass(eq=False, slots=True)
class Aside:
    """What is put aside within one unit; a task that outlives the unit finds that it is over."""

    entries: list[Keep] = field(default_factory=list)
    is_over: bool = False


class PutAside:
    """What the units of one store put aside, each for itself."""

    def __init__(self) -> None:
        self._current: ContextVar[Aside | None] = ContextVar("put_aside", default=None)

    @property
    def current(self) -> Aside | None:
        """Return where what is recorded now is put aside; None outside of any unit."""
        found = self._current.get()
        return None if found is None or found.is_over else found

    @asynccontextmanager
    async def around(self, work: AbstractAsyncContextManager[WorkT]) -> AsyncIterator[WorkT]:
        """Do the work, and behind it, whatever came of it, make durable what was put aside; raises what that raises."""
        aside = Aside()
        before = self._current.set(aside)
        try:
            async with work as unit:
                yield unit
        finally:
            aside.is_over = True
            self._current.reset(before)
            await _kept(aside.entries)


async def _kept(entries: Iterable[Keep]) -> None:
    fault: ExchangeError | None = None
    for keep in entries:
        try:
            await keep()
        except ExchangeError as exc:
            # Each is an entry by itself; that one of them is lost is told by the first.
            fault = fault or exc
    if fault is not None:
        raise fault
