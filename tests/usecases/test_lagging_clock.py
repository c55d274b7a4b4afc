"""What somebody ended is over on every node, however far behind its clock is; history still asks by the date.

Each act is done by a node whose clock is right; another one, an hour behind, is asked at the next request.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, ForbiddenError, InvalidError, NotAuthenticatedError, NotFoundError
from exchange.markings import Label
from exchange.members import Standing
from exchange.store import DerivationWish, OnwardWish, ProxyWish
from exchange.usecases import ClearanceChange, CrisisWish, ListQuery
from tests.support.lived import MakeLived
from tests.support.national import not_to
from tests.support.world import AGREEMENT, World, thumbprint_of

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
TEXT = (
    AGREEMENT.replace("readers: [GBR, NOR, DNK]", "readers: [GBR, NOR]").replace("P90D", "P0D")
    + """\
crisis:
  - {name: storm-watch, scope: cyber-threats, readers: [DNK], at_most: PT72H,
     signatories: [{member: GBR, name: GBR signatory}, {member: NOR, name: NOR signatory}]}
"""
)
FOR_NOR = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
FOR_ALL = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
Holds = Callable[[Any], Awaitable[bool]]
Case = tuple[Holds, Callable[[], Awaitable[Any]]]
_REFUSED = (ConflictError, ForbiddenError, InvalidError, NotAuthenticatedError, NotFoundError)


async def with_a_treaty(world: World) -> None:
    for name in ("GBR releaser", "GBR second releaser", "NOR releaser", "NOR second releaser"):
        await world.enrol(name, name[:3], "releaser")
    await world.agree(TEXT)


@pytest.fixture
async def treaty(make_lived: MakeLived) -> World:
    return (await make_lived(with_a_treaty))[0]


async def holds(act: Awaitable[Any]) -> bool:
    try:
        await act
    except _REFUSED:
        return False
    return True


def pulls(world: World, report: str, name: str) -> Holds:
    """Return the question whether `name` is given `report`, by a list or by itself, on the node that is asked."""

    async def ask(services: Any) -> bool:
        listed = await holds_some(usecases.list_reports(services, world.call(name), ListQuery()))
        return await holds(usecases.pull_report(services, world.call(name), report)) or listed

    return ask


async def holds_some(act: Awaitable[Any]) -> bool:
    try:
        return bool((await act).value.items)
    except _REFUSED:
        return False


async def confirm(world: World, act_id: str, name: str) -> None:
    act = (await usecases.show_pending_act(world.services, world.call(name), act_id)).value.act
    await usecases.confirm_act(world.services, world.call(name), act.id, act.digest)


async def crisis(world: World) -> Case:
    wish = CrisisWish("storm-watch", "a second cable was cut")
    act = (await usecases.ask_for_crisis(world.services, world.call("GBR signatory"), world.agreement_id, wish)).value
    await usecases.confirm_act(world.services, world.call("NOR signatory"), act.id, act.digest)
    view = await usecases.list_crises(world.services, world.call("GBR reader"), world.agreement_id)
    opened = view.value.uses[0].crisis.id
    report = await world.post(label=FOR_ALL)
    return pulls(world, report, "DNK reader"), lambda: usecases.end_crisis(
        world.services, world.call("GBR signatory"), world.agreement_id, opened
    )


async def grant(world: World) -> Case:
    report = await world.post(label=FOR_NOR)
    wish = OnwardWish("ESP", (), (), None, "theirs is the operation")
    asked = await usecases.request_onward(world.services, world.call("NOR reader"), report, wish)
    request = asked.value.row.id
    await usecases.grant_onward(world.services, world.call("GBR releaser"), request, "")
    return pulls(world, report, "ESP reader"), lambda: usecases.revoke_onward(
        world.services, world.call("GBR releaser"), request
    )


async def proxy(world: World) -> Case:
    wish = ProxyWish("GBR", world.agreement_id, "cyber-threats", None, "they have the sensor")
    view = (await usecases.ask_proxy(world.services, world.call("NOR releaser"), wish)).value
    await confirm(world, str(view.act), "NOR second releaser")

    async def posts(services: Any) -> bool:
        body = world.posted(label=FOR_NOR, on_behalf_of="NOR")
        return await holds(usecases.post_report(services, world.call("GBR contributor"), body))

    return posts, lambda: usecases.revoke_proxy(world.services, world.call("NOR releaser"), view.row.id)


async def derivation(world: World) -> Case:
    await world.enrol("NOR analyst", "NOR", "contributor", "reader", "releaser")
    source = await world.post(label=Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR")))
    wish = DerivationWish(FOR_NOR, world.clock.now + timedelta(days=30), "police are to be warned")
    asked = await usecases.request_derivation(world.services, world.call("NOR analyst"), source, wish)
    await usecases.grant_derivation(world.services, world.call("GBR releaser"), asked.value.row.id, "")

    async def derives(services: Any) -> bool:
        body = world.posted(label=FOR_NOR, references=(source,))
        return await holds(usecases.post_report(services, world.call("NOR analyst"), body))

    return derives, lambda: usecases.revoke_derivation(world.services, world.call("GBR releaser"), asked.value.row.id)


async def request(world: World) -> Case:
    made = await usecases.request_information(world.services, world.call("GBR reader"), world.wanted(label=FOR_NOR))
    asked = made.value.row.id

    async def shown(services: Any) -> bool:
        return await holds(usecases.show_request(services, world.call("NOR reader"), asked))

    return shown, lambda: usecases.withdraw_request(world.services, world.call("GBR reader"), asked)


async def _of_norway(world: World, end: Callable[[], Awaitable[Any]]) -> Case:
    return pulls(world, await world.post(label=FOR_NOR), "NOR reader"), end


async def caveats(world: World) -> Case:
    async def enforce() -> None:
        text = not_to("NOR")
        made = (await usecases.propose_caveats(world.services, world.call("GBR releaser"), text)).value
        await confirm(world, made.act, "GBR second releaser")

    return await _of_norway(world, enforce)


async def withdrawal(world: World) -> Case:
    withdraw = usecases.withdraw_agreement
    return await _of_norway(world, lambda: withdraw(world.services, world.call("NOR signatory"), world.agreement_id))


async def suspension(world: World) -> Case:
    suspend = usecases.suspend_agreement
    return await _of_norway(world, lambda: suspend(world.services, world.call("NOR signatory"), world.agreement_id))


async def suspended_member(world: World) -> Case:
    return await _of_norway(world, lambda: usecases.suspend_member(world.services, world.call(None), "NOR"))


async def revoked_client(world: World) -> Case:
    reader = world.clients["NOR reader"].id
    revoke = usecases.change_standing
    return await _of_norway(world, lambda: revoke(world.services, world.call(None), reader, Standing.REVOKED))


async def clearance(world: World) -> Case:
    reader = world.clients["NOR reader"].id

    def end() -> Awaitable[Any]:
        over = ClearanceChange("SECRET", until=world.clock.now)
        return usecases.change_clearance(world.services, world.call(None), reader, over)

    return await _of_norway(world, end)


async def certificate(world: World) -> Case:
    reader, thumbprint = world.clients["NOR reader"].id, thumbprint_of("NOR reader")
    remove = usecases.remove_certificate
    return await _of_norway(world, lambda: remove(world.services, world.call(None), reader, thumbprint))


async def recall(world: World) -> Case:
    report = await world.post(label=FOR_NOR)
    return pulls(world, report, "NOR reader"), lambda: usecases.recall_report(
        world.services, world.call("GBR releaser"), report, "the source is in danger"
    )


CASES = (
    *(crisis, grant, proxy, derivation, request, caveats, withdrawal, suspension),
    *(suspended_member, revoked_client, clearance, certificate, recall),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_what_was_ended_is_over_on_a_node_whose_clock_lags(treaty: World, case: Any) -> None:
    still_holds, end = await case(treaty)
    async with treaty.another_node() as lagging:
        treaty.clock.advance(HOUR)
        assert await still_holds(lagging)
        treaty.clock.advance(HOUR)
        await end()
        treaty.clock.advance(-HOUR)

        assert not await still_holds(lagging)


async def test_history_says_who_could_read_until_the_crisis_was_ended(treaty: World) -> None:
    _, end = await crisis(treaty)
    (report,) = [row[0] for row in treaty.sql("SELECT id FROM report")]
    opened = treaty.clock.now
    treaty.clock.advance(HOUR)
    await end()
    treaty.clock.advance(HOUR)
    treaty.sequence()

    async def could(moment: Any, until: Any = None) -> bool:
        told = await usecases.readers_on(treaty.services, treaty.call("auditor"), report, moment, until)
        return treaty.clients["DNK reader"].id in {each.client for each in told.value.could}

    assert await could(opened)
    assert await could(opened + HOUR - INSTANT)
    assert not await could(opened + HOUR)
    assert await could(opened, opened + 2 * HOUR)
    assert not await could(opened + HOUR, opened + 2 * HOUR)


async def test_crisis_is_ended_by_a_node_whose_clock_is_behind_its_beginning(treaty: World) -> None:
    treaty.clock.advance(HOUR)
    still_open, end = await crisis(treaty)
    assert await still_open(treaty.services)
    treaty.clock.advance(-HOUR)
    ended = (await end()).value
    treaty.clock.advance(HOUR)

    assert ended.crisis.ended_at == ended.crisis.opened_at
    assert not await still_open(treaty.services)
