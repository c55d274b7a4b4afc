"""A connection from its first moment to its last, each condition by itself: the transport is stood in for."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock, call

import pytest
from uvicorn.server import ServerState

from exchange.entrypoints.http.edge import Edges
from exchange.entrypoints.http.server import service_config
from exchange.entrypoints.http.strangers import Strangers, Wrong
from exchange.entrypoints.http.tls import CertificateProtocol
from tests.entrypoints.certificates import Identity, make_trust

DAY = 86_400.0


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_trust(tmp_path_factory.mktemp("alone") / "tls").client("reader", days=300)


def all_trusting() -> Mock:
    """Stand for what admits whoever comes."""
    trust = Mock(opened=set())
    trust.admits.return_value, trust.is_revoked.return_value, trust.is_issued.return_value = True, False, True
    return trust


class Line:
    """A connection, and what was noted of it."""

    def __init__(self, identity: Identity, *, edges: Edges | None = None, clock: Callable[[], datetime]) -> None:
        self.trust, self.gate, self.strangers = all_trusting(), Mock(), Mock(spec=Strangers)
        self.der = ssl.PEM_cert_to_DER_cert(identity.certificate_pem.decode())
        shown = {"notAfter": f"{datetime.now(UTC) + timedelta(days=200):%b %d %H:%M:%S %Y} GMT"}
        tls = Mock(getpeercert=lambda binary_form=False: self.der if binary_form else shown)
        known = {"ssl_object": tls, "peername": ("192.0.2.7", 1), "sockname": ("192.0.2.1", 2)}
        self.transport = Mock(get_extra_info=known.get, is_closing=Mock(return_value=False))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with_all = {"strangers": self.strangers, "trust": self.trust, "clock": clock}
        config = service_config(Mock(), context, self.gate, edges, **with_all)
        config.load()
        kind = config.http_protocol_class
        self.protocol: CertificateProtocol = kind(config, ServerState(), {}, asyncio.get_running_loop())

    def opened(self) -> CertificateProtocol:
        self.protocol.connection_made(self.transport)
        return self.protocol


@pytest.fixture
async def line(identity: Identity) -> Line:
    return Line(identity, clock=lambda: datetime.now(UTC))


async def test_who_is_let_in_is_counted_and_has_a_day_and_leaves_no_timer_behind(line: Line) -> None:
    protocol = line.opened()
    line.gate.enter.assert_called_once_with(
        protocol._extensions["tls"]["exchange_client_thumbprint"],
        protocol._extensions["tls"]["exchange_client_issuer"],
        is_shared=False,
    )
    assert line.gate.enter.call_args.args[1] != ""
    assert line.trust.opened == {protocol}
    timers = [protocol._message_timer, protocol._expiry_timer]
    left = protocol._expiry_timer.when() - protocol.loop.time()
    protocol.shutdown()
    protocol._name_until(datetime.now(UTC) + timedelta(days=2))
    protocol.pause_writing()
    timers += [protocol._goodbye_timer, protocol._named_timer, protocol._stall_timer]

    protocol.connection_lost(None)

    assert DAY - 60 < left <= DAY
    assert [timer.cancelled() for timer in timers] == [True] * 5
    assert line.trust.opened == set()
    line.gate.leave.assert_called_once_with(protocol._entered_as, is_shared=False)


async def test_without_a_certificate_nobody_is_counted_and_nothing_is_said_of_one(line: Line) -> None:
    line.der = None
    protocol = line.opened()
    protocol.connection_lost(None)

    assert protocol._extensions is None
    assert not line.gate.enter.called
    assert not line.gate.leave.called


@pytest.mark.parametrize(("is_revoked", "wrong"), [(True, Wrong.REVOKED), (False, Wrong.UNKNOWN_AUTHORITY)])
async def test_who_is_not_admitted_is_cut_off_and_noted_and_takes_no_place(line: Line, is_revoked, wrong) -> None:
    line.trust.admits.return_value, line.trust.is_revoked.return_value = False, is_revoked
    protocol = line.opened()
    protocol.connection_lost(None)

    assert line.transport.abort.called
    line.strangers.count.assert_called_once_with("192.0.2.7", wrong)
    assert (line.gate.enter.called, line.gate.leave.called, protocol._extensions) == (False, False, None)


async def test_who_has_no_room_is_cut_off_and_gives_no_place_back(line: Line) -> None:
    line.gate.enter.return_value = False
    protocol = line.opened()
    protocol.connection_lost(None)

    assert line.transport.abort.called
    assert (line.gate.leave.called, line.trust.opened, protocol._extensions) == (False, set(), None)


async def test_certificate_that_is_over_by_the_service_s_clock_is_cut_off(identity: Identity) -> None:
    line = Line(identity, clock=lambda: datetime.now(UTC) + timedelta(days=201))
    line.opened()

    assert line.transport.abort.called


async def test_edge_gives_back_what_it_took_though_it_is_one_no_more(identity: Identity) -> None:
    edges = Edges([identity.thumbprint])
    line = Line(identity, edges=edges, clock=lambda: datetime.now(UTC))
    protocol = line.opened()
    edges.believe(frozenset(), refused=lambda _: False)
    protocol.reconsider(has_shrunk=False)
    protocol.connection_lost(None)

    assert line.transport.abort.called
    assert line.gate.enter.call_args.kwargs == {"is_shared": True}
    line.gate.leave.assert_called_once_with(identity.thumbprint, is_shared=True)


@pytest.mark.parametrize(
    ("is_revoked", "is_issued", "has_shrunk", "is_cut"),
    [
        (False, True, True, False),
        (False, False, False, False),
        (False, False, True, True),
        (True, True, False, True),
        (True, True, True, True),
    ],
)
async def test_open_connection_is_cut_where_it_would_be_refused_now(
    line: Line, is_revoked: bool, is_issued: bool, has_shrunk: bool, is_cut: bool
) -> None:
    protocol = line.opened()
    line.trust.is_revoked.return_value, line.trust.is_issued.return_value = is_revoked, is_issued
    protocol.reconsider(has_shrunk=has_shrunk)
    protocol.connection_lost(None)

    assert (line.transport.abort.called, line.strangers.count.called) == (is_cut, is_cut)


async def test_connection_that_is_closing_is_cut_and_noted_once(line: Line) -> None:
    protocol = line.opened()
    line.trust.is_revoked.return_value = True
    line.transport.is_closing.return_value = True
    protocol.reconsider(has_shrunk=True)
    protocol.connection_lost(None)

    assert not line.strangers.count.called


async def test_who_hung_up_before_its_address_was_asked_is_noted_without_one(line: Line) -> None:
    known = line.transport.get_extra_info
    line.transport.get_extra_info = lambda name: None if name == "peername" else known(name)
    line.trust.admits.return_value, line.trust.is_revoked.return_value = False, True
    protocol = line.opened()
    protocol.data_received(b"\0 is no method\r\n\r\n")

    assert line.strangers.count.mock_calls == [call("", Wrong.REVOKED), call("", Wrong.NO_HTTP)]


@pytest.mark.parametrize("gone", [None, Mock(fileno=lambda: -1), Mock(fileno=lambda: 2**20)])
async def test_of_a_socket_that_is_gone_nothing_is_being_taken(line: Line, gone: Mock | None) -> None:
    protocol = line.opened()
    line.transport.get_extra_info = {"socket": gone}.get

    assert not protocol._is_being_taken()
