"""The loop of the sequencer: a step every 200 ms while entries come, the next one at once while more wait.

Where several nodes run one, the one that made the log grow last goes on, and the others look every second whether it
does: two that take the same entries hash and sign them twice, and one of them for nothing.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from exchange.entrypoints.jobs.rounds import wait_for
from exchange.kernel import ExchangeError, UnsafeSettingError
from exchange.store.log.sequencing import LogMovedError
from exchange.usecases.log.sequence_log import Sequencer, Step
from exchange.usecases.log.sweep_log import Index, Sweep
from exchange.usecases.steps.troubles import Causes

INTERVAL_SECONDS = 0.2
"""What an entry waits for its checkpoint at most, beside the step itself: a second is promised."""

_INTERVALS_APART = 5
"""Between the looks of one that stands by: the log of a sequencer that died stands still for two of them at most."""

_UNRESTED = 5
"""Steps in a row that placed entries, a second's, after which some of what else waits for rest is done all the same:
where entries never cease to come, what was left out would never be found."""

_RETRY_SECONDS = 1.0
"""After a failure: the database is away, and asking more often would not bring it back."""

_LAST_STEPS_SECONDS = 10.0
"""How long the end may take: a supervisor waits longer."""

_log = logging.getLogger("exchange.sequencer")


@dataclass(frozen=True, slots=True)
class Job:
    """The sequencer and what it does besides."""

    sequencer: Sequencer
    sweep: Sweep
    index: Index


class SequencerLoop:
    """Runs a job until `stopping` is set, and tells each trouble once."""

    def __init__(self, job: Job, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._job = job
        self._interval_seconds = interval_seconds
        self._unrested = 0
        self._trouble, self._index_trouble, self._sweep_trouble = Causes(), Causes(), Causes()

    async def run(self, stopping: asyncio.Event) -> None:
        """Step until told to stop, then place what is left."""
        while not stopping.is_set():
            begun = time.monotonic()
            seconds = await self._round()
            await wait_for(stopping, max(0.0, seconds - (time.monotonic() - begun)))
        await self._finish()

    async def _round(self) -> float:
        """Do one step and what comes after it; return after how many seconds from its beginning the next one is due."""
        try:
            step = await self._stepped(stands_by=True)
        except LogMovedError:
            step = Step.ELSEWHERE
        if step is Step.ELSEWHERE:
            return self._interval_seconds * _INTERVALS_APART
        if step is None or step is Step.FROZEN:
            return _RETRY_SECONDS
        if step is Step.MORE:
            return 0.0
        # Behind the checkpoint: whoever waits for that has it.
        is_at_rest = step is Step.IDLE
        has_more = await self._quietly(lambda: self._job.index.chunk(is_at_rest=is_at_rest), self._index_trouble)
        self._unrested = 0 if is_at_rest else self._unrested + 1
        if self._unrested >= _UNRESTED or (is_at_rest and not has_more):
            self._unrested = 0
            has_more = await self._quietly(self._job.sweep.chunk, self._sweep_trouble)
        return self._interval_seconds / 10 if is_at_rest and has_more else self._interval_seconds

    async def _stepped(self, *, stands_by: bool = False) -> Step | None:
        try:
            step = await self._job.sequencer.step(stands_by=stands_by)
        except (LogMovedError, UnsafeSettingError):
            raise  # to go again; or another key belongs here, and whoever opened this one opens it anew
        except ExchangeError as exc:
            self._tell(exc)
            return None
        if step is not Step.FROZEN and self._trouble.end():
            _log.warning("the sequencer works again")
        return step

    async def _quietly(self, work: Callable[[], Awaitable[bool]], trouble: Causes) -> bool:
        try:
            has_more = await work()
        except ExchangeError as exc:
            if trouble.take(exc.message):
                _log.error("the sequencer cannot tidy up: %s", exc.message)
            return False
        trouble.end()
        return has_more

    async def _finish(self) -> None:
        deadline = time.monotonic() + _LAST_STEPS_SECONDS
        step: Step | None = Step.MORE
        while step in {Step.MORE, Step.PLACED} and time.monotonic() < deadline:
            try:
                step = await self._stepped()
            except LogMovedError:
                await asyncio.sleep(self._interval_seconds / 10)
        try:
            await self._job.sequencer.rest()
        except ExchangeError as exc:
            self._tell(exc)

    def _tell(self, exc: ExchangeError) -> None:
        if self._trouble.take(exc.message):
            _log.error("the sequencer cannot work: %s", exc.message)


def stop_on_signals(stopping: asyncio.Event, *, interrupts: bool) -> None:
    """Set `stopping` on SIGTERM, and on SIGINT where `interrupts`: else that is the supervisor's to answer."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    if interrupts:
        loop.add_signal_handler(signal.SIGINT, stopping.set)
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
