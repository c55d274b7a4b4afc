"""What somebody ended in its row alone (a crisis, a request, an act that waits) is ended by whose it is, for good."""

from datetime import timedelta
from importlib import import_module

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, NotFoundError, UnavailableError, to_micros
from exchange.reports import RequestState
from exchange.store.log.archived import LogDamagedError
from exchange.usecases.steps import taken_away_again
from exchange.usecases.upkeep.hold_rows import RowWatch
from tests.support.deriving import MIDDLE
from tests.support.lived import MakeLived
from tests.support.meanwhile import done_behind
from tests.support.placing import place_entries
from tests.support.world import World
from tests.usecases import test_crises as crises
from tests.usecases import test_information_requests as requests
from tests.usecases import test_second_person as acts
from tests.usecases.test_rows_held import found_in, held
from tests.usecases.test_subscriptions_altered import with_a_subscriber
from tests.usecases.test_withdrawing import KINDS, Kind

ENDS = {"closed": usecases.close_request, "withdrawn": usecases.withdraw_request}


async def end_crisis(world: World, crisis: str):
    ended = usecases.end_crisis(world.services, world.call("NOR signatory"), world.agreement_id, crisis)
    return await world.attempt(ended)


async def test_crisis_whose_row_alone_was_ended_is_ended_and_opens_nothing_again(make_lived: MakeLived) -> None:
    world = (await make_lived(crises.agreed))[0]
    use = await crises.opened(world)
    report = await world.post(label=crises.FOR_DNK)
    world.clock.advance(timedelta(minutes=10))
    by_hand = to_micros(world.clock.now) - 1
    world.sql("UPDATE agreement_crisis SET ended_at = $1", by_hand)
    made, again = [await end_crisis(world, use.crisis.id) for _ in range(2)]

    assert (made.entry["type"], made.entry["decision"]) == ("crisis.ended", "permitted")
    assert not made.value.value.is_open
    assert world.sql("SELECT ended_at FROM agreement_crisis") == [(by_hand,)]
    assert (again.error.code, again.entry["decision"]) == ("crisis-over", "refused")

    world.sql("UPDATE agreement_crisis SET ended_at = NULL")
    assert await crises.reads(world, report)  # until the jobs look
    assert len(await held(world)) == 1
    assert not await crises.reads(world, report)


async def test_crisis_that_is_over_by_itself_is_ended_by_nobody(make_lived: MakeLived) -> None:
    world = (await make_lived(crises.agreed))[0]
    use = await crises.opened(world, hours=1)
    world.clock.advance(timedelta(hours=1))
    world.sql("UPDATE agreement_crisis SET ended_at = $1", to_micros(world.clock.now))

    assert (await end_crisis(world, use.crisis.id)).entry["decision"] == "refused"


@pytest.mark.parametrize(
    ("by_hand", "ended"),
    [("closed", "closed"), ("withdrawn", "closed"), ("withdrawn", "withdrawn")],
)
async def test_request_whose_row_alone_was_ended_is_ended_and_not_opened_again(
    populated: World, by_hand: str, ended: str
) -> None:
    world, request = populated, await requests.ask(populated)
    world.sql("UPDATE information_request SET ended = $1", by_hand)
    made, again = [
        await world.attempt(ENDS[ended](world.services, world.call("GBR reader"), request)) for _ in range(2)
    ]

    assert (made.entry["type"], made.entry["decision"]) == (f"request.{ended}", "permitted")
    assert made.value.value.state is RequestState(by_hand)
    assert (again.error.code, again.entry["decision"]) == ("request-ended", "refused")

    world.sql("UPDATE information_request SET ended = NULL")
    assert len(await held(world)) == 1
    assert await requests.is_hidden(world, request, "NOR reader") is (ended == "withdrawn")
    report = await world.post("NOR contributor", label=requests.TO_GBR)
    with pytest.raises(ConflictError if ended == "closed" else NotFoundError):
        await requests.answer(world, request, report)


async def withdrawn_by_hand(world: World, *ends: str) -> str:
    """Ask, end it so, and withdraw it by its row alone; return the request, behind all that is on its way."""
    request = await requests.ask(world)
    for end in ends:
        await ENDS[end](world.services, world.call("GBR reader"), request)
    world.sql("UPDATE information_request SET ended = 'withdrawn', ended_at = $1", to_micros(world.clock.now))
    world.clock.advance(timedelta(minutes=2))
    return request


@pytest.mark.parametrize("by_hand", ["withdrawn", "closed", "x"])
async def test_request_that_its_row_alone_says_has_ended_is_told_and_opened_again(
    populated: World, by_hand: str
) -> None:
    world, request = populated, await withdrawn_by_hand(populated)
    assert await requests.is_hidden(world, request, "NOR reader")
    world.sql("UPDATE information_request SET ended = $1", by_hand)
    (told, *more), again = await held(world), await held(world)

    assert (more, again) == ([], [])
    if by_hand == "x":
        assert (told["detail"]["why"], told["detail"]["done"]) == ("no entry tells that it ended so", "nothing")
        return
    assert (told["object"]["id"], told["owner"]) == (request, "GBR")
    assert told["detail"]["why"] == f"no entry tells that it was {by_hand}"
    assert (told["detail"]["event"], told["detail"]["done"]) == ("request.made", "opened again")
    assert (await requests.show(world, request)).state is RequestState.OPEN
    await requests.answer(world, request, await world.post("NOR contributor", label=requests.TO_GBR))

    world.sql("UPDATE information_request SET ended = $1", by_hand)
    assert [(place, "was" in why) for place, why in await found_in(world)] == [(f"request {request}", True)]
    assert [each["detail"]["done"] for each in await held(world)] == ["opened again"]


async def test_request_that_was_closed_and_that_its_row_alone_says_was_withdrawn_is_closed_again(
    populated: World,
) -> None:
    world, request = populated, await withdrawn_by_hand(populated, "closed")
    (told,) = await held(world)

    assert (told["detail"]["event"], told["detail"]["done"]) == ("request.closed", "closed")
    assert (await requests.show(world, request)).state is RequestState.CLOSED
    assert await held(world) == []


async def test_request_of_which_no_search_finds_the_end_is_told_and_shown_to_nobody_again(populated: World) -> None:
    world, request = populated, await requests.ask(populated)
    await ENDS["withdrawn"](world.services, world.call("GBR reader"), request)
    assert await requests.is_hidden(world, request, "NOR reader")
    world.clock.advance(timedelta(minutes=2))
    await place_entries(world, is_searchable=True)
    world.unguard("audit_search")
    world.sql("DELETE FROM audit_search WHERE event = 'request.withdrawn'")
    made = await world.attempt(RowWatch(world.services).round())

    assert [each["detail"]["done"] for each in made.entries if each["type"] == "row.contradicted"] == ["nothing"]
    assert await requests.is_hidden(world, request, "NOR reader")


@pytest.mark.parametrize("ends", [("withdrawn",), ("closed", "withdrawn")])
async def test_request_that_was_withdrawn_stays_so_while_its_entry_is_on_its_way_or_lost(
    populated: World, monkeypatch: pytest.MonkeyPatch, ends: tuple[str, ...]
) -> None:
    world, request = populated, await withdrawn_by_hand(populated, *ends[:-1])

    async def withdraw() -> None:
        await ENDS["withdrawn"](world.services, world.call("GBR reader"), request)

    done_behind(monkeypatch, import_module("exchange.usecases.upkeep.hold_requests"), "is_too_much_waiting", withdraw)
    assert await held(world) == []
    assert await requests.is_hidden(world, request, "NOR reader")

    world.clock.advance(timedelta(minutes=2))
    await place_entries(world, is_searchable=True)
    world.unguard("audit_entry")
    (lost,) = [entry["id"] for entry in await world.entries() if entry["type"] == "request.withdrawn"]
    world.sql("DELETE FROM audit_entry WHERE id = $1", lost)
    made = await world.attempt(RowWatch(world.services).round())
    assert (type(made.error), world.sql("SELECT ended FROM information_request")) == (LogDamagedError, [("withdrawn",)])


APPROVED = "UPDATE pending_act SET approver = requester, approved_at = requested_at"
REFUSED = "INSERT INTO pending_act_end (act_id, client, ended_at) SELECT id, requester, requested_at FROM pending_act"
BY_HAND = {
    "approved": (APPROVED, "UPDATE pending_act SET approver = NULL, approved_at = NULL"),
    "refused": (REFUSED, "DELETE FROM pending_act_end"),
}


async def refuse(world: World, act: str, by: str):
    return await world.attempt(usecases.refuse_act(world.services, world.call(by), act))


@pytest.mark.parametrize("by", ["auditor", "operator"])
@pytest.mark.parametrize("how", BY_HAND)
async def test_act_whose_row_alone_says_that_it_waits_no_more_is_refused_and_done_by_nobody(
    populated: World, how: str, by: str
) -> None:
    world = populated
    (act, digest), (end, put_back) = await acts.asked_for(world), BY_HAND[how]
    for table in ("pending_act", "pending_act_end"):
        world.unguard(table)
    world.sql(end)
    made, again = [await refuse(world, act, by) for _ in range(2)]

    assert (made.entry["type"], made.entry["decision"]) == ("act.refused", "permitted")
    assert made.value.value.act.refuser == world.clients[by].id
    assert isinstance(again.error, ConflictError)

    world.sql(put_back)
    world.sql(BY_HAND["refused"][1])
    assert acts.code(await acts.confirm(world, act, digest)) == "request-ended"


async def test_act_that_was_done_or_is_too_old_is_refused_by_nobody_nor_while_the_log_cannot_be_read(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_: object) -> None:
        raise UnavailableError("too many entries wait")

    (act, digest), (old, _) = await acts.asked_for(populated), await acts.asked_for(populated, whose="DNK reader")
    await acts.confirm(populated, act, digest)
    assert acts.code(await refuse(populated, act, "operator")) == "approved-already"
    populated.sql(f"{REFUSED} WHERE approver IS NULL")
    with monkeypatch.context() as away:
        away.setattr(taken_away_again, "require_readable", unreadable)
        assert acts.code(await refuse(populated, old, "operator")) == "request-ended"
    populated.clock.advance(timedelta(days=7))

    assert acts.code(await refuse(populated, old, "operator")) == "request-ended"


@pytest.mark.parametrize("state", ["refused", "withdrawn"])
@pytest.mark.parametrize("end", ["refuse", "withdraw"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_request_for_consent_whose_row_alone_was_ended_is_ended_and_granted_by_nobody(
    deriving: World, kind: Kind, end: str, state: str
) -> None:
    world, report = deriving, await deriving.post(label=MIDDLE)
    request = await kind.ask(world, report)
    world.sql(f"UPDATE {kind.table} SET state = $1", state)

    async def ends():
        if end == "refuse":
            return await kind.refuse(world.services, world.call("GBR releaser"), request, "no")
        return await kind.withdraw(world.services, world.call(kind.asker), request)

    made, again = [await world.attempt(ends()) for _ in range(2)]

    event = f"{kind.name}.{'refused' if end == 'refuse' else 'withdrawn'}"
    assert (made.error, made.entry["type"], made.entry["decision"]) == (None, event, "permitted")
    assert (type(again.error), again.entry["decision"]) == (ConflictError, "refused")

    world.sql(f"UPDATE {kind.table} SET state = 'asked'")
    with pytest.raises(ConflictError):
        await kind.grant(world, request)
    assert len(await held(world)) == 1
    assert world.sql(f"SELECT state FROM {kind.table}") != [("asked",)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_request_for_consent_that_lapsed_is_refused_by_nobody(deriving: World, kind: Kind) -> None:
    request = await kind.ask(deriving, await deriving.post(label=MIDDLE))
    deriving.sql(f"UPDATE {kind.table} SET state = 'lapsed'")
    refuse = kind.refuse(deriving.services, deriving.call("GBR releaser"), request, "no")

    assert (await deriving.attempt(refuse)).entry["decision"] == "refused"


async def test_request_that_is_gone_when_it_is_ended_is_ended_by_nobody(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await requests.ask(populated)

    async def remove() -> None:
        populated.unguard("information_request")
        populated.sql("DELETE FROM information_request")

    module = import_module("exchange.usecases.requests.information_requests")
    done_behind(monkeypatch, module, "view_of", remove)
    made = await populated.attempt(usecases.close_request(populated.services, populated.call("GBR reader"), request))

    assert (type(made.error), made.entry["decision"]) == (ConflictError, "refused")


@pytest.mark.parametrize("by", ["NOR reader", None])
async def test_subscription_whose_row_alone_was_ended_is_removed_and_tells_nobody_again(
    make_lived: MakeLived, by: str | None
) -> None:
    world, subscription = await make_lived(with_a_subscriber)
    ((secret,),) = world.sql("SELECT wrapped_secret FROM subscription")
    world.sql("UPDATE subscription SET ended_at = 1")

    async def remove(name: str | None):
        return await world.attempt(usecases.remove_subscription(world.services, world.call(name), subscription))

    foreign, made, again = [await remove(name) for name in ("GBR reader", by, by)]

    assert (made.entry["type"], made.entry["decision"]) == ("subscription.removed", "permitted")
    for refused in (foreign, again):
        assert (type(refused.error), refused.entry["decision"]) == (NotFoundError, "refused")

    world.sql("UPDATE subscription SET ended_at = NULL, wrapped_secret = $1", secret)
    assert len(await held(world)) == 1
    listed = await usecases.list_subscriptions(world.services, world.call("NOR reader"))
    assert listed.value == []
