"""A proxy at the edge says who came; nobody else's word is taken for it (RFC 9440 §4)."""

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import uvloop

from exchange.entrypoints.http.connections import subject_in, thumbprint_in
from exchange.entrypoints.http.edge import Edges, load_edges
from exchange.entrypoints.http.gate import ConnectionGate
from exchange.entrypoints.http.server import Listening, bind, operations_config, run_servers, service_config
from exchange.kernel import UnsafeSettingError
from tests.entrypoints.certificates import NOW, Identity, Trust, make_trust
from tests.entrypoints.test_tls import context_of


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return make_trust(tmp_path_factory.mktemp("edge") / "tls")


@pytest.fixture(scope="module")
def edge(trust: Trust) -> Identity:
    return trust.client("edge")


async def echo(scope, receive, send) -> None:
    told = {"thumbprint": thumbprint_in(scope), "subject": subject_in(scope), "client": scope.get("client")}
    body = json.dumps(told).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port(trust: Trust, edge: Identity) -> Iterator[int]:
    listening = Listening(bind("127.0.0.1", 0), bind("127.0.0.1", 0))
    ready, stopping = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    context = context_of(trust)
    edges = load_edges(edge.certificate_file)

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        service = service_config(echo, context, ConnectionGate(per_client=2), edges)
        await run_servers(service, operations_config(echo), listening, on_ready=ready.set, stopping=stopping)

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    ready.wait(60)
    yield listening.service.getsockname()[1]
    loops[0].call_soon_threadsafe(stopping.set)
    thread.join(10)


def rfc9440(identity: Identity) -> str:
    der = ssl.PEM_cert_to_DER_cert(identity.certificate_pem.decode())
    return f":{base64.b64encode(der).decode()}:"


def escaped(identity: Identity) -> str:
    return quote(identity.certificate_pem.decode(), safe="")


async def told(port: int, context: ssl.SSLContext, *headers: str) -> dict[str, object]:
    """Return what the service knows of who asked, with these header lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        lines = ("GET / HTTP/1.1", "host: x", "connection: close", *headers)
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = await reader.read()
    finally:
        writer.close()
    found: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


NOBODY = {"thumbprint": None, "subject": None, "client": None}


@pytest.mark.parametrize("form", [rfc9440, escaped])
async def test_edge_names_who_came_and_from_where(port: int, trust: Trust, edge: Identity, form) -> None:
    reader = trust.client("reader")

    known = await told(port, trust.context(edge), f"Client-Cert: {form(reader)}", "X-Forwarded-For: 203.0.113.7")

    assert known == {"thumbprint": reader.thumbprint, "subject": reader.subject, "client": ["203.0.113.7", 0]}


async def test_nobody_else_s_word_is_taken(port: int, trust: Trust) -> None:
    thief, reader = trust.client("thief"), trust.client("reader")

    known = await told(port, trust.context(thief), f"Client-Cert: {rfc9440(reader)}", "X-Forwarded-For: 203.0.113.7")

    assert known["thumbprint"] == thief.thumbprint
    assert known["client"] != ["203.0.113.7", 0]


async def test_edge_itself_is_nobody(port: int, trust: Trust, edge: Identity) -> None:
    assert await told(port, trust.context(edge)) == NOBODY


@pytest.mark.parametrize(
    "value",
    [
        "",
        "::",
        ":",
        ":AAAA:",
        ":not base64!:",
        "AAAA",
        "-----BEGIN%20CERTIFICATE-----%0AAAAA%0A-----END%20CERTIFICATE-----%0A",
        "-----BEGIN%20CERTIFICATE-----",
        ":" + "A" * 20_000 + ":",
    ],
)
async def test_what_is_no_certificate_names_nobody(port: int, trust: Trust, edge: Identity, value: str) -> None:
    assert await told(port, trust.context(edge), f"Client-Cert: {value}") == NOBODY


async def test_two_certificates_name_nobody(port: int, trust: Trust, edge: Identity) -> None:
    reader, other = trust.client("reader"), trust.client("other")

    twice = await told(port, trust.context(edge), f"Client-Cert: {rfc9440(reader)}", f"client-cert: {rfc9440(other)}")
    listed = await told(port, trust.context(edge), f"Client-Cert: {rfc9440(reader)}, {rfc9440(other)}")

    assert (twice, listed) == (NOBODY, NOBODY)


async def test_other_spellings_of_the_header_are_not_it(port: int, trust: Trust, edge: Identity) -> None:
    reader = trust.client("reader")

    assert await told(port, trust.context(edge), f"Client_Cert: {rfc9440(reader)}") == NOBODY
    assert await told(port, trust.context(edge), f"X-Client-Cert: {rfc9440(reader)}") == NOBODY


async def test_expired_and_early_certificates_name_nobody(port: int, trust: Trust, edge: Identity) -> None:
    late = trust.client("late", days=1, now=NOW - timedelta(days=1, hours=1))
    early = trust.client("early", now=NOW + timedelta(days=2))

    assert await told(port, trust.context(edge), f"Client-Cert: {rfc9440(late)}") == NOBODY
    assert await told(port, trust.context(edge), f"Client-Cert: {rfc9440(early)}") == NOBODY


@pytest.mark.parametrize(
    "lines", [(), ("203.0.113.7, 10.0.0.1",), ("203.0.113.7", "10.0.0.1"), ("somewhere",), ("203.0.113.٧",)]
)
async def test_source_is_one_address_or_unknown(port: int, trust: Trust, edge: Identity, lines) -> None:
    reader = trust.client("reader")
    headers = [f"X-Forwarded-For: {line}" for line in lines]

    known = await told(port, trust.context(edge), f"Client-Cert: {rfc9440(reader)}", *headers)

    assert (known["thumbprint"], known["client"]) == (reader.thumbprint, ["", 0])


async def test_each_request_of_one_connection_is_its_own_client_s(port: int, trust: Trust, edge: Identity) -> None:
    reader, other = trust.client("reader"), trust.client("other")
    connection, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust.context(edge))
    first, second = (f"GET / HTTP/1.1\r\nhost: x\r\nClient-Cert: {rfc9440(each)}\r\n" for each in (reader, other))

    writer.write(f"{first}\r\n{second}\r\nGET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    answers = (await connection.read()).decode()
    writer.close()

    places = [answers.index(each.thumbprint) for each in (reader, other)]
    assert places == sorted(places)
    assert answers.rindex('"thumbprint": null') > places[1]


@pytest.mark.parametrize("framing", ["content-length: {size}", "transfer-encoding: chunked"])
async def test_body_behind_an_upgrade_is_no_request_of_somebody_else(
    port: int, trust: Trust, edge: Identity, framing: str
) -> None:
    thief, reader = trust.client("thief"), trust.client("reader")
    body = f"GET /stolen HTTP/1.1\r\nhost: x\r\nClient-Cert: {rfc9440(reader)}\r\n\r\n"
    lines = ("POST / HTTP/1.1", "host: x", f"Client-Cert: {rfc9440(thief)}", framing.format(size=len(body)))
    head = "\r\n".join((*lines, "connection: upgrade", "upgrade: h2c")) + "\r\n\r\n"
    connection, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust.context(edge))

    writer.write(head.encode())
    first = await connection.readuntil(b"}")  # the body comes by itself: what is at hand with the head is dropped
    writer.write(body.encode())
    rest = await asyncio.wait_for(connection.read(), 60)
    writer.close()

    assert b"send no `Upgrade` with a body" in first
    assert reader.thumbprint.encode() not in rest


async def test_wish_for_another_protocol_is_not_heard_and_ends_the_connection(
    port: int, trust: Trust, edge: Identity
) -> None:
    upgrade = ("Connection: upgrade", "Upgrade: websocket", f"Client-Cert: {rfc9440(trust.client('reader'))}")
    connection, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust.context(edge))

    writer.write(("\r\n".join(("GET / HTTP/1.1", "host: x", *upgrade)) + "\r\n\r\n").encode())
    answer = await asyncio.wait_for(connection.read(), 60)
    writer.close()

    assert b"200 OK" in answer
    assert b"connection: close" in answer


async def test_edge_has_room_for_many_clients(port: int, trust: Trust, edge: Identity) -> None:
    opened = [await asyncio.open_connection("127.0.0.1", port, ssl=trust.context(edge)) for _ in range(5)]

    known = await told(port, trust.context(edge), f"Client-Cert: {rfc9440(trust.client('reader'))}")

    assert known["thumbprint"] is not None
    for _, writer in opened:
        writer.transport.abort()  # closing is a talk for which the test's loop does not stay


def test_certificate_is_looked_at_anew_when_time_has_passed(trust: Trust) -> None:
    moments = [datetime.now(UTC)]
    reader = trust.client("short", days=30)
    edges = Edges([], clock=lambda: moments[0])
    headers = [(b"client-cert", rfc9440(reader).encode())]

    assert edges.forwarded(headers) is not None
    moments[0] += timedelta(days=31)
    assert edges.forwarded(headers) is None


def named(edges: Edges, value: str) -> bool:
    return edges.forwarded([(b"client-cert", value.encode())]) is not None


def test_header_of_a_certificate_is_read_in_its_very_form(trust: Trust) -> None:
    edges, reader = Edges([]), trust.client("reader")
    inner, pem = rfc9440(reader)[1:-1], escaped(reader)
    others = [inner, f'"{inner}"', f"::{inner}::", f":{inner}", f"{inner}:", f":{inner[:8]}!{inner[8:]}:"]
    others += [f":{inner}x", f"x{inner}:"]
    others += [f"{pem[:32]}%21{pem[32:]}", f"%20{pem}"]

    assert named(edges, rfc9440(reader))
    assert named(edges, pem)
    assert not any(named(edges, value) for value in others)


def test_who_was_named_before_is_asked_about_anew_once_others_are_refused(trust: Trust) -> None:
    edges, reader = Edges([]), rfc9440(trust.client("reader"))
    told = [named(edges, reader)]
    for is_refused in (True, False):
        edges.believe(frozenset(), refused=lambda _, is_refused=is_refused: is_refused)
        told.append(named(edges, reader))

    assert told == [True, False, True]


def test_header_that_is_too_large_is_not_read(trust: Trust) -> None:
    edges, pem = Edges([]), escaped(trust.client("reader"))
    largest = pem + "%0A" * ((16_384 - len(pem)) // 3)
    largest += "\n" * (16_384 - len(largest))

    assert named(edges, largest)
    assert not named(edges, f"{largest}\n")


def test_no_more_certificates_are_kept_than_so_many(trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.entrypoints.http.edge._MOST_KEPT", 2)
    edges, pem = Edges([]), escaped(trust.client("reader"))
    kept = []
    for number in range(4):
        assert named(edges, pem + "%0A" * number)
        kept.append(len(edges._known))

    assert kept == [1, 2, 1, 2]


def test_several_edges_stand_in_one_file(trust: Trust, tmp_path: Path) -> None:
    first, second = trust.client("edge-1"), trust.client("edge-2")
    path = tmp_path / "edges.pem"
    path.write_bytes(first.certificate_pem + b"\n" + second.certificate_pem)

    edges = load_edges(path)

    assert first.thumbprint in edges
    assert second.thumbprint in edges
    assert trust.client("reader").thumbprint not in edges


@pytest.mark.parametrize(
    "content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_file_without_a_certificate_refuses_the_start(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "edges.pem"
    path.write_bytes(content)

    with pytest.raises(UnsafeSettingError, match=r"edges\.pem"):
        load_edges(path)


def test_missing_file_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettingError, match="edges"):
        load_edges(tmp_path / "absent.pem")


def test_without_the_setting_nobody_is_an_edge(trust: Trust) -> None:
    assert trust.client("reader").thumbprint not in load_edges(None)
