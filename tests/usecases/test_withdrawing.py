"""A request to pass a report on, or to mark lower what derives from it, is taken back by who made it; both databases."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, ForbiddenError, NotFoundError
from exchange.store import ConsentState
from exchange.usecases.consents import pending_acts
from exchange.usecases.life import consent_requests
from tests.support import deriving as derivations
from tests.support import onward
from tests.support.deriving import MIDDLE, SECRET
from tests.support.placing import place_entries
from tests.support.world import World


@dataclass(frozen=True)
class Kind:
    """One kind of request: who makes it, how, and what is done about it."""

    name: str
    asker: str
    ask: Callable[[World, str], Awaitable[str]]
    grant: Callable[[World, str], Awaitable[Any]]
    refuse: Callable[..., Awaitable[Any]]
    withdraw: Callable[..., Awaitable[Any]]
    listed: Callable[..., Awaitable[Any]]
    told: dict[str, str]
    table: str


KINDS = [
    Kind(
        "onward",
        "NOR reader",
        onward.ask,
        onward.grant,
        usecases.refuse_onward,
        usecases.withdraw_onward,
        usecases.list_onward,
        {"recipient": "ESP"},
        "onward_release",
    ),
    Kind(
        *("derivation", "NOR analyst", derivations.ask, derivations.grant),
        *(usecases.refuse_derivation, usecases.withdraw_derivation, usecases.list_derivations),
        *({"for": "NOR"}, "derivation_consent"),
    ),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


async def withdraw(world: World, kind: Kind, request: str, name: str | None = None) -> Any:
    return await kind.withdraw(world.services, world.call(name or kind.asker), request)


async def states(world: World, kind: Kind, name: str) -> list[ConsentState]:
    return [view.row.state for view in (await kind.listed(world.services, world.call(name))).value]


async def test_request_that_is_withdrawn_is_granted_no_more(deriving: World, kind: Kind) -> None:
    report = await deriving.post(label=MIDDLE)
    request = await kind.ask(deriving, report)
    made = await deriving.attempt(withdraw(deriving, kind, request))

    assert made.entry["type"] == f"{kind.name}.withdrawn"
    assert (made.entry["owner"], made.entry["object"]["id"], made.entry["detail"]) == (
        "GBR",
        report,
        {"request": request, **kind.told},
    )
    for name in (kind.asker, "GBR releaser"):
        assert await states(deriving, kind, name) == [ConsentState.WITHDRAWN]
    for act in (kind.grant(deriving, request), withdraw(deriving, kind, request)):
        refused = await deriving.attempt(act)
        assert isinstance(refused.error, ConflictError)
        assert (refused.error.code, refused.error.message) == (
            "request-ended",
            "who asked has withdrawn the request",
        )
        assert refused.entry["decision"] == "refused"


async def test_request_is_withdrawn_by_who_made_it_alone(deriving: World, kind: Kind) -> None:
    await deriving.enrol("NOR colleague", "NOR", "contributor", "reader")
    request = await kind.ask(deriving, await deriving.post(label=MIDDLE))
    for name in ("NOR colleague", "DNK reader", "GBR releaser"):
        refused = await deriving.attempt(withdraw(deriving, kind, request, name))
        assert isinstance(refused.error, NotFoundError | ForbiddenError)
        assert refused.entry["decision"] == "refused"

    assert await states(deriving, kind, kind.asker) == [ConsentState.ASKED]


async def cleared(world: World, kind: Kind, level: str) -> None:
    change, client = usecases.ClearanceChange(level), world.clients[kind.asker].id
    await usecases.change_clearance(world.services, world.call(None), client, change)


@pytest.mark.parametrize("is_recalled", [False, True])
async def test_who_asked_and_is_cleared_no_more_is_told_nothing_of_what_was_decided(
    deriving: World, kind: Kind, is_recalled: bool
) -> None:
    services, releaser = deriving.services, deriving.call("GBR releaser")
    report = await deriving.post(label=MIDDLE)
    decided, undecided = [await kind.ask(deriving, report) for _ in range(2)]
    await cleared(deriving, kind, "RESTRICTED")
    await kind.refuse(services, releaser, decided, "in words as high as the report")
    if is_recalled:
        await usecases.recall_report(services, releaser, report, "the source is at risk")

    assert await states(deriving, kind, kind.asker) == []
    with pytest.raises(NotFoundError):
        await withdraw(deriving, kind, decided)
    if not is_recalled:
        # What nobody has decided is taken back all the same.
        await withdraw(deriving, kind, undecided)
    await cleared(deriving, kind, "SECRET")
    ended = ConsentState.LAPSED if is_recalled else ConsentState.WITHDRAWN
    assert {*await states(deriving, kind, kind.asker)} == {ConsentState.REFUSED, ended}


async def test_act_that_waits_for_its_second_person_ends_with_the_request(deriving: World, kind: Kind) -> None:
    request = await kind.ask(deriving, await deriving.post(label=SECRET))
    act = (await kind.grant(deriving, request)).act or ""
    second = deriving.call("GBR second releaser")
    shown = (await usecases.show_pending_act(deriving.services, second, act)).value.act
    made = await deriving.attempt(withdraw(deriving, kind, request))

    assert made.entry["detail"] == {"request": request, **kind.told, "acts": [act]}
    assert (await usecases.list_pending_acts(deriving.services, second)).value == ()
    with pytest.raises(ConflictError):
        await usecases.confirm_act(deriving.services, second, act, shown.digest)
    ended = (await usecases.show_pending_act(deriving.services, second, act)).value.act
    assert (ended.refuser, ended.refusal) == (deriving.clients[kind.asker].id, "who asked has withdrawn the request")
    assert await states(deriving, kind, "GBR releaser") == [ConsentState.WITHDRAWN]


async def test_request_that_is_withdrawn_while_its_act_is_refused_ends_once_and_nobody_waits_in_a_circle(
    deriving: World, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await kind.ask(deriving, await deriving.post(label=SECRET))
    act = (await kind.grant(deriving, request)).act or ""
    is_held, is_ending, end_waiting = asyncio.Event(), asyncio.Event(), consent_requests.end_waiting
    on_end = dict(pending_acts.ON_END)

    async def ended_late(*args: Any, **asked: str) -> list[str]:
        is_held.set()
        with suppress(TimeoutError):  # where the act is held already nobody comes so far
            await asyncio.wait_for(is_ending.wait(), 0.5)
        return await end_waiting(*args, **asked)

    def told(end: Any) -> Any:
        async def ends(*args: Any) -> None:
            is_ending.set()
            await end(*args)

        return ends

    monkeypatch.setattr(consent_requests, "end_waiting", ended_late)
    monkeypatch.setattr(pending_acts, "ON_END", {name: told(end) for name, end in on_end.items()})
    async with deriving.another_node() as node:
        withdrawing = asyncio.create_task(withdraw(deriving, kind, request))
        await is_held.wait()
        refusing = usecases.refuse_act(node, deriving.call("GBR second releaser"), act)
        withdrawn, refused = await asyncio.gather(withdrawing, refusing, return_exceptions=True)

    assert withdrawn.value.row.state is ConsentState.WITHDRAWN
    assert isinstance(refused, ConflictError)


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("ended", ["withdrawn", "refused"])
async def test_what_the_log_says_is_over_is_granted_by_nobody(
    deriving: World, kind: Kind, ended: str, is_placed: bool
) -> None:
    request = await kind.ask(deriving, await deriving.post(label=SECRET))
    act = (await kind.grant(deriving, request)).act or ""
    second = deriving.call("GBR second releaser")
    shown = (await usecases.show_pending_act(deriving.services, second, act)).value.act
    if ended == "withdrawn":
        await withdraw(deriving, kind, request)
    else:
        await kind.refuse(deriving.services, deriving.call("GBR releaser"), request, "no")
    if is_placed:
        await place_entries(deriving, is_searchable=True)
    for table in (kind.table, "pending_act_end"):
        deriving.unguard(table)
    deriving.sql(f"UPDATE {kind.table} SET state = 'awaiting-second-person', decided_at = NULL, decided_by = NULL")
    deriving.sql("DELETE FROM pending_act_end")
    confirmed = await deriving.attempt(usecases.confirm_act(deriving.services, second, act, shown.digest))

    assert isinstance(confirmed.error, ConflictError)
    assert (confirmed.error.code, confirmed.entry["decision"]) == ("request-ended", "refused")
    assert confirmed.error.message.startswith("the log says")


async def test_nobody_is_asked_any_more_to_confirm_what_one_releaser_refused(deriving: World, kind: Kind) -> None:
    request = await kind.ask(deriving, await deriving.post(label=SECRET))
    act = (await kind.grant(deriving, request)).act or ""
    refused = await deriving.attempt(
        kind.refuse(deriving.services, deriving.call("GBR releaser"), request, "it would be known")
    )
    second = deriving.call("GBR second releaser")
    shown = (await usecases.show_pending_act(deriving.services, second, act)).value.act

    assert refused.entry["detail"]["acts"] == [act]
    assert (await usecases.list_pending_acts(deriving.services, second)).value == ()
    assert (shown.refuser, shown.refusal) == (deriving.clients["GBR releaser"].id, "it would be known")
    with pytest.raises(ConflictError):
        await usecases.confirm_act(deriving.services, second, act, shown.digest)


async def test_what_was_granted_is_not_taken_back_by_who_asked(deriving: World, kind: Kind) -> None:
    request = await kind.ask(deriving, await deriving.post(label=MIDDLE))
    await kind.grant(deriving, request)
    with pytest.raises(ConflictError, match="granted"):
        await withdraw(deriving, kind, request)

    assert await states(deriving, kind, kind.asker) == [ConsentState.GRANTED]


async def test_withdrawal_makes_room_for_the_next_request(
    deriving: World, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.usecases.life.consent_requests.MOST_UNDECIDED", 1)
    report = await deriving.post(label=MIDDLE)
    request = await kind.ask(deriving, report)
    with pytest.raises(ConflictError):
        await kind.ask(deriving, report)
    await withdraw(deriving, kind, request)

    assert await kind.ask(deriving, report)
