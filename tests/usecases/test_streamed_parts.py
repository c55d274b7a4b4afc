"""Parts that are never in memory whole: opened to their end before anything is shown, and again while it is."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from obstore.store import from_url

from exchange import usecases
from exchange.audit import EventName
from exchange.kernel import ExchangeError, MalformedError, UnavailableError
from exchange.markings import Label
from exchange.members import Standing
from exchange.reports import Downgrade, PostedPart
from exchange.store import BlobPlace, BlobStore, OnwardWish
from exchange.store.log import blobs as blobs_module
from exchange.usecases.reading.read_part import STREAMED_FROM_BYTES, Pieces
from exchange.usecases.upkeep import backups
from tests.support.buckets import make_bucket
from tests.support.lived import MakeLived
from tests.support.lowering import lower
from tests.support.put_back import kept_rows
from tests.support.uploading import awaited, begun, completed, pulled, sent
from tests.support.world import World
from tests.usecases.test_report_life import amend

PREFIX, SEGMENT = 56, 16 * 1024 + 16
"""Of the ciphertext: what stands before the first segment, and a segment with its tag."""
CONTENT = hashlib.shake_256(b"capture").digest(3 * 1024 * 1024 + 5)


async def posted(world: World, **others: Any) -> str:
    upload = await begun(world, awaited(CONTENT), **others)
    await sent(world, upload, CONTENT)
    return await completed(world, upload)


def beside(world: World) -> BlobPlace:
    """Where a world keeps large parts outside of its database."""
    return BlobPlace(BlobStore((world.folder / "blobs").as_uri()), 4096)


async def in_the_database(world: World) -> str:
    await world.enrol("GBR releaser", "GBR", "releaser")
    return await posted(world)


async def in_a_folder(world: World) -> str:
    async with world.another_node(blobs=beside(world)) as services:
        return await in_the_database(replace(world, services=services))


@pytest.fixture(params=[in_the_database, in_a_folder], ids=["database", "folder"])
async def kept(request: pytest.FixtureRequest, make_lived: MakeLived) -> AsyncIterator[tuple[World, str]]:
    """A world in which a large part was posted, kept where it says, and its report."""
    world, report = await make_lived(request.param)
    async with world.another_node(blobs=beside(world)) as services:
        yield (world if request.param is in_the_database else replace(world, services=services)), report


async def pieces_of(world: World, report: str) -> Pieces:
    read = (await usecases.read_part(world.services, world.call("NOR reader"), report, 1)).value
    assert (read.content, read.part.size_bytes) == (None, len(CONTENT))
    assert read.pieces is not None
    return read.pieces


async def joined(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def test_any_stretch_of_a_large_part_is_what_was_sent(kept: tuple[World, str], subtests: pytest.Subtests) -> None:
    pieces = await pieces_of(*kept)
    for start, stop in (
        (0, len(CONTENT)),
        (0, 1),
        (STREAMED_FROM_BYTES - 1, STREAMED_FROM_BYTES + 70_000),
        (len(CONTENT) - 3, len(CONTENT)),
    ):
        with subtests.test(start=start, stop=stop):
            assert await joined(pieces(start, stop)) == CONTENT[start:stop]
    assert max([len(piece) async for piece in pieces(0, len(CONTENT))]) <= STREAMED_FROM_BYTES


async def test_pull_of_a_large_report_opens_nothing_of_it(
    kept: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, report = kept
    opened: list[object] = []
    unwrap = place.services.custodian.unwrap

    async def noted(*words: Any) -> bytes:
        opened.append(words)
        return await unwrap(*words)

    monkeypatch.setattr(place.services.custodian, "unwrap", noted)
    attempt = await place.attempt(usecases.pull_report(place.services, place.call("NOR reader"), report))

    assert attempt.value.value.parts == ()
    assert opened == []
    assert b'"sha256":"' + hashlib.sha256(CONTENT).hexdigest().encode() in attempt.value.value.header_json


def _files(world: World) -> list[Path]:
    return sorted(path for path in world.folder.rglob("parts/*/*") if path.is_file())


def _rewrite(world: World, change: Any) -> None:
    """Change what the last part is sealed in, wherever it is kept."""
    files = _files(world)
    if files:
        (file,) = files
        changed = change(file.read_bytes())
        file.unlink() if changed is None else file.write_bytes(changed)
        return
    rows = world.sql("SELECT number, content FROM part_piece ORDER BY number")
    changed = change(b"".join(content for _, content in rows))
    size = len(rows[0][1])
    for number, _ in rows:
        piece = None if changed is None else changed[number * size : (number + 1) * size]
        if piece:
            world.sql("UPDATE part_piece SET content = $1 WHERE number = $2", piece, number)
        else:
            world.sql("DELETE FROM part_piece WHERE number = $1", number)


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def swapped(content: bytes) -> bytes:
    # Two sealed segments, each whole, in each other's place.
    one, two = PREFIX + 5 * SEGMENT, PREFIX + 9 * SEGMENT
    return (
        content[:one]
        + content[two : two + SEGMENT]
        + content[one + SEGMENT : two]
        + content[one : one + SEGMENT]
        + content[two + SEGMENT :]
    )


DAMAGES = {
    "changed": flipped,
    "cut": lambda content: content[:-40],
    "cut at a segment": lambda content: content[: -((len(content) - PREFIX) % SEGMENT)],
    "swapped": swapped,
    "doubled": lambda content: content + content[-40:],
    "gone": lambda _: None,
}


async def test_damaged_large_part_is_recorded_and_shows_nothing(
    kept: tuple[World, str], subtests: pytest.Subtests
) -> None:
    place, report = kept
    rows, files = kept_rows(place, {"part_piece": ("location", "number")}), [(f, f.read_bytes()) for f in _files(place)]
    for name, damage in DAMAGES.items():
        await asyncio.to_thread(_rewrite, place, damage)
        attempt = await place.attempt(usecases.read_part(place.services, place.call("NOR reader"), report, 1))
        rows()
        for file, content in files:
            file.write_bytes(content)

        with subtests.test(name):
            assert isinstance(attempt.error, UnavailableError)
            assert [entry["type"] for entry in attempt.entries] == [EventName.KEY_OPENED.value]
    # Put back, it is whole.
    assert await joined((await pieces_of(place, report))(0, len(CONTENT))) == CONTENT


async def test_part_changed_while_it_is_shown_ends_there_and_is_recorded(kept: tuple[World, str]) -> None:
    place, report = kept
    pieces = await pieces_of(place, report)
    await asyncio.to_thread(_rewrite, place, flipped)
    shown: list[bytes] = []

    async def show() -> None:
        async for piece in pieces(0, len(CONTENT)):
            shown.append(piece)  # noqa: PERF401  what came before the fault is looked at

    with pytest.raises(UnavailableError):
        await show()
    assert CONTENT.startswith(b"".join(shown))
    assert sum(map(len, shown)) < len(CONTENT)
    assert EventName.KEY_OPENED.value in {entry["type"] for entry in await place.entries()}


async def revoked(world: World, _: str) -> None:
    reader = world.clients["NOR reader"].id
    await usecases.change_standing(world.services, world.call(None), reader, Standing.REVOKED)


async def cleared_lower(world: World, _: str) -> None:
    change = usecases.ClearanceChange("RESTRICTED")
    await usecases.change_clearance(world.services, world.call(None), world.clients["NOR reader"].id, change)


async def member_suspended(world: World, _: str) -> None:
    await usecases.suspend_member(world.services, world.call(None), "NOR")


async def agreement_suspended(world: World, _: str) -> None:
    await usecases.suspend_agreement(world.services, world.call("GBR signatory"), world.agreement_id)


async def recalled(world: World, report: str) -> None:
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "the source is at risk")


async def marked_for_others(world: World, report: str) -> None:
    await lower(world, report, Downgrade(Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR")), None))


async def amended(world: World, report: str) -> None:
    # Under the same label: what is shown of the former version would go on being that.
    await amend(world, report)


@pytest.mark.parametrize(
    "act", [revoked, cleared_lower, member_suspended, agreement_suspended, recalled, marked_for_others, amended]
)
async def test_right_that_is_lost_while_a_part_is_shown_ends_it_and_is_recorded(
    kept: tuple[World, str], act: Any
) -> None:
    place, report = kept
    pieces = (await pieces_of(place, report))(0, len(CONTENT))
    shown = [await anext(pieces)]
    await act(place, report)
    place.clock.advance(timedelta(seconds=1))
    before = len(await place.entries())
    with pytest.raises(ExchangeError):
        shown += [piece async for piece in pieces]

    assert len(shown) == 1
    ended = (await place.entries())[before]
    assert (ended["type"], ended["object"]["id"]) == ("report.part_read", report)
    assert ended["decision"] in {"refused", "failed"}


async def test_right_that_is_lost_while_a_part_is_opened_to_its_end_shows_nothing_of_it(
    kept: tuple[World, str],
) -> None:
    """What is large takes long to be opened before its first piece is shown, and nobody asked again in between."""
    place, report = kept
    pieces = (await pieces_of(place, report))(0, len(CONTENT))
    await revoked(place, report)
    place.clock.advance(timedelta(seconds=1))

    with pytest.raises(ExchangeError):
        await anext(pieces)


async def test_who_may_read_the_rest_of_a_report_still_is_shown_no_more_of_a_part_above(place: World) -> None:
    low = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
    parts = (
        PostedPart(None, "application/octet-stream", "capture.bin", CONTENT),
        PostedPart(low, "text/plain", "low.txt", b"what all may know"),
    )
    report = await place.post(parts=parts)
    pieces = (await pieces_of(place, report))(0, len(CONTENT))
    shown = [await anext(pieces)]
    await cleared_lower(place, report)
    place.clock.advance(timedelta(seconds=1))
    with pytest.raises(UnavailableError):
        shown += [piece async for piece in pieces]

    assert len(shown) == 1
    assert (await usecases.pull_report(place.services, place.call("NOR reader"), report)).value.parts


async def test_part_that_may_be_read_still_is_shown_to_its_end_whatever_others_are_given(
    kept: tuple[World, str],
) -> None:
    place, report = kept
    await place.enrol("GBR second releaser", "GBR", "releaser")
    pieces = (await pieces_of(place, report))(0, len(CONTENT))
    shown = [await anext(pieces)]
    wish = OnwardWish("ESP", (), (), None, "the operation is theirs")
    onward = (await usecases.request_onward(place.services, place.call("NOR reader"), report, wish)).value.row.id
    act = (await usecases.grant_onward(place.services, place.call("GBR releaser"), onward)).value.act
    asked = (await usecases.show_pending_act(place.services, place.call("GBR second releaser"), act)).value.act
    await usecases.confirm_act(place.services, place.call("GBR second releaser"), asked.id, asked.digest)
    async for piece in pieces:
        place.clock.advance(timedelta(minutes=5))
        shown.append(piece)

    assert b"".join(shown) == CONTENT


async def test_large_part_is_sealed_anew_piece_by_piece_or_the_report_stays_as_it_is(kept: tuple[World, str]) -> None:
    place, report = kept
    await lower(place, report, Downgrade(Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR")), None))
    assert await pulled(place, report) == CONTENT
    place.clock.advance(place.services.uploads.given_up_after * 2)
    while await place.services.store.large_parts.sweep():
        pass
    assert await pulled(place, report) == CONTENT

    await asyncio.to_thread(_rewrite, place, flipped)
    lowest = Downgrade(Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")), None)
    attempt = await place.attempt(usecases.downgrade_report(place.services, place.call("GBR releaser"), report, lowest))
    assert isinstance(attempt.error, UnavailableError)
    assert EventName.KEY_OPENED.value in {entry["type"] for entry in attempt.entries}
    assert place.sql("SELECT version FROM report WHERE id = $1", report) == [(2,)]


async def test_backup_holds_a_large_blob_in_pieces_all_of_them_or_it_is_not_whole(
    populated: World, tmp_path: Path
) -> None:
    blobs = BlobStore((tmp_path / "blobs").as_uri())
    async with populated.another_node(blobs=BlobPlace(blobs, 4096)) as services:
        await posted(replace(populated, services=services))
    lines = [
        line
        async for line in backups.backup_lines(populated.url, node="test", clock=populated.clock, files={}, blobs=blobs)
    ]
    pieces = [line for line in lines if b'"blob":' in line]

    assert len(pieces) > 3
    assert backups.read_contents(lines).blobs == 1
    ((location, content),) = [(location, b"".join(each)) for location, each in backups.blobs_of(lines)]
    assert content == await blobs.read(location)
    for lost in (pieces[0], pieces[1], pieces[-1]):
        with pytest.raises(MalformedError, match="not whole"):
            backups.read_contents([line for line in lines if line != lost])


async def test_large_part_in_a_bucket_is_put_there_and_read_in_pieces(
    populated: World, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bucket(s3, "exchange-parts", monkeypatch)
    content = hashlib.shake_256(b"more than one part of an upload").digest(11 * 1024 * 1024)
    blobs = BlobStore("s3://exchange-parts/inst-1")
    async with populated.another_node(blobs=BlobPlace(blobs, 4096)) as services:
        world = replace(populated, services=services)
        upload = await begun(world, awaited(content))
        with pytest.raises(MalformedError):
            await sent(world, upload, content[:-1], cut=True)
        assert world.sql("SELECT count(*) FROM blob_debris") == [(0,)]
        await sent(world, upload, content)
        await completed(world, upload)
        assert await pulled(world, upload) == content
        ((location,),) = world.sql("SELECT location FROM report_part")
        await blobs.remove(location)
        with pytest.raises(UnavailableError):
            await pulled(world, upload)


async def test_blob_is_read_however_slowly_it_is_taken(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that stayed open until its reader had taken all of it was cut off after three minutes."""
    make_bucket(s3, "exchange-parts", monkeypatch)
    content, blobs = os.urandom(12 * 1024 * 1024), BlobStore("s3://exchange-parts/slow")
    await blobs.add("blob", content)
    options = {"allow_http": True, "timeout": timedelta(seconds=2)}
    blobs._opened = from_url(blobs.url, client_options=options, retry_config={"max_retries": 0})

    taken, began = b"", monotonic()
    async for piece in blobs.pieces("blob"):
        taken += piece
        await asyncio.sleep(0.2)

    assert monotonic() - began > 2
    assert taken == content


async def test_bucket_that_takes_all_and_answers_nothing_keeps_nobody_waiting(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part that arrived waited for minutes, while the store was asked ten times more."""
    asked: list[asyncio.StreamWriter] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        while await reader.read(65_536):
            pass

    async def arriving() -> AsyncIterator[bytes]:
        yield b"x" * (6 << 20)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    make_bucket(s3, "exchange-parts", monkeypatch)
    host, port = server.sockets[0].getsockname()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_TIMEOUT", "500ms")
    monkeypatch.setattr(blobs_module, "CALL_SECONDS", 1.0)

    with pytest.raises(UnavailableError, match="cannot be written to the blob store"):
        await BlobStore("s3://exchange-parts/silent").add_pieces("blob", arriving())

    assert 1 <= len(asked) <= 4
    server.close()
    # Whoever asked keeps its connections: nobody else would end them, before the loop is gone.
    for writer in asked:
        writer.transport.abort()
    await asyncio.gather(*(writer.wait_closed() for writer in asked), return_exceptions=True)
