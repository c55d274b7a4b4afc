"""What the door holds for everybody, each condition of it by itself."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest
from starlette.responses import Response

from exchange.entrypoints.http import door
from exchange.entrypoints.http.connections import ISSUER_FIELD
from exchange.entrypoints.http.door import _wrong_in_head, new_call
from exchange.entrypoints.http.holders import Holder
from exchange.entrypoints.http.large_answers import LARGE_BYTES
from exchange.entrypoints.http.shares import Shares
from exchange.entrypoints.http.turns import Turns
from exchange.kernel import UnavailableError
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases import Watching
from tests.entrypoints.test_door import converse

WHOAMI = "/v1/whoami"
HOST, CROWN = (b"host", b"EXCHANGE.test"), (b"origin", b"https://exchange.TEST")
FOREIGN = (b"origin", b"https://elsewhere.example")


@pytest.mark.parametrize(
    ("path", "http_version", "headers", "is_wrong"),
    [
        (WHOAMI, "1.0", [], False),
        (WHOAMI, "1.0", [HOST, HOST], True),
        (WHOAMI, "1.1", [HOST, CROWN], False),
        (WHOAMI, "1.1", [HOST, CROWN, FOREIGN], True),
        (WHOAMI, "1.1", [HOST, FOREIGN, CROWN], True),
        (WHOAMI, "1.1", [HOST, (b"sec-fetch-site", b"none"), (b"sec-fetch-site", b"cross-site")], True),
        ("/docs", "1.1", [HOST, FOREIGN], False),
        ("/docs/start.js", "1.1", [HOST, FOREIGN], True),
    ],
)
def test_each_word_about_who_asks_has_to_be_right(path: str, http_version: str, headers, is_wrong: bool) -> None:
    scope = {"path": path, "http_version": http_version, "headers": headers}

    assert (_wrong_in_head(scope) is not None) is is_wrong


def test_call_says_where_it_came_from_and_with_which_certificate() -> None:
    tls = {"exchange_client_thumbprint": "ab", "client_cert_name": "CN=one", "client_public_key": "cd"}
    services = Mock(clock=lambda: datetime(2026, 3, 1, tzinfo=UTC), randomness=bytes)
    scope = {
        "client": ("192.0.2.7", 1),
        "extensions": {"tls": tls},
        "headers": [(b"user-agent", b"a\xffb"), (b"user-agent", b"other")],
    }

    call = new_call(services, scope)

    assert (call.source, call.thumbprint, call.certificate_subject) == ("192.0.2.7", "ab", "CN=one")
    assert (call.public_key, call.user_agent) == ("cd", "a\u00ffb")


async def test_row_that_cannot_be_read_is_a_whole_answer_though_the_connection_could_be_ended(
    service, world, monkeypatch
) -> None:
    async def altered(_thumbprint: str) -> None:
        raise UnreadRowError(f"client {world.clients['NOR reader'].id}")

    closed: list[int] = []
    monkeypatch.setattr(service.door.holders, "meet", altered)
    ends = {"exchange.connection": {"close": lambda: closed.append(1)}}
    sent = await converse(service, "NOR reader", body=[], method="GET", path=WHOAMI, extensions=ends)

    assert (sent[0]["status"], closed) == (503, [])


class Begun(Response):
    """Answers one piece, and then does what it was made with."""

    def __init__(self, then) -> None:
        super().__init__()
        self._then = then

    async def __call__(self, scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await self._then()


@pytest.fixture
def answers(service, monkeypatch):
    """Return a function: what the route answers from now on."""
    (route,) = [each for each in service.router.routes if getattr(each, "path", "") == WHOAMI]

    def set_answer(response: Response) -> None:
        async def visitor(_visit) -> Response:
            return response

        monkeypatch.setattr(route, "_visitor", visitor)

    return set_answer


async def test_without_a_certificate_no_route_is_reached(service, http, monkeypatch) -> None:
    (route,) = [each for each in service.router.routes if getattr(each, "path", "") == WHOAMI]
    reached = Mock()
    monkeypatch.setattr(route, "_visitor", reached)

    assert (await http(None).get(WHOAMI)).status_code == 401
    assert not reached.called


async def test_half_an_answer_that_nobody_foresaw_is_told_as_such(service, world, answers, caplog) -> None:
    async def broken() -> None:
        raise RuntimeError("canary-4711")

    answers(Begun(broken))
    ends = {"exchange.connection": {"close": lambda: None}}
    with pytest.raises(RuntimeError):
        await converse(service, "NOR reader", body=[], method="GET", path=WHOAMI, extensions=ends)

    assert [record.message for record in caplog.records if record.name == "exchange.http"] == ["unforeseen error"]


async def test_half_an_answer_of_a_server_that_ends_is_followed_by_no_other(service, world, answers) -> None:
    begun = asyncio.Event()

    async def slow() -> None:
        begun.set()
        await asyncio.Event().wait()

    answers(Begun(slow))
    asking = asyncio.create_task(converse(service, "NOR reader", body=[], method="GET", path=WHOAMI))
    await begun.wait()
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_large_answer_counts_as_that_of_who_asked(service, http, answers, monkeypatch) -> None:
    holders: list[str] = []

    async def noted(send, message, *, holder: Holder) -> None:
        holders.append(holder.member)
        await send(message)

    answers(Response(bytes(LARGE_BYTES + 1)))
    monkeypatch.setattr(service.door.large, "send", noted)
    async with asyncio.timeout(30):
        await converse(service, "NOR reader", body=[], method="GET", path=WHOAMI)

    assert holders == ["NOR"]


@pytest.fixture
def watching(service, world) -> Watching:
    """Nobody's streams, of which a test opens some."""
    service.state.services = replace(world.services, watching=Watching())
    return service.state.services.watching


async def test_streams_take_no_place_of_a_worker_and_no_share_of_their_client_and_member(
    service, world, http, watching: Watching, monkeypatch
) -> None:
    reader = str(world.clients["NOR reader"].id)
    shares = service.door.shares = Shares(2)
    for client in (reader, "its sibling"):
        watching.enter(client, "NOR")
        assert shares.take(Holder(client, "NOR"), beside=(1, 1)) is None
    monkeypatch.setattr(door, "MOST_IN_FLIGHT", 2)
    service.door._held = 2

    assert (await http("NOR reader").get(WHOAMI)).status_code == 200


async def test_who_has_no_turn_waits_for_one_and_a_slow_reader_has_none(
    service, http, held_whoami, monkeypatch
) -> None:
    turns, waits = Turns(1, of_client=1), asyncio.Event()
    as_ever = turns.wait

    async def noted(holder: Holder) -> None:
        waits.set()
        await as_ever(holder)

    monkeypatch.setattr(turns, "wait", noted)
    monkeypatch.setattr(service.door, "turns", turns)
    first = asyncio.create_task(http("NOR reader").get(WHOAMI))
    await held_whoami.begun.acquire()
    second = asyncio.create_task(http("NOR reader").get(WHOAMI))
    async with asyncio.timeout(30):
        await waits.wait()

    assert held_whoami.begun.locked()
    held_whoami.go_on.set()
    assert [(await each).status_code for each in (first, second)] == [200, 200]
    assert (turns._working, turns._rows) == ({}, {})


async def test_reader_that_takes_its_answer_slowly_has_no_turn(service, world, answers, monkeypatch) -> None:
    turns, at_work = Turns(1, of_client=1), []

    async def slow() -> None:
        at_work.append(dict(turns._working))

    monkeypatch.setattr(service.door, "turns", turns)
    answers(Begun(slow))
    await converse(service, "NOR reader", body=[], method="GET", path=WHOAMI)

    assert at_work == [{}]


async def test_so_many_are_asked_about_at_a_time_and_the_next_comes_again(service, http, monkeypatch) -> None:
    """Who it is takes a read, and until then it holds no share: as many may wait for that as may be answered."""
    monkeypatch.setattr(door, "MOST_IN_FLIGHT", 1)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_thumbprint: str) -> None:
        asked.set()
        await go_on.wait()

    monkeypatch.setattr(service.door.holders, "meet", slow)
    first = asyncio.create_task(http("stranger 1").get(WHOAMI))
    await asked.wait()
    async with asyncio.timeout(30):
        second = await http("stranger 2").get(WHOAMI)
    go_on.set()

    assert (second.status_code, second.json()["code"]) == (503, "overloaded")
    assert (await first).status_code == 401
    assert (await http("stranger 2").get(WHOAMI)).status_code == 401


async def test_nobody_is_admitted_where_nobody_can_say_how_often_it_has_asked(service, http, monkeypatch) -> None:
    async def away(*_given) -> None:
        raise UnavailableError("the store is away")

    rates = service.door.rates
    monkeypatch.setattr(type(rates), "admit_later", away)
    monkeypatch.setattr(type(rates.clients), "admit", lambda *_: False)

    assert (await http("NOR reader").get(WHOAMI)).status_code == 503


async def test_stranger_is_counted_as_one_of_its_issuer(service, world) -> None:
    met = Mock()
    door_of = service.door
    door_of.shares = Mock(take=Mock(return_value=None), give_back=met)
    tls = {"client_cert_chain": [], "exchange_client_thumbprint": "unknown", ISSUER_FIELD: "CA one"}

    async def receive() -> dict:
        return {"type": "http.disconnect"}

    async def send(_message) -> None:
        pass

    scope = {
        "type": "http",
        "method": "GET",
        "path": WHOAMI,
        "query_string": b"",
        "headers": [(b"host", b"exchange.test")],
        "http_version": "1.1",
        "extensions": {"tls": tls},
    }
    await service(scope, receive, send)

    assert met.call_args.args[0].member == "issuer CA one"
