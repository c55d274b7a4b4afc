"""The doctor waits once for a silent database, whatever it asks it, and says that it did."""

import asyncio
import itertools
from collections.abc import AsyncGenerator

import pytest

from exchange.cli import patience
from exchange.cli.finding import Finding
from exchange.cli.patience import patiently

GOOD, BAD = Finding("good", Finding.OK, "works"), Finding("bad", Finding.MEND, "the store cannot answer")
SILENCE = Finding("database", Finding.MEND, "it was silent", "see who holds a lock")
LONG = 600.0


def every_reading_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = itertools.count(0, 60)
    monkeypatch.setattr(patience, "monotonic", lambda: float(next(readings)))


async def found(looks: AsyncGenerator[Finding | None, None], seconds: float) -> list[Finding]:
    return [finding async for finding in patiently(looks, SILENCE, seconds=seconds)]


async def test_look_that_is_not_answered_ends_all_others_and_is_told() -> None:
    ended = []

    async def looks() -> AsyncGenerator[Finding | None, None]:
        try:
            yield GOOD
            await asyncio.sleep(LONG)
            yield GOOD
        finally:
            ended.append(True)

    assert await found(looks(), 0.01) == [GOOD, SILENCE]
    assert ended == [True]


async def test_waits_that_each_end_by_themselves_are_one_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    every_reading_a_minute_later(monkeypatch)

    async def looks() -> AsyncGenerator[Finding | None, None]:
        for _ in range(20):
            await asyncio.sleep(0)
            yield BAD

    assert await found(looks(), 150.0) == [BAD, BAD, BAD, SILENCE]


async def test_what_goes_on_or_ends_well_is_not_waited_for_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    every_reading_a_minute_later(monkeypatch)

    async def looks() -> AsyncGenerator[Finding | None, None]:
        for each in (None, GOOD, None, None, GOOD):
            await asyncio.sleep(0)
            yield each

    assert await found(looks(), 100.0) == [GOOD, GOOD]
