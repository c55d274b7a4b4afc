"""Certificates for clients, and a client whose exchange is a function."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from exchange.client import Endpoint, ExchangeClient
from exchange.client.transport import Transport
from exchange.crypto import issue_client, new_authority

Handler = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with client.pem, client.key (0600) and ca.pem."""
    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.now(UTC)
    authority = new_authority("test authority", now)
    pair = issue_client(authority, "desk", organisation="NOR/NSM", now=now)
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    (folder / "client.pem").write_bytes(pair.certificate_pem)
    (folder / "client.key").write_bytes(pair.key_pem)
    (folder / "client.key").chmod(0o600)
    return folder


class Line:
    """A client, what it sent, and how long it waited between tries."""

    def __init__(self, folder: Path, handler: Handler) -> None:
        self.sent: list[httpx2.Request] = []
        self.pauses: list[float] = []
        self.endpoint = Endpoint(
            "https://exchange.test",
            folder / "client.pem",
            folder / "client.key",
            folder / "ca.pem",
            pause=self.pauses.append,
        )
        self.client = ExchangeClient.at(self.endpoint)
        transport = Transport(self.endpoint)
        transport.close()
        transport._http = httpx2.Client(base_url=self.endpoint.url, transport=httpx2.MockTransport(self._recorded))
        self.client.close()
        self.client._transport = transport
        self._handler = handler

    def _recorded(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        return self._handler(request)


@pytest.fixture
def line(certificates: Path) -> Iterator[Callable[[Handler], Line]]:
    """Make a client whose exchange answers with a function."""
    made: list[Line] = []

    def make(handler: Handler) -> Line:
        made.append(Line(certificates, handler))
        return made[-1]

    yield make
    for one in made:
        one.client.close()
