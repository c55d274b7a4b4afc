"""Destroyed keys leave the files of the database too, and not only its rows."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exchange import usecases
from exchange.usecases.upkeep.rounds_of_time import RoundsOfTime
from tests.support.uploading import begun
from tests.support.world import World

on_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def holding(world: World, *remains: bytes) -> list[str]:
    """Return which files of the database hold any of `remains`."""
    files = sorted(Path(world.url.partition("///")[2]).parent.glob("exchange.db*"))
    return [file.name for file in files if any(each in file.read_bytes() for each in remains)]


def size_of_log(world: World) -> int:
    """Return how much stands in what SQLite writes ahead."""
    return Path(world.url.partition("///")[2] + "-wal").stat().st_size


async def recalled(world: World) -> tuple[bytes, bytes]:
    """Return what opened a report that has been recalled since: its sealed header and the wrapped key of its part."""
    await world.enrol("GBR releaser", "GBR", "releaser")
    report = await world.post()
    ((header, key),) = world.sql("SELECT sealed_header, wrapped_key FROM report JOIN report_part ON report_id = id")
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "the source is at risk")
    return bytes(header), bytes(key)


@on_sqlite
async def test_what_opened_a_recalled_report_is_in_no_file_a_round_later(populated: World) -> None:
    remains = await recalled(populated)
    assert holding(populated, *remains)

    await RoundsOfTime(populated.services).reports()
    assert holding(populated, *remains) == []


DESTROYING = {
    "a report": "INSERT INTO report_tombstone (report_id, cause, raised_at, note, entry_id) VALUES ('x', 'x', 1, '', 'x')",
    "an erasure": "UPDATE pending_act SET approver = 'x', approved_at = 1",
    "an upload": "UPDATE upload SET ended = 'abandoned', ended_at = 1",
}


@on_sqlite
@pytest.mark.parametrize("destroying", DESTROYING.values(), ids=list(DESTROYING))
async def test_whatever_was_destroyed_since_the_last_round_is_written_over_in_the_next(
    populated: World, destroying: str
) -> None:
    wanted = usecases.WantedErasure(populated.clients["NOR reader"].id, f"{populated.clock.now:%Y-%m}", "because")
    await usecases.describe_caller(populated.services, populated.call("NOR reader"))
    await usecases.request_erasure(populated.services, populated.call("operator"), wanted)
    await begun(populated)
    await populated.services.store.scrub_what_was_destroyed()
    assert size_of_log(populated) == 0

    populated.sql(destroying)
    assert size_of_log(populated) > 0
    await populated.services.store.scrub_what_was_destroyed()
    assert size_of_log(populated) == 0


@on_sqlite
async def test_reader_of_an_older_state_puts_it_off_and_nobody_thinks_it_done(
    populated: World, caplog: pytest.LogCaptureFixture
) -> None:
    rounds = RoundsOfTime(populated.services)
    with closing(sqlite3.connect(populated.url.partition("///")[2], isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM report").fetchall()
        remains = await recalled(populated)
        await rounds.reports()
        assert holding(populated, *remains)
        assert "not written over yet" in caplog.text

    await rounds.reports()
    assert holding(populated, *remains) == []


@on_sqlite
async def test_files_are_left_alone_where_nothing_was_destroyed(populated: World) -> None:
    rounds = RoundsOfTime(populated.services)
    await recalled(populated)
    await rounds.reports()
    await populated.post()
    written = size_of_log(populated)

    await rounds.reports()
    assert size_of_log(populated) >= written > 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_postgresql_vacuums_what_holds_keys_as_soon_as_a_row_is_dead(populated: World) -> None:
    told = populated.sql("SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL AND relkind = 'r'")

    at_once = {"autovacuum_vacuum_threshold=0", "autovacuum_vacuum_scale_factor=0"}
    assert {name: set(options) for name, options in told} == dict.fromkeys(
        ("personal_key", "report", "report_part", "upload", "upload_part"), at_once
    )
