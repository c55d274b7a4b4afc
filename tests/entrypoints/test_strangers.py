"""Who is refused in the handshake is on the record: by what was wrong, and once a minute however many come."""

# ruff: noqa: F811  `trust` is a fixture of another file

import asyncio
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import uvloop

from exchange.crypto import issue_client, new_authority
from exchange.entrypoints.http.doorstep import Doorstep
from exchange.entrypoints.http.gate import ConnectionGate
from exchange.entrypoints.http.strangers import Strangers, wrong_with
from exchange.kernel import UnavailableError
from tests.entrypoints.certificates import NOW, YESTERDAY, Trust, write_identity
from tests.entrypoints.test_tls import GET, context_of, trust  # noqa: F401

PLAIN = ssl.SSLError(1, "[SSL: HTTP_REQUEST] http request")
PLAIN.reason = "HTTP_REQUEST"


class Noted(Strangers):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, Exception]] = []
        self.told = asyncio.Event()

    def note(self, source: str, fault: Exception) -> None:
        self.faults.append((source, fault))
        self.told.set()


def foreign(trust: Trust) -> ssl.SSLContext:
    issued = issue_client(new_authority("Another", YESTERDAY), "reader", organisation="GBR/NCSC", now=YESTERDAY)
    return trust.context(write_identity(trust.folder, "foreign", issued))


def of_a_server(trust: Trust) -> ssl.SSLContext:
    context = trust.context(None)
    context.load_cert_chain(trust.folder / "server.pem", trust.folder / "server.key")
    return context


def old(trust: Trust) -> ssl.SSLContext:
    context = trust.context(trust.client("old"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


REFUSED: dict[str, tuple[Callable[[Trust], ssl.SSLContext | None], bytes]] = {
    "no-certificate": (lambda trust: trust.context(None), GET),
    "unknown-authority": (foreign, GET),
    "certificate-expired": (
        lambda trust: trust.context(trust.client("late", days=1, now=NOW - timedelta(days=1, hours=1))),
        GET,
    ),
    "certificate-not-yet-valid": (lambda trust: trust.context(trust.client("early", now=NOW + timedelta(days=1))), GET),
    "certificate-refused": (of_a_server, GET),
    "plain-http": (lambda _: None, GET),
    "tls-version": (old, GET),
    "no-tls": (lambda _: None, b"\x00" * 64),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_was_wrong_is_told_from_the_handshake(trust: Trust, wrong: str) -> None:
    context, sent = REFUSED[wrong][0](trust), REFUSED[wrong][1]

    async def ask() -> tuple[str, Exception]:
        noted, bound = Noted(), socket.socket()
        bound.bind(("127.0.0.1", 0))
        stands = Doorstep(
            bound, asyncio.Protocol, lambda: context_of(trust), seconds=5.0, gate=ConnectionGate(), strangers=noted
        )
        stands.open(8)
        try:
            reader, writer = await asyncio.open_connection(*bound.getsockname(), ssl=context)
            writer.write(sent)
            await reader.read()
            writer.close()
        except (ssl.SSLError, ConnectionError):
            pass
        await asyncio.wait_for(noted.told.wait(), 60)
        stands.close()
        await stands.wait_closed()
        bound.close()
        (only,) = noted.faults
        return only

    # On the loop of the real server: what a handshake ends in is the loop's to say.
    source, fault = uvloop.run(ask())

    assert source == "127.0.0.1"
    assert (found := wrong_with(fault)) is not None
    assert found.value == wrong


@pytest.mark.parametrize(
    "fault",
    [
        ConnectionResetError(),
        ConnectionAbortedError("SSL handshake is taking longer than 10.0 seconds"),
        ssl.SSLEOFError(8, "eof"),
        ssl.SSLZeroReturnError(6, "closed"),
    ],
    ids=repr,
)
def test_who_only_hangs_up_is_not_noted(fault: Exception) -> None:
    assert wrong_with(fault) is None


def test_who_does_not_trust_this_server_is_not_noted() -> None:
    fault = ssl.SSLError(1, "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca")
    fault.reason = "TLSV1_ALERT_UNKNOWN_CA"

    assert wrong_with(fault) is None


class Log:
    """What was recorded; away for as long as `is_away`."""

    def __init__(self) -> None:
        self.entries: list[tuple[dict[str, int], str]] = []
        self.is_away = False

    async def record(self, counts: dict[str, int], source: str) -> None:
        if self.is_away:
            raise UnavailableError("the log cannot be written")
        self.entries.append((counts, source))


async def entries_of(log: Log, count: int) -> list[tuple[dict[str, int], str]]:
    async with asyncio.timeout(30):
        while len(log.entries) < count:  # noqa: ASYNC110  a task writes them
            await asyncio.sleep(0.005)
    return log.entries


@pytest.fixture
def log() -> Log:
    return Log()


async def test_first_is_recorded_at_once_and_those_behind_it_in_one_entry(log: Log) -> None:
    async with Strangers(log.record, pause_seconds=0.1) as strangers:
        for number in range(5):
            strangers.note(f"192.0.2.{number}", PLAIN)
            await entries_of(log, 1)
        expired = ssl.SSLCertVerificationError()
        expired.verify_code = 10
        strangers.note("192.0.2.9", expired)

        found = await entries_of(log, 2)

    assert found == [
        ({"plain-http": 1}, "192.0.2.0"),
        ({"plain-http": 4, "certificate-expired": 1}, "192.0.2.1"),
    ]


async def test_what_is_counted_is_recorded_at_the_end(log: Log) -> None:
    async with Strangers(log.record) as strangers:
        strangers.note("192.0.2.1", PLAIN)
        await entries_of(log, 1)
        strangers.note("192.0.2.2", PLAIN)

    assert log.entries == [({"plain-http": 1}, "192.0.2.1"), ({"plain-http": 1}, "192.0.2.2")]


async def test_what_could_not_be_recorded_is_recorded_later(log: Log, caplog: Any) -> None:
    log.is_away = True
    async with Strangers(log.record, pause_seconds=0.02) as strangers:
        strangers.note("192.0.2.1", PLAIN)
        async with asyncio.timeout(30):
            while not caplog.records:  # noqa: ASYNC110  a task says it
                await asyncio.sleep(0.005)
        log.is_away = False
        found = await entries_of(log, 1)

    assert found == [({"plain-http": 1}, "192.0.2.1")]


async def test_nobody_refused_is_no_entry(log: Log) -> None:
    async with Strangers(log.record, pause_seconds=0.01):
        await asyncio.sleep(0.03)

    assert log.entries == []
