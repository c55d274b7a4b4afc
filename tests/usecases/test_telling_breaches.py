"""What is told of a breach at the moment of telling: to readers who may know of it then, and of what can be read."""

from dataclasses import replace

import pytest

from exchange import usecases
from exchange.members import Standing
from exchange.store import BreachKind
from exchange.usecases import DutyWatch
from exchange.usecases.promises.telling_breaches import told_breach
from exchange.usecases.telling.telling_streams import ToldEvent, told_events
from tests.support.lived import MakeLived
from tests.support.world import World, certificate_of
from tests.usecases.test_breaches import DAY, MINUTE, OPEN, flash, listed
from tests.usecases.test_information_requests import ask

BY = {"subscription": "s"}


async def made_open(world: World) -> None:
    await world.agree(OPEN)
    world.clock.advance(MINUTE)
    await world.enrol("NOR junior", "NOR", "reader", level="CONFIDENTIAL")


@pytest.fixture
async def owing(make_lived: MakeLived) -> World:
    return (await make_lived(made_open))[0]


async def unacknowledged(world: World, count: int = 1) -> list[str]:
    """Let NOR acknowledge none of so many reports of GBR's, and return them."""
    reports = [await flash(world) for _ in range(count)]
    world.clock.advance(11 * MINUTE)
    await DutyWatch(world.services).round()
    return reports


async def breaches(world: World, kind: BreachKind) -> dict[str, str]:
    """Return the breaches that NOR's signatory is shown: what each is about, and its id."""
    return {row.subject: row.id for row in await listed(world, "NOR signatory") if row.kind is kind}


async def is_told(world: World, name: str, breach: str) -> bool:
    """Return whether a client is told of a breach; whom it is, and nobody else, is on record as told."""
    made = await world.attempt(told_breach(world.services, world.call(name), breach, by=BY))
    assert made.error is None
    told = [(entry["detail"], entry["actor"]) for entry in made.entries if entry["type"] == "breach.notified"]
    by_service = {"client": world.clients[name].id, **BY} if made.answer is not None else {}, {"kind": "service"}
    assert told == ([] if made.answer is None else [by_service])
    return made.answer is not None


async def silence(world: World) -> str:
    """Let GBR send NOR nothing for longer than it promised, and return the breach."""
    world.clock.advance(DAY + MINUTE)
    await DutyWatch(world.services).round()
    (breach,) = (await breaches(world, BreachKind.REPORT)).values()
    return breach


async def test_silence_is_about_no_report_and_told_to_readers_cleared_for_all_that_could_have_come(
    owing: World,
) -> None:
    breach = await silence(owing)
    names = ("NOR reader", "GBR reader", "NOR junior", "DNK reader")

    assert [await is_told(owing, name, breach) for name in names] == [True, True, False, False]


async def test_breach_that_is_none_is_told_to_nobody_and_one_to_nobody_without_a_certificate(owing: World) -> None:
    call, breach = owing.call("NOR reader"), await silence(owing)

    assert await told_breach(owing.services, call, call.request_id, by=BY) is None
    assert await told_breach(owing.services, replace(call, thumbprint=None), breach, by=BY) is None
    assert await told_breach(owing.services, call, breach, by=BY) is not None


async def test_who_is_no_reader_any_more_or_never_was_is_told_nothing(owing: World) -> None:
    breach, services = await silence(owing), owing.services
    # Both are cleared for it, and one of them is shown it elsewhere.
    assert not await is_told(owing, "NOR signatory", breach)
    assert not await is_told(owing, "stranger", breach)
    reader = owing.clients["NOR reader"].id
    await usecases.change_standing(services, owing.call(None), reader, Standing.SUSPENDED)
    assert not await is_told(owing, "NOR reader", breach)
    await usecases.change_standing(services, owing.call(None), reader, Standing.ACTIVE)
    assert await is_told(owing, "NOR reader", breach)


async def test_breach_about_a_report_that_is_gone_is_told_to_no_reader(owing: World) -> None:
    await unacknowledged(owing)
    owing.unguard("report_part")
    owing.unguard("report")
    owing.sql("DELETE FROM report_part")
    owing.sql("DELETE FROM report")
    (breach,) = (await breaches(owing, BreachKind.ACKNOWLEDGEMENT)).values()

    assert [await is_told(owing, name, breach) for name in ("NOR reader", "GBR reader")] == [False, False]


async def test_breach_about_a_report_that_was_altered_is_told_to_nobody_and_keeps_no_other_from_being_told(
    owing: World,
) -> None:
    altered, other = await unacknowledged(owing, 2)
    known = await breaches(owing, BreachKind.ACKNOWLEDGEMENT)
    owing.sql("UPDATE report SET valid_until = recorded_at + 86400000000 WHERE id = $1", altered)
    call, client = owing.call("NOR reader"), owing.clients["NOR reader"]
    made = await owing.attempt(told_events(owing.services, call, client, 0, 1000))

    assert made.error is None
    assert [known[other] in str(each.facts_json) for each in made.value] == [True]
    # It is on record in the service's own name: the reader has asked for nothing.
    (opened,) = [entry for entry in made.entries if entry["type"] == "key.opened"]
    assert opened["actor"] == {"kind": "service"}


async def test_reader_whose_certificate_was_removed_is_told_nothing_that_comes_after(owing: World) -> None:
    await unacknowledged(owing)
    await ask(owing)
    services, call, client = owing.services, owing.call("NOR reader"), owing.clients["NOR reader"]

    async def told() -> list[ToldEvent]:
        return await told_events(services, call, client, 0, 1000)

    before = [each.kind.value for each in await told()]
    await usecases.add_certificate(services, owing.call(None), client.id, certificate_of("another"))
    await usecases.remove_certificate(services, owing.call(None), client.id, str(call.thumbprint))

    assert (sorted(before), await told()) == (["breach", "request"], [])
