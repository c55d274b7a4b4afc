"""A report of one's own in between is no step by which another one's is taken apart; on both databases."""

import pytest

from exchange import usecases
from exchange.kernel import InvalidError
from exchange.reports import Downgrade, PostedPart
from tests.support.lived import MakeLived
from tests.support.world import World
from tests.usecases.test_derivations import LOW, MIDDLE, ask, derive, grant, is_refused


async def with_an_analyst(world: World) -> None:
    await world.enrol("NOR analyst", "NOR", "contributor", "reader", "releaser")
    await world.enrol("GBR releaser", "GBR", "releaser")


@pytest.fixture
async def deriving(make_lived: MakeLived) -> World:
    return (await make_lived(with_an_analyst))[0]


async def test_own_report_is_no_step_to_take_apart_what_it_derives_from(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    parts = (PostedPart(LOW, "text/plain", "a.txt", b"a"), PostedPart(None, "text/plain", "b.txt", b"b"))
    step = await derive(deriving, source, label=MIDDLE)
    second = await derive(deriving, step, label=MIDDLE)
    for own in (step, second):
        assert await is_refused(deriving, own, label=MIDDLE, parts=parts)
    report = await derive(deriving, second, label=MIDDLE)
    wanted = Downgrade(MIDDLE, (LOW,))
    with pytest.raises(InvalidError) as refused:
        await usecases.downgrade_report(deriving.services, deriving.call("NOR analyst"), report, wanted)
    request = await ask(deriving, source)
    await grant(deriving, request)
    body = deriving.posted(label=MIDDLE, references=(second,), parts=parts)
    posted = await deriving.attempt(usecases.post_report(deriving.services, deriving.call("NOR analyst"), body))

    assert [fault.code for fault in refused.value.faults] == ["below-source"]
    # The consent is asked of whose report it is, and of nobody for what is its own.
    assert posted.entry["detail"] == {"consents": [request]}


async def test_step_that_is_destroyed_lets_nobody_take_apart_what_it_was_made_of(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    parts = (PostedPart(LOW, "text/plain", "a.txt", b"a"), PostedPart(None, "text/plain", "b.txt", b"b"))
    step = await derive(deriving, source, label=MIDDLE)
    await usecases.recall_report(deriving.services, deriving.call("NOR analyst"), step, "it was wrong")

    assert await is_refused(deriving, step, label=MIDDLE, parts=parts)
    assert await derive(deriving, step, label=MIDDLE)
