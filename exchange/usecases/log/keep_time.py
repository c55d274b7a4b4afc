"""One process's clock held against what all nodes believed: set back, it brings back nothing that was over.

Steps of a look: (1) the clock is held against its own present; (2) once a minute also against what was believed last,
which it moves on where nobody else has: jobs may be on another machine, whose clock is behind, or stand still; (3)
where it has come to be behind, or caught up, an entry and a line tell of it.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from exchange.audit import Detail, EventName, Outcome
from exchange.kernel import InvalidError, rfc3339
from exchange.kernel.steady import SteadyClock
from exchange.kernel.timekeeping import Timekeeping, judged
from exchange.store import Store
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft
from exchange.usecases.steps.service_entries import Recording, service_draft

TOLD_FROM: Final = timedelta(minutes=1)
"""How far a clock is behind before anybody is told: clocks that are kept by NTP differ by less."""

_LOOKS: Final = 60
"""Seconds between two reads of what was believed."""

_log = logging.getLogger("exchange.clock")


class ClockWatch:
    """Looks at the clock of one process, every second; a clock that is no `SteadyClock` is left alone."""

    def __init__(self, own: Recording) -> None:
        self._own = own
        self._looks = 0
        self._is_behind = False

    async def look(self) -> None:
        """Hold the clock, and tell once where it is behind."""
        clock = self._own.clock
        if not isinstance(clock, SteadyClock):
            return
        # (1) a second at most is lost of what was seen
        clock.tick()
        self._looks += 1
        # (2) what other nodes saw, and what an operator accepted
        if self._looks % _LOOKS == 0 or not clock.is_held:
            await hold_clock(self._own.store, clock)
            if isinstance(self._own, Services):  # the sequencer's role reads the time, and keeps none
                await _move_on(self._own.store, clock)
        # (3) news
        if (clock.behind > TOLD_FROM) != self._is_behind:
            await self._tell(clock)

    async def _tell(self, clock: SteadyClock) -> None:
        is_behind, wall, now = not self._is_behind, rfc3339(clock.wall), rfc3339(clock())
        event, outcome = (
            (EventName.CLOCK_BEHIND, Outcome.FAILED) if is_behind else (EventName.CLOCK_RIGHT, Outcome.PERMITTED)
        )
        detail: Detail = {"clock": wall, "decided_by": now}
        await self._own.store.append(service_draft(self._own, event, outcome, detail=detail))
        self._is_behind = is_behind
        if is_behind:
            _log.critical(
                "the clock is at %s, and it was %s already: what was over stays over, time goes on from there; set the"
                " clock, or where it is right say so (`exchange clock accept`)",
                wall,
                now,
            )
        else:
            _log.warning("the clock is not behind any more")


async def hold_clock(store: Store, clock: SteadyClock) -> None:
    """Hold the clock against what was believed last; where nothing is kept yet it is taken as it is."""
    kept = await store.time.kept()
    if kept is not None:
        clock.hold(kept.believed_at)


async def _move_on(store: Store, clock: SteadyClock) -> None:
    """Keep the time of a clock that has gone on from what was believed; of one that leapt, or under doubt, nothing.

    So of nodes that disagree none serves for more than a minute or two what is over for another one.
    """
    kept = await store.time.kept()
    if kept is None or _gone_on(kept, clock()) is None:
        return
    async with store.unit_of_work() as unit:
        book = unit.time()
        held = await book.held()
        if held is not None:
            # What was accepted is taken up before, as by whoever looks whether the clock is believed.
            clock.hold(held.believed_at)
            after = _gone_on(held, clock())
            if after is not None:
                await book.move(after)


def _gone_on(kept: Timekeeping, now: datetime) -> Timekeeping | None:
    after = judged(kept, now)
    return None if kept.is_doubted or after.is_doubted or after == kept else after


async def accept_clock(services: Services, call: Call, reason: str) -> Recorded[Timekeeping]:
    """Take this machine's clock for right though it was later already; all nodes know within a minute.

    Raises InvalidError where it is not behind: there is nothing to accept.
    """
    clock = services.clock
    if not isinstance(clock, SteadyClock) or not clock.behind:
        raise InvalidError("this machine's clock is not behind what was believed: there is nothing to accept")
    kept = Timekeeping(clock.wall)
    detail: Detail = {
        "clock": rfc3339(kept.believed_at),
        "decided_by": rfc3339(call.now),
        "reason": reason,
    }
    async with services.store.unit_of_work() as unit:
        book = unit.time()
        await book.held()
        await book.move(kept)
        receipt = await unit.record(draft(call, None, EventName.CLOCK_ACCEPTED, Outcome.PERMITTED, detail=detail))
    clock.hold(kept.believed_at)
    return Recorded(kept, receipt)
