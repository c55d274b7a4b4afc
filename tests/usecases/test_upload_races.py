"""What moves while a report is begun, sent, completed or given up: it is decided again, or nothing is done."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import EventName
from exchange.kernel import ConflictError, ExchangeError, NotFoundError, StalePolicyError, UnavailableError
from exchange.reports import PostedPart
from exchange.store.books.report_book import ReportBook
from exchange.store.books.upload_book import UploadBook
from exchange.store.rows.upload_rows import UploadEnd
from exchange.usecases import Incoming
from exchange.usecases.posting.give_up_uploads import give_up_uploads
from exchange.usecases.reading.pull_report import LARGEST_INLINE_BYTES, seek_permit
from exchange.usecases.steps.opening import open_part_pieces
from tests.support.meanwhile import done_behind
from tests.support.uploading import UPLOADS, awaited, begun, completed, pulled, sent
from tests.support.world import World

LARGE = b"x" * (1024 * 1024 + 1)


async def test_policy_that_never_stands_still_leaves_things_as_they_are(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begun(populated, awaited(b"a"))
    other = await begun(populated, awaited(b"a"))
    await sent(populated, other, b"a")

    async def moved(*_: Any) -> None:
        raise StalePolicyError("the policy has changed since the decision: decide again")

    monkeypatch.setattr(ReportBook, "hold_order", moved)
    for act in (begun(populated), sent(populated, upload, b"a"), completed(populated, other)):
        with pytest.raises(UnavailableError, match="faster"):
            await act

    assert populated.sql("SELECT count(*) FROM upload WHERE ended IS NULL") == [(2,)]
    assert populated.sql(UPLOADS) == [(1,)]
    assert populated.sql("SELECT count(*) FROM report") == [(0,)]


async def test_nothing_is_completed_or_amended_by_a_promise_that_was_suspended_meanwhile(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, report = await begun(populated, awaited(b"a")), await populated.post()
    await sent(populated, upload, b"a")
    services, agreement, call = populated.services, populated.agreement_id, populated.call("GBR signatory")
    amended = usecases.amend_report(services, populated.call("GBR contributor"), report, populated.posted())

    # Behind the decision, before what it was about is put in its place.
    for module, step, act in (
        ("posting.complete_upload", "postable", completed(populated, upload)),
        ("life.report_moves", "resealed", amended),
    ):
        suspension = usecases.suspend_agreement(services, call, agreement)
        done_behind(monkeypatch, import_module(f"exchange.usecases.{module}"), step, lambda it=suspension: it)
        refused = await populated.attempt(act)
        assert isinstance(refused.error, ConflictError | NotFoundError), module
        await usecases.resume_agreement(services, call, agreement)

    assert populated.sql("SELECT id, version FROM report") == [(report, 1)]
    assert populated.sql("SELECT count(*) FROM upload WHERE ended IS NULL") == [(1,)]


@pytest.mark.parametrize(("end", "code"), [("complete", "already-complete"), ("give up", "given-up")])
async def test_what_ends_while_it_is_completed_is_not_said_to_lack_parts(
    populated: World, monkeypatch: pytest.MonkeyPatch, end: str, code: str
) -> None:
    upload = await begun(populated, awaited(b"a"))
    await sent(populated, upload, b"a")

    async def ended() -> None:
        if end == "complete":
            await completed(populated, upload)
        else:
            await usecases.give_up_upload(populated.services, populated.call("GBR contributor"), upload)

    done_behind(monkeypatch, import_module("exchange.usecases.posting.complete_upload"), "own_upload", ended)
    made = await populated.attempt(completed(populated, upload))

    assert isinstance(made.error, ConflictError)
    assert made.error.code == code
    (refused,) = [entry for entry in made.entries if entry["decision"] == "refused"]
    assert refused["detail"]["codes"] == [code]


async def test_what_ends_at_the_last_moment_takes_nothing_and_becomes_nothing(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begun(populated, awaited(b"a"))
    await sent(populated, upload, b"a")

    async def ended(*_: Any) -> tuple[int, UploadEnd]:
        return 1, UploadEnd.ABANDONED

    monkeypatch.setattr(UploadBook, "hold", ended)
    for act in (sent(populated, upload, b"a"), completed(populated, upload)):
        with pytest.raises(ConflictError, match="given up"):
            await act
    populated.clock.advance(populated.services.uploads.given_up_after)
    assert not await give_up_uploads(populated.services, populated.clock.now)

    assert populated.sql("SELECT count(*) FROM report") == [(0,)]
    assert populated.sql(UPLOADS) == [(1,)]


async def test_one_that_cannot_be_given_up_holds_up_no_other(
    populated: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, gone, last = [await begun(populated, awaited(b"a"), subject=name) for name in ("a", "b", "c")]
    populated.clock.advance(populated.services.uploads.given_up_after)
    one = populated.services.store.uploads.one

    async def looked_up(upload_id: str) -> Any:
        if upload_id == first:
            raise ExchangeError("not this one")
        return None if upload_id == gone else await one(upload_id)

    monkeypatch.setattr(populated.services.store.uploads, "one", looked_up)
    await give_up_uploads(populated.services, populated.clock.now)

    assert populated.sql("SELECT id FROM upload WHERE ended = 'abandoned'") == [(last,)]
    assert "not this one" in caplog.text


async def test_row_that_says_something_else_than_was_declared_opens_nothing(populated: World) -> None:
    upload = await begun(populated, awaited(b"a"))
    populated.sql("UPDATE upload SET originator = 'NOR' WHERE id = $1", upload)

    attempt = await populated.attempt(sent(populated, upload, b"a"))
    assert isinstance(attempt.error, UnavailableError)
    assert attempt.entry["type"] == "key.opened"


async def test_large_part_whose_row_is_gone_is_recorded(populated: World) -> None:
    upload = await begun(populated, awaited(LARGE))
    await sent(populated, upload, LARGE)
    await completed(populated, upload)
    populated.sql("DELETE FROM report_part")

    attempt = await populated.attempt(pulled(populated, upload))
    assert isinstance(attempt.error, UnavailableError)
    assert attempt.entry["type"] == "key.opened"


async def test_part_outside_the_permit_gives_no_piece(populated: World) -> None:
    upload = await begun(populated, awaited(LARGE))
    await sent(populated, upload, LARGE)
    await completed(populated, upload)
    event = EventName.REPORT_PART_READ
    granted = await seek_permit(populated.services, populated.call("NOR reader"), upload, parts=1, event=event)
    judged, (part,) = granted.judged, granted.row.parts
    nothing = replace(granted.permit, labels=frozenset())

    pieces = open_part_pieces(populated.services, judged.report, judged.release_class, part, permit=nothing)
    assert [piece async for piece in pieces] == []


def over_days(world: World, content: bytes, *, days: int) -> AsyncIterator[bytes]:
    """Return `content` as it comes over `days`, while the jobs of the service clear away what nobody needs."""

    async def pieces() -> AsyncIterator[bytes]:
        step = len(content) // days + 1
        for start in range(0, len(content), step):
            yield content[start : start + step]
            world.clock.advance(timedelta(days=1))
            await world.services.store.large_parts.sweep()

    return pieces()


async def receive_over_days(world: World, content: bytes, *, days: int) -> str:
    limits = replace(world.services.uploads, given_up_after=timedelta(days=10))
    patient = replace(world, services=replace(world.services, uploads=limits))
    upload = await begun(patient, awaited(content))
    incoming = Incoming(over_days(patient, content, days=days), None, hold=lambda _: None)
    await usecases.receive_part(patient.services, patient.call("GBR contributor"), upload, 1, incoming)
    return upload


async def test_part_that_takes_days_is_not_cleared_away_as_it_comes(place: World) -> None:
    upload = await receive_over_days(place, LARGE, days=3)
    await completed(place, upload)

    assert await pulled(place, upload) == LARGE


async def test_part_that_was_cleared_away_is_not_said_to_be_there(
    place: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = place.services.store.large_parts.receive

    async def swept(*given: Any, **others: Any) -> str:
        location = await receive(*given, **others)
        place.sql("UPDATE blob_debris SET due_at = 0")
        await place.services.store.large_parts.sweep()
        return location

    monkeypatch.setattr(place.services.store.large_parts, "receive", swept)
    upload = await begun(place, awaited(LARGE))
    with pytest.raises(UnavailableError, match="send it again"):
        await sent(place, upload, LARGE)

    assert place.sql(UPLOADS) == [(0,)]


async def test_part_whose_commit_nobody_heard_of_is_whole_or_not_there(
    place: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    along = PostedPart(None, "application/octet-stream", "b.bin", LARGE[:8192])
    unit_of_work = place.services.store.unit_of_work

    @asynccontextmanager
    async def unheard() -> AsyncIterator[Any]:
        async with unit_of_work() as unit:
            yield unit
        raise UnavailableError("the connection broke as it committed")

    with monkeypatch.context() as patched:
        patched.setattr(place.services.store, "unit_of_work", unheard)
        with pytest.raises(UnavailableError):
            await begun(place, awaited(LARGE), along)
        ((upload,),) = place.sql("SELECT id FROM upload")
        with pytest.raises(UnavailableError):
            await sent(place, upload, LARGE)
    assert place.sql(UPLOADS) == [(2,)]
    place.clock.advance(timedelta(hours=23))
    while await place.services.store.large_parts.sweep():
        pass
    await completed(place, upload)

    assert await pulled(place, upload) == LARGE
    assert await pulled(place, upload, 2) == LARGE[:8192]


@pytest.mark.parametrize(
    ("first", "last"), [(b"a draft", b"the one"), (LARGE[:-1] + b"a", LARGE)], ids=["small", "large"]
)
async def test_part_that_was_sent_before_never_takes_the_place_of_the_last_one(
    place: World, first: bytes, last: bytes
) -> None:
    upload = await begun(place, awaited(first))
    await sent(place, upload, first)
    (before,) = place.sql("SELECT wrapped_key, ciphertext, location FROM upload_part")
    await sent(place, upload, last)
    await completed(place, upload)
    assert await pulled(place, upload) == last
    # Both were sealed for this part of this report, and what is given up is there until a sweep.
    place.sql("UPDATE report_part SET wrapped_key = $1, ciphertext = $2, location = $3", *before)

    reads = [pulled(place, upload)]
    if len(last) < LARGEST_INLINE_BYTES:
        reads.append(usecases.pull_report(place.services, place.call("NOR reader"), upload))
    for read in reads:
        attempt = await place.attempt(read)
        assert isinstance(attempt.error, UnavailableError)
        assert [entry["type"] for entry in attempt.entries] == ["key.opened"]
