"""Webhooks get each alert at least once, in the same bytes, and what they do not take is given up on the record."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.crypto import WebhookKey
from exchange.markings import Label
from exchange.usecases.log.deliver_alerts import BACKOFF, CLAIMED, AlertDelivery
from tests.support.alerted_world import HOOK, SECRET, AlertedWorld
from tests.support.lived import MakeLived
from tests.support.world import World

OTHER = replace(HOOK, name="other")


async def with_an_alert(world: World) -> None:
    opened = await AlertedWorld.open(world, hooks=(HOOK, OTHER))
    report = await world.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)))
    for _ in range(3):
        await opened.pull("DNK reader", report)
    await opened.settle()
    await opened.close()


@pytest.fixture
async def alerted(make_lived: MakeLived) -> AsyncIterator[AlertedWorld]:
    opened = await AlertedWorld.open((await make_lived(with_an_alert))[0], hooks=(HOOK, OTHER))
    yield opened
    await opened.close()


async def test_alert_is_sent_to_each_webhook_once(alerted: AlertedWorld) -> None:
    delivery = alerted.delivery(HOOK, OTHER)

    assert await delivery.round() == 2
    assert await delivery.round() == 0
    assert sorted(name for name, _, _ in alerted.line.sent) == ["other", "soc"]
    assert alerted.world.sql("SELECT count(*) FROM alert_delivery WHERE is_delivered AND ended_at IS NOT NULL") == [
        (2,)
    ]


async def test_alert_that_a_node_without_the_webhook_raised_is_sent_to_it_all_the_same(alerted: AlertedWorld) -> None:
    """Of nodes with other webhooks the one that was quicker raised it, for its own alone: nobody here was told."""
    third = replace(HOOK, name="third")
    deliveries = [alerted.delivery(HOOK, third), alerted.delivery(third)]
    assert [await each.round() for each in deliveries] == [1, 0]
    report = await alerted.world.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)))
    alerted.world.clock.advance(timedelta(hours=2))
    for _ in range(3):
        await alerted.pull("DNK reader", report)
    await alerted.settle()
    alerted.line.sent.clear()

    assert [await each.round() for each in (*deliveries, *deliveries)] == [2, 0, 0, 0]
    newest = (await alerted.alerts())[-1].id
    assert {(name, headers["webhook-id"]) for name, headers, _ in alerted.line.sent} == {
        ("soc", newest),
        ("third", newest),
    }


async def test_message_is_signed_as_the_standard_says(alerted: AlertedWorld) -> None:
    await alerted.delivery().round()
    ((_, headers, body),) = alerted.line.sent
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))

    mac = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    assert headers["webhook-timestamp"] == str(int(alerted.world.clock.now.timestamp()))


async def test_secret_that_was_exchanged_signs_from_the_next_message_on(alerted: AlertedWorld) -> None:
    another = replace(HOOK, key=WebhookKey("whsec_" + base64.b64encode(bytes(range(32))).decode()))
    delivery = AlertDelivery(alerted.world.services, alerted.line, (HOOK,), lambda _: another)
    await delivery.round()
    ((_, headers, body),) = alerted.line.sent

    assert headers["webhook-signature"] == another.key.sign(
        headers["webhook-id"], int(headers["webhook-timestamp"]), body
    )


async def test_message_names_entries_and_tells_nothing_of_whom_or_what(alerted: AlertedWorld) -> None:
    await alerted.delivery().round()
    (alert,) = await alerted.alerts()
    ((_, headers, body),) = alerted.line.sent
    message = json.loads(body)

    assert headers["webhook-id"] == message["data"]["id"] == alert.id
    assert message["type"] == "alert.raised"
    assert message["data"].keys() == {"id", "rule", "severity", "raised_at", "entry", "evidence"}
    told = [b"DNK", b"SECRET", b"192.0.2.7", b"Canary", alerted.world.clients["DNK reader"].id.encode()]
    assert not any(each in body for each in told)


async def test_what_was_not_taken_is_sent_again_later_in_the_same_bytes(alerted: AlertedWorld) -> None:
    alerted.line.answers = ["it answered 500"]
    delivery = alerted.delivery()
    assert await delivery.round() == 1
    assert await delivery.round() == 0
    alerted.world.clock.advance(BACKOFF[0])

    assert await delivery.round() == 1
    (first, second) = alerted.line.sent
    assert first[2] == second[2]
    assert first[1]["webhook-id"] == second[1]["webhook-id"]
    assert first[1]["webhook-signature"] != second[1]["webhook-signature"]


async def test_what_is_never_taken_is_given_up_on_the_record(alerted: AlertedWorld) -> None:
    delivery = alerted.delivery()
    alerted.line.answers = ["it answered 500"] * (len(BACKOFF) + 2)
    for wait in (*BACKOFF, timedelta(days=2)):
        assert await delivery.round() == 1
        alerted.world.clock.advance(wait)
    assert await delivery.round() == 0

    entries = [entry for entry in await alerted.world.entries() if entry["type"] == "alert.undelivered"]
    (alert,) = await alerted.alerts()
    assert [(entry["decision"], entry["object"]) for entry in entries] == [
        ("failed", {"type": "alert", "id": alert.id})
    ]
    assert alerted.world.sql("SELECT told FROM alert_delivery WHERE hook = 'soc'") == [("it answered 500",)]


async def test_altered_alert_is_sent_without_what_it_rested_on_and_keeps_no_other_waiting(
    alerted: AlertedWorld,
) -> None:
    for _ in range(3):
        await alerted.pull("GBR reader", await alerted.world.post())
    await alerted.settle()
    for evidence in ("[", "{}", "[1]"):
        alerted.world.sql("UPDATE alert SET evidence = $1 WHERE rule = 'refusals'", evidence)
        alerted.world.sql("UPDATE alert_delivery SET next_at = 0, ended_at = NULL")
        await alerted.delivery().round()

    told = [json.loads(body)["data"] for _, _, body in alerted.line.sent]
    assert [(each["rule"], len(each["evidence"])) for each in told] == [("refusals", 0), ("pulls", 1)] * 3


@pytest.mark.parametrize("tries", ["-100", "2147483647", "no number"])
async def test_number_of_tries_that_was_altered_keeps_no_other_alert_waiting(
    alerted: AlertedWorld, backend: str, tries: str
) -> None:
    # PostgreSQL takes no text there.
    written = ("'x'" if backend == "sqlite" else "-1") if tries == "no number" else tries
    alerted.world.sql(f"UPDATE alert_delivery SET tries = {written} WHERE hook = 'soc'")
    alerted.line.answers = [None, "it answered 500"]

    assert await alerted.delivery(HOOK, OTHER).round() == 2
    assert [name for name, _, _ in alerted.line.sent] == ["other", "soc"]
    ended = alerted.world.sql("SELECT hook, is_delivered FROM alert_delivery WHERE ended_at IS NOT NULL ORDER BY hook")
    assert ended == [("other", True), ("soc", False)]
    assert [entry["type"] for entry in await alerted.world.entries()].count("alert.undelivered") == 1


@pytest.mark.parametrize("raised_at", ["9000000000000000000", "no number"])
async def test_alert_of_which_no_message_can_be_made_is_given_up_on_the_record(
    alerted: AlertedWorld, backend: str, raised_at: str
) -> None:
    written = ("'x'" if backend == "sqlite" else str(2**62)) if raised_at == "no number" else raised_at
    alerted.world.sql(f"UPDATE alert SET raised_at = {written}")
    delivery = alerted.delivery()
    for wait in (*BACKOFF, timedelta(days=2)):
        assert await delivery.round() == 1
        alerted.world.clock.advance(wait)

    assert alerted.line.sent == []
    assert len([entry for entry in await alerted.world.entries() if entry["type"] == "alert.undelivered"]) == 1


async def test_clock_that_was_set_back_delays_no_alert_until_it_has_come_so_far(alerted: AlertedWorld) -> None:
    delivery, now = alerted.delivery(), alerted.world.clock.now
    alerted.line.answers = ["no connection: SSLError"]
    # So far ahead, the receiver's certificate has expired.
    alerted.world.clock.now = now + timedelta(days=300)
    assert await delivery.round() == 1
    alerted.world.clock.now = now

    assert await delivery.round() == 1
    assert await delivery.round() == 0
    assert alerted.world.sql("SELECT is_delivered FROM alert_delivery WHERE hook = 'soc'")[0][0]


async def test_sender_that_died_is_followed_by_another_one(alerted: AlertedWorld) -> None:
    store, now = alerted.world.services.store, 2**53
    claimed = await store.deliveries.claim(["soc"], now=now, until=now, limit=10)
    alerted.world.sql("UPDATE alert_delivery SET next_at = $1", _micros(alerted) + CLAIMED // timedelta(microseconds=1))

    assert len(claimed) == 1
    assert await alerted.delivery().round() == 0
    alerted.world.clock.advance(CLAIMED)
    assert await alerted.delivery().round() == 1


async def test_two_senders_do_not_send_the_same(alerted: AlertedWorld) -> None:
    store = alerted.world.services.store
    now = _micros(alerted)
    first = await store.deliveries.claim(["soc"], now=now, until=now + 1, limit=10)
    second = await store.deliveries.claim(["soc"], now=now, until=now + 1, limit=10)

    assert (len(first), len(second)) == (1, 0)


async def test_webhook_that_is_gone_gets_nothing(alerted: AlertedWorld) -> None:
    assert await alerted.delivery(replace(HOOK, name="new")).round() == 0
    assert await AlertedWorld.delivery(alerted).round() == 1


def _micros(alerted: AlertedWorld) -> int:
    return int(alerted.world.clock.now.timestamp() * 1_000_000)
