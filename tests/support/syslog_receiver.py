"""A receiver of syslog over TLS (RFC 5425) that can be slow, be killed, and come back."""

import re
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from exchange.crypto import issue_server, new_authority

POSITION = re.compile(rb' (?:position="|cn1=)(\d+)')


class SyslogReceiver:
    """A receiver of RFC 5425 in a thread of its own. It reads on only when it has dealt with what it read.

    `limit` is after how many messages it drops dead, as a killed process does: a reset, with bytes unread.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.positions: list[int] = []
        self.messages: list[bytes] = []
        self.sessions = 0
        self.limit: int | None = None
        self.delay_seconds = 0.0
        self.answers_close = True
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._listening = socket.create_server(("127.0.0.1", port))
        self._listening.settimeout(0.05)
        self.port = self._listening.getsockname()[1]
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopping.set()
        self._thread.join(10)
        self._listening.close()

    def _serve(self) -> None:
        while not self._is_stopping.is_set():
            with suppress(TimeoutError):
                plain, _ = self._listening.accept()
                plain.settimeout(5)
                with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as session:
                    self.sessions += 1
                    self._receive(session)

    def _receive(self, session: ssl.SSLSocket) -> None:
        held = b""
        while chunk := session.recv(4096):
            held += chunk
            while (length := held.partition(b" ")[0]) != held and len(held) > len(length) + int(length):
                content, held = held[len(length) + 1 :][: int(length)], held[len(length) + 1 + int(length) :]
                if self.limit is not None and len(self.positions) >= self.limit:
                    self.limit = None
                    session.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                self._take(content)
                time.sleep(self.delay_seconds)
        assert held == b""
        if self.answers_close:
            session.unwrap()

    def _take(self, content: bytes) -> None:
        found = POSITION.search(content)
        if found is not None:
            self.positions.append(int(found[1]))
        self.messages.append(content)


def make_receiver_files(folder: Path) -> Path:
    """Put a receiver's certificate and key, its authority and another one into `folder`."""
    now = datetime.now(UTC)
    for name in ("ca", "other"):
        authority = new_authority(f"{name} authority", now)
        (folder / f"{name}.pem").write_bytes(authority.certificate_pem)
        if name == "ca":
            pair = issue_server(authority, ("localhost", "127.0.0.1"), now=now)
            (folder / "server.pem").write_bytes(pair.certificate_pem)
            (folder / "server.key").write_bytes(pair.key_pem)
    return folder
