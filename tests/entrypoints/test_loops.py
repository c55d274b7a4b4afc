"""The loops beside the sequencer: each goes on while there is more, says a failure once, and stops when told."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from exchange.entrypoints.jobs import alerting, rounds
from exchange.kernel import UnavailableError

Round = Callable[[], Awaitable[Any]]
STEP_SECONDS = 7
"""How long a round takes by the clock of the loops."""


async def deliver(round_: Round, stopping: asyncio.Event) -> None:
    idle: Any = SimpleNamespace(round=stopping.wait)
    await alerting.run_alerts(idle, SimpleNamespace(round=round_), stopping)  # type: ignore[arg-type]


async def evaluate(round_: Round, stopping: asyncio.Event) -> None:
    watch, idle = SimpleNamespace(round=round_, look=AsyncMock()), SimpleNamespace(round=stopping.wait)
    await alerting.run_alerts(watch, idle, stopping)  # type: ignore[arg-type]
    # Where the log cannot be read, that is what there is to tell of.
    assert watch.look.await_count == 5


async def notify(round_: Round, stopping: asyncio.Event) -> None:
    notifier: Any = SimpleNamespace(round=round_, close=AsyncMock())
    await alerting.run_notices(notifier, stopping)
    notifier.close.assert_awaited_once()


async def sweep(round_: Round, stopping: asyncio.Event) -> None:
    await rounds.in_rounds(round_, stopping, "reports cannot be swept", interval_seconds=60.0)


LOOPS = [
    # the loop; what it says; how long it waits after a failure or for more, and while there is
    (sweep, "reports cannot be swept", 60.0, [0.2]),
    (notify, "subscribers cannot be told", 0.5, [0.0]),
    (evaluate, "the log cannot be evaluated", 1.0, [STEP_SECONDS, 0.0]),
    (deliver, "alerts cannot be delivered", 1.0, [0.0]),
]


@pytest.mark.parametrize(("loop", "trouble", "rest", "more"), LOOPS, ids=[each[1] for each in LOOPS])
async def test_failure_is_said_once_for_each_cause_and_tried_again(
    loop: Any, trouble: str, rest: float, more: list[float], caplog, monkeypatch
) -> None:
    stopping, waits = asyncio.Event(), list[float]()
    fault = TypeError("a row was altered")
    outcomes = iter(["away", "full", "away", "full", True, False, fault, fault, "away"])

    async def round_() -> bool:
        match next(outcomes, None):
            case None:
                stopping.set()
                return False
            case str() as why:
                raise UnavailableError(why)
            case Exception() as exc:
                raise exc
            case outcome:
                return outcome

    async def wait_for(_: asyncio.Event, seconds: float) -> None:
        if not stopping.is_set():
            waits.append(seconds)
        await asyncio.sleep(0)

    for module in (alerting, rounds):
        monkeypatch.setattr(module, "wait_for", wait_for)
    clock = itertools.count(step=STEP_SECONDS)
    monkeypatch.setattr(alerting, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with caplog.at_level(logging.ERROR):
        await loop(round_, stopping)

    told = [f"{trouble}: away", f"{trouble}: full", trouble, f"{trouble}: away"]
    assert caplog.messages == told
    assert [record.exc_info is not None for record in caplog.records] == [": " not in each for each in told]
    assert waits == [*[rest] * 4, *more, *[rest] * 4]


async def test_between_rounds_it_waits_and_hears_the_end() -> None:
    stopping, steps = asyncio.Event(), 0

    async def step() -> int:
        nonlocal steps
        steps += 1
        asyncio.get_running_loop().call_later(0.01, stopping.set)
        return 0

    await sweep(step, stopping)
    assert steps == 1
