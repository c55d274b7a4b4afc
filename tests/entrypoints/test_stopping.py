"""Connections of a server that stops: what has begun ends, and nobody is waited for longer than that."""

# ruff: noqa: F811  `trust` is a fixture of another file

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import uvloop

from exchange.entrypoints.http.server import Listening, bind, operations_config, run_servers, service_config
from exchange.entrypoints.http.tls import CertificateProtocol
from tests.entrypoints.certificates import Trust
from tests.entrypoints.test_tls import context_of, trust  # noqa: F401
from tests.support.waiting import eventually

LARGE = bytes(256 * 1024)
NARROW_BYTES = 8 * 1024


@dataclass
class Served:
    """A server on the loop of the real one, in a thread of its own, and how it ends its connections.

    `timers` are those that a connection had after each time that it was told to end.
    """

    port: int
    stop: Callable[[], object]
    thread: threading.Thread
    timers: list[asyncio.TimerHandle | None] = field(default_factory=list)
    looks: list[CertificateProtocol] = field(default_factory=list)


begun = threading.Event()
"""Set once a request is being answered."""


async def whole_body(scope, receive, send) -> None:
    begun.set()
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    body = LARGE if scope["path"] == "/large" else b"done"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def served(trust: Trust, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serving(trust, monkeypatch) as running:
        yield running


@contextmanager
def serving(trust: Trust, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    listening = Listening(bind("127.0.0.1", 0), bind("127.0.0.1", 0))
    # What is on its way to a reader far away; on one machine the system would take it all at once.
    listening.service.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW_BYTES)
    ready, stopping = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    running = Served(
        port=listening.service.getsockname()[1],
        stop=lambda: loops[0].call_soon_threadsafe(stopping.set),
        thread=threading.Thread(target=lambda: uvloop.run(serve())),
    )
    shutdown, part = CertificateProtocol.shutdown, CertificateProtocol._part

    def told(protocol: CertificateProtocol) -> None:
        shutdown(protocol)
        running.timers.append(protocol._goodbye_timer)

    def looked(protocol: CertificateProtocol) -> None:
        running.looks.append(protocol)
        part(protocol)

    monkeypatch.setattr(CertificateProtocol, "shutdown", told)
    monkeypatch.setattr(CertificateProtocol, "_part", looked)
    monkeypatch.setattr("exchange.entrypoints.http.tls._GOODBYE_SECONDS", 0.1)

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        service = service_config(whole_body, context_of(trust))
        await run_servers(service, operations_config(whole_body), listening, on_ready=ready.set, stopping=stopping)

    running.thread.start()
    assert ready.wait(60)
    yield running
    if running.thread.is_alive():
        running.stop()
    running.thread.join(60)


async def test_connection_that_is_told_to_end_often_has_one_timer(served: Served, trust: Trust) -> None:
    """It is told every hundredth of a second; with a timer for each time the looks would take a worker's whole time."""
    begun.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=trust.context(trust.client("slow")))
    writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n1")
    assert await asyncio.to_thread(begun.wait, 20)
    served.stop()
    await asyncio.to_thread(eventually, lambda: len(served.timers) >= 10 and len(served.looks) >= 2)
    timers, looks = set(served.timers), len(served.looks)
    writer.write(b"2")
    answer = await reader.read()
    writer.close()

    assert answer.endswith(b"done")
    assert len(timers) <= looks + 1


def connected(served: Served, trust: Trust) -> ssl.SSLSocket:
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW_BYTES)
    plain.connect(("127.0.0.1", served.port))
    plain.settimeout(60)
    return trust.context(trust.client("reader")).wrap_socket(plain, server_hostname="localhost")


def test_reader_that_is_slow_gets_the_answer_that_left_before_the_end(served: Served, trust: Trust) -> None:
    """All of it was handed over, so that nothing but the connection knew that most of it had not left."""
    got = b""
    with connected(served, trust) as reader:
        reader.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        got += reader.recv(1024)
        served.stop()
        eventually(lambda: len(served.looks) >= 3)
        while piece := reader.recv(64 * 1024):
            got += piece

    assert got.partition(b"\r\n\r\n")[2] == LARGE


@pytest.mark.parametrize("is_told", [True, False])
def test_connection_of_a_pool_that_never_answers_its_end_is_waited_for_once(
    served: Served, trust: Trust, monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    """Also where the system does not tell what waits."""
    if not is_told:
        monkeypatch.setattr("exchange.entrypoints.http.tls.termios.TIOCOUTQ", 0)
    with connected(served, trust) as pooled:
        pooled.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        pooled.recv(4096)
        served.stop()
        eventually(lambda: not served.thread.is_alive())

    assert len(served.looks) == 1


@pytest.mark.parametrize("fails_at", ["in use", "no space left"])
async def test_server_that_cannot_begin_ends(trust: Trust, fails_at: str) -> None:
    """As where another one listened first, or where nobody can be told that it is ready, for the disk is full."""
    listening = Listening(bind("127.0.0.1", 0), bind("127.0.0.1", 0))
    service, operations = service_config(whole_body, context_of(trust)), operations_config(whole_body)

    def untold() -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with listening.service, listening.operations, bind("127.0.0.1", listening.service.getsockname()[1]) as other:
        if fails_at == "in use":
            other.listen()
        with pytest.raises(OSError, match=fails_at):
            async with asyncio.timeout(20):
                await run_servers(service, operations, listening, on_ready=untold, stopping=asyncio.Event())
