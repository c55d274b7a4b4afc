"""What a client may have so many of, asked for twice at one moment on any node: no more come of it; both databases."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError
from exchange.store import UnitOfWork
from exchange.usecases import WantedErasure
from exchange.usecases.members.subscriptions import MOST_SUBSCRIPTIONS
from tests.support.meanwhile import at_once
from tests.support.world import AGREEMENT, NOW, World
from tests.usecases.test_consultations import QUESTION

Deed = Callable[[World], Awaitable[Any]]


def erasing(world: World) -> Awaitable[Any]:
    wanted = WantedErasure(world.clients["NOR reader"].id, f"{NOW:%Y-%m}", "because")
    return usecases.request_erasure(world.services, world.call("operator"), wanted)


LIMITS: dict[str, tuple[str, str, Deed]] = {
    "webhooks": (
        "members.subscriptions.MOST_SUBSCRIPTIONS",
        "subscription",
        lambda world: usecases.add_subscription(world.services, world.call("NOR reader"), "https://desk.example/told"),
    ),
    "proposals": (
        "agreements.agreements.MOST_UNANSWERED",
        "agreement",
        lambda world: usecases.propose_agreement(world.services, world.call("GBR signatory"), AGREEMENT),
    ),
    "acts that wait": ("steps.second_person.MOST_WAITING", "pending_act", erasing),
    "consultations": (
        "promises.consultations.MOST_UNANSWERED",
        "consultation",
        lambda world: usecases.open_consultation(
            world.services, world.call("GBR signatory"), world.agreement_id, QUESTION
        ),
    ),
}


@pytest.mark.parametrize(("limit", "table", "deed"), LIMITS.values(), ids=list(LIMITS))
async def test_of_two_that_come_at_once_for_the_last_place_one_gets_it(
    populated: World, monkeypatch: pytest.MonkeyPatch, limit: str, table: str, deed: Deed
) -> None:
    monkeypatch.setattr(f"exchange.usecases.{limit}", 1)
    await usecases.list_reports(populated.services, populated.call("NOR reader"), usecases.ListQuery())
    before = populated.sql(f"SELECT count(*) FROM {table}")[0][0]
    first, second = populated.attempt(deed(populated)), populated.attempt(deed(populated))
    both = await at_once(monkeypatch, UnitOfWork, "record", first, second)

    (refused,) = (made.error for made in both if made.error is not None)
    assert refused.code in {"conflict", "too-many-waiting"}
    assert populated.sql(f"SELECT count(*) FROM {table}") == [(before + 1,)]
    assert [entry["decision"] for entry in await populated.entries()].count("refused") == 1


async def test_client_has_so_many_subscriptions_and_no_more_and_so_have_all_of_a_member(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def subscribe(name: str, number: int = 0) -> None:
        call = populated.call(name)
        await usecases.add_subscription(populated.services, call, f"https://desk.example/told/{number}")

    for number in range(MOST_SUBSCRIPTIONS):
        await subscribe("NOR reader", number)
    with pytest.raises(ConflictError, match="this client"):
        await subscribe("NOR reader")
    await populated.enrol("NOR deputy", "NOR", "reader")
    monkeypatch.setattr("exchange.usecases.members.subscriptions.MOST_OF_MEMBER", MOST_SUBSCRIPTIONS)
    with pytest.raises(ConflictError, match="the clients of this member"):
        await subscribe("NOR deputy")
    await subscribe("DNK reader")
