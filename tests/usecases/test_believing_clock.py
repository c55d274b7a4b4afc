"""A clock that leapt ends nothing for good until it has gone on for a day, and that is on the record."""

import logging
from datetime import date, timedelta

import pytest

from exchange.kernel import LAST_MOMENT, UnavailableError, to_micros
from exchange.store.books.time_book import TimeBook
from exchange.usecases.upkeep.believe_clock import believes_clock
from exchange.usecases.upkeep.rounds_of_time import RoundsOfTime
from tests.support.meanwhile import at_once
from tests.support.uploading import LARGE, awaited, begun
from tests.support.world import NOW, World
from tests.usecases.test_breaches import OWING, flash

DAYS = timedelta(days=3)
YEARS = timedelta(days=5 * 366)
HALF_HOUR = timedelta(minutes=30)


async def believes(world: World) -> bool:
    return await believes_clock(world.services)


async def goes_on(world: World, time: timedelta) -> None:
    """Let the clock go on, looked at every half hour."""
    for _ in range(time // HALF_HOUR):
        world.clock.advance(HALF_HOUR)
        await believes(world)


async def test_a_clock_that_goes_on_is_believed_and_leaves_no_entry(populated: World) -> None:
    looked = await populated.attempt(believes(populated))
    await goes_on(populated, timedelta(hours=2))
    again = await populated.attempt(believes(populated))

    assert (looked.value, again.value) == (True, True)
    assert [looked.entries, again.entries] == [[], []]


async def test_a_leap_is_doubted_on_the_record_for_a_day(populated: World, caplog: pytest.LogCaptureFixture) -> None:
    await believes(populated)
    populated.clock.advance(YEARS)
    with caplog.at_level(logging.CRITICAL, "exchange.clock"):
        leapt = await populated.attempt(believes(populated))
    still = await populated.attempt(believes(populated))
    await goes_on(populated, timedelta(days=1) - HALF_HOUR)
    last = await populated.attempt(believes(populated))
    populated.clock.advance(HALF_HOUR)
    over = await populated.attempt(believes(populated))

    assert [each.value for each in (leapt, still, last, over)] == [False, False, False, True]
    (entry,) = leapt.entries
    assert (entry["type"], entry["decision"], entry["actor"]) == ("clock.doubted", "failed", {"kind": "service"})
    assert entry["detail"] == {"believed": "2026-06-01T12:00:00Z", "until": "2031-06-06T12:00:00Z"}
    assert [still.entries, last.entries] == [[], []]
    assert [entry["type"] for entry in over.entries] == ["clock.believed"]
    assert "set it if it is wrong" in caplog.text


async def test_a_clock_that_is_set_right_is_believed_at_once(populated: World) -> None:
    await believes(populated)
    populated.clock.advance(YEARS)
    await believes(populated)
    populated.clock.advance(-YEARS)
    made = await populated.attempt(believes(populated))

    assert made.value is True
    assert [entry["type"] for entry in made.entries] == ["clock.believed"]


async def test_the_doubt_outlives_who_had_it(populated: World) -> None:
    """Nothing in memory: another process, or the same one begun again, doubts on."""
    await believes(populated)
    populated.clock.advance(YEARS)
    await believes(populated)

    assert populated.sql("SELECT count(*) FROM timekeeping WHERE doubted_since IS NOT NULL") == [(1,)]
    assert await believes(populated) is False


async def test_two_that_look_for_the_first_time_keep_one_row(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await at_once(monkeypatch, TimeBook, "begin", believes(populated), believes(populated))

    assert True in found
    assert await believes(populated) is True
    assert populated.sql("SELECT count(*) FROM timekeeping") == [(1,)]


@pytest.mark.parametrize(
    "altered",
    [
        "believed_at = 9000000000000000000",
        f"believed_at = 0, doubted_since = {to_micros(LAST_MOMENT)}, doubted_at = {to_micros(NOW)}",
    ],
    ids=["beyond the calendar", "doubted beyond it"],
)
async def test_a_damaged_row_believes_nothing_and_says_what_to_do(populated: World, altered: str) -> None:
    await believes(populated)
    populated.sql(f"UPDATE timekeeping SET {altered}")

    with pytest.raises(UnavailableError, match="delete the row of `timekeeping`"):
        await believes(populated)


async def all_rounds(rounds: RoundsOfTime) -> None:
    await rounds.reports()
    await rounds.uploads()
    await rounds.duties()


async def test_rounds_of_a_doubted_clock_end_nothing_and_go_on_when_it_is_believed(populated: World) -> None:
    """Declassification, uploads, breaches, retention: all of what stays done."""
    await populated.agree(OWING)
    populated.clock.advance(HALF_HOUR)
    rounds = RoundsOfTime(populated.services)
    await flash(populated, declassify_on=date(2026, 6, 3))
    await begun(populated, awaited(LARGE))
    await all_rounds(rounds)
    for leap in (DAYS, YEARS):
        populated.clock.advance(leap)
        leapt = await populated.attempt(all_rounds(rounds))
        assert [entry["type"] for entry in leapt.entries] == ["clock.doubted"]
    populated.clock.advance(-YEARS)
    assert [entry["type"] for entry in (await populated.attempt(all_rounds(rounds))).entries] == ["clock.doubted"]

    await goes_on(populated, timedelta(days=1))
    due = await populated.attempt(all_rounds(rounds))
    populated.clock.advance(YEARS)
    await believes(populated)
    await goes_on(populated, timedelta(days=1))
    over = await populated.attempt(all_rounds(rounds))

    ended = {"report.declassified", "upload.abandoned", "duty.breached"}
    assert {entry["type"] for entry in due.entries} >= ended
    assert "report.ended" in {entry["type"] for entry in over.entries}
