"""Whether a clock is to be believed: one that was an hour ago, and has gone on from there.

Promises: who keeps what `judged` returns, and asks it at least every `STEP`, believes no clock that leapt forward until
it has gone on for `DOUBTED_FOR` from where it leapt to. What was believed is never given up for something earlier.
Does not: know the true time. A clock that stays wrong for so long is believed, and so is one that was wrong at the
first look.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

STEP: Final = timedelta(hours=1)
"""A clock that is further on than this since it was looked at last has leapt, or nobody ran to look at it."""

DOUBTED_FOR: Final = timedelta(days=1)
"""For so long a leap is doubted, a shorter one for as long as it is: a working day for somebody to set the clock."""

KEPT_EVERY: Final = timedelta(minutes=1)
"""What is kept is no older than this; it is not written anew at each look."""


@dataclass(frozen=True, slots=True)
class Timekeeping:
    """The last moment that was believed; under doubt also since which moment, and the last one seen since."""

    believed_at: datetime
    doubted_since: datetime | None = None
    doubted_at: datetime | None = None

    @property
    def is_doubted(self) -> bool:
        """Return whether the clock is in doubt."""
        return self.doubted_since is not None

    @property
    def doubted_until(self) -> datetime | None:
        """Return when the clock is believed if it goes on from here; None where it is not in doubt."""
        if self.doubted_since is None:
            return None
        return self.doubted_since + min(DOUBTED_FOR, self.doubted_since - self.believed_at)


def judged(kept: Timekeeping, now: datetime) -> Timekeeping:
    """Return what is to be kept of a look at a clock that says `now`; the same where there is nothing new."""
    if now - kept.believed_at <= STEP:
        # A clock that was set back ends nothing too early, and brings nothing back: it has what was believed to reach.
        is_kept = not kept.is_doubted and now - kept.believed_at < KEPT_EVERY
        return kept if is_kept else Timekeeping(max(now, kept.believed_at))
    if kept.doubted_at is None or abs(now - kept.doubted_at) > STEP:
        return Timekeeping(kept.believed_at, now, now)
    until = kept.doubted_until
    if until is not None and now >= until:
        return Timekeeping(now)
    return kept if abs(now - kept.doubted_at) < KEPT_EVERY else replace(kept, doubted_at=now)
