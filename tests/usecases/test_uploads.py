"""Reports whose parts come later: whole or not there, known to nobody before, and decided again when completed."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, ForbiddenError, InvalidError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.members import Standing
from exchange.reports import Downgrade, PostedPart
from exchange.store import BlobPlace, BlobStore
from exchange.store.books import upload_book
from exchange.store.books.upload_book import UploadBook
from exchange.store.dumping import Replay, Since, load
from exchange.store.log.large_parts import PIECE_BYTES
from exchange.usecases import Incoming
from exchange.usecases.posting.give_up_uploads import give_up_uploads
from exchange.usecases.upkeep import backups
from tests.support.lowering import lower
from tests.support.uploading import (
    BINARY,
    LARGE,
    UPLOADS,
    acts_on,
    awaited,
    begun,
    completed,
    nothing_kept,
    pulled,
    sent,
)
from tests.support.world import Attempt, World, reopen_world

# ── whole ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_completed_report_is_read_as_it_was_sent(place: World) -> None:
    small = b"a note"
    upload = await begun(
        place, awaited(LARGE), awaited(small, "b.txt", "text/plain"), PostedPart(None, "text/plain", "c.txt", b"along")
    )
    view = (await sent(place, upload)).value
    assert [(part.is_received, part.header.sha256) for part in view.parts] == [
        (True, hashlib.sha256(LARGE).hexdigest()),
        (False, ""),
        (True, hashlib.sha256(b"along").hexdigest()),
    ]
    await sent(place, upload, small, 2)
    place.clock.advance(timedelta(hours=1))

    answer = await usecases.complete_upload(place.services, place.call("GBR contributor"), upload)

    header = json.loads(answer.value.header_json)
    assert (header["id"], header["posted_at"], header["status"]) == (upload, "2026-06-01T13:00:00Z", "current")
    assert [part["sha256"] for part in header["parts"]] == [
        hashlib.sha256(content).hexdigest() for content in (LARGE, small, b"along")
    ]
    assert [await pulled(place, upload, number) for number in (1, 2, 3)] == [LARGE, small, b"along"]
    listed = await usecases.list_reports(place.services, place.call("NOR reader"), usecases.ListQuery())
    assert [json.loads(item)["id"] for item in listed.value.items] == [upload]
    assert place.sql(UPLOADS) == [(0,)]
    assert LARGE[:64] not in b"".join(content for (content,) in place.sql("SELECT content FROM part_piece"))


async def test_each_act_is_on_the_record_and_the_post_is_too(populated: World) -> None:
    attempts: list[Attempt[Any]] = [
        await populated.attempt(begun(populated)),
    ]
    upload = attempts[0].value
    attempts.append(await populated.attempt(sent(populated, upload)))
    attempts.append(await populated.attempt(completed(populated, upload)))

    assert [[entry["type"] for entry in attempt.entries] for attempt in attempts] == [
        ["upload.begun"],
        ["upload.part_received"],
        ["report.posted", "upload.completed", "report.distributed"],
    ]
    entries = [entry for attempt in attempts for entry in attempt.entries]
    assert {(entry["object"]["id"], entry["owner"], entry["decision"]) for entry in entries} == {
        (upload, "GBR", "permitted")
    }
    (part,) = attempts[1].entries
    assert part["detail"]["part"] == 1
    assert part["detail"]["sealed_sha256"] != hashlib.sha256(LARGE).hexdigest()
    assert hashlib.sha256(LARGE).hexdigest() not in json.dumps(entries)


async def test_part_sent_again_counts_as_it_came_last(place: World) -> None:
    other = LARGE[::-1]
    upload = await begun(place)
    await sent(place, upload)
    view = (await sent(place, upload, other)).value

    assert view.parts[0].header.sha256 == hashlib.sha256(other).hexdigest()
    await completed(place, upload)
    assert await pulled(place, upload) == other
    while await place.services.store.large_parts.sweep():
        pass
    assert await pulled(place, upload) == other
    pieces = len(place.sql("SELECT number FROM part_piece"))
    assert pieces in {0, -(-len(LARGE) // PIECE_BYTES)}


async def test_report_takes_the_place_of_another_one_only_when_it_is_completed(populated: World) -> None:
    former = await populated.post()
    upload = await begun(populated, supersedes=former, references=(former,))
    await sent(populated, upload)

    async def status() -> str:
        answer = await usecases.pull_report(populated.services, populated.call("GBR reader"), former)
        return str(json.loads(answer.value.header_json)["status"])

    assert await status() == "current"
    await completed(populated, upload)
    assert await status() == "superseded"


async def test_what_the_former_report_built_on_stays_and_its_poster_is_not_told(populated: World) -> None:
    label = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
    await populated.enrol("NOR desk", "NOR", "contributor", "reader")
    source = await populated.post("GBR contributor")
    former = await populated.post("NOR desk", references=(source,), label=label)
    # This contributor reads nothing, so it names no source.
    upload = await begun(populated, supersedes=former, name="NOR contributor")
    await sent(populated, upload, name="NOR contributor")
    answer = await usecases.complete_upload(populated.services, populated.call("NOR contributor"), upload)

    assert json.loads(answer.value.header_json)["references"] == []
    shown = await usecases.pull_report(populated.services, populated.call("NOR desk"), upload)
    assert json.loads(shown.value.header_json)["references"] == [source]


async def test_lower_part_is_seen_under_its_own_label(populated: World) -> None:
    lower = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
    label = Label("NATO", "SECRET", releasable_to=("DNK", "GBR", "NOR"))
    await populated.enrol("DNK junior", "DNK", "reader", level="RESTRICTED")
    upload = await begun(populated, awaited(LARGE), awaited(b"low", "b.bin", label=lower), label=label)
    await sent(populated, upload)
    await sent(populated, upload, b"low", 2)
    await completed(populated, upload)

    answer = await usecases.pull_report(populated.services, populated.call("DNK junior"), upload)
    assert dict(answer.value.parts) == {1: b"low"}


async def test_same_key_begins_once_and_tells_what_has_come(populated: World) -> None:
    posted = populated.posted(parts=(awaited(LARGE), awaited(b"b", "b.bin")))
    call = populated.call("GBR contributor")
    first = await usecases.begin_upload(populated.services, call, posted, idempotency_key="once")
    upload = first.value.declared.id
    await sent(populated, upload)

    again = await usecases.begin_upload(populated.services, call, posted, idempotency_key="once")

    assert (first.value.is_replayed, again.value.is_replayed) == (False, True)
    assert again.value.declared.id == upload
    assert [part.is_received for part in again.value.parts] == [True, False]
    with pytest.raises(ConflictError, match="another request"):
        await usecases.begin_upload(populated.services, call, replace(posted, subject="x"), idempotency_key="once")
    whole = replace(posted, parts=(PostedPart(None, BINARY, "a.bin", LARGE),))
    with pytest.raises(ConflictError, match="another request"):
        await usecases.post_report(populated.services, call, whole, idempotency_key="once")
    await sent(populated, upload, b"b", 2)
    await completed(populated, upload)
    with pytest.raises(ConflictError, match=f"report `{upload}` was begun .* is complete") as refused:
        await usecases.begin_upload(populated.services, call, posted, idempotency_key="once")
    assert refused.value.receipt is not None
    assert populated.sql("SELECT count(*) FROM upload") == [(1,)]


async def test_key_that_points_at_another_upload_tells_of_none(populated: World) -> None:
    """What is sent on would come under the label that the other one declared."""
    call = populated.call("GBR contributor")
    other = populated.posted(parts=(awaited(b"low"),), label=Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")))
    posted = populated.posted(parts=(awaited(b"top"),), label=Label("NATO", "SECRET", releasable_to=("GBR",)))
    for each, key in ((other, "other"), (posted, "once")):
        await usecases.begin_upload(populated.services, call, each, idempotency_key=key)
    populated.sql("UPDATE idempotency SET report_id = (SELECT report_id FROM idempotency WHERE key = 'other')")

    with pytest.raises(ConflictError, match="another request"):
        await usecases.begin_upload(populated.services, call, posted, idempotency_key="once")


async def test_key_of_an_older_version_tells_what_it_began(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    call, posted = populated.call("GBR contributor"), populated.posted(parts=(awaited(b"top"),))
    with monkeypatch.context() as older:
        older.setattr(upload_book, "_digest_for", lambda key, _upload: key.request_digest)
        first = await usecases.begin_upload(populated.services, call, posted, idempotency_key="once")

    again = await usecases.begin_upload(populated.services, call, posted, idempotency_key="once")

    assert again.value.declared.id == first.value.declared.id


async def test_key_of_a_post_begins_nothing(populated: World) -> None:
    call, posted = populated.call("GBR contributor"), populated.posted()
    await usecases.post_report(populated.services, call, posted, idempotency_key="once")
    with pytest.raises(ConflictError, match="another request"):
        await usecases.begin_upload(populated.services, call, posted, idempotency_key="once")
    populated.clock.advance(timedelta(hours=25))
    call = populated.call("GBR contributor")
    await usecases.begin_upload(populated.services, call, posted, idempotency_key="once")


# ── decided again ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_agreement_suspended_meanwhile_completes_nothing(populated: World) -> None:
    upload = await begun(populated)
    await sent(populated, upload)
    await usecases.suspend_agreement(populated.services, populated.call("GBR signatory"), populated.agreement_id)

    attempt = await populated.attempt(completed(populated, upload))

    assert isinstance(attempt.error, ConflictError)
    assert (attempt.entry["type"], attempt.entry["decision"]) == ("upload.completed", "refused")
    assert attempt.entry["reasons"] == ["agreement-not-in-force"]
    assert populated.sql("SELECT count(*) FROM report") == [(0,)]
    await usecases.resume_agreement(populated.services, populated.call("GBR signatory"), populated.agreement_id)
    await completed(populated, upload)
    assert await pulled(populated, upload) == LARGE


async def test_source_raised_meanwhile_completes_nothing(populated: World) -> None:
    low = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
    source = await populated.post(label=low)
    upload = await begun(populated, label=low, references=(source,))
    await sent(populated, upload)
    await usecases.amend_report(populated.services, populated.call("GBR contributor"), source, populated.posted())

    with pytest.raises(InvalidError) as refused:
        await completed(populated, upload)
    assert [fault.code for fault in refused.value.faults] == ["below-source"]


async def test_end_of_validity_that_came_meanwhile_completes_nothing(populated: World) -> None:
    upload = await begun(populated, valid_until=populated.clock.now + timedelta(hours=1))
    await sent(populated, upload)
    populated.clock.advance(timedelta(hours=2))

    with pytest.raises(InvalidError) as refused:
        await completed(populated, upload)
    assert [fault.code for fault in refused.value.faults] == ["expired"]


async def test_policy_that_moves_meanwhile_is_decided_under_anew(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begun(populated)
    await sent(populated, upload)
    hold, moved = populated.services.store.uploads.parts, []

    async def moving(upload_id: str) -> Any:
        if not moved:
            moved.append(True)
            await populated.enrol("FRA reader", "ESP", "reader")
        return await hold(upload_id)

    monkeypatch.setattr(populated.services.store.uploads, "parts", moving)
    await completed(populated, upload)
    assert await pulled(populated, upload) == LARGE


async def test_part_that_comes_while_the_report_is_completed_is_in_it_or_refused(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begun(populated)
    await sent(populated, upload)
    read, other = populated.services.store.uploads.parts, LARGE[::-1]
    racing: list[bool] = []

    async def parts(upload_id: str) -> Any:
        found = await read(upload_id)
        if not racing:
            racing.append(True)
            await sent(populated, upload, other)
        return found

    monkeypatch.setattr(populated.services.store.uploads, "parts", parts)
    answer = await usecases.complete_upload(populated.services, populated.call("GBR contributor"), upload)

    header = json.loads(answer.value.header_json)
    assert header["parts"][0]["sha256"] == hashlib.sha256(other).hexdigest()
    assert await pulled(populated, upload) == other


# ── whose it is ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_nobody_but_its_client_finds_it(populated: World) -> None:
    await populated.enrol("GBR second contributor", "GBR", "contributor")
    upload = await begun(populated)
    await sent(populated, upload)

    for name in ("GBR second contributor", "NOR contributor", "DNK contributor"):
        for act in await acts_on(populated, upload, name):
            attempt = await populated.attempt(act)
            assert isinstance(attempt.error, NotFoundError)
            assert attempt.entry["detail"] == {"finding": "absent"}
    for name in ("GBR reader", "operator", "auditor"):
        for act in await acts_on(populated, upload, name):
            assert isinstance((await populated.attempt(act)).error, ForbiddenError)
    assert populated.sql(UPLOADS) == [(1,)]


async def test_client_revoked_while_it_sends_is_heard_no_longer(place: World) -> None:
    upload = await begun(place)
    client = place.clients["GBR contributor"].id

    async def pieces() -> AsyncIterator[bytes]:
        yield LARGE[:300_000]
        await usecases.change_standing(place.services, place.call(None), client, Standing.REVOKED)
        place.clock.advance(timedelta(seconds=2))
        yield LARGE[300_000:600_000]
        raise AssertionError("it is heard to its end")

    attempt = await place.attempt(
        usecases.receive_part(
            place.services, place.call("GBR contributor"), upload, 1, Incoming(pieces(), None, hold=lambda _: None)
        )
    )

    assert isinstance(attempt.error, ForbiddenError)
    refused = attempt.entries[-1]
    assert (refused["type"], refused["reasons"]) == ("upload.part_received", ["client-suspended"])
    assert place.sql(UPLOADS) == [(0,)]
    assert place.sql("SELECT count(*) FROM part_piece") == [(0,)]


async def test_client_revoked_as_the_last_piece_comes_has_sent_nothing(populated: World) -> None:
    upload = await begun(populated)
    client = populated.clients["GBR contributor"].id

    async def pieces() -> AsyncIterator[bytes]:
        yield LARGE
        await usecases.change_standing(populated.services, populated.call(None), client, Standing.REVOKED)

    with pytest.raises(ForbiddenError):
        await usecases.receive_part(
            populated.services,
            populated.call("GBR contributor"),
            upload,
            1,
            Incoming(pieces(), None, hold=lambda _: None),
        )
    assert populated.sql(UPLOADS) == [(0,)]


async def test_altered_declaration_or_digest_is_recorded_and_nothing_becomes_a_report(populated: World) -> None:
    upload, other = await begun(populated), await begun(populated, subject="another one")
    for each in (upload, other):
        await sent(populated, each)
    ((sealed, digest),) = populated.sql(
        "SELECT sealed_header, sealed_digest FROM upload JOIN upload_part ON upload_id = id WHERE id = $1", other
    )
    populated.sql("UPDATE upload_part SET sealed_digest = $1 WHERE upload_id = $2", digest, upload)
    attempt = await populated.attempt(completed(populated, upload))
    assert isinstance(attempt.error, UnavailableError)
    assert attempt.entry["type"] == "key.opened"
    populated.sql("UPDATE upload SET sealed_header = $1 WHERE id = $2", sealed, upload)
    attempt = await populated.attempt(completed(populated, upload))
    assert isinstance(attempt.error, UnavailableError)
    assert attempt.entry["type"] == "key.opened"
    assert populated.sql("SELECT count(*) FROM report") == [(0,)]


# ── ended ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_completed_is_completed_once_and_takes_nothing_more(populated: World) -> None:
    upload = await begun(populated)
    await sent(populated, upload)
    await completed(populated, upload)

    for act in await acts_on(populated, upload, "GBR contributor"):
        attempt = await populated.attempt(act)
        assert isinstance(attempt.error, ConflictError)
        assert attempt.error.code == "already-complete"
        assert attempt.entry["decision"] == "refused"
    assert await pulled(populated, upload) == LARGE


async def test_uploads_that_cannot_be_given_up_stand_in_nobodys_way(
    place: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(give_up_uploads.__globals__, "AT_ONCE", 2)
    stuck = [await begun(place, awaited(LARGE)) for _ in range(3)]
    for upload in stuck:
        await sent(place, upload)
    last = await begun(place, awaited(LARGE))
    abandon = UploadBook.abandon

    async def held(book: UploadBook, upload: str) -> None:
        if upload in stuck:
            raise UnavailableError("somebody holds its rows")
        await abandon(book, upload)

    monkeypatch.setattr(UploadBook, "abandon", held)
    place.clock.advance(timedelta(days=30))

    assert not await give_up_uploads(place.services, place.clock.now)
    assert place.sql("SELECT id FROM upload WHERE ended IS NOT NULL") == [(last,)]


async def test_what_nobody_completes_is_given_up_with_its_keys(place: World) -> None:
    upload = await begun(place)
    kept = await begun(place, subject="another one")
    await sent(place, upload)
    place.clock.advance(timedelta(hours=23))
    assert not await give_up_uploads(place.services, place.clock.now)
    assert place.sql(UPLOADS) == [(1,)]
    place.clock.advance(timedelta(hours=1))
    # Past its time nothing is taken, whether it was given up already or not.
    attempt = await place.attempt(completed(place, upload))
    assert (type(attempt.error), attempt.error and attempt.error.code) == (ConflictError, "given-up")
    assert not await give_up_uploads(place.services, place.clock.now, is_held=True)
    assert place.sql(UPLOADS) == [(1,)]

    await give_up_uploads(place.services, place.clock.now)

    entries = [entry for entry in await place.entries() if entry["type"] == "upload.abandoned"]
    assert {(entry["object"]["id"], entry["owner"], entry["actor"]["kind"]) for entry in entries} == {
        (upload, "GBR", "service"),
        (kept, "GBR", "service"),
    }
    assert place.sql(UPLOADS) == [(0,)]
    assert {bytes(sealed) for (sealed,) in place.sql("SELECT sealed_header FROM upload")} == {b""}
    for act in await acts_on(place, upload, "GBR contributor"):
        with pytest.raises(ConflictError, match="given up"):
            await act
    assert await nothing_kept(place)
    assert not await give_up_uploads(place.services, place.clock.now)


async def test_part_of_what_is_given_up_meanwhile_leaves_nothing(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await begun(place)
    store = place.services.store
    unit_of_work = store.unit_of_work
    given_up: list[bool] = []

    def giving_up() -> Any:
        if not given_up:
            given_up.append(True)
            place.sql("UPDATE upload SET ended = 'abandoned'")
        return unit_of_work()

    monkeypatch.setattr(store, "unit_of_work", giving_up)
    with pytest.raises(ConflictError, match="given up"):
        await sent(place, upload)
    assert place.sql(UPLOADS) == [(0,)]
    assert await nothing_kept(place)


async def test_recalled_report_is_gone_with_its_pieces(place: World) -> None:
    await place.enrol("GBR releaser", "GBR", "releaser")
    upload = await begun(place)
    await sent(place, upload)
    await completed(place, upload)
    await usecases.recall_report(place.services, place.call("GBR releaser"), upload, "the source is at risk")

    with pytest.raises(NotFoundError):
        await pulled(place, upload)
    assert await nothing_kept(place)


async def test_lowered_report_is_read_as_before(place: World) -> None:
    await place.enrol("GBR releaser", "GBR", "releaser")
    upload = await begun(place)
    await sent(place, upload)
    await completed(place, upload)
    wanted = Downgrade(Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")), None)
    await lower(place, upload, wanted)

    assert await pulled(place, upload) == LARGE
    place.clock.advance(timedelta(days=2))
    while await place.services.store.large_parts.sweep():
        pass
    assert await pulled(place, upload) == LARGE


# ── backups ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def restored(world: World, lines: list[bytes], folder: Path, replay: Replay) -> tuple[World, BlobPlace]:
    url = f"sqlite+aiosqlite:///{folder}/restored.db"
    await load(url, backups.rows_of(lines), Since("restored", replay, ()), clock=world.clock)
    place = BlobPlace(BlobStore((folder / "again").as_uri()), 4096)
    for location, pieces in backups.blobs_of(lines):
        await place.blobs.add(location, b"".join(pieces))
    return await reopen_world(url, folder), place


async def test_backup_holds_what_is_complete_and_what_is_not(place: World, tmp_path: Path) -> None:
    whole, half, recalled = [await begun(place, subject=subject) for subject in ("whole", "half", "recalled")]
    for upload in (whole, half, recalled):
        await sent(place, upload)
    await completed(place, whole)
    blobs = BlobStore((tmp_path / "blobs").as_uri())
    lines = [
        line async for line in backups.backup_lines(place.url, node="test", clock=place.clock, files={}, blobs=blobs)
    ]
    assert backups.read_contents(lines).missing == 0
    assert not any(LARGE[:64] in line for line in lines)

    again, blob_place = await restored(place, lines, tmp_path, Replay(recalled={recalled: "recalled"}))
    async with again.another_node(blobs=blob_place) as services:
        world = replace(again, services=services)
        assert await pulled(world, whole) == LARGE
        await completed(world, half)
        assert await pulled(world, half) == LARGE
        # It was completed and recalled after the backup: nothing brings it back.
        with pytest.raises(ConflictError, match="given up"):
            await completed(world, recalled)
    await again.services.store.close()
