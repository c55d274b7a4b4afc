"""What a worker does before its memory grows: it says so, with a time to come again, and goes on with what it has."""

# ruff: noqa: F811  `trust` is a fixture of another file

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from time import monotonic

import pytest
import uvloop

from exchange.entrypoints.http.door import MOST_IN_FLIGHT
from exchange.entrypoints.http.errors import OverloadedError
from exchange.entrypoints.http.gate import ConnectionGate
from exchange.entrypoints.http.holders import Holder, stranger
from exchange.entrypoints.http.large_answers import PIECE_BYTES, LargeAnswers, TooManyLargeAnswersError
from exchange.entrypoints.http.routing import OperationRoute
from exchange.entrypoints.http.server import Listening, bind, operations_config, run_servers, service_config
from exchange.entrypoints.http.shares import Share, Shares
from exchange.entrypoints.http.visit import HOLDER_KEY, MOST_HELD_BYTES, BodyLimits, BodyRoom
from exchange.kernel import LimitExceededError
from exchange.reports import PostedPart
from tests.entrypoints.certificates import Trust
from tests.entrypoints.test_tls import GET, context_of, echo, talk, trust  # noqa: F401

LARGE = 16 * 1024 * 1024
LARGE_ANSWERS = LargeAnswers()
LARGE_BEGUN = threading.Event()
ONE, SIBLING, THIRD = (Holder(name, "NOR") for name in ("one", "sibling", "third"))
OTHER = Holder("other", "GBR")


async def test_more_than_a_worker_answers_at_a_time_is_503_at_once(service, http, held_whoami, monkeypatch) -> None:
    monkeypatch.setattr("exchange.entrypoints.http.door.MOST_IN_FLIGHT", 2)
    client = http("NOR reader")
    first = [asyncio.create_task(client.get("/v1/whoami")) for _ in range(2)]
    for _ in first:
        await held_whoami.begun.acquire()

    refused = await client.get("/v1/whoami")
    held_whoami.go_on.set()
    answered = [await each for each in first]

    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) > 0
    assert [each.status_code for each in answered] == [200, 200]
    assert (await client.get("/v1/whoami")).status_code == 200
    assert 'exchange_turned_away_total{why="overload"} 1' in list(service.metrics.board.lines())
    assert service.door.in_flight == 0


async def test_client_that_holds_its_share_keeps_nobody_else_out(service, http, held_whoami, monkeypatch) -> None:
    """Bodies that never come cost a client nothing, and held every place of a worker for half a minute each."""
    monkeypatch.setattr(service.door, "shares", Shares(6))
    client, other = http("NOR reader"), http("GBR contributor")
    first = [asyncio.create_task(client.get("/v1/whoami")) for _ in range(2)]
    for _ in first:
        await held_whoami.begun.acquire()

    refused = await client.get("/v1/vocabulary")
    others = await other.get("/v1/vocabulary")
    held_whoami.go_on.set()

    assert (refused.status_code, others.status_code) == (429, 200)
    assert "requests open here" in refused.json()["detail"]
    assert [(await each).status_code for each in first] == [200, 200]
    assert (await client.get("/v1/vocabulary")).status_code == 200


async def test_member_has_half_of_what_a_worker_holds_of_bodies_and_its_one_client_three_quarters_of_that(
    service,
) -> None:
    """The shares of the running service."""
    room = next(each._limits.room for each in service.router.routes if isinstance(each, OperationRoute))
    first, again, sibling, others = ({HOLDER_KEY: each} for each in (ONE, ONE, SIBLING, OTHER))
    room.take(first, MOST_HELD_BYTES * 3 // 8)

    with pytest.raises(LimitExceededError, match=f"this client may send {MOST_HELD_BYTES * 3 // 8} bytes") as refused:
        room.take(again, 1)
    room.take(sibling, MOST_HELD_BYTES // 8)
    assert refused.value.retry_after_seconds > 0
    with pytest.raises(LimitExceededError, match=f"of this member together may send {MOST_HELD_BYTES // 2} bytes"):
        room.take({HOLDER_KEY: THIRD}, 1)
    room.take(others, MOST_HELD_BYTES * 3 // 8)
    for scope in (first, sibling, others):
        room.give_back(scope)
    room.take(again, 1)
    room.give_back(again)

    assert room.held_bytes == 0


async def test_member_has_half_of_the_requests_and_its_one_client_three_quarters_of_that(service) -> None:
    shares, of_client, of_sibling = service.door.shares, MOST_IN_FLIGHT * 3 // 8, MOST_IN_FLIGHT // 8
    taken = [shares.take(ONE) for _ in range(of_client)] + [shares.take(SIBLING) for _ in range(of_sibling)]

    assert set(taken) == {None}
    assert [shares.take(each) for each in (ONE, SIBLING, THIRD)] == [Share.CLIENT, Share.MEMBER, Share.MEMBER]
    assert {shares.take(OTHER) for _ in range(of_client)} == {None}
    # Streams have a bound of their own, which an operator sets.
    assert shares.take(ONE, beside=(1, 1)) is None


def test_strangers_have_a_share_together_and_no_issuer_has_all_of_it() -> None:
    shares = Shares(80)
    many = [shares.take(stranger(f"{number}", "one issuer")) for number in range(11)]
    others = [shares.take(stranger(f"{number}", f"issuer {number}")) for number in range(20, 31)]

    assert many == [None] * 10 + [Share.STRANGERS]
    assert others == [None] * 10 + [Share.STRANGERS]
    assert {shares.take(each) for each in (ONE, OTHER)} == {None}


async def test_readers_of_one_member_that_take_their_answers_slowly_leave_half_to_others() -> None:
    large, sent = LargeAnswers(most_bytes=1_100_000), []
    body = {"type": "http.response.body", "body": b"y" * 300_000}

    async def send(message) -> None:
        sent.append(message)
        if len(sent) == 1:
            with pytest.raises(TooManyLargeAnswersError):
                await large.send(send, body, holder=SIBLING)
            await large.send(send, body, holder=OTHER)

    await large.send(send, body, holder=ONE)
    await large.send(send, body, holder=ONE)

    assert sum(len(each["body"]) for each in sent) == 900_000


async def test_bodies_beyond_what_a_worker_holds_are_503_and_room_is_given_back(service, http, monkeypatch) -> None:
    room = BodyRoom(1_000, at_least=1_000)
    for route in service.router.routes:
        if isinstance(route, OperationRoute):
            monkeypatch.setattr(route, "_limits", BodyLimits(100_000, 5.0, room))
    client = http("operator")
    body = {"code": "FRA", "name": "x" * 600}

    answers = [await client.post("/v1/members", json=body | {"name": "x" * 1_200}) for _ in range(2)]
    taken = await client.post("/v1/members", json=body)

    assert {(each.status_code, each.json()["code"]) for each in answers} == {(503, "overloaded")}
    assert all(each.headers["retry-after"] for each in answers)
    assert taken.status_code != 503
    assert room.held_bytes == 0


def test_room_counts_all_bodies_together() -> None:
    room, first, second = BodyRoom(10, at_least=10), {HOLDER_KEY: ONE}, {HOLDER_KEY: OTHER}
    room.take(first, 6)
    room.take(second, 4)

    with pytest.raises(OverloadedError):
        room.take(second, 1)
    room.give_back(first)
    room.take(second, 1)

    assert room.held_bytes == 5


async def large(scope, receive, send) -> None:
    """Answers `/large` with sixteen megabytes and anything else like `echo`."""
    if scope["path"] != "/large":
        await echo(scope, receive, send)
        return
    LARGE_BEGUN.set()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]})
    await LARGE_ANSWERS.send(send, {"type": "http.response.body", "body": b"x" * LARGE}, holder=ONE)


@pytest.fixture
def gate() -> ConnectionGate:
    return ConnectionGate(most=40, per_client=6)


@pytest.fixture
def port(trust: Trust, gate: ConnectionGate) -> Iterator[int]:
    """A server on the loop of the real one, with a gate of its own."""
    listening = Listening(bind("127.0.0.1", 0), bind("127.0.0.1", 0))
    number = listening.service.getsockname()[1]
    ready, stopping = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        service = service_config(large, context_of(trust), gate)
        await run_servers(service, operations_config(large), listening, on_ready=ready.set, stopping=stopping)

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    ready.wait(60)
    yield number
    loops[0].call_soon_threadsafe(stopping.set)
    thread.join(10)


async def opened(port: int, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, ssl=context)


async def opened_narrow(port: int, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection whose kernel takes little for its reader: left to itself it grows until a large answer fits in."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    narrow.connect(("127.0.0.1", port))
    narrow.setblocking(False)
    return await asyncio.open_connection(sock=narrow, ssl=context, server_hostname="127.0.0.1")


async def until(is_so) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110  the server is in another thread
            await asyncio.sleep(0.01)


async def test_reader_that_takes_nothing_is_cut_off_and_its_memory_is_given_back(
    port: int, trust: Trust, gate: ConnectionGate, monkeypatch
) -> None:
    monkeypatch.setattr("exchange.entrypoints.http.tls._STALL_SECONDS", 0.2)
    LARGE_BEGUN.clear()
    _, writer = await opened_narrow(port, trust.context(trust.client("lazy")))
    try:
        writer.transport.pause_reading()
        writer.write(GET.replace(b"GET / ", b"GET /large "))
        await until(LARGE_BEGUN.is_set)

        await until(lambda: gate.open == 0)

        await until(lambda: LARGE_ANSWERS.bytes == 0)
    finally:
        writer.transport.abort()


async def test_slow_reader_that_goes_on_taking_gets_all_of_it(port: int, trust: Trust, monkeypatch) -> None:
    monkeypatch.setattr("exchange.entrypoints.http.tls._STALL_SECONDS", 1.5)
    reader, writer = await opened_narrow(port, trust.context(trust.client("slow")))
    writer.write(GET.replace(b"GET / ", b"GET /large "))
    head, size = await reader.readuntil(b"\r\n\r\n"), 0
    begun = monotonic()
    while piece := await reader.read(256 * 1024):
        size += len(piece)
        await asyncio.sleep(0.03)

    # Longer than one who takes nothing is waited for.
    assert monotonic() - begun > 1.5
    assert head.startswith(b"HTTP/1.1 200")
    assert size == LARGE
    writer.transport.abort()


async def test_large_answers_on_their_way_are_bounded_and_whole() -> None:
    large, sent = LargeAnswers(most_bytes=410_000), []
    large._shares = Shares(4_000_000)

    async def send(message) -> None:
        sent.append(message)
        if len(sent) == 1:
            with pytest.raises(TooManyLargeAnswersError):
                await large.send(send, {"type": "http.response.body", "body": b"y" * 205_300}, holder=OTHER)

    body = bytes(range(256)) * 800
    await large.send(send, {"type": "http.response.body", "body": body}, holder=ONE)

    assert b"".join(each["body"] for each in sent) == body
    assert [each["more_body"] for each in sent] == [True] * (len(sent) - 1) + [False]
    assert max(len(each["body"]) for each in sent) <= 65_536
    assert large.bytes == 0


@pytest.mark.parametrize("goes_on", [False, True])
async def test_large_answer_ends_with_its_last_piece_where_nothing_comes_behind_it(goes_on: bool) -> None:
    sent: list[tuple[int, bool]] = []

    async def send(message) -> None:
        sent.append((len(message["body"]), message["more_body"]))

    body = {"type": "http.response.body", "body": bytes(2 * PIECE_BYTES), "more_body": goes_on}
    await LargeAnswers().send(send, body, holder=OTHER)

    assert sent == [(PIECE_BYTES, True), (PIECE_BYTES, goes_on)]


async def test_large_part_is_pulled_whole(http, world) -> None:
    content = b"0123456789abcdef" * 40_000
    report = await world.post(parts=(PostedPart(None, "text/plain", "large.txt", content),))

    answer = await http("NOR reader").get(f"/v1/reports/{report}/parts/1")

    assert answer.content == content
    assert int(answer.headers["content-length"]) == len(content)


async def test_flood_of_one_client_leaves_room_for_the_others(
    port: int,
    trust: Trust,
    gate: ConnectionGate,
) -> None:
    flooding, quiet = trust.context(trust.client("flood")), trust.client("quiet")
    connections = await asyncio.gather(*(opened(port, flooding) for _ in range(30)), return_exceptions=True)
    await until(lambda: gate._turned_away >= 24)

    answers = [await talk(port, trust.context(quiet), GET) for _ in range(3)]

    assert all(json.loads(each.partition(b"\r\n\r\n")[2])["thumbprint"] == quiet.thumbprint for each in answers)
    assert gate.open <= 7
    for each in connections:
        if isinstance(each, tuple):
            each[1].transport.abort()


async def test_handshakes_that_nobody_goes_on_with_end_and_hurt_nobody(
    port: int,
    trust: Trust,
    monkeypatch,
) -> None:
    half_open = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]

    assert (await talk(port, trust.context(trust.client("other")), GET)).startswith(b"HTTP/1.1 200")
    for _, writer in half_open:
        writer.transport.abort()


async def test_handshake_has_an_end(trust: Trust, monkeypatch) -> None:
    monkeypatch.setattr("exchange.entrypoints.http.server._HANDSHAKE_SECONDS", 0.2)
    listening = Listening(bind("127.0.0.1", 0), bind("127.0.0.1", 0))
    ready, stopping = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(
        run_servers(
            service_config(echo, context_of(trust)),
            operations_config(echo),
            listening,
            on_ready=ready.set,
            stopping=stopping,
        )
    )
    await ready.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", listening.service.getsockname()[1])

    async with asyncio.timeout(30):
        heard = await reader.read()

    assert heard == b""
    writer.transport.abort()
    stopping.set()
    await serving


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"\r\n\r\n"])
async def test_connection_that_asks_nothing_is_closed(port: int, trust: Trust, monkeypatch, sent: bytes) -> None:
    monkeypatch.setattr("exchange.entrypoints.http.tls._SILENT_SECONDS", 0.2)
    monkeypatch.setattr("exchange.entrypoints.http.tls._MESSAGE_SECONDS", 0.2)
    reader, writer = await opened(port, trust.context(trust.client("silent")))
    writer.write(sent)

    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.transport.abort()
