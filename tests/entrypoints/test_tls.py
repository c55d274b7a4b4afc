"""What the service relies on in uvicorn and OpenSSL, on real connections."""

import asyncio
import json
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock, call

import pytest
import uvloop

from exchange.crypto import empty_crl, issue_client, new_authority
from exchange.entrypoints.http import contexts
from exchange.entrypoints.http.connections import subject_in, thumbprint_in, tls_extension
from exchange.entrypoints.http.server import Listening, bind, operations_config, run_servers, service_config
from exchange.entrypoints.http.strangers import Strangers, Wrong
from exchange.kernel import UnsafeSettingError
from tests.entrypoints.certificates import NOW, YESTERDAY, Trust, make_trust, write_identity


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return make_trust(tmp_path / "tls")


def context_of(trust: Trust, *, revocations: Path | None = None) -> ssl.SSLContext:
    folder = trust.folder
    pair = contexts.read_pair(folder / "server.pem", folder / "server.key")
    authorities, lists = contexts.read_authority_files(folder / "authorities"), contexts.read_lists(revocations)
    return contexts.context_of(pair, authorities, lists, checks_lists=bool(lists))


async def echo(scope, receive, send) -> None:
    """Answers with the thumbprint and subject that the scope carries and the size of the body; `/held` never ends."""
    if scope["path"] == "/held":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()
        return
    size, more = 0, scope["path"] != "/early"
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    told = {"thumbprint": thumbprint_in(scope), "subject": subject_in(scope), "size": size}
    told["headers"] = [name.decode() for name, _ in scope["headers"]]
    body = json.dumps(told).encode()
    lengths = [] if scope["path"] == "/streamed" else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": lengths})
    await send({"type": "http.response.body", "body": body[:9], "more_body": True})
    await send({"type": "http.response.body", "body": body[9:]})


left = threading.Event()
"""Set once `/held` was told that nobody is there any more."""


@pytest.fixture
def strangers() -> Mock:
    return Mock(spec=Strangers)


@pytest.fixture
def lead() -> list[timedelta]:
    """How far the time that the service decides by is ahead of the machine's clock; a test may change it."""
    return [timedelta(0)]


@pytest.fixture
def port(trust: Trust, strangers: Mock, lead: list[timedelta]) -> Iterator[int]:
    """A server on the loop of the real one, in a thread of its own."""
    listening = Listening(bind("127.0.0.1", 0), bind("127.0.0.1", 0))
    number = listening.service.getsockname()[1]
    ready, stopping = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        service = service_config(
            echo, context_of(trust), strangers=strangers, clock=lambda: datetime.now(UTC) + lead[0]
        )
        await run_servers(service, operations_config(echo), listening, on_ready=ready.set, stopping=stopping)

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    ready.wait(60)
    yield number
    loops[0].call_soon_threadsafe(stopping.set)
    thread.join(10)


async def talk(port: int, context: ssl.SSLContext | None, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(request)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()


async def answer_to(port: int, context: ssl.SSLContext) -> bytes:
    """Return what a client reads that believes its half of the handshake done, as TLS 1.3 lets it: nothing, if refused."""
    try:
        return await talk(port, context, GET)
    except (ssl.SSLError, ConnectionError):
        return b""


GET = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


async def test_scope_carries_the_thumbprint_of_the_certificate_shown(port: int, trust: Trust) -> None:
    client = trust.client("reader")

    answer = await talk(port, trust.context(client), GET)

    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (told["thumbprint"], told["subject"]) == (client.thumbprint, client.subject)


async def test_each_request_of_a_connection_carries_it(port: int, trust: Trust) -> None:
    client = trust.client("reader")

    answer = await talk(port, trust.context(client), b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" + GET)

    assert answer.count(client.thumbprint.encode()) == 2


async def test_headers_about_identity_change_nothing(port: int, trust: Trust) -> None:
    client, other = trust.client("reader"), trust.client("other")
    forged = b"GET / HTTP/1.1\r\nhost: x\r\nclient-cert: :AAAA:\r\nx-client-thumbprint: %b\r\nconnection: close\r\n\r\n"

    answer = await talk(port, trust.context(client), forged % other.thumbprint.encode())

    assert client.thumbprint.encode() in answer


async def test_no_certificate_fails_the_handshake(port: int, trust: Trust) -> None:
    assert await answer_to(port, trust.context(None)) == b""


async def test_certificate_of_an_unknown_authority_fails_the_handshake(port: int, trust: Trust) -> None:
    stranger = issue_client(
        new_authority("Test authority", YESTERDAY), "reader", organisation="GBR/NCSC", now=YESTERDAY
    )
    identity = write_identity(trust.folder, "stranger", stranger)

    assert await answer_to(port, trust.context(identity)) == b""


async def test_expired_certificate_fails_the_handshake(port: int, trust: Trust) -> None:
    expired = trust.client("late", days=1, now=NOW - timedelta(days=1, hours=1))

    assert await answer_to(port, trust.context(expired)) == b""


async def test_server_certificate_is_no_client_certificate(port: int, trust: Trust) -> None:
    context = ssl.create_default_context(cafile=str(trust.folder / "ca.pem"))
    context.load_cert_chain(trust.folder / "server.pem", trust.folder / "server.key")

    assert await answer_to(port, context) == b""


async def test_older_tls_is_refused(port: int, trust: Trust) -> None:
    context = trust.context(trust.client("old"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await talk(port, context, GET)


async def test_plain_http_on_the_tls_port_is_told_so_and_closed(port: int) -> None:
    answer = await talk(port, None, GET)

    head, _, body = answer.partition(b"\r\n\r\n")
    told = json.loads(body)
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert f"x-request-id: {told['request_id']}".encode() in head
    assert told["code"] == "malformed"
    assert "https://" in told["detail"]
    assert b"thumbprint" not in answer


async def test_what_is_neither_tls_nor_http_is_closed_without_a_word(port: int) -> None:
    try:
        answer = await talk(port, None, b"\x00" * 64)
    except ConnectionError:
        answer = b""

    assert answer == b""


async def test_no_session_is_resumed(port: int, trust: Trust) -> None:
    context = trust.context(trust.client("reader"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(GET)
    await reader.read()

    assert not writer.get_extra_info("ssl_object").session.has_ticket
    writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-h: 1\r\n" * 200 + b"\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"NONSENSE\r\n\r\n",
    ],
    ids=["long-header", "many-headers", "long-url", "no-http"],
)
async def test_head_that_is_too_large_or_no_http_is_a_problem_and_closes(
    port: int, trust: Trust, strangers: Mock, head: bytes
) -> None:
    answer = await talk(port, trust.context(trust.client("reader")), head)

    status, _, body = answer.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["code"] == "malformed"
    assert f"x-request-id: {json.loads(body)['request_id']}".encode() in status
    assert strangers.mock_calls == [call.count("127.0.0.1", Wrong.NO_HTTP)]


@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\nx-long: ",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-long: ",
        b"GET /",
    ],
    ids=["value", "name", "trailer", "url"],
)
async def test_header_that_never_ends_is_not_kept(port: int, trust: Trust, strangers: Mock, begun: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust.context(trust.client("reader")))

    writer.write(begun + b"a" * 1_000_000)
    with suppress(OSError):  # cut off amid it
        await asyncio.wait_for(reader.read(), 20)
    writer.transport.abort()

    assert strangers.mock_calls == [call.count("127.0.0.1", Wrong.NO_HTTP)]


async def test_body_that_cannot_be_told_from_a_request_counts_as_no_http(
    port: int, trust: Trust, strangers: Mock
) -> None:
    # Where a server and what stands before it disagree about the length, one request is smuggled inside another.
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n"

    answer = await talk(port, trust.context(trust.client("reader")), head + b"0\r\n\r\n" + GET)

    assert answer.startswith(b"HTTP/1.1 400")
    assert strangers.mock_calls == [call.count("127.0.0.1", Wrong.NO_HTTP)]


async def test_what_is_no_http_is_not_told_as_the_answer_to_the_request_before_it(
    port: int, trust: Trust, strangers: Mock
) -> None:
    post = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nwhole"  # one byte more than it says

    answer = await talk(port, trust.context(trust.client("writer")), post)

    status, _, body = answer.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 200")
    assert json.loads(body)["size"] == len(b"whol")
    assert strangers.mock_calls == [call.count("127.0.0.1", Wrong.NO_HTTP)]


async def test_no_more_than_so_many_requests_of_a_connection_wait(port: int, trust: Trust, strangers: Mock) -> None:
    context = trust.context(trust.client("reader"))

    few = await talk(port, context, GET.replace(b"connection: close\r\n", b"") * 32 + GET)
    many = await talk(port, context, GET.replace(b"connection: close\r\n", b"") * 500)

    assert few.count(b"HTTP/1.1 200") == 33
    assert many.count(b"HTTP/1.1 200") == many.count(b"HTTP/1.1") == 33
    assert strangers.mock_calls == []


async def test_what_is_http_counts_among_no_refused_connections(port: int, trust: Trust, strangers: Mock) -> None:
    await talk(port, trust.context(trust.client("reader")), GET)

    assert strangers.mock_calls == []


async def test_authority_without_a_revocation_list_admits_nobody_once_lists_are_used(
    trust: Trust, tmp_path: Path
) -> None:
    lists = tmp_path / "crl"
    lists.mkdir()
    (lists / "other.pem").write_bytes(empty_crl(new_authority("Another", YESTERDAY), YESTERDAY))

    context = context_of(trust, revocations=lists)

    assert context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF


def test_certificate_among_the_revocation_lists_is_no_authority(trust: Trust, tmp_path: Path) -> None:
    """Whoever it belonged to was let in by the handshake, though nobody had enrolled it."""
    lists, another = tmp_path / "crl", new_authority("Another", YESTERDAY)
    lists.mkdir()
    (lists / "another.pem").write_bytes(empty_crl(another, YESTERDAY) + another.certificate_pem)

    with pytest.raises(UnsafeSettingError, match="holds a certificate beside the revocation list"):
        context_of(trust, revocations=lists)


async def test_head_that_never_ends_is_cut_off(port: int, trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.entrypoints.http.tls._MESSAGE_SECONDS", 0.1)

    answer = await talk(port, trust.context(trust.client("slow")), b"GET / HTTP/1.1\r\nhost: x\r\n")

    assert answer == b""


async def test_body_takes_as_long_as_the_app_gives_it(port: int, trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of 200 MiB that came in more than a minute was cut off, whatever the app had said."""
    monkeypatch.setattr("exchange.entrypoints.http.tls._MESSAGE_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust.context(trust.client("slow")))
    writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\nconnection: close\r\n\r\n")
    for _ in range(6):
        await asyncio.sleep(0.06)
        writer.write(b"x")
        await writer.drain()

    answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 200")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["size"] == 6
    writer.close()


async def test_body_behind_an_answer_that_never_ends_is_cut_off(
    port: int, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.entrypoints.http.tls._MESSAGE_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust.context(trust.client("slow")))
    writer.write(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n")
    assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
    writer.write(b"x")

    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()


async def test_head_in_two_pieces_is_answered(port: int, trust: Trust) -> None:
    context = trust.context(trust.client("slow"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    for piece in (GET[:10], GET[10:]):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)

    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_what_has_no_length_is_in_chunks_for_who_knows_them_alone(port: int, trust: Trust) -> None:
    context = trust.context(trust.client("reader"))

    async def asked(version: bytes, *, path: bytes = b"/streamed") -> tuple[bytes, bytes]:
        request = b"GET %b HTTP/%b\r\nhost: x\r\nconnection: close\r\n\r\n" % (path, version)
        head, _, body = (await talk(port, context, request)).partition(b"\r\n\r\n")
        return head, body

    head, body = await asked(b"1.0")
    in_chunks, chunks = await asked(b"1.1")
    measured, whole = await asked(b"1.0", path=b"/")

    assert (b"transfer-encoding" in head, b"connection: close" in head) == (False, True)
    assert json.loads(body)["headers"] == ["host", "connection"]
    assert (b"transfer-encoding: chunked" in in_chunks, chunks[:3]) == (True, b"9\r\n")
    assert (b"content-length: %d" % len(whole) in measured, json.loads(whole)) == (True, json.loads(body))


@pytest.mark.parametrize("behind", [b"", GET, GET * 2])
async def test_stream_ends_with_its_connection_whatever_was_asked_behind_it(
    port: int, trust: Trust, behind: bytes
) -> None:
    left.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust.context(trust.client("reader")))
    writer.write(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n" + behind)
    assert (await reader.readuntil(b"begun")).startswith(b"HTTP/1.1 200")
    writer.close()

    assert await asyncio.to_thread(left.wait, 20)


async def test_trailers_are_no_headers_and_the_next_request_has_its_own(port: int, trust: Trust) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    trailers = b"exchange-purpose: defence\r\nidempotency-key: other\r\nrange: bytes=0-0\r\n\r\n"
    answer = await talk(port, trust.context(trust.client("reader")), head + b"2\r\n{}\r\n0\r\n" + trailers + GET)

    told = [json.loads(line) for line in answer.replace(b"HTTP/1.1", b"\r\n").split(b"\r\n") if line.startswith(b"{")]
    assert [each["headers"] for each in told] == [["host", "transfer-encoding"], ["host", "connection"]]
    assert told[0]["size"] == len(b"{}")


async def test_body_of_an_answered_request_is_dropped_up_to_a_limit(
    port: int, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.entrypoints.http.tls._LARGEST_DISCARD_BYTES", 100_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust.context(trust.client("large")))
    writer.write(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 900000000\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")

    async def send_all() -> None:
        for _ in range(10_000):
            writer.write(b"x" * 50_000)
            await writer.drain()

    with pytest.raises((ConnectionError, ssl.SSLError)):
        await send_all()

    assert head.startswith(b"HTTP/1.1 200")
    writer.close()


def test_context_without_revocation_lists_does_not_ask_for_them(trust: Trust, tmp_path: Path) -> None:
    context = context_of(trust, revocations=tmp_path / "absent")

    assert not context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("broken", ["server.pem", "server.key", "authorities/ca.pem"])
def test_context_names_the_file_that_cannot_be_used(trust: Trust, broken: str) -> None:
    (trust.folder / broken).write_text("nothing")

    with pytest.raises(UnsafeSettingError):
        context_of(trust)


def test_start_waits_at_no_pipe(trust: Trust) -> None:
    (trust.folder / "server.pem").unlink()
    os.mkfifo(trust.folder / "server.pem")

    with pytest.raises(UnsafeSettingError, match=r"server\.pem.* it is no plain file"):
        context_of(trust)


def test_no_authority_at_all_is_refused(trust: Trust) -> None:
    (trust.folder / "authorities" / "ca.pem").unlink()

    with pytest.raises(UnsafeSettingError, match="holds no authority"):
        context_of(trust)


def test_thumbprint_comes_from_the_standard_field_of_any_server(trust: Trust) -> None:
    client = trust.client("reader")
    scope = {"extensions": {"tls": {"client_cert_chain": [client.certificate_pem.decode()], "client_cert_error": None}}}

    assert thumbprint_in(scope) == client.thumbprint


@pytest.mark.parametrize(
    "extensions",
    [
        None,
        {},
        {"tls": None},
        {"tls": {}},
        {"tls": {"client_cert_chain": []}},
        {"tls": {**tls_extension(b"x"), "client_cert_error": "bad"}},
    ],
)
def test_no_certificate_in_the_scope_is_no_identity(extensions) -> None:
    assert thumbprint_in({"extensions": extensions}) is None
    assert subject_in({"extensions": extensions}) is None


def test_port_in_use_is_named() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(UnsafeSettingError, match=r"cannot listen .*: end what listens there, or give another port"):
            bind("127.0.0.1", taken.getsockname()[1])


async def test_connection_does_not_outlive_its_certificate(trust: Trust, port: int) -> None:
    expires_in = timedelta(seconds=3)
    dying = trust.client("dying", days=1, now=datetime.now(UTC) - timedelta(days=1) + expires_in)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust.context(dying))
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    # Nothing more is asked: what ends the connection is the certificate's own end.
    async with asyncio.timeout(30):
        rest = await reader.read()
    writer.close()

    assert head.startswith(b"HTTP/1.1 200")
    assert dying.thumbprint.encode() in rest


async def test_certificate_that_was_over_is_not_revived_by_a_clock_set_back(
    trust: Trust, port: int, lead: list[timedelta]
) -> None:
    """OpenSSL asks the machine's clock; the service knows that it was later already."""
    over = trust.context(trust.client("over", days=2))
    lead[0] = timedelta(days=2)
    after = await answer_to(port, over)
    lead[0] = timedelta(0)

    assert after == b""
    assert (await answer_to(port, over)).startswith(b"HTTP/1.1 200")
