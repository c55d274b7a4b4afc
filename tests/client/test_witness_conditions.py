"""Single conditions of a witness, each of which nothing else would miss."""

import json
import os
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exchange.client.witness import Alarm, RoundResult, WitnessError, address_of, keys_in, new_witness
from exchange.client.witness.__main__ import main
from exchange.client.witness.folder import make_folder
from exchange.client.witness.keys import read_keys
from exchange.client.witness.logs import read_logs
from exchange.client.witness.service import MOST_CONNECTIONS, Answer, WitnessServer, _Handler
from tests.support.shown_log import MadeLog
from tests.support.witness import NAME, Witness

ONCE = ["once", "--state", "s", "--url", "https://x", "--cert", "c", "--key", "k", "--ca", "a"]


@pytest.fixture
def log() -> MadeLog:
    return MadeLog().grow(12)


@pytest.fixture
def path(tmp_path: Path, log: MadeLog) -> Path:
    new_witness(tmp_path / "witness", NAME, tuple(str(key) for key in log.known.keys), os.urandom)
    return tmp_path / "witness"


@pytest.fixture
def server(path: Path) -> Iterator[WitnessServer]:
    witness = Witness(path)
    server = WitnessServer(("127.0.0.1", 0), witness.desk, lambda: None)
    yield server
    server.server_close()
    witness.close()


# ── connections ──


class Watched(Counter[str]):
    """Counts, and notes whoever looks at it without holding the lock."""

    def __init__(self, lock: Any) -> None:
        super().__init__()
        self.lock, self.bare = lock, list[str]()

    def total(self) -> int:
        self._look("total")
        return super().total()

    def __getitem__(self, place: str) -> int:
        self._look("get")
        return super().__getitem__(place)

    def __setitem__(self, place: str, count: int) -> None:
        self._look("set")
        super().__setitem__(place, count)

    def _look(self, how: str) -> None:
        if not self.lock.locked():
            self.bare.append(how)


def test_connections_are_counted_by_one_thread_at_a_time(server: WitnessServer) -> None:
    held = server._held = Watched(server._holding)
    with server._holding:
        for number in range(MOST_CONNECTIONS):
            held[f"192.0.2.{number}/32"] += 1
    ours, theirs = socket.socketpair()
    with theirs:
        server.process_request(ours, ("198.51.100.1", 1))

        assert theirs.recv(1) == b""
    is_crowded = server.is_crowded
    server._give_back("192.0.2.1/32")

    assert is_crowded
    assert held.bare == []


def test_beyond_loopback_is_listened_with_a_certificate(server: WitnessServer) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    WitnessServer(("0.0.0.0", 0), server.desk, lambda: context).server_close()


def test_answer_has_the_time_of_a_request_whatever_is_left_of_that(server: WitnessServer) -> None:
    given, handler = list[float](), _Handler.__new__(_Handler)
    handler.server, handler.connection = server, SimpleNamespace(settimeout=given.append)  # type: ignore[assignment]
    handler.client_address, handler.requestline, handler.request_version = ("127.0.0.1", 1), "GET /", "HTTP/1.1"
    handler.wfile, handler.close_connection = BytesIO(), False

    handler._send(Answer(200, b"taken\n", "text/plain"))

    assert given == [server.request_seconds]
    assert handler.wfile.getvalue().endswith(b"\r\n\r\ntaken\n")


# ── files ──


def test_seed_with_anything_in_it_is_damaged(path: Path) -> None:
    file = path / "witness.key"
    content = json.loads(file.read_bytes())
    scheme, seed = next(iter(content["seeds"].items()))
    content["seeds"][scheme] = f"{seed[:4]}!{seed[4:]}"
    file.write_text(json.dumps(content))

    with pytest.raises(WitnessError, match="is damaged"):
        read_keys(file)


def test_log_may_be_named_with_its_address_and_nothing_behind_that(path: Path, log: MadeLog) -> None:
    key = str(log.known.keys[0])
    (path / "logs").write_text(f"log {key} https://log.example/\n")
    (known,) = read_logs(path / "logs")
    (path / "logs").write_text(f"log {key} https://log.example/ more\n")

    assert known.origin == log.origin
    with pytest.raises(WitnessError, match="line 1: write `log"):
        read_logs(path / "logs")


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_file_of_logs_or_keys_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(WitnessError, match="file` cannot be read"):
        read_logs(file)
    with pytest.raises(WitnessError, match="file` cannot be read"):
        keys_in((f"@{file}",))


def test_keys_stand_each_by_itself_or_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("two\nthree\n")

    assert keys_in(("one", f"@{tmp_path / 'file'}", "four")) == ("one", "two", "three", "four")


def test_folder_is_made_with_those_that_it_lies_in(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b", {"logs": b"logs"})
    make_folder(tmp_path / "a" / "b", {"witness.key": b"key"})

    assert sorted(each.name for each in (tmp_path / "a" / "b").iterdir()) == ["logs", "witness.key"]


def test_what_cannot_be_taken_back_hides_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk says nothing")

    def stay(*_: object) -> None:
        raise PermissionError(1, "it stays")

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(Path, "unlink", stay)

    with pytest.raises(WitnessError, match="cannot be written: the disk says nothing"):
        make_folder(tmp_path / "witness", {"logs": b"logs"})


# ── words ──


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:65535", ("::1", 65535)), ("host:8460", ("host", 8460))],
)
def test_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize("text", ["", "8460", ":8460", "host", "host:", "host:x", "host:-1", "host:65536", "host:٣"])
def test_what_lacks_one_or_has_another_is_no_address(text: str) -> None:
    with pytest.raises(WitnessError, match="write HOST:PORT"):
        address_of(text)


@pytest.mark.parametrize(
    ("is_cosigned", "rings", "code"), [(True, False, 0), (True, True, 1), (False, False, 1), (False, True, 1)]
)
def test_round_is_done_where_it_cosigned_and_shouted_nothing(monkeypatch, is_cosigned, rings, code) -> None:
    def run(_path: object, _endpoint: object, alarm: Alarm, *, brings: bool) -> RoundResult:
        alarm.has_rung = rings
        return RoundResult("log", 3, is_cosigned=is_cosigned, is_brought=brings, told="told")

    monkeypatch.setattr("exchange.client.witness.__main__.run_once", run)

    assert main(ONCE) == code


@pytest.mark.parametrize(("words", "is_brought"), [([], True), (["--keep"], False)])
def test_round_brings_its_cosignature_unless_it_is_kept(monkeypatch, words: list[str], is_brought: bool) -> None:
    brought = []

    def run(*_: object, brings: bool) -> RoundResult:
        brought.append(brings)
        return RoundResult("log", 3, is_cosigned=True, is_brought=brings, told="told")

    monkeypatch.setattr("exchange.client.witness.__main__.run_once", run)

    assert main([*ONCE, *words]) == 0
    assert brought == [is_brought]
