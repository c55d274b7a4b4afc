"""Webhooks tell members that are asked of requests for information: whoever may read one at that moment, and no more."""

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import Criteria
from exchange.kernel import UnavailableError
from exchange.markings import Label
from exchange.members import Standing
from exchange.reports import Precedence
from exchange.usecases import ClearanceChange, Services
from exchange.usecases.log.deliver_alerts import BACKOFF
from exchange.usecases.requests.telling_requests import told_request
from exchange.usecases.telling.notify_subscribers import Notifier, Reach
from tests.support.alerted_world import SilentLine
from tests.support.lived import MakeLived
from tests.support.world import Entry, World
from tests.usecases.test_information_requests import ask

FOR_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
TOLD = "request.notified"


@dataclass
class Desks:
    """A world whose readers all subscribe, and what each of them is sent."""

    world: World
    names: dict[str, str]
    line: SilentLine = field(default_factory=SilentLine)

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Send what is due and return who was sent what so far."""
        while await Notifier(self.world.services, self.line, Reach()).round():
            pass
        return [(self.names[name], json.loads(body)) for name, _, body in self.line.sent]

    async def entries(self) -> list[Entry]:
        return [entry for entry in await self.world.entries() if entry["type"] == TOLD]


async def with_subscribers(world: World) -> dict[str, str]:
    await world.enrol("NOR junior", "NOR", "reader", level="CONFIDENTIAL")
    names = {}
    for name in ("GBR reader", "NOR reader", "NOR junior", "DNK reader", "ESP reader"):
        url = f"https://{name.replace(' ', '-').lower()}.example/told"
        made = await usecases.add_subscription(world.services, world.call(name), url)
        names[made.value.row.id] = name
    return names


@pytest.fixture
async def desks(make_lived: MakeLived) -> Desks:
    return Desks(*await make_lived(with_subscribers))


async def test_who_is_asked_and_may_read_the_request_is_told_once_with_its_id_and_precedence_alone(
    desks: Desks,
) -> None:
    request = await ask(desks.world, precedence=Precedence.FLASH)
    told = await desks.told()

    ((who, message),) = told
    subscription = next(each for each, name in desks.names.items() if name == "NOR reader")
    assert who == "NOR reader"
    assert message == {
        "type": "request.visible",
        "timestamp": "2026-06-01T12:00:00Z",
        "data": {"request": request, "precedence": "FLASH", "subscription": subscription},
    }
    ((_, _, body),) = desks.line.sent
    assert not any(word in body for word in (b"Canary", b"SECRET", b"GBR", b"cyber"))
    assert await desks.told() == told


async def test_telling_is_an_entry_of_the_service_before_the_message_and_so_is_why_not(desks: Desks) -> None:
    request = await ask(desks.world)
    await desks.told()
    by_client = {str(entry["detail"]["client"]): entry for entry in await desks.entries()}
    clients = desks.world.clients

    assert set(by_client) == {clients["NOR reader"].id, clients["NOR junior"].id}
    permitted, refused = by_client[clients["NOR reader"].id], by_client[clients["NOR junior"].id]
    assert (permitted["decision"], permitted["owner"], permitted["object"]["id"]) == ("permitted", "GBR", request)
    assert (refused["decision"], refused["reasons"]) == ("refused", ["above-clearance"])
    for entry in (permitted, refused):
        assert entry["actor"] == {"kind": "service"}
        assert "member" not in entry
        assert entry["purpose"] == "defence"


async def test_request_is_told_by_a_node_that_has_just_begun_by_the_law_in_force_alone(desks: Desks) -> None:
    world, name = desks.world, "NOR reader"
    request = await ask(world)
    state = (await world.services.store.caller(world.call(name).thumbprint or "")).state

    async def told(node: Services, about: str = request, **state_now: str) -> Any:
        now, client = replace(state, **state_now), world.clients[name]
        return await told_request(node, world.call(name), client, about, state=now, by={"stream": "s"})

    async with world.another_node() as node:
        with pytest.raises(UnavailableError, match="other policy files"):
            await told(node, policy_digest="another")
        assert await told(node, node.randomness(16).hex()) is None
        assert (await told(node)).facts["request"] == request


async def test_nothing_is_told_while_the_log_cannot_be_written(desks: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask(desks.world)
    store, append = desks.world.services.store, desks.world.services.store.append

    async def away(draft: Any) -> Any:
        raise UnavailableError("the log is away")

    monkeypatch.setattr(store, "append", away)
    assert await desks.told() == []
    monkeypatch.setattr(store, "append", append)
    desks.world.clock.advance(timedelta(hours=1))

    assert [who for who, _ in await desks.told()] == ["NOR reader"]


@pytest.mark.parametrize("narrowed", ["cleared", "revoked", "suspended", "withdrawn", "closed", "party"])
async def test_what_is_narrowed_or_ended_meanwhile_is_not_told(desks: Desks, narrowed: str) -> None:
    """Attacks 16 and 31: what is decided is the moment of sending, not that of asking."""
    world, request = desks.world, await ask(desks.world)
    services, reader = world.services, world.clients["NOR reader"].id
    match narrowed:
        case "cleared":
            await usecases.change_clearance(services, world.call(None), reader, ClearanceChange("RESTRICTED"))
        case "revoked":
            await usecases.change_standing(services, world.call("operator"), reader, Standing.REVOKED)
        case "suspended":
            await usecases.suspend_member(services, world.call("operator"), "NOR")
        case "withdrawn":
            await usecases.withdraw_request(services, world.call("GBR reader"), request)
        case "closed":
            await usecases.close_request(services, world.call("GBR reader"), request)
        case _:
            await usecases.suspend_agreement(services, world.call("NOR signatory"), world.agreement_id)

    assert await desks.told() == []
    assert {entry["decision"] for entry in await desks.entries()} <= {"refused"}


async def test_refused_message_is_shown_to_nobody_and_leaves_no_trace_for_its_reader(desks: Desks) -> None:
    await ask(desks.world)
    await desks.told()
    world = desks.world
    for name in ("NOR junior", "DNK reader", "GBR reader"):
        shown = await usecases.list_deliveries(world.services, world.call(name), None)
        assert shown.value == []


async def test_message_that_was_not_taken_comes_again_as_far_as_it_still_may(desks: Desks) -> None:
    await ask(desks.world)
    desks.line.answers = ["it answered 500"]
    assert len(await desks.told()) == 1
    desks.world.clock.advance(2 * BACKOFF[0])
    assert len(await desks.told()) == 2
    _, first, _ = desks.line.sent[0]
    _, second, _ = desks.line.sent[1]

    assert first["webhook-id"] == second["webhook-id"]


async def test_refused_request_queues_nothing(desks: Desks) -> None:
    made = await desks.world.attempt(
        usecases.request_information(
            desks.world.services, desks.world.call("GBR reader"), desks.world.wanted(topic="no.such")
        )
    )

    assert made.error is not None
    assert desks.world.sql("SELECT count(*) FROM subscription_delivery") == [(0,)]


async def test_report_is_told_as_before_beside_a_request(desks: Desks) -> None:
    request = await ask(desks.world)
    report = await desks.world.post(label=FOR_NOR)
    told = {(who, message["type"]) for who, message in await desks.told()}

    assert told == {
        ("NOR reader", "request.visible"),
        ("NOR reader", "report.visible"),
        ("GBR reader", "report.visible"),
    }
    assert request != report


async def test_askers_auditor_learns_nobodys_clearance_by_asking(desks: Desks) -> None:
    """Attack 8: whom a request cannot be told of did nothing, and whoever asks must not probe it so."""
    world = desks.world
    await world.enrol("GBR auditor", "GBR", "auditor", level="TOP SECRET")
    await ask(world)
    await desks.told()
    world.sequence()
    query = usecases.EntryQuery(Criteria(event=TOLD))
    shown = await usecases.search_entries(world.services, world.call("GBR auditor"), query)

    told = [each.view.fields["detail"] for each in shown.value.items]

    assert [detail["client"] for detail in told if isinstance(detail, dict)] == [world.clients["NOR reader"].id]
