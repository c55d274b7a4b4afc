"""One round of the sequencer's loop: what is done beside the step, and when the next one is due."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from exchange.entrypoints.jobs import sequencer
from exchange.entrypoints.jobs.sequencer import SequencerLoop
from exchange.kernel import UnavailableError
from exchange.store.log.sequencing import LogMovedError
from exchange.usecases.log.sequence_log import Step

INTERVAL = 5.0


class Work:
    """A sequencer, an index and a sweep that say what they are told to, and note what they are asked."""

    def __init__(self, *steps: Step | Exception, indexes_more: bool = False, sweeps_more: bool = False) -> None:
        self.steps, self.asked = list(steps), list[str]()
        self.indexes_more, self.sweeps_more = indexes_more, sweeps_more
        self.fault: Exception | None = None
        self.is_at_its_end = False
        job: Any = SimpleNamespace(
            sequencer=SimpleNamespace(step=self._step, rest=self._rest),
            index=SimpleNamespace(chunk=self._index),
            sweep=SimpleNamespace(chunk=self._sweep),
        )
        self.loop = SequencerLoop(job, interval_seconds=INTERVAL)

    async def rounds(self) -> list[float]:
        return [await self.loop._round() for _ in list(self.steps)]

    async def _step(self, *, stands_by: bool) -> Step:
        assert stands_by is not self.is_at_its_end
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def _rest(self) -> None:
        self.asked.append("rest")
        if self.fault is not None:
            raise self.fault

    async def _index(self, *, is_at_rest: bool) -> bool:
        self.asked.append("index at rest" if is_at_rest else "index")
        return self.indexes_more

    async def _sweep(self) -> bool:
        self.asked.append("sweep")
        if self.fault is not None:
            raise self.fault
        return self.sweeps_more


@pytest.mark.parametrize(
    ("step", "seconds"),
    [
        (Step.MORE, 0.0),
        (Step.FROZEN, 1.0),
        (UnavailableError("the database is away"), 1.0),
        (Step.ELSEWHERE, 5 * INTERVAL),
        (LogMovedError("another one was first"), 5 * INTERVAL),
    ],
)
async def test_nothing_else_is_done_where_entries_wait_or_another_one_works(step, seconds: float) -> None:
    work = Work(step)

    assert await work.rounds() == [seconds]
    assert work.asked == []


@pytest.mark.parametrize(
    ("indexes_more", "sweeps_more", "asked", "seconds"),
    [
        (False, False, ["index at rest", "sweep"], INTERVAL),
        (False, True, ["index at rest", "sweep"], INTERVAL / 10),
        (True, False, ["index at rest"], INTERVAL / 10),
    ],
)
async def test_at_rest_the_index_is_made_and_then_it_is_swept(indexes_more, sweeps_more, asked, seconds) -> None:
    work = Work(Step.IDLE, indexes_more=indexes_more, sweeps_more=sweeps_more)

    assert await work.rounds() == [seconds]
    assert work.asked == asked


async def test_where_entries_never_cease_it_is_swept_at_every_fifth_and_no_sooner_for_it() -> None:
    work = Work(*[Step.PLACED] * 10, sweeps_more=True, indexes_more=True)

    assert await work.rounds() == [INTERVAL] * 10
    assert work.asked == [*["index"] * 5, "sweep"] * 2


async def test_it_is_not_swept_while_entries_come() -> None:
    work = Work(*[Step.PLACED] * 4)

    assert await work.rounds() == [INTERVAL] * 4
    assert work.asked == ["index"] * 4


async def test_rest_begins_the_count_anew() -> None:
    work = Work(*[Step.PLACED] * 4, Step.IDLE, *[Step.PLACED] * 4, indexes_more=True)

    await work.rounds()

    assert "sweep" not in work.asked


async def test_trouble_is_told_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exchange.sequencer")
    away = UnavailableError("the database is away")
    work = Work(away, away, Step.FROZEN)
    await work.rounds()
    before = list(caplog.messages)
    work.steps = [Step.IDLE, Step.IDLE]
    await work.rounds()

    assert before == ["the sequencer cannot work: the database is away"]
    assert caplog.messages == [*before, "the sequencer works again"]


async def test_at_the_end_it_goes_on_while_entries_wait_and_no_longer_than_it_may(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(Step.MORE, LogMovedError("another one was first"), Step.PLACED, Step.ELSEWHERE, Step.PLACED)
    work.is_at_its_end, work.fault, work.loop._interval_seconds = True, UnavailableError("the database is away"), 0.0
    await work.loop._finish()
    assert (work.asked, work.steps) == (["rest"], [Step.PLACED])

    monkeypatch.setattr(sequencer, "_LAST_STEPS_SECONDS", 0.0)
    await work.loop._finish()
    assert (work.asked, work.steps) == (["rest", "rest"], [Step.PLACED])
    assert caplog.messages == ["the sequencer cannot work: the database is away"]


async def test_what_cannot_be_tidied_is_told_once_until_it_could(caplog: pytest.LogCaptureFixture) -> None:
    work, told = Work(), "the sequencer cannot tidy up: the disk is away"
    for fault, count in ((True, 1), (True, 1), (True, 1), (False, 1), (True, 2)):
        work.fault = UnavailableError("the disk is away") if fault else None
        work.steps = [Step.IDLE]
        await work.rounds()

        assert caplog.messages.count(told) == count
