"""What takes a report's place (ADR 0051): when, whose, under what, and once at a time; on both databases."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, InvalidError
from exchange.markings import Label
from exchange.usecases.life.sweep_reports import sweep_reports
from tests.support.lived import MakeLived
from tests.support.uploading import awaited, begun, completed, sent
from tests.support.world import World

SECRET = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
LOW = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
HOUR = timedelta(hours=1)

Take = Callable[..., Awaitable[str]]
posting = import_module("exchange.usecases.posting.post_report")


async def post(world: World, **others: Any) -> str:
    return await world.post("GBR desk", **others)


async def upload(world: World, **others: Any) -> str:
    made = await begun(world, awaited(b"later"), name="GBR desk", **others)
    await sent(world, made, b"later", name="GBR desk")
    return await completed(world, made, name="GBR desk")


@pytest.fixture(params=[post, upload], ids=["post", "upload"])
def take(request: pytest.FixtureRequest) -> Take:
    made: Take = request.param
    return made


async def with_desks(world: World) -> None:
    await world.enrol("GBR desk", "GBR", "contributor", "reader")
    await world.enrol("GBR feed", "GBR", "contributor", level="RESTRICTED")
    await world.enrol("GBR releaser", "GBR", "releaser")


@pytest.fixture
async def desks(make_lived: MakeLived) -> World:
    return (await make_lived(with_desks))[0]


async def recall(world: World, report: str) -> None:
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "at risk")


async def as_current(world: World) -> tuple[str, str | None]:
    return await post(world), None


async def as_superseded(world: World) -> tuple[str, str | None]:
    report = await post(world)
    return report, await post(world, supersedes=report)


async def as_superseded_by_what_expired(world: World) -> tuple[str, str | None]:
    report = await post(world)
    taken_by = await post(world, supersedes=report, valid_until=world.clock.now + HOUR)
    world.clock.advance(2 * HOUR)
    return report, taken_by


async def as_superseded_by_what_was_recalled(world: World) -> tuple[str, str | None]:
    report, taken_by = await as_superseded(world)
    assert taken_by is not None
    await recall(world, taken_by)
    return report, None


async def as_expired(world: World) -> tuple[str, str | None]:
    report = await post(world, valid_until=world.clock.now + HOUR)
    world.clock.advance(2 * HOUR)
    return report, None


async def as_recalled(world: World) -> tuple[str, str | None]:
    report = await post(world)
    await recall(world, report)
    return report, None


async def as_ended(world: World) -> tuple[str, str | None]:
    report = await post(world)
    await sweep_reports(world.services, world.clock.now + timedelta(days=6 * 366))
    assert world.sql("SELECT status, length(sealed_header) FROM report WHERE id = $1", report) == [("expired", 0)]
    return report, None


Stands = Callable[[World], Awaitable[tuple[str, str | None]]]
STANDS: list[tuple[Stands, str | None, str | None]] = [
    (as_current, None, None),
    (as_superseded, "superseded", None),
    (as_superseded_by_what_expired, "superseded", None),
    (as_superseded_by_what_was_recalled, None, None),
    (as_expired, None, None),
    (as_recalled, "recalled", "the report is recalled: it cannot be superseded"),
    # The last one: all others end with it.
    (as_ended, "expired", "the report has ended: its keys are destroyed already"),
]


async def test_place_is_taken_once_at_a_time_and_of_nothing_that_is_destroyed(
    desks: World, take: Take, subtests: pytest.Subtests
) -> None:
    for stands, code, told in STANDS:
        with subtests.test(stands.__name__):
            await require_taken_once(desks, take, stands, code, told)


async def require_taken_once(desks: World, take: Take, stands: Stands, code: str | None, told: str | None) -> None:
    report, taken_by = await stands(desks)
    if code is None:
        after = await take(desks, supersedes=report)
        assert desks.sql("SELECT status, supersedes FROM report WHERE id = $1", after) == [("current", report)]
        (status,) = desks.sql("SELECT status FROM report WHERE id = $1", report)[0]
        assert status == "superseded"
        return
    before = desks.sql("SELECT id, status FROM report ORDER BY id")
    made = await desks.attempt(take(desks, supersedes=report))

    assert isinstance(made.error, ConflictError)
    assert (made.error.code, made.entry["detail"]) == (code, {"codes": [code]})
    assert str(made.error) == (told or f"the report is superseded: supersede {taken_by}, which took its place")
    assert desks.sql("SELECT id, status FROM report ORDER BY id") == before
    if taken_by is not None:
        # Nothing is at its end: the correction of a correction takes the place of that one.
        assert await take(desks, supersedes=taken_by)


async def test_what_took_the_place_is_named_to_whom_it_is_shown_alone(desks: World) -> None:
    report = await desks.post("GBR desk", label=LOW)
    await desks.post("GBR desk", supersedes=report, label=SECRET)
    told = [
        (await desks.attempt(desks.post(name, supersedes=report, label=SECRET))).error
        for name in ("GBR feed", "GBR contributor")
    ]

    assert {str(error) for error in told} == {"the report is superseded: supersede the one that took its place"}


async def test_what_took_the_place_and_does_not_open_is_named_to_nobody(desks: World) -> None:
    report, taken_by = await as_superseded(desks)
    desks.sql("UPDATE report SET sealed_header = $1 WHERE id = $2", b"\x00" * 64, taken_by)
    made = await desks.attempt(post(desks, supersedes=report))

    assert isinstance(made.error, ConflictError)
    assert str(made.error) == "the report is superseded: supersede the one that took its place"


async def test_of_two_that_come_at_once_one_takes_the_place(desks: World, take: Take) -> None:
    report = await post(desks)
    came = await asyncio.gather(*(take(desks, supersedes=report) for _ in range(3)), return_exceptions=True)

    assert sorted(type(each).__name__ for each in came) == ["ConflictError", "ConflictError", "str"]
    assert desks.sql("SELECT count(*) FROM report WHERE supersedes = $1", report) == [(1,)]


async def test_post_that_is_sent_again_is_shown_what_it_posted(desks: World) -> None:
    report = await post(desks)
    body = desks.posted(supersedes=report)
    made = [
        (await usecases.post_report(desks.services, desks.call("GBR desk"), body, idempotency_key="again")).value
        for _ in range(2)
    ]

    assert [each.is_replayed for each in made] == [False, True]
    assert made[0].report_id == made[1].report_id


async def test_report_that_was_raised_meanwhile_is_not_superseded_by_a_lower_one(
    desks: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await post(desks, label=LOW)
    seals, raised = posting.seal_report, list[str]()

    async def raised_meanwhile(*asked: Any) -> Any:
        if not raised:
            raised.append(report)
            wanted = desks.posted(label=SECRET)
            await usecases.amend_report(desks.services, desks.call("GBR desk"), report, wanted, if_version=None)
        return await seals(*asked)

    monkeypatch.setattr(posting, "seal_report", raised_meanwhile)
    with pytest.raises(InvalidError) as refused:
        await post(desks, label=LOW, supersedes=report)

    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/supersedes", "below-source")]
    assert raised
    assert desks.sql("SELECT status FROM report") == [("current",)]


async def test_place_is_under_one_agreement(desks: World, take: Take) -> None:
    report = await post(desks)
    await desks.agree()
    with pytest.raises(InvalidError) as refused:
        await take(desks, supersedes=report)

    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/supersedes", "other-agreement")]


@pytest.mark.parametrize("has_expired", [False, True])
async def test_report_that_has_the_place_in_its_row_alone_is_named_to_nobody(
    desks: World, *, has_expired: bool
) -> None:
    report, other = await post(desks), await post(desks, valid_until=desks.clock.now + HOUR)
    desks.sql("UPDATE report SET supersedes = $1 WHERE id = $2", report, other)
    desks.clock.advance(HOUR if has_expired else timedelta(0))
    with pytest.raises(ConflictError, match="supersede the one that took its place"):
        await post(desks, supersedes=report)


async def test_upload_is_told_before_its_parts_come(desks: World) -> None:
    report, taken_by = await as_superseded(desks)
    with pytest.raises(ConflictError, match=f"supersede {taken_by}, which took its place"):
        await begun(desks, awaited(b"later"), name="GBR desk", supersedes=report)
    other = await post(desks)
    waiting = await begun(desks, awaited(b"later"), name="GBR desk", supersedes=other)
    await sent(desks, waiting, b"later", name="GBR desk")
    taken_by = await post(desks, supersedes=other)

    with pytest.raises(ConflictError, match=f"supersede {taken_by}, which took its place"):
        await completed(desks, waiting, name="GBR desk")


async def test_another_desk_of_the_member_takes_the_place_and_other_readers_keep_the_old_one(desks: World) -> None:
    everybody = Label("NATO", "SECRET", releasable_to=("DNK", "GBR", "NOR"))
    report = await desks.post("GBR contributor", label=everybody)
    after = await post(desks, supersedes=report, label=SECRET)
    listed = {}
    for name in ("NOR reader", "DNK reader"):
        page = await usecases.list_reports(desks.services, desks.call(name), usecases.ListQuery())
        headers = map(json.loads, page.value.items)
        listed[name] = [(each["id"], each["status"], each["supersedes"]) for each in headers]

    # Who may not read the new one is told that the old one holds no more, and nothing of what took its place.
    old = (report, "superseded", None)
    assert listed == {"NOR reader": [old, (after, "current", report)], "DNK reader": [old]}
