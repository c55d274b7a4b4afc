"""Breaches that are on the record, by the log: no row that somebody wrote hides one, and none is found a second time."""

import asyncio
import json
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import UnavailableError, new_id, to_micros
from exchange.store import Store
from exchange.usecases import DutyWatch
from exchange.usecases.upkeep.hold_rows import RowWatch
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.world import Entry, World
from tests.usecases.test_breaches import DAY, MINUTE, flash, found, listed, made_owing

WRITE = (
    "INSERT INTO duty_breach (id, agreement_id, kind, party, owed_to, scope, subject, label, due_at, found_at)"
    " VALUES ($1, $2, $3, $4, $5, 'cyber-threats', $6, $7, $8, $8)"
)
LABEL = '{"policy": "NATO", "classification": "SECRET", "compartments": [], "releasable_to": [], "handling": []}'


@pytest.fixture
async def owing(make_lived: MakeLived) -> World:
    return (await make_lived(made_owing))[0]


def write(world: World, kind: str, parties: tuple[str, str], subject: str) -> None:
    """Write a breach that nobody found, of this moment."""
    now = to_micros(world.clock.now)
    world.sql(
        WRITE,
        new_id(world.clock.now, world.services.randomness),
        world.agreement_id,
        kind,
        *parties,
        subject,
        LABEL,
        now,
    )


async def told(world: World) -> list[tuple[str, str]]:
    return sorted((entry["detail"]["kind"], entry["detail"]["owed_to"]) for entry in await found(world))


async def test_row_written_before_the_deadline_hides_no_report_that_nobody_acknowledged(owing: World) -> None:
    report = await flash(owing)
    write(owing, "acknowledgement", ("NOR", "GBR"), report)
    owing.clock.advance(11 * MINUTE)
    for _ in range(2):
        await DutyWatch(owing.services).round()

    (entry,) = await found(owing)
    assert entry["detail"]["report"] == report
    # What was written is told of as what cannot be read.
    assert [row.id for row in await listed(owing, "NOR signatory")] == [entry["detail"]["breach"]]


async def test_row_written_before_the_deadline_hides_no_silence(owing: World) -> None:
    owing.clock.advance(DAY)
    write(owing, "report", ("GBR", "NOR"), "a silence")
    owing.clock.advance(MINUTE)
    for _ in range(2):
        await DutyWatch(owing.services).round()

    assert await told(owing) == [("report", "DNK"), ("report", "NOR")]


@pytest.mark.parametrize("is_placed", [False, True])
async def test_breach_whose_row_is_gone_is_found_no_second_time(owing: World, *, is_placed: bool) -> None:
    await flash(owing)
    owing.clock.advance(DAY + MINUTE)
    await DutyWatch(owing.services).round()
    before = await told(owing)
    owing.sql("DELETE FROM duty_breach")
    if is_placed:
        await place_entries(owing, is_searchable=True)
    await DutyWatch(owing.services).round()

    assert len(before) == 3
    assert await told(owing) == before


async def test_log_that_is_away_for_a_moment_hides_no_report_that_nobody_acknowledged(
    owing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: Store) -> list[bytes]:
        raise UnavailableError("the store went away")

    await flash(owing)
    owing.clock.advance(60 * MINUTE)
    watch = DutyWatch(owing.services)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Store, "waiting_entries", away)
        faults = await asyncio.gather(watch.round(), return_exceptions=True)
    await watch.round()

    assert await told(owing) == [("acknowledgement", "GBR")]
    assert [str(fault) for fault in faults] == [f"agreement {owing.agreement_id} is not looked at: OpeningError"]


async def test_log_that_is_away_is_told_of_each_time_that_it_went(
    owing: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(_: Store) -> list[bytes]:
        raise UnavailableError("the store went away")

    owing.clock.advance(DAY + MINUTE)
    watch = DutyWatch(owing.services)
    for _ in range(2):
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(Store, "waiting_entries", away)
            await watch.round()
            await watch.round()
        await watch.round()
        await usecases.receive_report(owing.services, owing.call("NOR reader"), await owing.post())
        owing.clock.advance(DAY)
        await watch.round()
        owing.clock.advance(MINUTE)

    silent = [text for text in caplog.messages if "not all broken promises are found" in text]
    assert (len(silent), await told(owing)) == (2, [("report", "DNK"), ("report", "NOR"), ("report", "NOR")])


def rows(world: World) -> list[tuple[Any, ...]]:
    columns = "id, agreement_id, kind, party, owed_to, scope, subject, label, due_at, found_at"
    found = world.sql(f"SELECT {columns} FROM duty_breach ORDER BY id")
    return [(*row[:7], json.loads(row[7]), *row[8:]) for row in found]


async def contradicted(world: World) -> list[Entry]:
    return [entry for entry in await world.entries() if entry["type"] == "row.contradicted"]


async def test_breach_whose_row_is_gone_is_put_back_once_as_it_was_and_on_record(owing: World) -> None:
    await flash(owing)
    owing.clock.advance(DAY + MINUTE)
    await DutyWatch(owing.services).round()
    await place_entries(owing, is_searchable=True)
    before = rows(owing)
    owing.sql("DELETE FROM duty_breach")
    async with owing.another_node() as other:
        # SQLite has one writer: who came second may have been told to come again.
        await asyncio.gather(*(RowWatch(each).round() for each in (owing.services, other)), return_exceptions=True)
    await RowWatch(owing.services).round()

    assert len(before) == 3
    assert rows(owing) == before
    assert len(await listed(owing, "NOR signatory")) == 1
    told = await contradicted(owing)
    assert {entry["detail"]["done"] for entry in told} == {"put back"}
    assert sorted(entry["object"]["id"] for entry in told) == sorted(
        entry["detail"]["breach"] for entry in await found(owing)
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("party = 'DNK'", "party"),
        ("scope = 'other'", "scope"),
        ("label = '{}'", "label"),
        ("due_at = due_at + 1", "due"),
        ("subject = id", "report"),
    ],
)
async def test_breach_whose_row_was_altered_is_told_and_left(owing: World, change: str, named: str) -> None:
    await flash(owing)
    owing.clock.advance(11 * MINUTE)
    await DutyWatch(owing.services).round()
    await place_entries(owing, is_searchable=True)
    watch = RowWatch(owing.services)
    await watch.round()
    assert await contradicted(owing) == []
    owing.sql(f"UPDATE duty_breach SET {change}")
    for _ in range(2):
        await watch.round()

    (entry,) = await contradicted(owing)
    assert (entry["object"]["type"], entry["detail"]["done"]) == ("breach", "nothing")
    assert f"`{named}` in version 0 is another" in entry["detail"]["why"]
