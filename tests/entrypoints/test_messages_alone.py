"""What comes over one connection, each condition of its messages by itself: the transport is stood in for."""

# ruff: noqa: F811  `identity` and `line` are fixtures of another file

import asyncio
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from exchange.entrypoints.http import tls
from exchange.entrypoints.http.connections import ABORT_EXTENSION, tls_extension
from exchange.entrypoints.http.strangers import Wrong
from exchange.entrypoints.http.tls import CertificateProtocol
from tests.entrypoints.test_tls_alone import Line, identity, line  # noqa: F401

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n"


async def never(*_given: object) -> None:
    """Answer nothing."""
    await asyncio.Event().wait()


@pytest.fixture
def protocol(line: Line) -> CertificateProtocol:
    """Return a connection whose requests nobody answers."""
    line.protocol.app = never  # type: ignore[assignment]
    line.transport.close.side_effect = lambda: line.transport.is_closing.configure_mock(return_value=True)
    return line.opened()


async def test_what_is_no_http_behind_a_request_is_noted_once_and_neither_told_nor_hurried(
    line: Line, protocol: CertificateProtocol
) -> None:
    protocol.data_received(GET)
    for _ in range(3):
        protocol.data_received(b"\0 is no method\r\n\r\n")

    line.strangers.count.assert_called_once_with("192.0.2.7", Wrong.NO_HTTP)
    assert not line.transport.write.called
    assert not protocol.cycle.keep_alive
    assert protocol._message_timer is None


async def test_much_that_is_no_http_is_refused_once(line: Line, protocol: CertificateProtocol) -> None:
    protocol.data_received(b"GET / HTTP/1.1\r\nx: ")
    protocol.data_received(bytes(70_000))

    assert line.strangers.count.call_count == line.transport.write.call_count == 1


@pytest.mark.parametrize(
    ("sent", "is_hurried"),
    [
        (b"\r\n", True),
        (GET, False),
        (POST, False),
        (POST + b"ab", False),
        (GET + b"GET /", True),
        (GET + GET, False),
    ],
)
async def test_who_sends_half_a_head_is_hurried_and_whose_body_the_app_waits_for_is_not(
    protocol: CertificateProtocol, sent: bytes, is_hurried: bool
) -> None:
    protocol.data_received(sent)

    assert (protocol._message_timer is not None) is is_hurried


async def test_blank_lines_behind_an_answer_are_hurried(protocol: CertificateProtocol) -> None:
    protocol.data_received(GET)
    protocol.cycle.response_complete = True
    protocol.data_received(b"\r\n")

    assert protocol._message_timer is not None


@pytest.mark.parametrize(("length", "is_cut"), [(8, False), (11, True)])
async def test_what_is_dropped_of_a_refused_body_is_counted_for_each_by_itself(
    line: Line, protocol: CertificateProtocol, monkeypatch: pytest.MonkeyPatch, length: int, is_cut: bool
) -> None:
    monkeypatch.setattr(tls, "_LARGEST_DISCARD_BYTES", 10)
    for size in (8, length):
        protocol.data_received(POST.replace(b"8", b"%d" % size))
        protocol.cycle.response_complete = True
        protocol.data_received(bytes(size))

    assert line.transport.close.called is is_cut


async def test_each_head_is_counted_by_itself(
    line: Line, protocol: CertificateProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_LARGEST_HEAD_BYTES", 40)
    for _ in range(10):
        protocol.data_received(GET)
        protocol.cycle.response_complete = True

    assert protocol._reads_on
    assert not line.transport.close.called


@pytest.mark.parametrize(("size", "is_refused"), [(10, False), (30, True)])
async def test_url_and_headers_are_counted_together(
    line: Line, protocol: CertificateProtocol, monkeypatch: pytest.MonkeyPatch, size: int, is_refused: bool
) -> None:
    monkeypatch.setattr(tls, "_LARGEST_HEAD_BYTES", 40)
    protocol.data_received(b"GET /%b HTTP/1.1\r\nx: %b\r\n\r\n" % (b"a" * size, b"b" * size))

    assert line.transport.close.called is is_refused


async def test_body_that_comes_in_pieces_is_no_head_that_never_ends(
    line: Line, protocol: CertificateProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_LARGEST_HEAD_BYTES", 40)
    protocol.data_received(POST.replace(b"8", b"100"))
    for _ in range(10):
        protocol.data_received(bytes(10))

    assert not protocol.cycle.more_body
    assert not line.transport.close.called


@pytest.mark.parametrize(
    ("asked", "is_answered", "is_told"),
    [(GET, True, True), (GET, False, False), (CHUNKED, False, True), (CHUNKED + b"0\r\n\r\n", False, False)],
)
async def test_what_is_no_http_is_told_where_nobody_takes_it_for_the_answer_to_a_whole_request(
    line: Line, protocol: CertificateProtocol, asked: bytes, is_answered: bool, is_told: bool
) -> None:
    protocol.data_received(asked)
    protocol.cycle.response_complete = is_answered
    protocol.data_received(b"\0\r\n")

    assert (line.transport.write.called, line.transport.close.called) == (is_told, is_told)


async def test_edge_that_names_nobody_is_nobody_and_its_connection_can_be_cut(protocol: CertificateProtocol) -> None:
    protocol._is_edge, protocol.edges = True, Mock(forwarded=Mock(return_value=None))
    protocol.data_received(GET)

    assert protocol.cycle.scope["extensions"].keys() == {ABORT_EXTENSION}
    assert protocol.cycle.scope["client"] is None


@pytest.mark.parametrize(("count", "is_refused"), [(99, False), (100, True)])
async def test_request_has_a_hundred_headers_and_no_more(
    line: Line, protocol: CertificateProtocol, count: int, is_refused: bool
) -> None:
    protocol.data_received(GET.replace(b"\r\n\r\n", b"\r\nx: y" * count + b"\r\n\r\n"))

    assert line.transport.close.called is is_refused
    assert (protocol.cycle is None) is is_refused


async def test_trailer_is_no_header(protocol: CertificateProtocol) -> None:
    protocol.data_received(CHUNKED + b"0\r\nx: y\r\n\r\n")

    assert not protocol.cycle.more_body
    assert [name for name, _ in protocol.cycle.scope["headers"]] == [b"host", b"transfer-encoding"]


async def test_requests_that_wait_are_told_that_the_connection_is_lost_and_those_answered_are_kept_no_longer(
    protocol: CertificateProtocol,
) -> None:
    protocol.data_received(GET * 3)
    first, *waiting = protocol._unanswered
    first.response_complete = True
    protocol.data_received(GET)
    kept = protocol._unanswered
    second, third, last = kept
    second.response_complete = True
    protocol.connection_lost(None)

    assert [second, third] == waiting
    assert [each.disconnected for each in (first, second, third, last)] == [False, False, True, True]


async def test_who_asks_too_much_at_once_is_no_stranger_and_is_read_no_further(
    line: Line, protocol: CertificateProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_MOST_WAITING", 2)
    protocol.data_received(GET * 4)

    assert (len(protocol._unanswered), len(protocol.pipeline)) == (3, 2)
    assert not line.strangers.count.called
    assert not protocol.cycle.keep_alive


@pytest.mark.parametrize(
    ("length", "is_refused"), [(b"", False), (b"Content-Length: 0\r\n", False), (b"Content-Length: 8\r\n", True)]
)
async def test_upgrade_is_answered_as_none_and_refused_with_a_body(
    line: Line, protocol: CertificateProtocol, length: bytes, is_refused: bool
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n%s\r\n"
    protocol.data_received(head % length)

    assert line.transport.close.called is is_refused
    assert is_refused or not protocol.cycle.keep_alive


async def test_reader_that_takes_nothing_is_cut_off(
    line: Line, protocol: CertificateProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_STALL_SECONDS", 0.0)
    protocol.pause_writing()
    await asyncio.sleep(0.01)

    assert (line.transport.abort.called, line.transport.close.called) == (True, False)


@pytest.mark.parametrize(("is_answered", "is_cut"), [(False, True), (True, False)])
async def test_edge_is_cut_off_where_whom_it_named_is_revoked_and_not_answered_yet(
    line: Line, protocol: CertificateProtocol, is_answered: bool, is_cut: bool
) -> None:
    extension = tls_extension(line.der)
    shown = protocol._shown
    protocol._is_edge, protocol.edges = True, {protocol._entered_as}  # type: ignore[assignment]
    protocol._shown = b"the edge's own"
    protocol._unanswered = (Mock(response_complete=is_answered, scope={"extensions": {"tls": extension}}),)
    line.trust.is_revoked.side_effect = lambda der: der == shown
    protocol.reconsider(has_shrunk=False)

    assert (line.transport.abort.called, line.transport.close.called) == (is_cut, False)


async def test_whom_an_edge_named_is_looked_at_when_the_first_of_them_ends(protocol: CertificateProtocol) -> None:
    now = datetime.now(UTC)
    timers: list[asyncio.TimerHandle] = []
    for hours in (2, 1, 3):
        protocol._name_until(now + timedelta(hours=hours))
        assert protocol._named_timer is not None
        timers.append(protocol._named_timer)

    assert [round((each.when() - protocol.loop.time()) / 3600) for each in timers] == [2, 1, 1]
    assert [each.cancelled() for each in timers] == [True, False, False]


async def test_whom_an_edge_named_is_looked_at_again_until_nobody_of_theirs_is_left(
    line: Line, protocol: CertificateProtocol
) -> None:
    answering = Mock(response_complete=False, scope={"extensions": {"tls": tls_extension(line.der)}})
    protocol._unanswered = (answering,)
    for _ in range(2):
        protocol._name_until(datetime.now(UTC))
        first = protocol._named_timer
        protocol._end_over()

        assert protocol._named_timer is not first
    answering.response_complete = True
    protocol._end_over()

    assert protocol._named_timer is None
    assert not line.transport.close.called
