"""Webhooks tell readers of what they may read at that moment: at least once, signed, by themselves alone."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import InvalidError, NotFoundError, UnavailableError
from exchange.kernel.addresses import networks_of
from exchange.markings import Label
from exchange.members import Standing
from exchange.reports import Precedence
from exchange.store import UnitOfWork, Unread
from exchange.store.books.subscriptions import Subscriptions
from exchange.store.rows.subscription_rows import DeliveryRow
from exchange.usecases import ClearanceChange, NewSubscription
from exchange.usecases.log.deliver_alerts import BACKOFF, CLAIMED
from exchange.usecases.telling.notify_subscribers import Notifier, Reach, told_to_client
from tests.support.alerted_world import SilentLine
from tests.support.lived import MakeLived
from tests.support.meanwhile import at_once
from tests.support.world import World

FOR_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
FOR_GBR = Label("NATO", "SECRET", releasable_to=("GBR",))
URL = "https://desk.example/told"


@dataclass
class Told:
    """A world with one subscriber, and what is sent to it."""

    world: World
    subscription: NewSubscription
    line: SilentLine = field(default_factory=SilentLine)

    @property
    def notifier(self) -> Notifier:
        return Notifier(self.world.services, self.line, Reach())

    @property
    def messages(self) -> list[dict]:
        return [json.loads(body) for _, _, body in self.line.sent]

    @property
    def id(self) -> str:
        return self.subscription.row.id

    async def deliveries(self) -> list[DeliveryRow]:
        listed = await usecases.list_deliveries(self.world.services, self.world.call("NOR reader"), self.id)
        return listed.value


async def subscribe(world: World, name: str = "NOR reader", url: str = URL) -> NewSubscription:
    return (await usecases.add_subscription(world.services, world.call(name), url)).value


async def with_a_subscriber(world: World) -> NewSubscription:
    await world.post(label=FOR_NOR, subject="before")
    return await subscribe(world)


@pytest.fixture
async def told(make_lived: MakeLived) -> Told:
    return Told(*await make_lived(with_a_subscriber))


async def test_report_is_told_once_with_its_id_and_precedence_alone(told: Told) -> None:
    report = await told.world.post(label=FOR_NOR, precedence=Precedence.FLASH)

    assert await told.notifier.round() == 1
    assert await told.notifier.round() == 0
    ((_, headers, body),) = told.line.sent
    assert json.loads(body) == {
        "type": "report.visible",
        "timestamp": "2026-06-01T12:00:00Z",
        "data": {"report": report, "precedence": "FLASH", "subscription": told.id},
    }
    assert not any(word in body for word in (b"Canary", b"SECRET", b"GBR", b"cyber"))
    (delivery,) = await told.deliveries()
    assert (delivery.id, delivery.state.value, delivery.tries) == (headers["webhook-id"], "delivered", 1)


async def test_message_is_signed_with_the_secret_that_was_shown(told: Told) -> None:
    await told.world.post(label=FOR_NOR)
    await told.notifier.round()
    ((_, headers, body),) = told.line.sent
    key = base64.b64decode(told.subscription.secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body

    assert len(key) == 32
    mac = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"


async def test_secret_stands_nowhere_in_the_clear(told: Told) -> None:
    key = base64.b64decode(told.subscription.secret.removeprefix("whsec_"))
    kept = told.world.sql("SELECT wrapped_secret FROM subscription")
    entries = json.dumps(await told.world.entries())

    assert all(key not in bytes(row[0]) for row in kept)
    assert told.subscription.secret not in entries
    assert URL not in entries


async def test_telling_is_on_the_record_before_it_is_sent(told: Told) -> None:
    report = await told.world.post(label=FOR_NOR)
    known = {entry["id"] for entry in await told.world.entries()}
    recorded = []

    class Line(SilentLine):
        async def post(self, hook, headers, body):
            recorded.extend(await told.world.entries())

    told.line = Line()
    await told.notifier.round()

    (entry,) = [entry for entry in recorded if entry["id"] not in known]
    assert (entry["type"], entry["decision"], entry["actor"]["kind"]) == ("report.notified", "permitted", "service")
    assert entry["object"]["id"] == report
    assert entry["detail"] == {"client": told.world.clients["NOR reader"].id, "subscription": told.id}


async def test_log_that_cannot_be_written_sends_nothing_until_it_can(told: Told, monkeypatch) -> None:
    await told.world.post(label=FOR_NOR)
    store, append = told.world.services.store, told.world.services.store.append

    async def away(draft):
        raise UnavailableError("the log cannot be written")

    monkeypatch.setattr(store, "append", away)
    await told.notifier.round()
    assert told.line.sent == []
    monkeypatch.setattr(store, "append", append)
    told.world.clock.advance(CLAIMED)
    await told.notifier.round()

    assert len(told.line.sent) == 1


async def test_post_writes_nothing_for_subscribers(told: Told) -> None:
    await told.world.post(label=FOR_NOR)

    assert told.world.sql("SELECT count(*) FROM subscription_delivery") == [(0,)]


async def test_what_the_reader_may_not_read_is_not_even_queued(told: Told) -> None:
    await told.world.post(label=FOR_GBR)

    assert await told.notifier.round() == 0
    assert told.world.sql("SELECT count(*) FROM subscription_delivery") == [(0,)]


@pytest.mark.parametrize("act", ["revoked", "lowered", "agreement", "certificate"])
async def test_right_lost_between_queue_and_sending_is_withheld_and_told_to_nobody(told: Told, act: str) -> None:
    world, host, client = told.world, told.world.call(None), told.world.clients["NOR reader"].id
    await world.post(label=FOR_NOR)
    told.line.answers = ["it answered 500"]
    await told.notifier.round()
    match act:
        case "revoked":
            await usecases.change_standing(world.services, host, client, Standing.REVOKED)
        case "lowered":
            await usecases.change_clearance(world.services, host, client, ClearanceChange("RESTRICTED"))
        case "agreement":
            await usecases.suspend_agreement(world.services, world.call("NOR signatory"), world.agreement_id)
        case _:
            await usecases.remove_certificate(world.services, host, client, world.call("NOR reader").thumbprint)
    world.clock.advance(BACKOFF[0] * 2)
    await told.notifier.round()

    assert len(told.line.sent) == 1
    assert world.sql("SELECT state FROM subscription_delivery") == [("withheld",)]
    if act in {"lowered", "agreement"}:
        assert await told.deliveries() == []
        refused = [entry for entry in await world.entries() if entry["type"] == "report.notified"][-1]
        assert refused["decision"] == "refused"
        assert "owner" not in refused, "the originator's auditor would learn whose clearance was lowered"


async def test_suspended_client_is_not_told_later_of_what_it_missed(told: Told) -> None:
    world, host, client = told.world, told.world.call(None), told.world.clients["NOR reader"].id
    await usecases.change_standing(world.services, host, client, Standing.SUSPENDED)
    await world.post(label=FOR_NOR)
    await told.notifier.round()
    await usecases.change_standing(world.services, host, client, Standing.ACTIVE)
    report = await world.post(label=FOR_NOR)
    await told.notifier.round()

    assert [message["data"]["report"] for message in told.messages] == [report]


async def test_what_was_not_taken_comes_again_with_the_same_id(told: Told) -> None:
    await told.world.post(label=FOR_NOR)
    told.line.answers = ["it answered 503"]
    assert await told.notifier.round() == 1
    assert await told.notifier.round() == 0
    told.world.clock.advance(BACKOFF[0] * 1.25)
    assert await told.notifier.round() == 1

    first, second = told.line.sent
    assert first[1]["webhook-id"] == second[1]["webhook-id"]
    assert first[2] == second[2]


async def test_receiver_that_takes_nothing_fills_no_log(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    notifier = told.notifier
    for answers in (["it answered 500"], ["it answered 500"] * 2, [], ["it answered 502"]):
        await told.world.post(label=FOR_NOR)
        told.line.answers = answers
        await notifier.round()
        told.world.clock.advance(BACKOFF[1] * 1.25)

    assert [record.getMessage()[-3:] for record in caplog.records] == ["500", "502"]


async def test_dead_letter_is_on_the_record_seen_by_its_client_and_replayed(told: Told) -> None:
    report = await told.world.post(label=FOR_NOR)
    told.line.answers = ["no connection: ConnectError"] * (len(BACKOFF) + 1)
    for wait in (*BACKOFF, timedelta(0)):
        assert await told.notifier.round() == 1
        told.world.clock.advance(wait * 1.25)
    assert await told.notifier.round() == 0
    (dead,) = await told.deliveries()
    undelivered = [entry for entry in await told.world.entries() if entry["type"] == "subscription.undelivered"]
    replayed = await usecases.replay_deliveries(told.world.services, told.world.call("NOR reader"), told.id)
    assert await told.notifier.round() == 1

    assert (dead.state.value, dead.told, dead.tries) == ("dead", "no connection", len(BACKOFF) + 1)
    assert [entry["decision"] for entry in undelivered] == ["failed"]
    assert replayed.value == 1
    assert told.messages[-1]["data"]["report"] == report
    assert [row.state.value for row in await told.deliveries()] == ["delivered"]


async def test_receiver_that_is_gone_is_not_asked_for_days(told: Told) -> None:
    await told.world.post(label=FOR_NOR)
    told.line.answers = ["it answered 410"]
    await told.notifier.round()

    assert [row.state.value for row in await told.deliveries()] == ["dead"]


async def test_host_sees_and_replays_what_nobody_took(told: Told) -> None:
    await told.world.post(label=FOR_NOR)
    told.line.answers = ["it answered 410"]
    await told.notifier.round()
    services, host = told.world.services, told.world.call(None)
    (subscription,) = (await usecases.list_subscriptions(services, host)).value
    (dead,) = (await usecases.list_deliveries(services, host, None)).value
    count = (await usecases.replay_deliveries(services, host, subscription.id)).value

    assert (subscription.id, dead.subscription, count) == (told.id, told.id, 1)


class Killed(BaseException):
    """Stands for what ends a process."""


async def test_sender_that_died_is_followed_by_another_one(told: Told) -> None:
    await told.world.post(label=FOR_NOR)

    class Dying(SilentLine):
        async def post(self, hook, headers, body):
            raise Killed

    with pytest.raises(Killed):
        await Notifier(told.world.services, Dying(), Reach()).round()
    assert await told.notifier.round() == 0
    told.world.clock.advance(CLAIMED)
    assert await told.notifier.round() == 1


async def test_two_nodes_queue_a_report_once_and_send_it_once(told: Told) -> None:
    await told.world.post(label=FOR_NOR)
    async with told.world.another_node() as other:
        (seen,) = await other.store.subscriptions.active(Unread())
        first = await told.notifier.round()
        moved = await other.store.subscriptions.move(seen, seen.seq + 1, [])
        second = await Notifier(other, told.line, Reach()).round()

    assert (first, moved, second) == (1, False, 0)
    assert len(told.line.sent) == 1


async def test_subscriber_far_behind_is_told_of_everything(told: Told, monkeypatch) -> None:
    monkeypatch.setattr("exchange.usecases.telling.notify_subscribers._LOOKED_AT", 3)
    reports = [await told.world.post(label=FOR_NOR) for _ in range(8)]
    while await told.notifier.round():
        pass

    assert sorted(message["data"]["report"] for message in told.messages) == sorted(reports)


async def test_test_message_tells_of_nothing_and_is_seen(told: Told) -> None:
    sent = await usecases.check_subscription(told.world.services, told.world.call("NOR reader"), told.id)
    await told.notifier.round()

    (message,) = told.messages
    assert (message["type"], message["data"]) == ("subscription.test", {"subscription": told.id})
    (row,) = await told.deliveries()
    assert (row.id, row.report, row.state.value) == (sent.value, None, "delivered")


async def test_test_message_that_nobody_takes_is_seen_while_it_waits_and_nothing_else_is(told: Told) -> None:
    await told.world.post(label=FOR_NOR)
    sent = await usecases.check_subscription(told.world.services, told.world.call("NOR reader"), told.id)
    before = [(row.id, row.state.value, row.tries, row.told) for row in await told.deliveries()]
    told.line.answers = ["no connection: ConnectError"] * 2
    await told.notifier.round()

    assert before == [(sent.value, "waiting", 0, None)]
    seen = [(row.id, row.state.value, row.tries, row.told) for row in await told.deliveries()]
    assert seen == [(sent.value, "waiting", 1, "no connection")]


async def test_removed_subscription_is_told_nothing_more(told: Told) -> None:
    await told.world.post(label=FOR_NOR)
    told.line.answers = ["it answered 500"]
    await told.notifier.round()
    await usecases.remove_subscription(told.world.services, told.world.call("NOR reader"), told.id)
    await told.world.post(label=FOR_NOR)
    told.world.clock.advance(timedelta(days=1))

    assert await told.notifier.round() == 0
    assert len(told.line.sent) == 1
    assert [bytes(row[0]) for row in told.world.sql("SELECT wrapped_secret FROM subscription")] == [b""]
    assert (await usecases.list_subscriptions(told.world.services, told.world.call("NOR reader"))).value == []


@pytest.mark.parametrize("column", ["url", "client_id"])
async def test_row_that_was_altered_signs_nothing(told: Told, column: str) -> None:
    await told.world.post(label=FOR_NOR)
    value = "https://evil.example/" if column == "url" else told.world.clients["GBR reader"].id
    told.world.sql(f"UPDATE subscription SET {column} = $1", value)
    await told.notifier.round()

    assert told.line.sent == []


async def test_subscription_of_nobody_is_told_once(told: Told) -> None:
    """Its client found it in no list, was told nothing more, and nobody was told of that."""
    told.world.sql("UPDATE subscription SET client_id = $1 WHERE id = $2", "nobody", told.id)
    await told.world.post(label=FOR_NOR)
    notifier = told.notifier
    for _ in range(2):
        assert await notifier.round() == 0
    listed = await usecases.list_subscriptions(told.world.services, told.world.call(None))
    found = [each["detail"] for each in await told.world.entries() if each["type"] == "key.opened"]

    assert [each["rows"] for each in found] == [[f"subscription {told.id}"]] * 2  # by the jobs, and by the host's list
    assert (listed.value, listed.unopened) == ([], 1)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE report SET sealed_header = $1",
        "UPDATE report SET status = 'unheard of', sealed_header = $1",
    ],
)
async def test_what_was_altered_is_tried_for_the_last_time_some_day(told: Told, damage: str) -> None:
    await told.world.post(label=FOR_NOR)
    told.world.sql(damage, b"none")
    notifier = told.notifier
    for wait in (*BACKOFF, *BACKOFF):
        await notifier.round()
        told.world.clock.advance(wait + wait)
    entries = await told.world.entries()

    tries = len(BACKOFF) + 1
    assert told.line.sent == []
    assert told.world.sql("SELECT state, tries FROM subscription_delivery") == [("dead", tries)]
    assert len([each for each in entries if each["type"] == "subscription.undelivered"]) == 1
    assert len([each for each in entries if each["type"] == "key.opened"]) == tries


@pytest.mark.parametrize("tries", ["-100", "2147483647", "no number"])
async def test_number_of_tries_that_was_altered_keeps_no_other_message_waiting(
    told: Told, backend: str, tries: str
) -> None:
    # PostgreSQL takes no text there.
    written = ("'x'" if backend == "sqlite" else "-1") if tries == "no number" else tries
    test = (await usecases.check_subscription(told.world.services, told.world.call("NOR reader"), told.id)).value
    told.world.sql(f"UPDATE subscription_delivery SET tries = {written}")
    told.line.answers = ["it answered 500"]
    await told.notifier.round()
    report = await told.world.post(label=FOR_NOR)
    await told.notifier.round()

    assert [each["data"].get("report") for each in told.messages] == [None, report]
    states = dict(told.world.sql("SELECT id, state FROM subscription_delivery"))
    assert (states.pop(test), *states.values()) == ("dead", "delivered")
    assert [entry["type"] for entry in await told.world.entries()].count("subscription.undelivered") == 1


async def test_message_whose_id_is_none_keeps_no_other_waiting(told: Told, backend: str) -> None:
    await usecases.check_subscription(told.world.services, told.world.call("NOR reader"), told.id)
    written = "x'ff'" if backend == "sqlite" else "'x'"
    told.world.sql(f"UPDATE subscription_delivery SET id = {written}")
    report = await told.world.post(label=FOR_NOR)
    await told.notifier.round()

    assert [each["data"].get("report") for each in told.messages] == [report]
    listed = await usecases.list_deliveries(told.world.services, told.world.call("NOR reader"), told.id)
    assert (len(listed.value), listed.unopened) == (1, 1)


@pytest.mark.parametrize("queued_at", ["9000000000000000000", "no number"])
async def test_time_that_was_altered_is_given_up_some_day_and_hides_no_other_message(
    told: Told, backend: str, queued_at: str
) -> None:
    written = ("'x'" if backend == "sqlite" else str(2**62)) if queued_at == "no number" else queued_at
    test = (await usecases.check_subscription(told.world.services, told.world.call("NOR reader"), told.id)).value
    told.world.sql(f"UPDATE subscription_delivery SET queued_at = {written}")
    await told.world.post(label=FOR_NOR)
    for wait in (*BACKOFF, timedelta(days=2)):
        await told.notifier.round()
        told.world.clock.advance(wait + wait)
    call = told.world.call("NOR reader")
    listed = await told.world.attempt(usecases.list_deliveries(told.world.services, call, told.id))

    assert len(told.messages) == 1
    assert told.world.sql("SELECT state FROM subscription_delivery WHERE id = $1", test) == [("dead",)]
    assert [each.state.value for each in listed.value.value] == ["delivered"]
    assert listed.value.unopened == 1
    assert listed.entries[-1]["detail"]["place"] == f"delivery {test}"
    told.world.sql("UPDATE subscription_delivery SET id = 'no id' WHERE state = 'delivered'")
    assert (await usecases.list_deliveries(told.world.services, call, told.id)).unopened == 2


async def test_subscription_that_cannot_be_looked_at_keeps_no_other_waiting(told: Told) -> None:
    await told.world.enrol("GBR desk", "GBR", "reader", purposes=("defence",))
    for name in ("GBR reader", "GBR desk"):
        await subscribe(told.world, name)
    # A word that the vocabulary had when it was made, and a client whose row was altered.
    told.world.sql("UPDATE subscription SET purpose = 'long gone' WHERE id = $1", told.id)
    told.world.sql("UPDATE client SET roles = '[' WHERE name = 'GBR desk'")
    await told.world.post(label=FOR_NOR)
    async with told.world.another_node() as services:
        notifier = Notifier(services, told.line, Reach())
        for _ in range(2):
            with pytest.raises(UnavailableError, match="is not looked at"):
                await notifier.round()

    assert len(told.line.sent) == 1
    told.world.sql("UPDATE subscription SET purpose = 'defence'")
    await told.notifier.round()
    assert told.id in {message["data"]["subscription"] for message in told.messages}


async def test_store_that_is_away_is_told_of_as_such(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise UnavailableError("the store went away")

    await told.world.post(label=FOR_NOR)
    monkeypatch.setattr(Subscriptions, "move", away)

    with pytest.raises(UnavailableError, match="went away"):
        await told.notifier.round()
    assert told.line.sent == []


async def test_subscriptions_of_others_do_not_exist(told: Told) -> None:
    services = told.world.services
    for name in ("GBR reader", "DNK reader"):
        call = told.world.call(name)
        assert (await usecases.list_subscriptions(services, call)).value == []
        for act in (usecases.remove_subscription, usecases.check_subscription, usecases.replay_deliveries):
            tried = await told.world.attempt(act(services, call, told.id))
            assert isinstance(tried.error, NotFoundError)
            assert tried.entry["decision"] == "refused"
        with pytest.raises(NotFoundError):
            await usecases.list_deliveries(services, call, told.id)


INSIDE = (
    *("http://desk.example/", "https://", "https://localhost/", "https://127.0.0.1/", "https://127.1/"),
    *("https://[::1]/", "https://10.0.0.8/", "https://169.254.169.254/latest/meta-data", "https://0x7f000001/"),
    *("https://2130706433/", "https://[::ffff:169.254.169.254]/", "https://[fd00:ec2::254]/", "ftp://desk.example"),
    *(
        "https://user:word@desk.example/",
        "https://desk.example/#x",
        "https://desk.example:0/",
        "file:///etc/passwd",
    ),
    *("https://metadata.google.internal/", "https://desk.example/\r\nHost: x", "https://[::1", "https://10.0.0.8."),
)


async def test_31_address_that_leads_inside_is_refused_at_registration(
    populated: World, subtests: pytest.Subtests
) -> None:
    for url in INSIDE:
        added = usecases.add_subscription(populated.services, populated.call("NOR reader"), url)
        tried = await populated.attempt(added)

        with subtests.test(url=url):
            assert isinstance(tried.error, InvalidError)
            assert tried.error.faults[0].pointer == "/url"
            assert (tried.entry["type"], tried.entry["decision"]) == ("subscription.added", "refused")
    assert populated.sql("SELECT count(*) FROM subscription") == [(0,)]


async def test_31_network_that_the_operator_names_is_allowed_and_no_other(populated: World) -> None:
    services = replace(populated.services, private_networks=networks_of(["10.1.0.0/16"]))
    await usecases.add_subscription(services, populated.call("NOR reader"), "https://10.1.2.3/told")

    with pytest.raises(InvalidError):
        await usecases.add_subscription(services, populated.call("NOR reader"), "https://10.2.2.3/told")


async def test_old_deliveries_are_forgotten(told: Told) -> None:
    await told.world.post(label=FOR_NOR)
    notifier = told.notifier
    await notifier.round()
    told.world.clock.advance(timedelta(days=8))
    await notifier.round()

    assert told.world.sql("SELECT count(*) FROM subscription_delivery") == [(0,)]


async def test_clock_that_was_set_back_delays_nothing_until_it_has_come_so_far(told: Told) -> None:
    await told.world.post(label=FOR_NOR)
    now, told.line.answers = told.world.clock.now, ["no connection: SSLError"]
    # So far ahead, the receiver's certificate has expired.
    told.world.clock.now = now + timedelta(days=300)
    assert await told.notifier.round() == 1
    told.world.clock.now = now

    assert await told.notifier.round() == 1
    assert [delivery.state.value for delivery in await told.deliveries()] == ["delivered"]


async def test_longest_wait_is_waited_for(told: Told) -> None:
    await told.world.post(label=FOR_NOR)
    told.line.answers = ["it answered 500"] * (len(BACKOFF) + 1)
    for wait in BACKOFF:
        assert await told.notifier.round() == 1
        assert await told.notifier.round() == 0
        told.world.clock.advance(wait * 1.25)


async def test_clock_that_was_set_back_keeps_nothing_from_being_forgotten(told: Told) -> None:
    notifier, clock = told.notifier, told.world.clock
    now = clock.now
    for moment in (now + timedelta(days=3650), now):
        clock.now = moment
        await notifier.round()
    await told.world.post(label=FOR_NOR)
    await notifier.round()
    clock.advance(timedelta(days=8))
    await notifier.round()

    assert told.world.sql("SELECT count(*) FROM subscription_delivery") == [(0,)]


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("it answered 500", "it answered 500"),
        ("no answer within 15 seconds", "no answer within 15 seconds"),
        ("its host has an address that is not public", "no connection"),
        ("no connection: gaierror", "no connection"),
    ],
)
def test_31_subscriber_does_not_learn_where_names_lead(told: str, shown: str) -> None:
    assert told_to_client(told) == shown


@pytest.mark.parametrize("act", [usecases.remove_subscription, usecases.check_subscription])
async def test_subscription_that_ends_ends_once_and_takes_no_message_more(
    populated: World, monkeypatch: pytest.MonkeyPatch, act: Any
) -> None:
    made = await subscribe(populated)
    first, second = (
        populated.attempt(each(populated.services, populated.call("NOR reader"), made.row.id))
        for each in (usecases.remove_subscription, act)
    )
    one, late = await at_once(monkeypatch, UnitOfWork, "record", first, second)

    assert one.error is None
    assert isinstance(late.error, NotFoundError)
    assert populated.sql("SELECT count(*) FROM subscription_delivery") == [(0,)]
