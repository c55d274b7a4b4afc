"""Subscriptions that somebody altered in the database: no client is shown or told by what another one was given."""

from typing import Any

import pytest

from exchange import usecases
from exchange.custody import CustodyUnavailableError, Wrapped
from exchange.kernel import NotFoundError
from exchange.usecases import DutyWatch
from exchange.usecases.telling.notify_subscribers import Notifier, Reach
from tests.support.alerted_world import SilentLine
from tests.support.lived import MakeLived
from tests.support.put_back import kept_rows
from tests.support.world import World
from tests.usecases.test_breaches import MINUTE, flash, made_owing
from tests.usecases.test_rows_held import held

URL = "https://desk.example/told"


async def with_a_subscriber(world: World) -> str:
    made = await usecases.add_subscription(world.services, world.call("NOR reader"), URL)
    return made.value.row.id


async def owing_a_subscriber(world: World) -> None:
    await made_owing(world)
    await with_a_subscriber(world)


async def moved(make_lived: MakeLived) -> tuple[World, str]:
    """Return a world in which a subscription of the NOR reader's names the GBR reader, and its id."""
    world, subscription = await make_lived(with_a_subscriber)
    world.sql("UPDATE subscription SET client_id = $1", world.clients["GBR reader"].id)
    return world, subscription


async def test_subscription_is_listed_for_nobody_else(make_lived: MakeLived) -> None:
    world, subscription = await moved(make_lived)
    for name, lacking in (("GBR reader", 1), ("NOR reader", 0), (None, 1)):
        listed = await world.attempt(usecases.list_subscriptions(world.services, world.call(name)))

        assert (listed.value.value, listed.value.unopened) == ([], lacking)
        told = [each["detail"]["rows"] for each in listed.entries if each["type"] == "key.opened"]
        assert told == [[f"subscription {subscription}"]] * lacking


@pytest.mark.parametrize(
    "act",
    [
        usecases.remove_subscription,
        usecases.check_subscription,
        usecases.list_deliveries,
        usecases.replay_deliveries,
    ],
)
async def test_nobody_else_acts_on_a_subscription(make_lived: MakeLived, act: Any) -> None:
    world, subscription = await moved(make_lived)
    tried = await world.attempt(act(world.services, world.call("GBR reader"), subscription))

    assert isinstance(tried.error, NotFoundError)
    assert (tried.entry["type"], tried.entry["decision"]) == ("key.opened", "failed")
    assert tried.entry["detail"] == {"place": f"subscription {subscription}"}


@pytest.mark.parametrize(
    ("column", "value"),
    [("client_id", "GBR reader"), ("url", "https://evil.example/"), ("wrapped_secret", b"none"), ("key_version", 999)],
)
async def test_nobody_is_told_by_a_subscription_that_was_altered_and_its_client_of_all_once_it_is_mended(
    make_lived: MakeLived, column: str, value: str | bytes | int
) -> None:
    world, _ = await make_lived(with_a_subscriber)
    put_back = kept_rows(world, {"subscription": ("id",)})
    world.sql(f"UPDATE subscription SET {column} = $1", world.clients[value].id if value in world.clients else value)
    line = SilentLine()
    notifier = Notifier(world.services, line, Reach())
    await world.post()
    for _ in range(2):
        assert await notifier.round() == 0
    entries = await world.entries()
    put_back()

    assert [each for each in entries if each["type"] == "report.notified"] == []
    assert [each["type"] for each in entries].count("key.opened") == 1
    assert (await notifier.round(), len(line.sent)) == (1, 1)


@pytest.mark.parametrize(("column", "value"), [("client_id", "GBR reader"), ("url", "https://evil.example/")])
async def test_subscription_is_opened_once_and_again_where_it_was_altered_since(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, column: str, value: str
) -> None:
    world, _ = await make_lived(with_a_subscriber)
    unwrap, opened = world.services.custodian.unwrap, list[bytes]()

    async def counted(wrapped: Wrapped, context: bytes) -> bytes:
        opened.append(context)
        return await unwrap(wrapped, context)

    monkeypatch.setattr(world.services.custodian, "unwrap", counted)
    line = SilentLine()
    notifier = Notifier(world.services, line, Reach())
    for _ in range(3):
        await notifier.round()
    before = len(opened)
    world.sql(f"UPDATE subscription SET {column} = $1", world.clients[value].id if value in world.clients else value)
    await world.post()
    await notifier.round()

    assert (before, len(opened), line.sent) == (1, 2, [])
    assert [each["type"] for each in await world.entries()].count("key.opened") == 1


async def test_nobody_is_on_record_as_told_while_no_key_signs_what_is_told(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> bytes:
        raise CustodyUnavailableError("custody does not answer")

    world, _ = await make_lived(owing_a_subscriber)
    line = SilentLine()
    notifier = Notifier(world.services, line, Reach())
    await flash(world)
    await notifier.round()
    world.clock.advance(11 * MINUTE)
    await DutyWatch(world.services).round()
    line.sent.clear()
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(world.services.custodian, "unwrap", away)
        await notifier.round()
        with pytest.raises(CustodyUnavailableError):
            await notifier.round()
    before = len(line.sent)
    world.clock.advance(5 * MINUTE)
    await notifier.round()

    assert (before, len(line.sent)) == (0, 1)
    assert [each["type"] for each in await world.entries()].count("breach.notified") == 1


async def test_operator_ends_a_subscription_that_was_moved(make_lived: MakeLived) -> None:
    world, subscription = await moved(make_lived)
    await usecases.remove_subscription(world.services, world.call(None), subscription)

    assert (await usecases.list_subscriptions(world.services, world.call(None))).unopened == 0


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (
            "UPDATE subscription SET client_id = 'nobody'",
            "`client` in version 0 is another than `subscription.added` put there",
        ),
        ("DELETE FROM subscription", "its row is gone, and `subscription.added` is in the log"),
    ],
)
async def test_subscription_of_another_client_or_of_none_is_told_by_the_jobs(
    make_lived: MakeLived, damage: str, why: str
) -> None:
    world, subscription = await make_lived(with_a_subscriber)
    assert await held(world) == []
    world.sql(damage)
    (entry,) = await held(world)

    assert entry["object"] == {"type": "subscription", "id": subscription}
    assert (entry["detail"]["why"], entry["detail"]["done"]) == (why, "nothing")
    assert await held(world) == []
