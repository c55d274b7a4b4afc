"""How much one client may ask: a token bucket per certificate.

Fails closed: where there is no room to keep count of one more client, that client waits.
"""

import math
import time
from collections.abc import Callable

_MOST_CLIENTS = 65_536
"""Each costs about 200 bytes; only holders of a trusted authority's certificate can make one."""


class RateLimiter:
    """Admits `per_second` requests a second per client, and one second's worth at once."""

    def __init__(
        self, per_second: float, *, most_clients: int = _MOST_CLIENTS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = max(per_second, 1.0)
        self._most_clients = most_clients
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._told: dict[str, tuple[int, int]] = {}

    def admit(self, thumbprint: str) -> bool:
        """Take one token of the client's bucket; False where it is empty, or cannot be kept."""
        now = self._clock()
        tokens, seen = self._buckets.get(thumbprint, (self._burst, now))
        if thumbprint not in self._buckets and not self._has_room(now):
            return False
        tokens = min(self._burst, tokens + (now - seen) * self._per_second)
        admitted = tokens >= 1.0
        self._buckets[thumbprint] = (tokens - 1.0 if admitted else tokens, now)
        return admitted

    @property
    def retry_after_seconds(self) -> int:
        """Return when a refused client may come back."""
        return max(1, math.ceil(1.0 / self._per_second))

    def refusals_to_record(self, thumbprint: str) -> int:
        """Return for how many refusals of the client this one goes into the log; 0 where one did within this second.

        A flood would otherwise make the log its victim: refusing must cost less than asking.
        """
        second = int(self._clock())
        if len(self._told) > self._most_clients:
            self._told.clear()
        last, untold = self._told.get(thumbprint, (None, 0))
        if last == second:
            self._told[thumbprint] = (second, untold + 1)
            return 0
        self._told[thumbprint] = (second, 0)
        return untold + 1

    def _has_room(self, now: float) -> bool:
        if len(self._buckets) < self._most_clients:
            return True
        # A bucket that has filled up again is as good as none.
        full_after = self._burst / self._per_second
        self._buckets = {name: kept for name, kept in self._buckets.items() if now - kept[1] < full_after}
        return len(self._buckets) < self._most_clients
