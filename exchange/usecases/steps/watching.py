"""Who waits for reports in this process, and what stirs each of them.

Promises: whoever waits is stirred by a report of a class that it may read, by an event that concerns its member, by
whatever may have changed its rights, and by nothing else: what it may not see does not even wake it, but for events
that its member alone is told of. How many wait is bounded, in all, for each client and for each member.
Does not: decide or show anything. Who is stirred looks for itself, under the rights of that moment.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from exchange.kernel import LimitExceededError, UnavailableError
from exchange.store import PolicyState

_RETRY_SECONDS = 5
"""For a client that has as many streams as it may: one of them has to end first."""
_PARTS = 2
"""A member has at most one of so many parts of what a process keeps open, and of the reads."""


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """What waiting may cost a process.

    `reads_at_once`: a report that thousands may see must not fill the queue in which everybody's entries wait.
    `silence_seconds`: proxies cut what is silent for a minute. `longest_seconds`: whether a certificate is valid
    still is asked at the start of a connection. `send_seconds`: who takes nothing for so long is not reading.
    """

    per_client: int = 16
    in_all: int = 20_000
    reads_at_once: int = 64
    beat_seconds: float = 0.05
    silence_seconds: float = 20.0
    longest_seconds: float = 3600.0
    send_seconds: float = 30.0


class Watch:
    """One that waits. `classes` are what it may read; at `not_after` time alone changes that."""

    __slots__ = (
        *("_stirred", "classes", "fresh", "has_ended", "is_gone", "is_looking", "must_list", "must_look"),
        *("client", "member", "not_after"),
    )

    def __init__(self, client: str, member: str) -> None:
        self.client = client
        self.member = member
        self.classes: Collection[int] = ()
        self.not_after: datetime | None = None
        self.fresh: frozenset[int] = frozenset()
        self.must_look = True
        """Its rights may have changed."""
        self.is_looking = False
        self.must_list = True
        """Something may have come that no beat named."""
        self.has_ended = False
        self.is_gone = False
        self._stirred = asyncio.Event()

    @property
    def is_stirred(self) -> bool:
        """Return whether there is anything to look for."""
        return self.must_look or self.must_list or bool(self.fresh)

    def begin_to_look(self) -> None:
        """Note that it learns what it may read: what comes meanwhile is kept, whatever its class."""
        self.must_look, self.is_looking = False, True

    def may_read(self, classes: Collection[int], not_after: datetime | None) -> None:
        """Note what it may read."""
        self.classes, self.not_after, self.is_looking = classes, not_after, False

    def take_news(self) -> bool:
        """Return whether anything may have come that it may read; it is taken as seen."""
        fresh, self.fresh = self.fresh, frozenset()
        has_news, self.must_list = self.must_list or not fresh.isdisjoint(self.classes), False
        return has_news

    def stir(self) -> None:
        """Let it go on."""
        self._stirred.set()

    def leave(self) -> None:
        """Tell it that its reader has gone."""
        self.is_gone = True
        self.stir()

    async def wait(self, seconds: float) -> bool:
        """Wait until it is stirred, at most so long; return whether it was."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        was_stirred = self._stirred.is_set()
        self._stirred.clear()
        return was_stirred


class Watching:
    """All that wait in one process and one event loop."""

    def __init__(self, limits: WatchLimits | None = None) -> None:
        self.limits = limits or WatchLimits()
        self._reads = asyncio.Semaphore(self.limits.reads_at_once)
        self._reads_of: dict[str, asyncio.Semaphore] = {}
        self.state: PolicyState | None = None
        """What was in force at the last beat."""
        self.seq: int | None = None
        self.beating: asyncio.Task[None] | None = None
        self._watches: set[Watch] = set()
        self._counts: Counter[str] = Counter()
        self.is_ending = False
        """The process is about to stop."""

    @property
    def is_needed(self) -> bool:
        """Return whether anybody waits."""
        return bool(self._watches)

    def __len__(self) -> int:
        return len(self._watches)

    def streams_of(self, holder: str) -> int:
        """Return how many of them are those of one client, by its id, or of one member, by its code."""
        return self._counts.get(holder, 0)

    def enter(self, client: str, member: str) -> Watch:
        """Let one more wait; LimitExceededError where its client or member has enough, UnavailableError where all have.

        A member has at most half of what all have.
        """
        if self.is_ending or len(self._watches) >= self.limits.in_all:
            raise UnavailableError("this node takes no more streams now: ask again, or another node")
        if self.streams_of(client) >= self.limits.per_client:
            message = f"this client has {self.limits.per_client} streams open here: end one first"
            raise LimitExceededError(message, retry_after_seconds=_RETRY_SECONDS)
        if self.streams_of(member) >= max(1, self.limits.in_all // _PARTS):
            message = f"the clients of this member have {self.streams_of(member)} streams open here: end one first"
            raise LimitExceededError(message, retry_after_seconds=_RETRY_SECONDS)
        watch = Watch(client, member)
        self._counts.update((client, member))
        self._watches.add(watch)
        return watch

    def exit(self, watch: Watch) -> None:
        """Let go of one that waits no longer."""
        if watch in self._watches:
            self._watches.remove(watch)
            for holder in (watch.client, watch.member):
                self._counts[holder] -= 1
                if not self._counts[holder]:
                    del self._counts[holder]

    @asynccontextmanager
    async def reading(self, member: str) -> AsyncIterator[None]:
        """Wait for one of few reads; half of them are left to other members."""
        of_member = self._reads_of.get(member)
        if of_member is None:
            of_member = self._reads_of[member] = asyncio.Semaphore(max(1, self.limits.reads_at_once // _PARTS))
        async with of_member, self._reads:
            yield

    def forget(self) -> None:
        """Begin anew: everybody looks, for what came since the last beat is not known."""
        self.state = self.seq = None

    def stir(
        self, state: PolicyState, seq: int, fresh: frozenset[int], now: datetime, *, members: Collection[str] = ()
    ) -> None:
        """Stir whom a beat concerns: `fresh` are the classes of the reports that came since the last one.

        `members` are those whom an event concerns that came since.
        """
        is_first, has_moved = self.seq is None, state != self.state
        self.state, self.seq = state, seq
        for watch in self._watches:
            is_due = watch.not_after is not None and now >= watch.not_after
            watch.must_look |= has_moved or is_due
            watch.must_list |= is_first or watch.member in members
            if watch.must_look or watch.is_looking or not fresh.isdisjoint(watch.classes):
                watch.fresh |= fresh
            if watch.is_stirred:
                watch.stir()

    def end_all(self) -> None:
        """End every watch, and take no new one: the process is about to stop."""
        self.is_ending = True
        for watch in self._watches:
            watch.has_ended = True
            watch.stir()
