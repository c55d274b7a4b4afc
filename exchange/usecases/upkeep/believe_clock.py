"""Whether the clock is to be believed, before time ends anything for good.

What a wrong clock ends stays ended: keys that retention destroys, a report that is declassified, a breach on the
record. So these wait where the clock leapt, or where nobody ran to see it go; that they do is on the record, and
doctor tells until when. What a decision asks of time is asked at each access, and needs no belief: it comes right with
the clock.
"""

import logging
from datetime import datetime

from exchange.audit import Detail, EntryDraft, EventName, Outcome
from exchange.kernel import ConflictError, rfc3339
from exchange.kernel.steady import SteadyClock
from exchange.kernel.timekeeping import Timekeeping, judged
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.service_entries import service_draft

_log = logging.getLogger("exchange.clock")


async def believes_clock(services: Services) -> bool:
    """Return whether what time ends may be ended now; where that changes, an entry and a line tell of it.

    What an operator accepted is taken up before: who looks under the time that was given up for it would undo it.
    """
    kept = await services.store.time.kept()
    if kept is None or judged(kept, _now(services, kept)) != kept:
        try:
            kept = await _looked(services)
        except ConflictError:
            return False  # another process has its first look: the next one finds what that saw
    return not kept.is_doubted


def _now(services: Services, kept: Timekeeping | None) -> datetime:
    clock = services.clock
    if kept is not None and isinstance(clock, SteadyClock):
        clock.hold(kept.believed_at)
    return clock()


async def _looked(services: Services) -> Timekeeping:
    """Keep what this look at the clock tells, with an entry where it is other news."""
    async with services.store.unit_of_work() as unit:
        book = unit.time()
        before = await book.held()
        now = _now(services, before)
        if before is None:
            # The first look of all: there is nothing that the clock could be held against.
            after = Timekeeping(now)
            await book.begin(after)
            return after
        after = judged(before, now)
        await book.move(after)
        is_news = before.doubted_since != after.doubted_since
        if is_news:
            await unit.record(_entry(services, before, after))
    if is_news:
        _tell(before, after)
    return after


def _entry(services: Services, before: Timekeeping, after: Timekeeping) -> EntryDraft:
    detail: Detail = {"believed": rfc3339(before.believed_at)}
    if after.doubted_until is None:
        return service_draft(services, EventName.CLOCK_BELIEVED, detail=detail)
    detail["until"] = rfc3339(after.doubted_until)
    return service_draft(services, EventName.CLOCK_DOUBTED, Outcome.FAILED, detail=detail)


def _tell(before: Timekeeping, after: Timekeeping) -> None:
    if after.doubted_since is None or after.doubted_until is None:
        _log.warning("the clock is believed: what time ends is ended again")
    else:
        _log.critical(
            "the clock is at %s, and was at %s when it was looked at last: set it if it is wrong; what time ends is"
            " left as it is until %s",
            *map(rfc3339, (after.doubted_since, before.believed_at, after.doubted_until)),
        )
