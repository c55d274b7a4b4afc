"""The log's line to witnesses, over real sockets: to a real witness, and to servers that are none."""

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exchange.audit import parse_note, parse_signature_line, verify_note
from exchange.entrypoints.jobs.witness_line import HttpWitnessLine
from exchange.usecases.log.ask_witness import Cosignatures, Declined, HeldSize, Unreachable
from tests.support.shown_log import MadeLog
from tests.support.witness import Witness, serving, witnessing, write_tls


@pytest.fixture
def log() -> MadeLog:
    return MadeLog().grow(12)


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    (tmp_path / "tls").mkdir()
    return write_tls(tmp_path / "tls")


@pytest.fixture
def witness(tmp_path: Path, log: MadeLog) -> Iterator[Witness]:
    with witnessing(tmp_path / "witness", log) as witness:
        yield witness


@pytest.fixture
def pretender() -> Iterator[Callable[..., str]]:
    """Serve one connection with these bytes and return the address; without bytes it says nothing until it is let go."""
    sockets: list[socket.socket] = []
    let_go = threading.Event()
    threads: list[threading.Thread] = []

    def serve(answer: bytes | None) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def act() -> None:
            line, _ = listening.accept()
            with line:
                line.recv(65536)
                if answer is None:
                    let_go.wait(20)
                    return
                try:
                    line.sendall(answer)
                except ConnectionError:
                    return

        threads.append(threading.Thread(target=act))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield serve
    let_go.set()
    for thread in threads:
        thread.join()
    for each in sockets:
        each.close()


async def test_real_witness_over_tls(
    witness: Witness, tls: Path, log: MadeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No proxy is asked.
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with serving(witness, tls, seconds=15) as service:
        url = f"https://localhost:{service.port}/"
        async with HttpWitnessLine(tls / "ca.pem") as line:
            nothing = await line.newest(url, log.origin)
            first = await line.add_checkpoint(url, log.body(0))
            conflict = await line.add_checkpoint(url, log.body(0))
            refused = await line.add_checkpoint(url, log.cut(5).grow(7, "forged").body(12))
            held = await line.newest(url, log.origin)

    assert nothing is None
    assert isinstance(first, Cosignatures)
    lines = [parse_signature_line(each) for each in first.content.decode().splitlines()]
    assert verify_note(log.note().with_signatures(*lines), witness.keys.verifiers)
    assert conflict == HeldSize(12)
    assert isinstance(refused, Declined)
    assert refused.status == 409
    assert held is not None
    assert parse_note(held).text == log.note().text


async def test_witness_of_another_authority_is_not_believed(witness: Witness, tls: Path, tmp_path: Path, log) -> None:
    (tmp_path / "other").mkdir()
    other = write_tls(tmp_path / "other")
    with serving(witness, tls, seconds=15) as service:
        async with HttpWitnessLine(other / "ca.pem") as line:
            reply = await line.add_checkpoint(f"https://localhost:{service.port}", log.body(0))
            size = witness.held(log).size
            # Until its authority lies there: no restart is waited for.
            (other / "ca.pem").write_bytes(b"half")
            half = await line.add_checkpoint(f"https://localhost:{service.port}", log.body(0))
            (other / "ca.pem").write_bytes((tls / "ca.pem").read_bytes())
            renewed = await line.add_checkpoint(f"https://localhost:{service.port}", log.body(0))
            # OpenSSL would wait at a pipe, and whoever signs the log with it.
            (other / "ca.pem").unlink()
            os.mkfifo(other / "ca.pem")
            asked_again = await line.add_checkpoint(f"https://localhost:{service.port}", log.body(0))

    assert isinstance(reply, Unreachable)
    assert "its certificate is not believed: " in reply.told
    assert "witness_authority_file" in reply.told
    assert isinstance(half, Unreachable)
    assert size == 0
    assert isinstance(renewed, Cosignatures)
    assert not isinstance(asked_again, Unreachable)


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1", "http://witness.example", "ftp://127.0.0.1", "ftp://localhost", "file:///etc/passwd", "", "http://127.0.0.1.example"]
)  # fmt: skip
async def test_address_that_is_not_safe_is_not_called(url: str) -> None:
    async with HttpWitnessLine(None) as line:
        told = "its address is neither HTTPS nor on loopback"
        assert await line.add_checkpoint(url, b"") == Unreachable(told)
        assert await line.newest(url, "origin") is None


@pytest.mark.parametrize("url", ["https://localhost/\0", "https://\u2488com"])
async def test_address_that_cannot_be_called_is_told(url: str) -> None:
    async with HttpWitnessLine(None) as line:
        assert await line.add_checkpoint(url, b"") == Unreachable("no connection: InvalidURL")
        assert await line.newest(url, "origin") is None


@pytest.mark.parametrize("url", ["https://localhost:65536", "https://localhost/\udcff", "https://[::bad"])
async def test_address_that_is_none_ends_nothing(url: str) -> None:
    async with HttpWitnessLine(None) as line:
        assert await line.add_checkpoint(url, b"") == Unreachable("its address is none")
        assert await line.newest(url, "origin") is None


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", Unreachable),
        (b"nonsense\r\n\r\n", Unreachable),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", Unreachable),
        (b"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n", Unreachable),
        (b"HTTP/1.1 302 No\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", Declined),
        (b"HTTP/1.1 409 No\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n1\n", Declined),
        (b"HTTP/1.1 409 No\r\nContent-Type: text/x.tlog.size\r\nContent-Length: 2\r\n\r\n1\n", HeldSize),
        (b"HTTP/1.1 409 No\r\nContent-Type: text/x.tlog.size\r\nContent-Length: 3\r\n\r\n-1\n", Unreachable),
        (OK % 10 + b"short", Unreachable),
        (OK % (1 << 20) + bytes(1 << 20), Unreachable),
        (OK % 2 + b"hi", Cosignatures),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi", Unreachable),
    ],
)
async def test_server_that_is_no_witness_is_survived(pretender, answer: bytes, kind: type) -> None:
    async with HttpWitnessLine(None) as line:
        assert isinstance(await line.add_checkpoint(pretender(answer), b"old 0\n"), kind)


async def test_server_that_says_nothing_is_given_up(pretender) -> None:
    async with HttpWitnessLine(None, call_seconds=0.3) as line:
        reply = await line.add_checkpoint(pretender(None), b"old 0\n")

    assert isinstance(reply, Unreachable)
    assert "did not answer within" in reply.told


async def test_nobody_there_is_said() -> None:
    async with HttpWitnessLine(None) as line:
        reply = await line.add_checkpoint("http://127.0.0.1:9", b"")

    assert isinstance(reply, Unreachable)
    assert "no connection" in reply.told


async def test_witness_is_spoken_to_in_no_older_version_than_the_exchange_speaks() -> None:
    async with HttpWitnessLine(None) as line:
        assert line._context.minimum_version is ssl.TLSVersion.TLSv1_3
