"""Strangers who begin handshakes and do not go on with them: few may stand there, and nobody else is kept waiting."""

# ruff: noqa: F811  `trust` and `port` are fixtures of other files

import asyncio
import errno
import socket
from collections.abc import Iterator

import pytest

from exchange.entrypoints.http import doorstep
from exchange.entrypoints.http.doorstep import Doorstep
from exchange.entrypoints.http.gate import ConnectionGate
from exchange.entrypoints.http.server import connections_allowed, handshakes_allowed, raise_file_limit
from exchange.entrypoints.http.shares import Shares
from exchange.kernel import UnsafeSettingError
from tests.entrypoints.certificates import Trust
from tests.entrypoints.test_pressure import gate, port  # noqa: F401
from tests.entrypoints.test_tls import GET, context_of, talk, trust  # noqa: F401

FEW = 10


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make room for few handshakes."""
    monkeypatch.setattr("exchange.entrypoints.http.server.handshakes_allowed", lambda: FEW)


@pytest.fixture
def impatient(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let those who have stood there for a moment go."""
    monkeypatch.setattr(doorstep, "FAIR_SECONDS", 0.05)


async def test_flood_of_handshakes_that_nobody_goes_on_with_lets_others_in(
    impatient: None, port: int, trust: Trust, gate: ConnectionGate
) -> None:
    flood = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5 * FEW)]
    async with asyncio.timeout(30):
        answer = await talk(port, trust.context(trust.client("other")), GET)
        sent_away = [await reader.read() for reader, _ in flood[: 3 * FEW]]

    assert answer.startswith(b"HTTP/1.1 200")
    assert set(sent_away) == {b""}
    assert gate._turned_away >= 3 * FEW
    for _, writer in flood:
        writer.transport.abort()


async def test_crowd_that_means_it_waits_outside_and_nobody_of_it_is_sent_away(
    few: None, port: int, trust: Trust, gate: ConnectionGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine one of these may take the second that is fair.
    monkeypatch.setattr(doorstep, "FAIR_SECONDS", 30.0)
    context = trust.context(trust.client("crowd"))
    gate._most, gate._shares = 1_000, Shares(1_000, at_least=1_000)

    answers = await asyncio.gather(*(talk(port, context, GET) for _ in range(6 * FEW)))

    assert {each[:12] for each in answers} == {b"HTTP/1.1 200"}
    assert gate._turned_away == 0


class Listening(socket.socket):
    """A listening socket for which there is no file at first."""

    asked = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.asked += 1
        if self.asked <= 2:
            raise OSError(errno.EMFILE, "too many open files")
        return super().accept()


class Told(asyncio.Protocol):
    """Says a word to who comes in."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"come in")
        transport.close()


@pytest.fixture
def listening() -> Iterator[Listening]:
    bound = Listening()
    bound.bind(("127.0.0.1", 0))
    yield bound
    bound.close()


async def test_where_no_file_is_left_it_waits_and_takes_who_came_meanwhile(
    listening: Listening, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorstep, "_NO_FILES_SECONDS", 0.05)
    stands = Doorstep(listening, Told, lambda: context_of(trust), seconds=30.0, gate=ConnectionGate())
    stands.open(8)

    reader, writer = await asyncio.open_connection(
        *listening.getsockname(), ssl=trust.context(trust.client("patient")), server_hostname="127.0.0.1"
    )
    heard = await reader.read()
    stands.close()
    await stands.wait_closed()

    assert heard == b"come in"
    assert listening.asked <= 5
    writer.transport.abort()


async def test_handshakes_that_are_under_way_end_with_it(listening: Listening, trust: Trust) -> None:
    listening.asked = 2
    stands = Doorstep(listening, Told, lambda: context_of(trust), seconds=30.0, gate=ConnectionGate())
    stands.open(8)
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    async with asyncio.timeout(30):
        while not len(stands):  # noqa: ASYNC110  the loop takes it
            await asyncio.sleep(0.01)

        stands.close()
        await stands.wait_closed()

        assert await reader.read() == b""
    assert len(stands) == 0
    writer.transport.abort()


async def test_for_each_that_comes_one_goes_who_stood_there_long_enough(
    listening: Listening, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening.asked, counts = 2, ConnectionGate()
    stands = Doorstep(listening, Told, lambda: context_of(trust), seconds=30.0, gate=counts, most=3)
    stands.open(8)
    standing = [await asyncio.open_connection(*listening.getsockname()) for _ in range(3)]
    async with asyncio.timeout(30):
        while len(stands) < 3:  # noqa: ASYNC110  the loop takes them
            await asyncio.sleep(0.01)
    monkeypatch.setattr(doorstep, "FAIR_SECONDS", 0.0)
    coming = [socket.create_connection(listening.getsockname()) for _ in range(2)]
    counted = []
    for _ in coming:
        stands._take()
        counted.append((len(stands), counts.take_turned_away()))

    assert counted == [(3, 1), (3, 1)]
    async with asyncio.timeout(5):
        assert [await reader.read() for reader, _ in standing[:2]] == [b"", b""]
    stands.close()
    await stands.wait_closed()
    for _, writer in standing:
        writer.transport.abort()
    for each in coming:
        each.close()


@pytest.mark.parametrize(
    ("fault", "is_waiting"),
    [
        (BlockingIOError(), False),
        (ConnectionAbortedError(), False),
        (OSError(errno.EMFILE, "too many open files"), True),
    ],
)
async def test_who_goes_while_it_is_taken_keeps_nobody_outside_and_want_of_files_does(
    listening: Listening, trust: Trust, monkeypatch: pytest.MonkeyPatch, fault: OSError, is_waiting: bool
) -> None:
    def accept(_listening: Listening) -> None:
        raise fault

    monkeypatch.setattr(Listening, "accept", accept)
    stands = Doorstep(listening, Told, lambda: context_of(trust), seconds=30.0, gate=ConnectionGate())
    stands._take()

    assert (stands._later is not None) is is_waiting
    stands.close()
    assert stands._later is None


def test_handshakes_and_connections_together_leave_files_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (4096, 4096))

    assert (handshakes_allowed(), connections_allowed()) == (512, 4096 - 2 * 512 - 512)


def test_service_that_hardly_anybody_could_connect_to_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was ready, and cut off whoever came: a single connection was left beside what it opens itself."""
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 1024))
    assert raise_file_limit() == 1024
    monkeypatch.setattr("resource.getrlimit", lambda _: (512, 512))

    with pytest.raises(UnsafeSettingError, match="open 512 files"):
        raise_file_limit()


async def test_who_has_come_at_the_very_end_is_let_go(listening: Listening, trust: Trust) -> None:
    stands = Doorstep(listening, Told, lambda: context_of(trust), seconds=30.0, gate=ConnectionGate())
    stands.open(8)
    listening.asked = 2
    with socket.create_connection(listening.getsockname()) as late:
        stands._take()
        standing = list(stands._standing)
        stands.close()
        await stands.wait_closed()
        late.settimeout(5)

        assert late.recv(1) == b""
    assert len(standing) == 1
    assert not stands._standing
