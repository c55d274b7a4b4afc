"""What time alone brings about, round by round, while the clock is believed."""

from exchange.usecases.agreements.note_reviews import note_reviews
from exchange.usecases.life.sweep_reports import FOLLOWED_UP, STOOD_STILL, sweep_reports
from exchange.usecases.life.walk_reports import ReportWalk
from exchange.usecases.posting.give_up_uploads import give_up_uploads
from exchange.usecases.promises.find_breaches import DutyWatch
from exchange.usecases.steps.context import Services
from exchange.usecases.upkeep.believe_clock import believes_clock
from exchange.usecases.upkeep.check_readiness import has_gone_back
from exchange.usecases.upkeep.hold_rows import RowWatch
from exchange.usecases.upkeep.legal_holds import HoldWatch


class RoundsOfTime:
    """The rounds of one process; each returns whether there may be more to do.

    `is_held` is what this node's settings say; a legal hold that the log tells of holds them all. In a database that
    has gone back to an earlier time nothing is declassified either: it lacks what was said of it since.
    """

    def __init__(self, services: Services, *, is_held: bool = False) -> None:
        self._services = services
        self._holds = HoldWatch(services, is_set=is_held)
        self._duties = DutyWatch(services)
        self._rows = RowWatch(services)
        self._walk = ReportWalk(services)
        self._followed_up = STOOD_STILL
        self._unasked: tuple[str, ...] = ()

    async def reports(self) -> bool:
        """Note reviews, and do what time does to reports; of a time in doubt only recalls are followed up.

        What was destroyed, by whomever, leaves the files too.
        """
        is_doubted = not await believes_clock(self._services) or await has_gone_back(self._services)
        now = self._services.clock()
        if not is_doubted:
            await note_reviews(self._services)
        is_held = await self._holds.is_on()
        swept = await sweep_reports(
            self._services,
            now,
            is_held=is_held,
            is_doubted=is_doubted,
            followed_up=self._followed_up,
            unasked=self._unasked,
        )
        # What was recalled while no process swept has been followed up by now, but for what the log, or the archive,
        # did not say of: that may be away for longer than recalls are followed up.
        self._followed_up, self._unasked = FOLLOWED_UP, swept.unasked
        await self._services.store.scrub_what_was_destroyed()
        return swept.has_more

    async def uploads(self) -> bool:
        """Give up reports that nobody completed in time."""
        is_doubted = not await believes_clock(self._services)
        now = self._services.clock()
        return await give_up_uploads(self._services, now, is_held=is_doubted or await self._holds.is_on())

    async def duties(self) -> bool:
        """Put breaches on the record: they stay there, and a clock that leapt would find one in everything."""
        return await believes_clock(self._services) and await self._duties.round()

    async def rows(self) -> bool:
        """Hold the rows against the log; the clock has no say in it."""
        return await self._rows.round()

    async def walk(self) -> bool:
        """Hold some reports' rows against the log's posts; the clock has no say in that either."""
        return await self._walk.round()
