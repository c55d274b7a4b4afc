"""Subscriptions over HTTP: a secret shown once, one's own alone, each act on the record."""

import json
from dataclasses import replace

import pytest

from exchange.kernel import to_micros
from exchange.store import Unread
from exchange.store.rows.subscription_rows import DeliveryState
from exchange.usecases.members.subscriptions import waiting
from exchange.usecases.telling.notify_subscribers import Notifier, Reach
from tests.support.alerted_world import SilentLine
from tests.usecases.test_information_requests import ask

PATH = "/v1/subscriptions"
URL = "https://desk.example/told"


@pytest.fixture
async def added(http) -> dict:
    answer = await http("NOR reader").post(PATH, json={"url": URL}, headers={"Exchange-Purpose": "defence"})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{PATH}/{answer.json()['id']}"
    return answer.json()


async def test_secret_is_shown_once(http, added, entry_of) -> None:
    listed = await http("NOR reader").get(PATH)

    assert added["secret"].startswith("whsec_")
    assert listed.json()["items"] == [{key: value for key, value in added.items() if key != "secret"}]
    assert added["purpose"] == "defence"
    assert (await entry_of(listed))["type"] == "subscription.listed"


async def test_what_nobody_took_is_seen_and_sent_again(http, world, added, entry_of) -> None:
    reader, place = http("NOR reader"), f"{PATH}/{added['id']}"
    line = SilentLine(answers=["it answered 410"])
    notifier = Notifier(world.services, line, Reach())
    report = await world.post()
    await notifier.round()
    (dead,) = (await reader.get(f"{place}/deliveries")).json()["items"]
    replayed = await reader.post(f"{place}/replay", json={})
    await notifier.round()
    (delivered,) = (await reader.get(f"{place}/deliveries")).json()["items"]

    assert (dead["kind"], dead["state"], dead["told"]) == ("report", "dead", "it answered 410")
    assert "report" not in dead
    assert replayed.json() == {"id": added["id"], "replayed": 1}
    assert (await entry_of(replayed))["type"] == "subscription.replayed"
    assert (delivered["id"], delivered["state"], delivered["told"]) == (dead["id"], "delivered", None)
    assert [json.loads(body)["data"]["report"] for _, _, body in line.sent] == [report, report]


async def test_test_message_is_queued_and_seen(http, world, added) -> None:
    reader, place = http("NOR reader"), f"{PATH}/{added['id']}"
    sent = await reader.post(f"{place}/test", json={})
    await Notifier(world.services, SilentLine(), Reach()).round()
    (row,) = (await reader.get(f"{place}/deliveries")).json()["items"]

    assert sent.status_code == 202
    assert (row["id"], row["kind"], row["state"]) == (sent.json()["id"], "test", "delivered")


async def test_each_message_is_listed_as_what_it_told_of(http, world, added) -> None:
    """A breach that was told stood there as a test that nobody had asked for, and a request as a report."""
    reader, place = http("NOR reader"), f"{PATH}/{added['id']}"
    notifier = Notifier(world.services, SilentLine(), Reach())
    await world.post()
    await ask(world)
    await reader.post(f"{place}/test", json={})
    await notifier.round()
    store, now = world.services.store, to_micros(world.clock())
    (one,) = await store.subscriptions.active(Unread())
    breach = waiting(world.agreement_id, added["id"], None, now, breach=world.agreement_id)
    await store.subscriptions.move(one, one.seq, [replace(breach, state=DeliveryState.DELIVERED, ended_at=now)])
    listed = (await reader.get(f"{place}/deliveries")).json()["items"]

    assert sorted(row["kind"] for row in listed) == ["breach", "report", "request", "test"]


async def test_list_without_a_message_that_was_altered_says_so(http, world, added) -> None:
    reader, place = http("NOR reader"), f"{PATH}/{added['id']}"
    test = (await reader.post(f"{place}/test", json={})).json()["id"]
    whole = (await reader.get(f"{place}/deliveries")).json()
    store = world.services.store
    (one,) = await store.subscriptions.active(Unread())
    no_time = waiting(world.agreement_id, added["id"], None, 9 * 10**18)
    await store.subscriptions.move(one, one.seq + 1, [no_time])
    listed = (await reader.get(f"{place}/deliveries")).json()

    assert "unopened" not in whole
    assert [row["id"] for row in listed["items"]] == [test]
    assert listed["unopened"] == [{"id": None}]


async def test_removed_is_gone(http, added) -> None:
    reader, place = http("NOR reader"), f"{PATH}/{added['id']}"
    removed = await reader.delete(place)

    assert (removed.status_code, removed.json()["id"]) == (200, added["id"])
    assert (await reader.get(PATH)).json()["items"] == []
    assert (await reader.delete(place)).status_code == 404
    assert (await reader.post(f"{place}/test", json={})).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"url": "https://127.0.0.1/"}, 422, "/url"),
        ({"url": "http://desk.example/"}, 422, "/url"),
        ({"url": "x"}, 422, "/url"),
        ({"url": URL, "secret": "whsec_mine"}, 422, "/secret"),
        ({"url": URL, "client": "other"}, 422, "/client"),
        ({}, 422, "/url"),
    ],
)
async def test_faults_are_named(http, entry_of, body, status, pointer) -> None:
    answer = await http("NOR reader").post(PATH, json=body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer)
    assert (await entry_of(answer))["decision"] == "refused"


async def test_more_than_enough_is_a_conflict(http, added) -> None:
    reader = http("NOR reader")
    answers = [await reader.post(PATH, json={"url": f"{URL}/{number}"}) for number in range(8)]

    assert [answer.status_code for answer in answers] == [201] * 7 + [409]
