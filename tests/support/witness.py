"""A witness as a test holds it: its folder, its desk, its alarm; and as a service on a free port of loopback."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path

from exchange.audit import TreeHead
from exchange.client.witness import Alarm, Listening, new_witness
from exchange.client.witness.desk import Desk
from exchange.client.witness.folder import WitnessFolder
from exchange.client.witness.keys import read_keys
from exchange.client.witness.logs import read_logs
from exchange.client.witness.running import Shown
from exchange.client.witness.service import WitnessServer
from exchange.crypto import issue_client, issue_server, new_authority
from tests.support.shown_log import MadeLog

NAME = "witness.nor.example/w1"
NOW = 1_800_000_000


class Witness:
    """A witness's folder, its desk and its alarm, for as long as a test holds it."""

    def __init__(self, path: Path, *, command: str | None = None, url: str | None = None) -> None:
        self.alarm = Alarm(command, url)
        self.folder = WitnessFolder(path)
        self.folder.__enter__()
        self.keys = read_keys(self.folder.key_file)
        self.desk = Desk(self.folder, self.keys, read_logs(self.folder.logs_file), alarm=self.alarm, now=lambda: NOW)

    def close(self) -> None:
        self.folder.__exit__(None, None, None)

    def held(self, log: MadeLog) -> TreeHead:
        return self.desk.held_of(log.origin)

    def evidence(self) -> list[Path]:
        return sorted((self.folder.path / "evidence").glob("*"))


@contextmanager
def witnessing(folder: Path, log: MadeLog) -> Iterator[Witness]:
    """Hold a new witness of `log` in `folder`."""
    new_witness(folder, NAME, tuple(str(key) for key in log.known.keys), os.urandom)
    with closing(Witness(folder)) as witness:
        yield witness


@dataclass
class Service:
    """A running service, and how to call it."""

    server: WitnessServer
    witness: Witness
    tls: Path | None

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def context(self, *, name: str | None = None) -> ssl.SSLContext:
        assert self.tls is not None
        context = ssl.create_default_context(cafile=str(self.tls / "ca.pem"))
        if name is not None:
            context.load_cert_chain(self.tls / f"{name}.pem", self.tls / f"{name}.key")
        return context

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[HTTPResponse, bytes]:
        connection = (
            HTTPConnection("127.0.0.1", self.port, timeout=20)
            if self.tls is None
            else HTTPSConnection("localhost", self.port, timeout=20, context=self.context())
        )
        with closing(connection):
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer, answer.read()

    def raw(self, *pieces: bytes, is_all: bool = False) -> bytes:
        """Send bytes as they are and return all that comes back until the connection ends; say that they are all."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line, suppress(ConnectionError):
            for piece in pieces:
                line.sendall(piece)
            if is_all:
                line.shutdown(socket.SHUT_WR)
            while chunk := line.recv(65536):
                received += chunk
        return received


@contextmanager
def serving(witness: Witness, tls: Path | None = None, *, seconds: float = 15, **listening: Path) -> Iterator[Service]:
    """Serve a witness for as long as the context lasts; `tls` is a folder that `write_tls` filled."""
    files = {} if tls is None else {"certificate": tls / "server.pem", "key": tls / "server.key"}
    shown = Shown(Listening("127.0.0.1", 0, **files, **listening))
    server = WitnessServer(("127.0.0.1", 0), witness.desk, shown, request_seconds=seconds)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Service(server, witness, tls)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_tls(folder: Path) -> Path:
    """Fill a folder with ca.pem, a server's pair and a client's."""
    now = datetime.now(UTC)
    authority = new_authority("test authority", now)
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    pairs = {
        "server": issue_server(authority, ["localhost"], now=now),
        "log": issue_client(authority, "log", organisation="EXCHANGE", now=now),
    }
    for name, pair in pairs.items():
        (folder / f"{name}.pem").write_bytes(pair.certificate_pem)
        (folder / f"{name}.key").write_bytes(pair.key_pem)
    return folder
