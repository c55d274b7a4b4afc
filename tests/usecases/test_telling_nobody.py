"""Subscriptions that nobody stands behind any more, or that came while a round was under way; on both databases."""

import logging
from collections.abc import Awaitable, Callable

import pytest

from exchange import usecases
from exchange.kernel import InvalidError
from exchange.store.books.subscriptions import Subscriptions
from exchange.usecases.log.deliver_alerts import CLAIMED
from tests.support.lived import MakeLived
from tests.support.meanwhile import done_behind
from tests.support.world import certificate_of, thumbprint_of
from tests.usecases.test_subscriptions import FOR_NOR, URL, Told, subscribe, with_a_subscriber

Begin = Callable[[usecases.Services, usecases.Call], Awaitable[object]]


@pytest.fixture
async def told(make_lived: MakeLived) -> Told:
    return Told(*await make_lived(with_a_subscriber))


async def test_client_without_a_certificate_is_not_told_later_of_what_it_missed(told: Told) -> None:
    world, client = told.world, told.world.clients["NOR reader"].id
    certificate = thumbprint_of("NOR reader")
    await usecases.remove_certificate(world.services, world.call(None), client, certificate)
    await world.post(label=FOR_NOR)
    missed = await told.notifier.round()
    await usecases.add_certificate(world.services, world.call(None), client, certificate_of("renewed"))
    after = await told.notifier.round()

    assert (missed, after, told.line.sent) == (0, 0, [])
    report = await world.post(label=FOR_NOR)
    await told.notifier.round()
    assert [message["data"]["report"] for message in told.messages] == [report]


@pytest.mark.parametrize(
    "begin", [lambda s, c: usecases.add_subscription(s, c, URL), lambda s, c: usecases.open_stream(s, c, None)]
)
async def test_purpose_that_a_client_does_not_have_is_told_to_it_and_not_waited_for(told: Told, begin: Begin) -> None:
    services, call = told.world.services, told.world.call("NOR reader", purpose="law-enforcement")
    tried = await told.world.attempt(begin(services, call))

    assert isinstance(tried.error, InvalidError)
    (fault,) = tried.error.faults
    assert (fault.pointer, fault.code) == ("/exchange-purpose", "purpose-not-allowed")
    assert fault.message == "no purpose of this client: state `defence`"
    assert tried.entry["decision"] == "refused"
    assert len(services.watching) == 0


async def test_what_comes_for_a_subscription_that_a_round_has_not_read_is_no_fault(
    told: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = told.world

    async def subscribed_meanwhile() -> None:
        other = await subscribe(world, "GBR reader")
        await usecases.check_subscription(world.services, world.call("GBR reader"), other.row.id)

    done_behind(monkeypatch, Subscriptions, "active", subscribed_meanwhile)
    with caplog.at_level(logging.ERROR):
        assert await told.notifier.round() == 1

    assert told.line.sent == []
    assert caplog.records == []
    told.world.clock.advance(CLAIMED)
    await told.notifier.round()
    assert [message["type"] for message in told.messages] == ["subscription.test"]
