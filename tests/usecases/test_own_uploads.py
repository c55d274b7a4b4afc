"""What a client has open, for whoever lost its ids: listed to that client alone, and given up; on both databases."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import Criteria, Extent
from exchange.kernel import ConflictError, LimitExceededError, NotFoundError
from exchange.markings import Label
from exchange.usecases import EntryQuery, OpenUpload
from exchange.usecases.posting.give_up_uploads import give_up_uploads
from tests.support.placing import place_entries
from tests.support.uploading import UPLOADS, awaited, begun, completed, nothing_kept, sent
from tests.support.world import World

own_uploads = import_module("exchange.usecases.posting.own_uploads")


async def listed(world: World, name: str = "GBR contributor") -> tuple[OpenUpload, ...]:
    return (await usecases.list_uploads(world.services, world.call(name))).value


async def given_up(world: World, upload: str, name: str = "GBR contributor") -> str:
    return (await usecases.give_up_upload(world.services, world.call(name), upload)).value


async def test_list_holds_what_is_open_sized_and_dated_and_nothing_else(place: World) -> None:
    first = await begun(place, awaited(b"x" * 700), awaited(b"second", "b.bin"))
    await sent(place, first, b"second", 2)
    at = place.clock.now
    place.clock.advance(timedelta(hours=1))
    later = await begun(place, awaited(b"x"))
    done = await begun(place, awaited(b"x"))
    await sent(place, done, b"x")
    await completed(place, done)
    items = await listed(place)

    assert [item.id for item in items] == [first, later]
    due_at = at + place.services.uploads.given_up_after
    assert items[0] == OpenUpload(
        first, place.agreement_id, "cyber-threats", at, due_at, 2, 706, parts_received=1, received_bytes=6
    )
    # Past its time it takes no room, whether it was given up already or not.
    place.clock.advance(timedelta(hours=23))
    assert [item.id for item in await listed(place)] == [later]


async def test_nobody_elses_are_listed_or_counted(populated: World) -> None:
    await populated.enrol("GBR colleague", "GBR", "contributor")
    await begun(populated, awaited(b"x"))

    for name in ("GBR colleague", "NOR contributor"):
        recorded = await usecases.list_uploads(populated.services, populated.call(name))
        assert recorded.value == ()
        entry = next(each for each in await populated.entries() if each["id"] == recorded.receipt.entry)
        assert (entry["type"], entry["decision"], entry["detail"]) == ("upload.listed", "permitted", {"open": 0})


async def test_what_is_given_up_leaves_nothing_and_makes_room(place: World) -> None:
    world = replace(place, services=replace(place.services, uploads=replace(place.services.uploads, open_per_client=1)))
    upload = await begun(world)
    await sent(world, upload)
    with pytest.raises(LimitExceededError, match="GET /v1/uploads"):
        await begun(world, awaited(b"x"))
    attempt = await world.attempt(given_up(world, upload))

    assert attempt.value == upload
    entry = attempt.entry
    assert (entry["type"], entry["decision"], entry["object"]["id"]) == ("upload.abandoned", "permitted", upload)
    assert (entry["actor"]["id"], entry["owner"]) == (world.clients["GBR contributor"].id, "GBR")
    assert world.sql(UPLOADS) == [(0,)]
    assert [bytes(sealed) for (sealed,) in world.sql("SELECT sealed_header FROM upload")] == [b""]
    assert await nothing_kept(world)
    assert await listed(world) == ()
    await begun(world, awaited(b"x"))


async def test_what_has_ended_and_what_is_anothers_is_not_given_up(populated: World) -> None:
    await populated.enrol("GBR colleague", "GBR", "contributor")
    done, over, foreign = [await begun(populated, awaited(b"x")) for _ in range(3)]
    await sent(populated, done, b"x")
    await completed(populated, done)
    await given_up(populated, over)
    for upload, code in ((done, "already-complete"), (over, "given-up")):
        attempt = await populated.attempt(given_up(populated, upload))
        assert isinstance(attempt.error, ConflictError)
        assert (attempt.error.code, attempt.entry["decision"]) == (code, "refused")

    for upload, name in ((foreign, "GBR colleague"), (foreign, "NOR contributor"), ("no-id", "GBR contributor")):
        attempt = await populated.attempt(given_up(populated, upload, name))
        assert isinstance(attempt.error, NotFoundError)
    assert [item.id for item in await listed(populated)] == [foreign]


async def test_what_was_damaged_is_listed_and_given_up_like_the_others(populated: World) -> None:
    damaged = await begun(populated, awaited(b"x"))
    populated.clock.advance(timedelta(seconds=1))
    whole = await begun(populated, awaited(b"x"))
    populated.sql("UPDATE upload SET sealed_header = $1 WHERE id = $2", b"altered", damaged)
    await place_entries(populated, is_searchable=True)
    items = await listed(populated)

    assert [(item.id, item.scope, item.parts, item.size_bytes) for item in items] == [
        (damaged, None, None, None),
        (whole, "cyber-threats", 1, 1),
    ]
    failures = [entry["detail"] for entry in await populated.entries() if entry["type"] == "key.opened"]
    assert failures == [{"place": f"upload {damaged}"}]
    await given_up(populated, damaged)
    assert [item.id for item in await listed(populated)] == [whole]


async def test_upload_that_was_moved_to_another_client_is_absent_for_it(populated: World) -> None:
    upload, mover = await begun(populated, awaited(b"x")), populated.clients["NOR contributor"]
    await place_entries(populated, is_searchable=True)
    populated.sql("UPDATE upload SET client_id = $1 WHERE id = $2", mover.id, upload)

    assert await listed(populated, "NOR contributor") == ()
    for act in (given_up(populated, upload, "NOR contributor"), completed(populated, upload, "NOR contributor")):
        attempt = await populated.attempt(act)
        assert isinstance(attempt.error, NotFoundError)
        assert "owner" not in attempt.entries[-1]
    failures = [entry for entry in await populated.entries() if entry["type"] == "key.opened"]
    assert {(entry["actor"]["kind"], entry["detail"]["place"]) for entry in failures} == {
        ("service", f"upload {upload}")
    }
    assert populated.sql("SELECT ended FROM upload") == [(None,)]


async def test_of_completing_and_giving_up_at_once_one_comes_to_pass(populated: World) -> None:
    upload = await begun(populated, awaited(b"x"))
    await sent(populated, upload, b"x")
    came = await asyncio.gather(completed(populated, upload), given_up(populated, upload), return_exceptions=True)

    assert sorted(type(each).__name__ for each in came) == ["ConflictError", "str"]
    (end,) = populated.sql("SELECT ended FROM upload")[0]
    assert populated.sql("SELECT count(*) FROM report") == [(1 if end == "completed" else 0,)]


async def test_what_was_completed_while_it_was_looked_at_is_not_given_up(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begun(populated, awaited(b"x"))
    await sent(populated, upload, b"x")
    look = own_uploads.own_upload_row

    async def completed_meanwhile(*asked: Any, **named: Any) -> Any:
        found = await look(*asked, **named)
        await completed(populated, upload)
        return found

    monkeypatch.setattr(own_uploads, "own_upload_row", completed_meanwhile)
    with pytest.raises(ConflictError) as refused:
        await given_up(populated, upload)

    assert refused.value.code == "already-complete"
    assert populated.sql("SELECT count(*) FROM report") == [(1,)]


async def test_auditor_that_is_not_cleared_for_an_upload_learns_nothing_of_it(populated: World) -> None:
    await populated.enrol("GBR low auditor", "GBR", "auditor", level="RESTRICTED")
    low = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
    below, by_time = await begun(populated, awaited(b"x"), label=low), await begun(populated, awaited(b"x"), label=low)
    given, damaged, late = [await begun(populated, awaited(b"x")) for _ in range(3)]
    populated.sql("UPDATE upload SET sealed_header = $1 WHERE id = $2", b"altered", damaged)
    for upload in (below, given, damaged):
        await place_entries(populated, is_searchable=True)
        await given_up(populated, upload)
    # Another member's try for it, and its own client's for what has ended.
    for upload, name in ((late, "NOR contributor"), (given, "GBR contributor"), (damaged, "GBR contributor")):
        assert (await populated.attempt(given_up(populated, upload, name))).error is not None
    populated.clock.advance(timedelta(days=1))
    await give_up_uploads(populated.services, populated.clock.now)
    await place_entries(populated, is_searchable=True)

    async def shown(upload: str) -> list[tuple[str, Extent]]:
        call = populated.call("GBR low auditor")
        query = EntryQuery(Criteria(subject=upload), newest_first=False)
        found = (await usecases.search_entries(populated.services, call, query)).value.items
        return [(str(each.view.fields["type"]), each.view.extent) for each in found]

    # That it was begun, and who ended it: the client itself, or the exchange.
    assert await shown(below) == [("upload.begun", Extent.WHOLE), ("upload.abandoned", Extent.WHOLE)]
    assert await shown(by_time) == [("upload.begun", Extent.WHOLE), ("upload.abandoned", Extent.OTHERS)]
    # What a refused client sent is shown whatever there is.
    assert await shown(given) == await shown(damaged) == [("upload.abandoned", Extent.REFUSAL)]
    assert await shown(late) == []
