"""Open connections of whoever is refused from now on are ended, whatever they are amid; all others go on."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
import uvloop

from exchange.entrypoints.http.connections import thumbprint_in, tls_extension
from exchange.entrypoints.http.gate import ConnectionGate
from exchange.entrypoints.http.server import Listening, bind, operations_config, run_servers, service_config
from exchange.entrypoints.http.tls import CertificateProtocol
from tests.entrypoints.certificates import Identity, listed
from tests.entrypoints.test_edge import rfc9440
from tests.entrypoints.test_trust import Node


async def app(scope, receive, send) -> None:
    """Answers with who asked; `/stream` goes on until its reader has gone."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    told = (thumbprint_in(scope) or "nobody").encode() + b"\n"
    is_stream = scope["path"] == "/stream"
    await send({"type": "http.response.body", "body": told, "more_body": is_stream})
    while is_stream and (await receive())["type"] != "http.disconnect":
        pass


class Served:
    """A node that is served, on the loop of the real one, in a thread of its own."""

    def __init__(self, node: Node, lead: timedelta) -> None:
        self.node = node
        self.lead = lead
        self.gate = ConnectionGate()
        self._bound = Listening(bind("127.0.0.1", 0), bind("127.0.0.1", 0))
        self.port = self._bound.service.getsockname()[1]
        self._ready, self._stopping = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(60)

    async def _serve(self) -> None:
        self._loop, trust = asyncio.get_running_loop(), self.node.trust
        service = service_config(
            app, trust.context, self.gate, trust.edges, trust=trust, clock=lambda: datetime.now(UTC) + self.lead
        )
        await run_servers(
            service, operations_config(app), self._bound, on_ready=self._ready.set, stopping=self._stopping
        )

    def looks(self) -> None:
        for _ in range(2):
            asyncio.run_coroutine_threadsafe(self.node.trust.look(), self._loop).result(60)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(30)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], Served]]:
    begun: list[Served] = []

    def serve(prepare: Callable[[Node], None] = lambda _: None, lead: timedelta = timedelta(0)) -> Served:
        node = Node(tmp_path)
        prepare(node)
        node.start()
        begun.append(Served(node, lead))
        return begun[-1]

    yield serve
    for each in begun:
        each.end()


class Line:
    """A connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, path: str = "/", named: Identity | None = None) -> str:
        """Return whom the service takes the caller for."""
        forwarded = "" if named is None else f"Client-Cert: {rfc9440(named)}\r\n"
        self.writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n{forwarded}\r\n".encode())
        async with asyncio.timeout(30):
            await self.reader.readuntil(b"\r\n\r\n")
            told = (await self.reader.readuntil(b"\n\r\n")).split(b"\r\n")[1].strip().decode()
            if path == "/":
                await self.reader.readuntil(b"0\r\n\r\n")
        return told

    async def is_ended(self) -> bool:
        """Return whether the other end has gone; waits for it."""
        try:
            async with asyncio.timeout(30):
                return await self.reader.read() == b""
        except TimeoutError:
            return False
        except OSError:
            return True


async def line(served: Served, who: Identity) -> Line:
    context = served.node.own.context(who)
    return Line(*await asyncio.open_connection("127.0.0.1", served.port, ssl=context, server_hostname="localhost"))


def revoke(served: Served, *who: Identity) -> None:
    served.node.put(listed(served.node.own.authority, *who, number=6))


async def test_kept_connections_and_streams_of_what_is_newly_listed_are_ended(serve) -> None:
    served = serve()
    node = served.node
    kept, stream, other, others_stream = [
        await line(served, who) for who in (node.client, node.client, node.other, node.other)
    ]
    assert await kept.ask() == await stream.ask("/stream") == node.client.thumbprint
    assert await others_stream.ask("/stream") == await other.ask() == node.other.thumbprint

    revoke(served, node.client)
    await asyncio.to_thread(served.looks)

    assert await kept.is_ended()
    assert await stream.is_ended()
    assert await other.ask() == node.other.thumbprint
    assert others_stream.reader.at_eof() is False
    assert served.gate.open == 2
    assert len(node.trust.opened) == 2
    for each in (other, others_stream):
        each.writer.transport.abort()


async def test_who_came_by_the_context_in_use_is_not_asked_who_issued_the_certificate(serve, monkeypatch) -> None:
    """Between an authority and a client others may stand, of which this node has nothing but the handshake's word."""
    served = serve()
    node = served.node

    def is_issued(_: bytes) -> bool:
        return False

    monkeypatch.setattr(node.trust, "is_issued", is_issued)
    first = await line(served, node.other)
    assert await first.ask() == node.other.thumbprint
    node.put(listed(node.own.authority, node.client, number=6))
    await asyncio.to_thread(served.looks)
    second = await line(served, node.other)

    assert await first.ask() == await second.ask() == node.other.thumbprint
    for each in (first, second):
        each.writer.transport.abort()


async def test_connections_of_an_authority_that_was_taken_away_are_ended(serve) -> None:
    enrolled = []
    served = serve(lambda node: enrolled.append(node.of_another("NOR")))
    node = served.node
    authority, foreign = enrolled[0]
    node.put(listed(authority), "nor.pem")
    await asyncio.to_thread(served.looks)
    context = node.own.context(foreign)
    of_nor = Line(*await asyncio.open_connection("127.0.0.1", served.port, ssl=context, server_hostname="localhost"))
    other = await line(served, node.other)
    assert await of_nor.ask() == foreign.thumbprint
    assert await other.ask() == node.other.thumbprint

    (node.folder / "authorities" / "NOR.pem").unlink()
    await asyncio.to_thread(served.looks)

    assert await of_nor.is_ended()
    assert await other.ask() == node.other.thumbprint
    other.writer.transport.abort()


async def test_edge_names_nobody_whom_a_list_of_this_node_has(serve) -> None:
    """The edge has lists of its own, brought to it at another time; what it lets through is asked about here too."""
    served = serve(lambda node: (node.folder / "edges.pem").write_bytes(node.own.client("edge").certificate_pem))
    node = served.node
    edge = node.own.client("edge-2")
    (node.folder / "edges.pem").write_bytes(edge.certificate_pem)
    await asyncio.to_thread(served.looks)
    kept, stream, others_stream = [await line(served, edge) for _ in range(3)]
    assert await kept.ask(named=node.client) == await stream.ask("/stream", node.client) == node.client.thumbprint
    assert await others_stream.ask("/stream", node.other) == node.other.thumbprint

    revoke(served, node.client)
    await asyncio.to_thread(served.looks)

    assert await stream.is_ended()
    assert await kept.ask(named=node.client) == await kept.ask(named=node.client) == "nobody"
    assert await kept.ask(named=node.other) == node.other.thumbprint
    assert others_stream.reader.at_eof() is False
    for each in (kept, others_stream):
        each.writer.transport.abort()


async def test_answer_by_an_edge_does_not_outlive_the_certificate_of_whom_it_is_for(serve) -> None:
    """The edge looked at it when the stream began, and on the edge's own connection it went on for up to a day."""
    edges: list[Identity] = []

    def prepare(node: Node) -> None:
        edges.append(node.own.client("edge"))
        (node.folder / "edges.pem").write_bytes(edges[0].certificate_pem)

    # By the time that ends connections the one is over; when it was named it was not.
    served = serve(prepare, timedelta(days=3))
    dying, lasting = served.node.own.client("dying", days=2), served.node.own.client("lasting")
    others, ended = [await line(served, edges[0]) for _ in range(2)]
    assert await others.ask("/stream", lasting) == lasting.thumbprint
    assert await ended.ask(named=lasting) == await ended.ask(named=lasting) == lasting.thumbprint

    ended.writer.write(f"GET /stream HTTP/1.1\r\nhost: x\r\nClient-Cert: {rfc9440(dying)}\r\n\r\n".encode())
    async with asyncio.timeout(30):
        await ended.reader.read()

    assert others.reader.at_eof() is False
    others.writer.transport.abort()


def test_whoever_is_named_for_longer_than_who_came_before_is_looked_at_later(serve) -> None:
    lasting = serve().node.own.client("lasting", days=30)
    der = ssl.PEM_cert_to_DER_cert(lasting.certificate_pem.decode())
    protocol = CertificateProtocol.__new__(CertificateProtocol)
    protocol.loop, protocol.transport = Mock(), Mock()
    protocol._unanswered = (Mock(response_complete=False, scope={"extensions": {"tls": tls_extension(der)}}),)

    protocol._end_over()

    protocol.transport.close.assert_not_called()
    protocol.loop.call_later.assert_called_once_with(86_400.0, protocol._end_over)

    # Nobody is answered any more: there is nothing to look at.
    protocol._unanswered = ()
    protocol._end_over()
    protocol.loop.call_later.assert_called_once()


async def test_edge_that_was_renewed_is_believed_on_the_connection_it_had_before(serve) -> None:
    first: list[Identity] = []

    def prepare(node: Node) -> None:
        first.append(node.own.client("edge"))
        (node.folder / "edges.pem").write_bytes(first[0].certificate_pem)

    served = serve(prepare)
    node = served.node
    renewed = node.own.client("edge-next")
    old, new = await line(served, first[0]), await line(served, renewed)
    assert await old.ask(named=node.other) == node.other.thumbprint
    assert await new.ask(named=node.other) == renewed.thumbprint

    (node.folder / "edges.pem").write_bytes(renewed.certificate_pem)
    await asyncio.to_thread(served.looks)

    assert await new.ask(named=node.other) == node.other.thumbprint
    assert await old.is_ended()
    new.writer.transport.abort()
