"""A clock that does not bring back what was over: set back, it goes on from what was believed.

Promises: never earlier than what it was held against and what has passed since, as far as this process saw it pass.
Does not: know which clock is right; who sets one back says so, or it catches up.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from exchange.kernel.clock import Clock
from exchange.kernel.timekeeping import STEP

PACE: Final = 0.9
"""While the clock is behind, time goes on a tenth slower: what was a few minutes ahead is caught up with in an hour."""


class SteadyClock:
    """The machine's clock, or where that is behind what it is held against, the time that has gone on from there."""

    def __init__(self, wall: Clock, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._held: datetime | None = None
        self._since = 0.0
        self._told: datetime | None = None

    def __call__(self) -> datetime:
        """Return the time to decide by."""
        wall = self._wall()
        held = self._held
        return wall if held is None or wall >= held else max(wall, self._gone_on(held))

    @property
    def is_held(self) -> bool:
        """Return whether there was anything yet to hold it against."""
        return self._held is not None

    @property
    def wall(self) -> datetime:
        """Return what the machine's clock says."""
        return self._wall()

    @property
    def behind(self) -> timedelta:
        """Return how far the machine's clock is behind the time to decide by."""
        wall = self._wall()
        return timedelta(0) if self._held is None else max(self._gone_on(self._held) - wall, timedelta(0))

    def hold(self, believed_at: datetime) -> None:
        """Hold it against what all nodes believed last; that goes back only where an operator said so."""
        is_accepted = self._told is not None and believed_at < self._told
        self._told = believed_at
        if self._held is None or is_accepted or believed_at > self._gone_on(self._held):
            self._held, self._since = believed_at, self._elapsed()

    def tick(self) -> None:
        """Hold it against its own present, unless it has leapt from what it was held against."""
        if self._held is None:
            return
        now = max(self._wall(), self._gone_on(self._held))
        if now - self._held <= STEP:
            self._held, self._since = now, self._elapsed()

    def _gone_on(self, held: datetime) -> datetime:
        return held + timedelta(seconds=max(0.0, self._elapsed() - self._since) * PACE)
