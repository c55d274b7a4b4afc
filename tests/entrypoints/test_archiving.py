"""The archiver's loop: goes on while there is more, says a failure once, and stops when told."""

import asyncio
import logging

import pytest

from exchange.entrypoints.jobs import archiving
from exchange.kernel import UnavailableError


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "_REST_SECONDS", 0.0)


async def test_failure_is_said_once_for_each_cause_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    stopping, outcomes = asyncio.Event(), iter(["away", "full", "away", "full", 2048, 512, 0, "away"])

    async def step() -> int:
        outcome = next(outcomes, None)
        if outcome is None:
            stopping.set()
            return 0
        if isinstance(outcome, str):
            raise UnavailableError(outcome)
        return outcome

    with caplog.at_level(logging.ERROR, logger="exchange.archive"):
        await archiving.archive_in_rounds(step, stopping, interval_seconds=0.0)

    told = [f"nothing can be archived: {why}" for why in ("away", "full", "away")]
    assert [record.message for record in caplog.records] == told


async def test_between_rounds_it_waits_and_hears_the_end() -> None:
    stopping, steps = asyncio.Event(), 0

    async def step() -> int:
        nonlocal steps
        steps += 1
        asyncio.get_running_loop().call_later(0.01, stopping.set)
        return 0

    await archiving.archive_in_rounds(step, stopping)
    assert steps == 1
