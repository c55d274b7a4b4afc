"""How much may be asked: token buckets, of one process (for strangers) or of all nodes together (for clients, members).

Fails closed: where there is no room to keep count of one more client, or no answer from where the count is kept, that
client waits.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from exchange.kernel import ExchangeError, UnavailableError

_MOST_CLIENTS = 65_536
"""Each costs about 200 bytes; only holders of a trusted authority's certificate can make one."""
_STALE_SECONDS = 60.0
"""Tokens that lay so long are not used: they were borrowed from a bucket that has been full again since."""


class Refusals:
    """How many requests of whom were refused, and of how many of them an entry speaks; of one process."""

    def __init__(self, *, most_clients: int = _MOST_CLIENTS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_clients = most_clients
        self._clock = clock
        self._told: dict[str, tuple[int, int]] = {}

    def to_record(self, name: str) -> int:
        """Return for how many refusals under this name this one goes into the log; 0 where one did within this second.

        A flood would otherwise make the log its victim: refusing must cost less than asking.
        """
        second = int(self._clock())
        if len(self._told) > self._most_clients:
            self._told.clear()
        last, untold = self._told.get(name, (None, 0))
        if last == second:
            self._told[name] = (second, untold + 1)
            return 0
        self._told[name] = (second, 0)
        return untold + 1

    def untold(self, name: str) -> int:
        """Return how many refusals under this name no entry speaks for yet; from now on one does."""
        last, untold = self._told.get(name, (0, 0))
        if untold:
            self._told[name] = (last, 0)
        return untold


class RateLimiter:
    """Admits `per_second` requests a second under each name, and one second's worth at once; of one process alone."""

    def __init__(
        self, per_second: float, *, most_clients: int = _MOST_CLIENTS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._most_clients = most_clients
        self._clock = clock
        self._burst = max(per_second, 1.0)
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, name: str) -> bool:
        """Take one token of the bucket of this name; False where it is empty, or cannot be kept."""
        now = self._clock()
        tokens, seen = self._buckets.get(name, (self._burst, now))
        if name not in self._buckets and not self._has_room(now):
            return False
        tokens = min(self._burst, tokens + (now - seen) * self._per_second)
        admitted = tokens >= 1.0
        self._buckets[name] = (tokens - 1.0 if admitted else tokens, now)
        return admitted

    def _has_room(self, now: float) -> bool:
        if len(self._buckets) < self._most_clients:
            return True
        # A bucket that has filled up again is as good as none.
        full_after = self._burst / self._per_second
        self._buckets = {each: kept for each, kept in self._buckets.items() if now - kept[1] < full_after}
        return len(self._buckets) < self._most_clients


Lease = Callable[[str, int], Awaitable[bool]]
"""Lends a client so many tokens of what it may ask of all nodes; False where it has asked that already."""


class _Purse:
    """The tokens that a process holds for one client."""

    __slots__ = ("away", "refused_until", "renewing", "seen", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self.away: ExchangeError | None = None
        self.seen = self.refused_until = 0.0
        self.renewing: asyncio.Task[None] | None = None


class SharedRateLimiter:
    """Admits `per_second` requests a second per client over all processes and nodes that share what `lease` asks.

    A twentieth of a second's worth is borrowed at a time, and again before it is gone: who asks steadily never waits
    for it, and what a process holds unused is hardly more than that.
    """

    def __init__(
        self,
        per_second: int,
        lease: Lease,
        *,
        most_clients: int = _MOST_CLIENTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._most_clients = most_clients
        self._clock = clock
        self._lease = lease
        self._chunk = max(1, per_second // 20)
        self._purses: dict[str, _Purse] = {}

    def admit(self, name: str) -> bool:
        """Take a token that is at hand; False where none is."""
        purse = self._purses.get(name)
        if purse is None or purse.tokens <= 0:
            return False
        now = self._clock()
        if now - purse.seen > _STALE_SECONDS:
            purse.tokens = 0
            return False
        purse.seen = now
        purse.tokens -= 1
        if purse.tokens < self._chunk // 2 and purse.renewing is None and now >= purse.refused_until:
            purse.renewing = asyncio.ensure_future(self._renew(name, purse))
        return True

    async def admit_later(self, name: str) -> bool:
        """Take a token once one is lent; False where none is, UnavailableError where nobody says."""
        purse = self._purses.get(name) or self._new_purse(name)
        while purse is not None and self._clock() >= purse.refused_until:
            if purse.renewing is None:
                purse.renewing = asyncio.ensure_future(self._renew(name, purse))
            # Shielded: whoever leaves must not take the others' answer along.
            await asyncio.shield(purse.renewing)
            if self.admit(name):
                return True
        if purse is not None and purse.away is not None:
            told = "requests cannot be counted now, so none is answered"
            # What is to be mended is the operator's to read, in the process's log.
            raise UnavailableError(f"{told}: {purse.away.message}", told=told)
        return False

    async def _renew(self, name: str, purse: _Purse) -> None:
        try:
            is_lent, purse.away = await self._lease(name, self._chunk), None
        except ExchangeError as exc:
            is_lent, purse.away = False, exc
        purse.renewing = None
        if is_lent:
            purse.tokens += self._chunk
            purse.seen = self._clock()
        else:
            # By then the client has saved up what is borrowed at a time.
            purse.refused_until = self._clock() + self._chunk / self._per_second

    def _new_purse(self, name: str) -> _Purse | None:
        if len(self._purses) >= self._most_clients:
            now = self._clock()
            kept = self._purses.items()
            self._purses = {known: each for known, each in kept if each.renewing or now - each.seen <= _STALE_SECONDS}
            if len(self._purses) >= self._most_clients:
                return None
        purse = self._purses[name] = _Purse()
        purse.seen = self._clock()
        return purse
