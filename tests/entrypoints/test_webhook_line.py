"""Attack 31: a webhook reaches nothing but the host it was meant for; over real sockets, with a real certificate."""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from exchange.entrypoints.jobs import webhook_line
from exchange.entrypoints.jobs.webhook_line import HttpWebhookLine, _sent, addresses_of
from exchange.kernel.addresses import networks_of
from exchange.usecases.log.deliver_alerts import Webhook
from tests.support.alerted_world import HOOK
from tests.support.witness import write_tls

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Receiver:
    """A server that answers every connection with the same bytes, and keeps what it was sent; None hangs."""

    tls: Path
    answer: bytes | None = OK
    requests: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.tls / "server.pem", self.tls / "server.key")
        self._let_go = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._let_go.set()
        # Wakes the accept: a connection that brings nothing.
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while not self._let_go.is_set():
            plain, _ = self._listening.accept()
            try:
                with self._context.wrap_socket(plain, server_side=True) as line:
                    self.requests.append(_read(line))
                    if self.answer is None:
                        self._let_go.wait(20)
                    else:
                        line.sendall(self.answer)
            except OSError:
                plain.close()


def _read(line: ssl.SSLSocket) -> bytes:
    # Whole: closing a connection with something unread resets it, and the answer with it.
    request = b""
    while not request.endswith(b"\r\n\r\n{}") and (more := line.recv(65536)):
        request += more
    return request


Receive = Callable[..., Receiver]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receive]:
    (tmp_path / "tls").mkdir()
    tls = write_tls(tmp_path / "tls")
    opened: list[Receiver] = []

    def receive(answer: bytes | None = OK) -> Receiver:
        opened.append(Receiver(tls, answer))
        return opened[-1]

    yield receive
    for each in opened:
        each.close()


def hook_to(receiver: Receiver, host: str = "localhost", **fields: object) -> Webhook:
    url = f"https://{host}:{receiver.port}/alerts?x=1"
    hook = replace(HOOK, url=url, is_private=True, authority=str(receiver.tls / "ca.pem"))
    return replace(hook, **fields)


class Resolver:
    """Answers each question with the next list of addresses, and counts the questions."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


async def test_allowed_host_is_sent_the_message(receiver: Receive) -> None:
    soc = receiver()

    assert await HttpWebhookLine().post(hook_to(soc), {"webhook-id": "one"}, b"{}") is None
    (request,) = soc.requests
    assert request.startswith(b"POST /alerts?x=1 HTTP/1.1\r\n")
    assert f"localhost:{soc.port}".encode() in request
    assert b"webhook-id: one" in request


async def test_receiver_s_authority_is_renewed_without_a_restart(receiver: Receive, tmp_path: Path) -> None:
    soc, line = receiver(), HttpWebhookLine()
    authority = tmp_path / "authority.pem"
    hook = replace(hook_to(soc), authority=str(authority))
    (tmp_path / "other").mkdir()
    authority.write_bytes((write_tls(tmp_path / "other") / "ca.pem").read_bytes())
    assert await line.post(hook, {}, b"{}") == "no connection: ConnectError"

    authority.write_bytes((soc.tls / "ca.pem").read_bytes())
    renewed = await line.post(hook, {}, b"{}")
    authority.write_bytes(b"-----BEGIN")
    broken = await line.post(hook, {}, b"{}")
    authority.unlink()
    gone = await line.post(hook, {}, b"{}")
    os.mkfifo(authority)

    assert (renewed, broken, gone, await line.post(hook, {}, b"{}")) == (None, None, None, None)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_host_that_was_not_allowed_is_not_connected_to(receiver: Receive, host: str) -> None:
    soc = receiver()

    told = await HttpWebhookLine().post(hook_to(soc, host, is_private=False), {}, b"{}")
    assert told == "its host has an address that is not public"
    assert soc.requests == []


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"], ["8.8.8.8", "127.0.0.1"], []],
)
async def test_name_that_leads_inside_is_refused(receiver: Receive, addresses: list[str]) -> None:
    soc = receiver()
    line = HttpWebhookLine(Resolver(addresses))

    told = await line.post(hook_to(soc, "soc.example", is_private=False), {}, b"{}")
    assert told == "its host has an address that is not public"
    assert soc.requests == []


@pytest.mark.parametrize(
    ("network", "is_sent"), [("127.0.0.0/8", True), ("127.1.0.0/16", False), ("10.0.0.0/8", False)]
)
async def test_network_that_the_operator_names_is_reached_and_no_other(
    receiver: Receive, network: str, is_sent: bool
) -> None:
    soc = receiver()
    line = HttpWebhookLine(Resolver(["127.0.0.1"]))

    told = await line.post(hook_to(soc, is_private=False, networks=networks_of([network])), {}, b"{}")

    assert told == (None if is_sent else "its host has an address that is not public")
    assert len(soc.requests) == is_sent


async def test_name_is_resolved_once_and_only_what_was_looked_at_is_connected_to(receiver: Receive) -> None:
    soc = receiver()
    # Rebinding: the second answer would be ours. Nobody asks a second time; 192.0.2.1 leads nowhere.
    resolver = Resolver(["192.0.2.1"], ["127.0.0.1"])
    line = HttpWebhookLine(resolver, call_seconds=0.5)

    assert await line.post(hook_to(soc, "soc.example"), {}, b"{}") is not None
    assert (resolver.asked, soc.requests) == (["soc.example"], [])


async def test_name_servers_that_say_nothing_keep_no_other_webhook_waiting(receiver: Receive) -> None:
    """A member with a dozen such names kept the threads that all lookups of the process share, alerts' among them."""
    soc, are_silent = receiver(), threading.Event()
    threads = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(threads)
    threads.submit(are_silent.wait)

    try:
        assert await HttpWebhookLine(call_seconds=5).post(hook_to(soc), {}, b"{}") is None
    finally:
        are_silent.set()


async def test_name_that_is_found_when_nobody_waits_any_more_troubles_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    is_asked, goes_on = threading.Event(), threading.Event()

    def silent(*_given: object, **_named: object) -> list[object]:
        is_asked.set()
        goes_on.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    looking = asyncio.create_task(addresses_of("example.org", 443))
    await asyncio.to_thread(is_asked.wait, 20)
    thread = next(each for each in threading.enumerate() if each.name == "webhook-name")

    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    goes_on.set()

    await asyncio.to_thread(thread.join, 20)
    assert not thread.is_alive()


async def test_certificate_is_checked_for_the_name_and_not_for_the_address(receiver: Receive) -> None:
    soc = receiver()
    line = HttpWebhookLine(Resolver(["127.0.0.1"]))

    assert await line.post(hook_to(soc, "localhost"), {}, b"{}") is None
    assert await line.post(hook_to(soc, "soc.example"), {}, b"{}") == "no connection: ConnectError"
    assert len(soc.requests) == 1
    unknown = replace(hook_to(soc), authority=None)
    assert await HttpWebhookLine().post(unknown, {}, b"{}") == "no connection: ConnectError"


async def test_second_address_is_tried_where_the_first_does_not_answer(
    receiver: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    soc = receiver()
    # No proxy is asked: where that connects to, nobody has looked at.
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    line = HttpWebhookLine(Resolver(["127.0.0.2", "127.0.0.1"]))

    assert await line.post(hook_to(soc), {}, b"{}") is None


@pytest.mark.parametrize(("count", "seconds"), [(1, 15), (2, 5), (4, 3)])
async def test_next_address_is_tried_in_time_where_nobody_answers_behind_one(
    receiver: Receive, monkeypatch: pytest.MonkeyPatch, count: int, seconds: float
) -> None:
    """One that swallows what comes, as a way that is closed does, took all the time there was for the message."""
    asked = []

    async def nobody(http: httpx2.AsyncClient, _parts: object, address: str, *_given: object) -> None:
        asked.append((address, http.timeout.connect))
        raise httpx2.ConnectTimeout("nobody answers")

    monkeypatch.setattr(webhook_line, "_sent", nobody)
    addresses = [f"127.0.0.{number}" for number in range(2, 2 + count)]

    told = await HttpWebhookLine(Resolver(addresses)).post(hook_to(receiver()), {}, b"{}")

    assert told == "no connection: ConnectTimeout"
    assert asked == [(address, seconds) for address in addresses[:3]]


async def test_redirect_is_not_followed(receiver: Receive) -> None:
    inside = receiver()
    place = f"https://localhost:{inside.port}/secret".encode()
    soc = receiver(b"HTTP/1.1 307 Temporary Redirect\r\nlocation: " + place + b"\r\ncontent-length: 0\r\n\r\n")

    assert await HttpWebhookLine().post(hook_to(soc), {}, b"{}") == "it answered 307: redirects are not followed"
    assert (len(soc.requests), inside.requests) == (1, [])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + OK, None),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 8_000 + OK, "no connection: RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + bytes(200_000), None),
    ],
)
async def test_no_more_is_read_than_the_head_of_an_answer(receiver: Receive, answer: bytes, told: str | None) -> None:
    """Interim answers without end took the time of the process that places entries, four at a time of one client."""
    assert await HttpWebhookLine().post(hook_to(receiver(answer)), {}, b"{}") == told


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", "it answered 500"),
        (b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", "it answered 410"),
        (b"nothing of HTTP\r\n\r\n", "no connection: RemoteProtocolError"),
        (None, "no answer within 0.5 seconds"),
    ],
)
async def test_what_is_no_success_is_told(receiver: Receive, answer: bytes | None, told: str) -> None:
    soc = receiver(answer)

    # Only of who never answers is an answer not waited for.
    line = HttpWebhookLine(call_seconds=0.5) if answer is None else HttpWebhookLine()
    assert await line.post(hook_to(soc), {}, b"{}") == told


@pytest.mark.parametrize("url", ["http://soc.example/", "https:///x", "ftp://soc.example/"])
async def test_what_is_no_https_is_not_called(url: str) -> None:
    resolver = Resolver(["127.0.0.1"])

    assert await HttpWebhookLine(resolver).post(replace(HOOK, url=url), {}, b"{}") == "its address is not HTTPS"
    assert resolver.asked == []


async def test_name_that_does_not_exist() -> None:
    async def gone(host: str, port: int) -> list[str]:
        raise socket.gaierror(8, "no such host")

    assert await HttpWebhookLine(gone).post(HOOK, {}, b"{}") == "no connection: gaierror"
    assert "127.0.0.1" in await addresses_of("localhost", 443)


async def test_name_that_no_thread_is_left_for_is_told_as_one_that_is_not_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What failed so ended the whole round: the others of it were not told that they are tried again."""

    def none_left(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(webhook_line.threading.Thread, "start", none_left)
        told = await HttpWebhookLine().post(HOOK, {}, b"{}")

    assert told == "no connection: OSError"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://[", "no connection: ValueError"),
        ("https://receiver.example:x/", "no connection: ValueError"),
        ("https://a..b/", "no connection: UnicodeError"),
        ("https://receiver.example/\0", "no connection: InvalidURL"),
    ],
)
async def test_address_that_cannot_be_called_is_told(url: str, told: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "receiver.example" else await addresses_of(host, port)

    assert await HttpWebhookLine(resolve).post(replace(HOOK, url=url, is_private=True), {}, b"{}") == told


@pytest.mark.parametrize(("place", "port"), [("receiver.example", 443), ("receiver.example:8443", 8443)])
async def test_name_is_asked_for_with_the_port_that_is_called(place: str, port: int) -> None:
    asked = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return []

    await HttpWebhookLine(resolve).post(replace(HOOK, url=f"https://{place}/"), {}, b"{}")

    assert asked == [("receiver.example", port)]


@pytest.mark.parametrize(
    ("address", "may_be"), [("1.1.1.1", True), ("2606:4700:4700::1111", True), ("10.0.0.1", False)]
)
def test_public_address_is_reached_without_being_named(address: str, may_be: bool) -> None:
    assert webhook_line._may_be_reached(replace(HOOK, is_private=False, networks=()), address) is may_be


async def test_address_is_called_at_the_port_and_path_of_the_name_whichever_family_it_is_of() -> None:
    sent: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(204)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
        for url, address in (("https://soc.example", "2001:db8::1"), ("https://soc.example:8443/a?b", "192.0.2.1")):
            assert await _sent(http, urlsplit(url), address, {}, b"{}") is None

    assert [(str(each.url), each.headers["host"]) for each in sent] == [
        ("https://[2001:db8::1]/", "soc.example"),
        ("https://192.0.2.1:8443/a?b", "soc.example:8443"),
    ]
