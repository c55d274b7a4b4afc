"""Ends of refused floods by themselves: one timer for each client, and an entry where something is left to tell."""

import asyncio
from unittest.mock import Mock

import pytest

from exchange.entrypoints.http import floods
from exchange.entrypoints.http.floods import FloodEnds, Refused


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return what comes to the log: as whom, and of how many."""
    found: list[tuple[str, int]] = []

    async def record(_services: object, call: str, *, count: int, **_named: object) -> None:
        found.append((call, count))

    monkeypatch.setattr(floods, "AFTER_SECONDS", 0.0)
    monkeypatch.setattr(floods, "record_rejection", record)
    return found


def refused(name: str, untold: dict[str, int]) -> Refused:
    return Refused(Mock(), name, "GET", "rate-limited", name, lambda each: untold.pop(each, 0))  # type: ignore[arg-type]


async def test_each_flood_has_one_timer_and_one_entry_and_the_next_one_another(told: list[tuple[str, int]]) -> None:
    ends, untold = FloodEnds(), {"one": 3, "two": 1}
    for name in ("one", "one", "two", "one"):
        ends.expect(refused(name, untold))
        timer = ends._due["one"]
        ends.expect(refused("one", untold))
        assert ends._due["one"] is timer
    await asyncio.sleep(0.01)
    untold["one"] = 2
    ends.expect(refused("one", untold))
    await asyncio.sleep(0.01)

    assert told == [("one", 3), ("two", 1), ("one", 2)]
    assert (ends._due, ends._telling) == ({}, set())


async def test_of_a_flood_that_was_told_to_its_end_there_is_no_other_entry(told: list[tuple[str, int]]) -> None:
    ends = FloodEnds()
    ends.expect(refused("one", {}))
    await asyncio.sleep(0.01)

    assert told == []
