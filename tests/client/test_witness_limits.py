"""What bounds a witness's service, one limit at a time: connections, time, and what is read of a request."""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from exchange.audit.witness import origin_hash
from exchange.client.witness import Listening
from exchange.client.witness.running import Shown
from exchange.client.witness.service import (
    LARGEST_BODY_BYTES,
    MOST_CONNECTIONS,
    MOST_OF_ONE_PLACE,
    WitnessServer,
    _Handler,
    _Timed,
)
from tests.support.shown_log import MadeLog
from tests.support.witness import Service, Witness, serving, witnessing, write_tls

HALF = MOST_CONNECTIONS // 2


@pytest.fixture
def log() -> MadeLog:
    return MadeLog().grow(12)


@pytest.fixture
def witness(tmp_path: Path, log: MadeLog) -> Iterator[Witness]:
    with witnessing(tmp_path / "witness", log) as witness:
        yield witness


@pytest.fixture
def service(witness: Witness) -> Iterator[Service]:
    with serving(witness) as service:
        yield service


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("exchange.client.witness.service.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


# ── connections ──


def held_elsewhere(server: WitnessServer, count: int) -> None:
    """Have the server hold so many connections, of as many places."""
    server._held.update(f"192.0.2.{number}/32" for number in range(count))


@pytest.mark.parametrize(("count", "crowded"), [(HALF, False), (HALF + 1, True)])
def test_more_than_half_is_crowded(service: Service, count: int, *, crowded: bool) -> None:
    held_elsewhere(service.server, count)

    assert service.server.is_crowded is crowded


@pytest.mark.parametrize(("count", "is_served"), [(MOST_CONNECTIONS - 1, True), (MOST_CONNECTIONS, False)])
def test_there_are_so_many_connections_and_no_more(service: Service, count: int, *, is_served: bool) -> None:
    held_elsewhere(service.server, count)

    assert (service.raw(b"GET / HTTP/1.0\r\n\r\n") != b"") is is_served


@pytest.mark.parametrize(("count", "is_served"), [(MOST_OF_ONE_PLACE - 1, True), (MOST_OF_ONE_PLACE, False)])
def test_one_place_has_so_many_and_no_more(service: Service, count: int, *, is_served: bool) -> None:
    service.server._held["127.0.0.1/32"] = count

    assert (service.raw(b"GET / HTTP/1.0\r\n\r\n") != b"") is is_served


def test_connection_without_a_thread_holds_no_place(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadingHTTPServer, "process_request", fail)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(RuntimeError):
        service.server.process_request(ours, ("192.0.2.1", 1))

    assert dict(service.server._held) == {}


def test_place_that_holds_nothing_is_forgotten(service: Service) -> None:
    service.server._held["192.0.2.1/32"] = 2

    service.server._give_back("192.0.2.1/32")
    assert dict(service.server._held) == {"192.0.2.1/32": 1}
    service.server._give_back("192.0.2.1/32")
    assert dict(service.server._held) == {}


# ── time ──


class Line:
    """A socket that notes how long it was told to wait."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def settimeout(self, seconds: float) -> None:
        self.waits.append(seconds)

    def recv_into(self, buffer: memoryview) -> int:
        buffer[:1] = b"x"
        return 1


def test_each_byte_is_waited_for_until_the_one_deadline(clock: SimpleNamespace) -> None:
    """Who sends one byte at a time would hold a connection for ever."""
    line = Line()
    timed = _Timed(line)  # type: ignore[arg-type]
    timed.deadline = 115.0

    for clock.now in (100.0, 110.0, 114.5):
        assert timed.read(1) == b"x"
    for clock.now in (115.0, 120.0):
        with pytest.raises(TimeoutError, match="did not arrive in time"):
            timed.read(1)

    assert line.waits == [15.0, 5.0, 0.5]


def test_each_request_of_a_connection_has_its_own_deadline(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaseHTTPRequestHandler, "handle_one_request", lambda _: None)
    handler = _Handler.__new__(_Handler)
    handler.server = SimpleNamespace(request_seconds=15.0)  # type: ignore[assignment]
    handler._timed = _Timed(Line())  # type: ignore[arg-type]
    deadlines = []
    for clock.now in (100.0, 112.0):
        handler.handle_one_request()
        deadlines.append(handler._timed.deadline)

    assert deadlines == [115.0, 127.0]


# ── what is shown ──


def test_certificate_is_read_once_and_told_of_once_for_each_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "exchange.witness")
    folder = write_tls(tmp_path)
    shown = Shown(Listening("127.0.0.1", 0, folder / "server.pem", folder / "server.key"))
    first = shown()

    assert shown() is first
    assert caplog.messages == []
    (folder / "server.pem").write_bytes(b"half")
    assert [shown() is first, shown() is first] == [True, True]
    assert len(caplog.messages) == 1
    write_tls(folder)
    second = shown()
    assert (second is first, shown() is second) == (False, True)
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("order", [("pem", "key"), ("key", "pem")])
def test_pair_that_is_put_there_one_after_the_other_is_shown_once_both_are_there(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    (tmp_path / "next").mkdir()
    folder, renewed = write_tls(tmp_path), write_tls(tmp_path / "next")
    shown = Shown(Listening("127.0.0.1", 0, folder / "server.pem", folder / "server.key"))
    former = shown()

    seen = []
    for half in order:
        (renewed / f"server.{half}").replace(folder / f"server.{half}")
        seen.append(shown() is former)

    assert seen == [True, False]


# ── what is read, and what is answered ──


def test_body_of_the_largest_size_is_read(service: Service) -> None:
    assert service.call("POST", "/add-checkpoint", b"x" * LARGEST_BODY_BYTES)[0].status == 400
    assert service.call("POST", "/add-checkpoint", b"x" * (LARGEST_BODY_BYTES + 1))[0].status == 413


def test_body_that_ends_early_is_not_cosigned_though_it_could_be(service: Service, log: MadeLog) -> None:
    body = log.body(0)
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as line:
        line.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (len(body) + 1))
        line.sendall(body)
        line.shutdown(socket.SHUT_WR)
        answer = line.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"the body ended early" in answer
    assert service.witness.held(log).size == 0


def test_length_of_nothing_is_nothing_with_a_blank_behind_it(service: Service, log: MadeLog) -> None:
    head = b"GET /%b/checkpoint HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % origin_hash(log.origin).encode()

    assert service.raw(head + b"Content-Length: 0 \r\n\r\n").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("rest", ["/", "/more", "?size=1", "%00"])
def test_nothing_stands_behind_the_path_of_a_checkpoint(service: Service, log: MadeLog, rest: str) -> None:
    assert service.call("POST", "/add-checkpoint", log.body(0))[0].status == 200
    path = f"/{origin_hash(log.origin)}/checkpoint"

    assert (service.call("GET", path)[0].status, service.call("GET", path + rest)[0].status) == (200, 404)


def test_head_that_begins_with_the_rest_of_a_line_is_refused(service: Service, log: MadeLog) -> None:
    head = b"POST /add-checkpoint HTTP/1.1\r\n Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n"

    assert service.raw(head % len(log.body(0)) + log.body(0)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("line", [b"GET", b"GET / HTTP/9.9", b"GET / HTTP/x", b"GET / a b"])
def test_what_is_no_request_breaks_no_connection(
    service: Service, caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    service.raw(line + b"\r\n\r\n")

    assert "connection broken" not in caplog.text


def test_broken_connection_prints_no_traceback(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(_Handler, "do_GET", fail)

    assert service.raw(b"GET / HTTP/1.0\r\n\r\n") == b""
    assert "connection broken" in caplog.text
    assert "Traceback" not in caplog.text + capsys.readouterr().err


def test_answer_is_kept_by_nobody(service: Service) -> None:
    assert service.call("GET", "/")[0].getheader("Cache-Control") == "no-store"


def test_plain_http_is_named_so(service: Service) -> None:
    assert service.server.url == f"http://127.0.0.1:{service.port}"


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        pytest.param("::1", "http://[::1]:", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")),
        ("localhost", "http://127.0.0.1:"),
    ],
)
def test_loopback_is_listened_on_under_each_of_its_names(witness: Witness, host: str, shown: str) -> None:
    server = WitnessServer((host, 0), witness.desk, lambda: None)
    server.server_close()

    assert server.url.startswith(shown)
