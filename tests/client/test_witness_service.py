"""The witness as a service, over real sockets and TLS: its protocol, its limits, and who may hold it up."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from exchange.audit import parse_note, verify_note
from exchange.audit.witness import origin_hash
from exchange.client.witness import Listening, WitnessError, new_witness
from exchange.client.witness.service import (
    LARGEST_BODY_BYTES,
    MOST_CONNECTIONS,
    MOST_OF_ONE_PLACE,
    WitnessServer,
    _place_of,
)
from exchange.crypto import new_authority
from tests.support.shown_log import MadeLog
from tests.support.waiting import eventually
from tests.support.witness import NAME, Service, Witness, serving, write_tls

IMPATIENCE_SECONDS = 0.5


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def log() -> MadeLog:
    return MadeLog().grow(12)


@pytest.fixture
def started(tmp_path: Path, log: MadeLog) -> Iterator:
    """Start services of one witness."""
    new_witness(tmp_path / "witness", NAME, tuple(str(key) for key in log.known.keys), os.urandom)
    witness = Witness(tmp_path / "witness")
    with ExitStack() as running:
        yield lambda tls=None, **options: running.enter_context(serving(witness, tls, **options))
    witness.close()


@pytest.fixture
def service(started) -> Service:
    return started()


@pytest.fixture
def impatient(started) -> Service:
    return started(seconds=IMPATIENCE_SECONDS)


def test_cosigns_over_tls_and_serves_what_it_cosigned(started, tls: Path, log: MadeLog) -> None:
    service = started(tls)

    answer, content = service.call("POST", "/add-checkpoint", log.body(0))
    shown, note = service.call("GET", f"/{origin_hash(log.origin)}/checkpoint")

    assert (answer.status, shown.status) == (200, 200)
    assert service.server.url.startswith("https://127.0.0.1:")
    assert verify_note(parse_note(note), service.witness.keys.verifiers)
    assert note.endswith(content)


def test_renewed_certificate_is_shown_without_a_restart(started, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO", "exchange.witness")
    (tmp_path / "renewed").mkdir()
    folder = write_tls(tmp_path / "renewed")
    service = started(folder)
    assert service.call("GET", "/")[0].status == 404
    former = (folder / "server.pem").read_bytes()
    (folder / "server.pem").write_bytes(b"half")
    assert service.call("GET", "/")[0].status == 404
    (folder / "server.pem").write_bytes(former)

    write_tls(folder)  # of another authority, whom alone it is believed for

    assert service.call("GET", "/")[0].status == 404
    assert caplog.text.count("the certificate before is shown") == 1
    assert "is shown that lies there now" in caplog.text


def test_one_connection_carries_many_requests(started, tls: Path, log: MadeLog) -> None:
    service = started(tls)
    connection = HTTPSConnection("localhost", service.port, timeout=20, context=service.context())
    statuses = []
    for old in (0, 0, 12):
        connection.request("POST", "/add-checkpoint", body=log.body(old))
        answer = connection.getresponse()
        statuses.append((answer.status, answer.headers["Content-Type"].partition(";")[0], len(answer.read()) > 0))
    connection.close()

    assert statuses == [(200, "text/plain", True), (409, "text/x.tlog.size", True), (200, "text/plain", True)]


def test_logs_certificate_can_be_required(started, tls: Path, log: MadeLog) -> None:
    service = started(tls, client_authority=tls / "ca.pem")

    with pytest.raises((ssl.SSLError, ConnectionError)):
        service.call("POST", "/add-checkpoint", log.body(0))
    context = service.context(name="log")
    connection = HTTPSConnection("localhost", service.port, timeout=20, context=context)
    connection.request("POST", "/add-checkpoint", body=log.body(0))

    assert connection.getresponse().status == 200
    connection.close()


def test_authority_of_logs_is_exchanged_without_a_restart(started, tls: Path, tmp_path: Path, log: MadeLog) -> None:
    """Whom it was to believe no longer it believed until its own certificate was renewed."""
    authority = tmp_path / "logs.pem"
    authority.write_bytes((tls / "ca.pem").read_bytes())
    service = started(tls, client_authority=authority)
    context = service.context(name="log")

    def asked() -> int:
        connection = HTTPSConnection("localhost", service.port, timeout=20, context=context)
        try:
            connection.request("POST", "/add-checkpoint", body=log.body(0))
            return connection.getresponse().status
        finally:
            connection.close()

    assert asked() == 200
    authority.write_bytes(new_authority("another", datetime.now(UTC)).certificate_pem)

    with pytest.raises((ssl.SSLError, ConnectionError)):
        asked()


SECOND = b"GET /answered-to-whoever-asks-next HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: %d\r\n" % len(SECOND),
        b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(SECOND),
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length : %d\r\n" % len(SECOND),
        b"no field\r\nContent-Length: %d\r\n" % len(SECOND),
        b"X: a\r\r\nContent-Length: %d\r\n" % len(SECOND),
    ],
)
@pytest.mark.parametrize("asked", [b"GET /%b/checkpoint", b"POST /add-checkpoint"])
def test_no_body_is_answered_as_a_request(service: Service, log: MadeLog, asked: bytes, lengths: bytes) -> None:
    """Behind a proxy, which knows where the body ends, the second answer was given to another caller."""
    service.call("POST", "/add-checkpoint", log.body(0))
    asked = asked % origin_hash(log.origin).encode() if b"%" in asked else asked

    answers = service.raw(b"%b HTTP/1.1\r\nHost: x\r\n%b\r\n%b" % (asked, lengths, SECOND), is_all=True)

    assert answers.count(b"HTTP/1.1 ") == 1
    # Nor is what was asked first left without an answer, and the body answered in its place.
    assert answers[9:12] in {b"400", b"411"}


def test_tls_before_1_3_gets_nothing(started, tls: Path) -> None:
    service = started(tls)
    context = service.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    connection = HTTPSConnection("localhost", service.port, timeout=20, context=context)

    with pytest.raises(ssl.SSLError, match="alert protocol version"):
        connection.request("GET", "/")


def test_plain_http_to_a_tls_port_gets_nothing(started, tls: Path) -> None:
    service = started(tls)

    assert b"200" not in service.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert service.call("GET", "/")[0].status == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "witness.example", "::"])
def test_plain_http_beyond_loopback_is_refused(started, host: str) -> None:
    with pytest.raises(WitnessError, match="for loopback only"):
        WitnessServer((host, 0), started().witness.desk, lambda: None)


def test_taken_port_is_said(service: Service) -> None:
    with pytest.raises(WitnessError, match="cannot listen"):
        WitnessServer(("127.0.0.1", service.port), service.witness.desk, lambda: None)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 404),
        ("POST", "/add-checkpoint/", 404),
        ("POST", "/sign-subtree", 404),
        ("GET", "/add-checkpoint", 404),
        ("GET", f"/{'A' * 64}/checkpoint", 404),
        ("GET", f"/{'a' * 64}/checkpoint", 404),
        ("GET", "/../witness.key", 404),
        ("PUT", "/add-checkpoint", 501),
        ("HEAD", "/add-checkpoint", 501),
    ],
)
def test_only_the_protocol_is_served(service: Service, method: str, path: str, status: int) -> None:
    assert service.call(method, path, b"" if method == "POST" else None)[0].status == status


def test_oversize_body_is_refused_unread(service: Service, log: MadeLog) -> None:
    answer = service.raw(
        b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (LARGEST_BODY_BYTES + 1)
    )

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer
    assert service.call("POST", "/add-checkpoint", log.body(0))[0].status == 200


@pytest.mark.parametrize(
    "head",
    [b"", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 1e3\r\n", b"Content-Length: \xd9\xa1\r\n"],
)  # fmt: skip
def test_body_without_its_length_is_refused(service: Service, head: bytes) -> None:
    answer = service.raw(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n5\r\nold 0\r\n0\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize(
    "hidden", [b"Transfer-Encoding : chunked", b"-\r\nTransfer-Encoding: chunked", b"X: a\r\r\nContent-Length: 5"]
)
def test_what_a_line_hides_that_is_no_field_is_refused(service: Service, log: MadeLog, hidden: bytes) -> None:
    body = log.body(0)
    head = b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body) + hidden

    assert service.raw(head + b"\r\n\r\n" + body).startswith(b"HTTP/1.1 400 ")


def test_length_of_a_thousand_digits_is_refused(service: Service) -> None:
    answer = service.raw(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),
        (b"POST /add-check",),
        (b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\n",),
        (b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nold",),
    ],
)
def test_sender_that_stops_is_let_go(impatient: Service, pieces: tuple[bytes, ...]) -> None:
    # Returns once the service has closed the connection; the timeout of the socket would fail the test.
    assert b" 200 " not in impatient.raw(*pieces)


def test_who_never_begins_the_handshake_is_let_go(started, tls: Path) -> None:
    assert started(tls, seconds=IMPATIENCE_SECONDS).raw(b"") == b""


def test_too_many_connections_are_closed_and_others_served_again(impatient: Service, log: MadeLog) -> None:
    held = [socket.create_connection(("127.0.0.1", impatient.port), timeout=20) for _ in range(MOST_CONNECTIONS)]
    # The service has taken all of them once it turns the next one away.
    turned_away = impatient.raw(b"")
    for line in held:
        assert line.recv(1) == b""
        line.close()

    assert turned_away == b""
    assert impatient.call("POST", "/add-checkpoint", log.body(0))[0].status == 200


def asked_from(address: str, service: Service, log: MadeLog) -> tuple[int, str | None]:
    """Return how a question from this address is answered, and whether the connection goes on."""
    line = HTTPConnection("127.0.0.1", service.port, timeout=20, source_address=(address, 0))
    line.request("GET", f"/{origin_hash(log.origin)}/checkpoint")
    answer = line.getresponse()
    answer.read()
    line.close()
    return answer.status, answer.getheader("Connection")


def test_who_knocks_from_one_place_leaves_half_to_the_log(service: Service, log: MadeLog) -> None:
    assert service.call("POST", "/add-checkpoint", log.body(0))[0].status == 200
    alone = asked_from("127.0.0.2", service, log)
    # Its thread gives a connection back behind the answer: one that still counts would take a place of those below.
    eventually(lambda: not service.server._held)
    # Each asks once and then says no more; the first one beyond what one place may hold is turned away.
    held = [socket.create_connection(("127.0.0.1", service.port), timeout=20) for _ in range(MOST_OF_ONE_PLACE + 1)]
    turned_away = held[-1].recv(1)
    crowded = asked_from("127.0.0.2", service, log)
    for line in held:
        line.close()

    assert turned_away == b""
    assert alone == (200, None)
    # Where half are held, it ends with its answer: else whoever asks again in time would hold its place for ever.
    assert crowded == (200, "close")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_place_is_an_address_or_the_network_of_one_site(address: str, place: str) -> None:
    assert _place_of(address) == place


def test_what_a_stranger_sends_steers_no_terminal(service: Service, caplog) -> None:
    with caplog.at_level("INFO"):
        service.raw(b"GET /\x1b[2J\x9b2J HTTP/1.1\r\nConnection: close\r\n\r\n")
        service.raw(b"\x1b]0;owned\x07\r\n\r\n")

    assert "\\u001b[2J\\u009b2J" in caplog.text
    assert not {"\x1b", "\x9b", "\x07"} & set(caplog.text)


def test_fault_that_nobody_foresaw_is_a_500_and_no_cosignature(
    service: Service, log: MadeLog, monkeypatch, caplog, capsys
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("exchange.client.witness.desk.Desk.consider", fail)

    answer, content = service.call("POST", "/add-checkpoint", log.body(0))

    assert (answer.status, content) == (500, b"the witness cannot work now\n")
    assert "not answered: a fault: RuntimeError" in caplog.text
    assert "Traceback" not in caplog.text + capsys.readouterr().err
    assert service.witness.held(log).size == 0


def test_fault_of_its_own_is_a_500_and_no_cosignature(service: Service, log: MadeLog, monkeypatch, caplog) -> None:
    monkeypatch.setattr("exchange.client.witness.folder.os.fsync", lambda _descriptor: 1 / 0)
    monkeypatch.setattr(
        "exchange.client.witness.folder.WitnessFolder.keep", lambda *_: (_ for _ in ()).throw(WitnessError("disk full"))
    )

    answer, content = service.call("POST", "/add-checkpoint", log.body(0))

    assert answer.status == 500
    assert b"disk" not in content
    assert "disk full" in caplog.text
    assert service.witness.held(log).size == 0


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"certificate": "a"}, "together"),
        ({"key": "a"}, "together"),
        ({"client_authority": "a"}, "together"),
        ({"certificate": "a", "client_authority": "a"}, "together"),
        ({"certificate": "/nonexistent", "key": "/nonexistent"}, "cannot be used"),
    ],
)
def test_half_a_tls_configuration_is_refused(files: dict[str, str], told: str) -> None:
    with pytest.raises(WitnessError, match=told):
        Listening("127.0.0.1", 0, **{name: Path(file) for name, file in files.items()}).context()
