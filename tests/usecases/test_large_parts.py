"""Large parts in a blob store: sealed there, opened by Permit alone, and gone after a report is."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import EventName
from exchange.cli.doctor_log import large_parts
from exchange.cli.finding import Finding
from exchange.kernel import ConflictError, MalformedError, NotFoundError, StalePolicyError, UnavailableError
from exchange.reports import Downgrade
from exchange.store import BlobPlace, BlobStore
from exchange.store.dumping import Replay, Since, load
from exchange.store.log.blobs import GIVEN_UP_TIME
from exchange.store.log.large_parts import POST_TIME
from exchange.usecases.steps.recording import TamperedError
from exchange.usecases.upkeep import backups
from tests.support.buckets import make_bucket
from tests.support.lowering import lower
from tests.support.prepared import run_prepared
from tests.support.world import World, reopen_world

LARGE = b"an intercepted conversation, line by line\n" * 200
SMALLEST = 4096
NOTHING = Since("restored", Replay(), ())


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
async def filing(populated: World, folder: Path) -> AsyncIterator[World]:
    """A world whose node puts large parts into a folder."""
    await populated.enrol("GBR releaser", "GBR", "releaser")
    async with populated.another_node(blobs=BlobPlace(BlobStore(folder.as_uri()), SMALLEST)) as services:
        yield replace(populated, services=services)


async def pulled(world: World, report: str, name: str = "NOR reader") -> dict[int, bytes]:
    answer = await usecases.pull_report(world.services, world.call(name), report)
    return dict(answer.value.parts)


async def cleared(world: World, after: timedelta) -> int:
    world.clock.advance(after + timedelta(seconds=1))
    return await world.services.store.large_parts.sweep()


# ── kept and read ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_large_part_is_read_as_it_was_posted_and_no_file_tells_of_it(filing: World, folder: Path) -> None:
    report = await filing.post(content=LARGE)

    assert (await pulled(filing, report))[1] == LARGE
    part = await usecases.read_part(filing.services, filing.call("NOR reader"), report, 1)
    assert part.value.content == LARGE
    (file,) = files_in(folder)
    assert LARGE[:20] not in file.read_bytes()
    assert report not in str(file)
    assert filing.sql("SELECT ciphertext, location FROM report_part WHERE number = 1 AND report_id = $1", report) == [
        (b"", str(file.relative_to(folder)))
    ]
    assert filing.sql("SELECT * FROM blob_debris") == []


async def test_small_part_stays_in_the_database(filing: World, folder: Path) -> None:
    report = await filing.post(content=LARGE[:1000])

    assert (await pulled(filing, report))[1] == LARGE[:1000]
    assert files_in(folder) == []


async def test_node_that_begins_to_use_a_blob_store_reads_what_the_database_keeps(
    populated: World, folder: Path
) -> None:
    report = await populated.post(content=LARGE)

    async with populated.another_node(blobs=BlobPlace(BlobStore(folder.as_uri()), SMALLEST)) as services:
        assert (await pulled(replace(populated, services=services), report))[1] == LARGE


async def test_doctor_tells_that_another_node_puts_large_parts_elsewhere(
    populated: World, filing: World, folder: Path, tmp_path: Path
) -> None:
    assert (await large_parts(populated.services)).told == "in the database"
    report = await filing.post(content=LARGE)

    assert (await large_parts(filing.services)).told == f"in {folder.as_uri()}"
    found = await large_parts(populated.services)
    assert (found.state, found.told) == (
        Finding.MEND,
        "1 of the newest 1 are in a blob store, and `blob_store_url` names none here",
    )
    other = tmp_path / "other"
    async with populated.another_node(blobs=BlobPlace(BlobStore(other.as_uri()), SMALLEST)) as services:
        found = await large_parts(services)
    assert (found.state, found.told) == (Finding.MEND, f"1 of the newest 1 are not in {other.as_uri()}")
    assert "give every node the one place" in str(found.mend)
    # What is recalled is looked for nowhere.
    await usecases.recall_report(filing.services, filing.call("GBR releaser"), report, "in error")
    assert (await large_parts(populated.services)).state == Finding.OK


async def test_who_is_refused_makes_nobody_ask_the_blob_store(filing: World, folder: Path) -> None:
    report = await filing.post(content=LARGE)
    for file in files_in(folder):
        file.unlink()

    # Had it been asked, it would have failed otherwise.
    for name in ("DNK reader", "ESP reader", "operator"):
        attempt = await filing.attempt(usecases.pull_report(filing.services, filing.call(name), report))
        assert attempt.error is not None
        assert not isinstance(attempt.error, UnavailableError)
    with pytest.raises(NotFoundError):
        await usecases.read_part(filing.services, filing.call("DNK reader"), report, 1)


@pytest.mark.parametrize("location", ["parts/00/stuck", "parts//00", "../parts", ""])
async def test_what_cannot_be_deleted_stands_in_no_others_way(filing: World, folder: Path, location: str) -> None:
    blob = folder / "parts" / "ff" / "given-up"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"sealed")
    # A folder in its place, or a row that was altered to what is no place at all.
    (folder / "parts" / "00" / "stuck" / "held").mkdir(parents=True)
    for place, due_at in ((location, 0), (str(blob.relative_to(folder)), 1)):
        filing.sql("INSERT INTO blob_debris (location, due_at) VALUES ($1, $2)", place, due_at)
    parts = filing.services.store.large_parts

    assert await parts.sweep() == 2
    assert not blob.exists()
    assert filing.sql("SELECT location FROM blob_debris") == [(location,)]
    assert await parts.sweep() == 0
    for step in (timedelta(days=-1), timedelta(hours=1)):
        # A clock that was set back begins to count anew.
        filing.clock.advance(step)
        with pytest.raises(UnavailableError):
            await parts.sweep()
        filing.clock.advance(timedelta(minutes=59))
        assert await parts.sweep() == 0
        filing.clock.advance(-timedelta(minutes=59))


LISTED = "INSERT INTO blob_debris (location, due_at) SELECT location, $1 FROM report_part WHERE location IS NOT NULL"


async def test_what_a_part_names_is_not_deleted_whatever_a_row_says(filing: World, folder: Path) -> None:
    report = await filing.post(content=LARGE)
    filing.sql(LISTED, 0)
    # A store knows it by these names too; SQLite alone keeps bytes where a text belongs.
    others = ["'/' || location", "location || '/'"]
    others += [] if filing.url.startswith("postgresql") else ["CAST(location AS BLOB)"]
    for other in others:
        filing.sql(LISTED.replace("SELECT location", f"SELECT {other}"), 0)

    assert await filing.services.store.large_parts.sweep() == 0
    assert (await pulled(filing, report))[1] == LARGE
    await usecases.recall_report(filing.services, filing.call("GBR releaser"), report, "the source is at risk")
    assert await cleared(filing, GIVEN_UP_TIME) == 1
    assert files_in(folder) == []


async def test_blob_that_two_reports_name_goes_with_the_last(filing: World, folder: Path) -> None:
    other = await filing.post(content=LARGE[::-1])
    (blob,) = files_in(folder)
    taken = await filing.post(content=LARGE)
    alike = "(SELECT location FROM report_part WHERE report_id = $1 AND location IS NOT NULL)"
    filing.sql(f"UPDATE report_part SET location = {alike} WHERE report_id = $2", other, taken)
    for gone, left in ((taken, True), (other, False)):
        await usecases.recall_report(filing.services, filing.call("GBR releaser"), gone, "the source is at risk")
        await cleared(filing, GIVEN_UP_TIME)
        assert blob.exists() == left


async def test_report_whose_blob_is_listed_already_can_be_recalled(filing: World, folder: Path) -> None:
    """The row stood in the way of its own: nothing could destroy the report's keys."""
    report = await filing.post(content=LARGE)
    filing.sql(LISTED, 2**60)

    await usecases.recall_report(filing.services, filing.call("GBR releaser"), report, "the source is at risk")

    assert await cleared(filing, GIVEN_UP_TIME) == 1
    assert files_in(folder) == []


async def test_row_that_was_altered_deletes_nothing_outside_of_the_folder(
    filing: World, folder: Path, tmp_path: Path
) -> None:
    folder.mkdir()  # noqa: ASYNC240
    other = tmp_path / "notes#1"
    other.write_bytes(b"somebody else's")
    filing.sql("INSERT INTO blob_debris (location, due_at) VALUES ($1, 0)", str(tmp_path / "notes"))

    await filing.services.store.large_parts.sweep()

    assert other.exists()


async def test_store_that_deletes_nothing_is_told_of_and_not_asked_without_end(
    filing: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()  # noqa: ASYNC240
    asked = []

    async def away(_: BlobStore, location: str) -> None:
        asked.append(location)
        raise UnavailableError("the blob store is away")

    for number in range(20):
        filing.sql("INSERT INTO blob_debris (location, due_at) VALUES ($1, 0)", f"parts/00/{number:02}")
    with monkeypatch.context() as broken:
        broken.setattr(BlobStore, "remove", away)
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await filing.services.store.large_parts.sweep()
    assert len(asked) == len(set(asked)) == 16
    assert await filing.services.store.large_parts.sweep() == 4
    filing.clock.advance(timedelta(hours=1))
    assert await filing.services.store.large_parts.sweep() == 16
    assert filing.sql("SELECT count(*) FROM blob_debris") == [(0,)]


# ── attacks and faults ─────────────────────────────────────────────────────────────────────────────────────────────────


def changed(file: Path, other: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path, other: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def of_another_report(file: Path, other: Path) -> None:
    file.write_bytes(other.read_bytes())


def gone(file: Path, other: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [changed, cut, of_another_report, gone])
async def test_damaged_blob_is_recorded_and_shows_nothing(filing: World, folder: Path, damage: Any) -> None:
    report = await filing.post(content=LARGE)
    (file,) = files_in(folder)
    await filing.post(content=LARGE)
    (other,) = set(files_in(folder)) - {file}
    damage(file, other)

    for act in (
        usecases.pull_report(filing.services, filing.call("NOR reader"), report),
        usecases.read_part(filing.services, filing.call("NOR reader"), report, 1),
    ):
        attempt = await filing.attempt(act)
        assert isinstance(attempt.error, UnavailableError)
        assert attempt.entry["type"] == EventName.KEY_OPENED.value
        assert str(folder) not in attempt.error.message


async def test_blob_store_that_is_away_keeps_posts_out_and_tells_no_caller_where_it_is(
    filing: World, folder: Path
) -> None:
    await asyncio.to_thread(folder.write_text, "no folder")

    attempt = await filing.attempt(filing.post(content=LARGE))

    assert isinstance(attempt.error, UnavailableError)
    assert str(folder) not in attempt.error.message
    assert filing.sql("SELECT count(*) FROM report") == [(0,)]
    # Found again, and cleared when the post cannot come to its end any more.
    assert filing.sql("SELECT count(*) FROM blob_debris") == [(1,)]
    with pytest.raises(UnavailableError):
        await cleared(filing, POST_TIME)
    await asyncio.to_thread(folder.unlink)
    await asyncio.to_thread(folder.mkdir)
    assert await cleared(filing, POST_TIME) == 1
    assert filing.sql("SELECT count(*) FROM blob_debris") == [(0,)]


async def test_post_that_is_refused_last_leaves_nothing(filing: World, folder: Path) -> None:
    wanted = filing.posted(content=LARGE)
    call = filing.call("GBR contributor")
    await usecases.post_report(filing.services, call, wanted, idempotency_key="once")

    other = replace(wanted, subject="another one")
    with pytest.raises(ConflictError):
        await usecases.post_report(filing.services, call, other, idempotency_key="once")

    assert len(files_in(folder)) == 1
    assert await cleared(filing, POST_TIME) == 0


async def test_post_that_is_repeated_or_decided_again_leaves_one_blob(
    filing: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, tries = filing.services.store, []
    write = store.post_report

    async def stale_at_first(*arguments: Any, **named: Any) -> Any:
        tries.append(len(files_in(folder)))
        if len(tries) == 1:
            raise StalePolicyError("moved")
        return await write(*arguments, **named)

    monkeypatch.setattr(store, "post_report", stale_at_first)
    call, wanted = filing.call("GBR contributor"), filing.posted(content=LARGE)
    await usecases.post_report(filing.services, call, wanted, idempotency_key="once")
    again = await usecases.post_report(filing.services, call, wanted, idempotency_key="once")

    assert again.value.is_replayed
    assert tries == [1, 1, 2]
    assert len(files_in(folder)) == 1
    assert await cleared(filing, POST_TIME) == 0


async def test_blob_whose_writer_was_killed_is_cleared_away_with_its_beginnings(tmp_path: Path) -> None:
    # A process of its own, ended within a blob: what it had written so far stands beside the blob's own place.
    folder, location = tmp_path / "blobs", "parts/ab/abcd"
    code = f"""
import asyncio, os, signal
from exchange.store import BlobStore

async def pieces():
    for _ in range(24):
        yield bytes(256 * 1024)
    while not [name for _, _, names in os.walk({str(folder)!r}) for name in names]:
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(BlobStore({folder.as_uri()!r}).add_pieces({location!r}, pieces()))
"""
    killed = await asyncio.to_thread(run_prepared, "-c", code)
    assert (killed.returncode, len(files_in(folder))) == (-signal.SIGKILL, 1)
    blobs = BlobStore(folder.as_uri())
    await blobs.add("parts/ab/abcde", b"another one's")
    await blobs.remove(location)

    assert files_in(folder) == [folder / "parts/ab/abcde"]


# ── life ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_recalled_part_opens_no_more_at_once_and_its_blob_goes(filing: World, folder: Path) -> None:
    report = await filing.post(content=LARGE)
    await usecases.recall_report(filing.services, filing.call("GBR releaser"), report, "the source is at risk")

    with pytest.raises(NotFoundError):
        await pulled(filing, report)
    assert filing.sql("SELECT location, wrapped_key FROM report_part WHERE report_id = $1 AND number = 1", report) == [
        (None, b"")
    ]
    assert await filing.services.store.large_parts.sweep() == 0
    assert await cleared(filing, GIVEN_UP_TIME) == 1
    assert files_in(folder) == []


async def test_amended_report_has_new_blobs_and_the_old_ones_go(filing: World, folder: Path) -> None:
    report = await filing.post(content=LARGE)
    (old,) = files_in(folder)
    amended = filing.posted(content=LARGE + b"and one more")
    await usecases.amend_report(filing.services, filing.call("GBR contributor"), report, amended)

    assert (await pulled(filing, report))[1] == LARGE + b"and one more"
    assert len(files_in(folder)) == 2
    assert await cleared(filing, GIVEN_UP_TIME) == 1
    (new,) = files_in(folder)
    assert new != old
    assert (await pulled(filing, report))[1] == LARGE + b"and one more"


async def test_downgrade_seals_a_large_part_for_its_new_label(filing: World, folder: Path) -> None:
    report = await filing.post(content=LARGE)
    wanted = Downgrade(replace(filing.posted().label, classification="RESTRICTED"), None)
    await lower(filing, report, wanted)

    assert (await pulled(filing, report))[1] == LARGE
    assert await cleared(filing, GIVEN_UP_TIME) == 1
    assert (await pulled(filing, report))[1] == LARGE
    assert len(files_in(folder)) == 1


# ── backups ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def backed_up(world: World, folder: Path) -> list[bytes]:
    blobs = BlobStore(folder.as_uri())
    lines = backups.backup_lines(world.url, node="test", clock=world.clock, files={}, blobs=blobs)
    return [line async for line in lines]


async def test_backup_holds_large_parts_still_sealed(filing: World, folder: Path, tmp_path: Path) -> None:
    report = await filing.post(content=LARGE)
    lines = await backed_up(filing, folder)
    assert backups.read_contents(lines).blobs == 1
    assert not any(LARGE[:20] in line for line in lines)
    for file in files_in(folder):
        file.unlink()

    url = f"sqlite+aiosqlite:///{tmp_path}/restored.db"
    await load(url, backups.rows_of(lines), NOTHING, clock=filing.clock)
    again = tmp_path / "again"
    for location, pieces in backups.blobs_of(lines):
        await BlobStore(again.as_uri()).add(location, b"".join(pieces))

    restored = await reopen_world(url, tmp_path)
    place = BlobPlace(BlobStore(again.as_uri()), SMALLEST)
    async with restored.another_node(blobs=place) as services:
        assert (await pulled(replace(restored, services=services), report))[1] == LARGE
    await restored.services.store.close()


async def test_backup_that_lacks_a_blob_is_not_whole(filing: World, folder: Path) -> None:
    await filing.post(content=LARGE)
    lines = await backed_up(filing, folder)

    with pytest.raises(MalformedError, match="not whole"):
        backups.read_contents([line for line in lines if b'"blob":' not in line])


async def test_backup_without_the_blob_store_of_its_parts_is_none(filing: World) -> None:
    await filing.post(content=LARGE)
    lines = backups.backup_lines(filing.url, node="test", clock=filing.clock, files={})

    with pytest.raises(UnavailableError, match="`blob_store_url` names none"):
        [line async for line in lines]


async def test_backup_tells_of_large_parts_that_were_lost(filing: World, folder: Path) -> None:
    await filing.post(content=LARGE)
    (file,) = files_in(folder)
    file.unlink()

    contents = backups.read_contents(await backed_up(filing, folder))
    assert (contents.blobs, contents.missing) == (0, 1)


async def test_recalled_since_the_backup_is_cleared_away_after_the_restore(
    filing: World, folder: Path, tmp_path: Path
) -> None:
    report = await filing.post(content=LARGE)
    lines = await backed_up(filing, folder)
    url = f"sqlite+aiosqlite:///{tmp_path}/restored.db"
    since = Since("restored", Replay(recalled={report: "recalled"}), ())
    await load(url, backups.rows_of(lines), since, clock=filing.clock)

    restored = await reopen_world(url, tmp_path)
    async with restored.another_node(blobs=BlobPlace(BlobStore(folder.as_uri()), SMALLEST)) as services:
        assert await services.store.large_parts.sweep() == 1
    await restored.services.store.close()
    assert files_in(folder) == []


# ── a bucket ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_large_parts_in_a_bucket(populated: World, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bucket(s3, "exchange-parts", monkeypatch)
    await populated.enrol("GBR releaser", "GBR", "releaser")
    blobs = BlobStore("s3://exchange-parts/inst-1")
    async with populated.another_node(blobs=BlobPlace(blobs, SMALLEST)) as services:
        world = replace(populated, services=services)
        report = await world.post(content=LARGE)
        assert (await pulled(world, report))[1] == LARGE
        ((location,),) = world.sql("SELECT location FROM report_part WHERE location IS NOT NULL")
        assert LARGE[:20] not in await blobs.read(location)
        await usecases.recall_report(services, world.call("GBR releaser"), report, "the source is at risk")
        assert await cleared(world, GIVEN_UP_TIME) == 1
        with pytest.raises(UnavailableError, match="not there"):
            await blobs.read(location)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL keeps the types of its columns
async def test_part_whose_place_is_no_text_does_not_open_and_is_on_record(filing: World) -> None:
    report = await filing.post()
    filing.sql("UPDATE report_part SET location = x'61' WHERE report_id = $1", report)

    made = await filing.attempt(usecases.pull_report(filing.services, filing.call("NOR reader"), report))

    assert isinstance(made.error, TamperedError)
    assert ("key.opened", "failed") in [(entry["type"], entry["decision"]) for entry in made.entries]
