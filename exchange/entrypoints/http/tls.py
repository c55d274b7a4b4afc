"""Mutual TLS: only certificates of trusted authorities come in, and the app is told whose.

Promises: TLS 1.3 only; a connection without a valid client certificate never reaches the app; the certificate is read
once per connection, from the TLS layer and nowhere else.
Does not: know who a certificate belongs to (the client row does), believe any header about identity, but that of a
named edge on a connection opened with the edge's own certificate.

Neither uvicorn 0.54 nor its peers fill the ASGI `tls` extension, so this protocol class does; a test on a real
connection pins what it relies on. Prefer the server's own field when it appears.
"""

import asyncio
import fcntl
import ssl
import sys
import termios
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from exchange.crypto import read_certificate
from exchange.entrypoints.http.connections import (
    ABORT_EXTENSION,
    ISSUER_FIELD,
    THUMBPRINT_FIELD,
    TLS_EXTENSION,
    tls_extension,
)
from exchange.entrypoints.http.edge import Edges
from exchange.entrypoints.http.gate import ConnectionGate
from exchange.entrypoints.http.strangers import Strangers, Wrong
from exchange.entrypoints.http.trust import Trust
from exchange.entrypoints.http.unread import NO_HTTP, NO_UPGRADE, unread_answer
from exchange.kernel import Clock, system_clock

_LARGEST_HEAD_BYTES = 65_536
"""Request line and headers of one request; ours have under 2 KiB, proxies and tools add some."""
_MOST_HEADERS = 100
_MOST_WAITING = 32
"""Requests of one connection that wait for the answer to an earlier one: none of ours do. Each costs a hundred times
the bytes that it is sent with."""
_LARGEST_DISCARD_BYTES = 32 * 1024 * 1024
"""How much of a refused body is read and dropped so that the sender sees the refusal, before the connection is cut."""
_LONGEST_TIMER_SECONDS = 86_400.0
"""A connection is opened anew at least once a day, so that the authorities' word on its certificate is asked again."""
_GOODBYE_SECONDS = 1.0
"""What a client has to answer the end of a connection when the service stops: pools of idle connections never do, and
the service would wait for them."""
_GOODBYE_BYTES = 64
"""More than the end of a connection takes in TLS: 24."""
_SILENT_SECONDS = 75.0
"""How long a new connection may ask nothing: as long as one that has asked may be idle."""
_STALL_SECONDS = 30.0
"""What a reader has for the next 64 KiB of its answer: 17 kbit/s."""
_MESSAGE_SECONDS = 60.0
"""How long a head may take to arrive, and what comes behind an answer. The body of a request that is not answered yet
is the app's to wait for: it says how long by the size, and answers politely."""


class HeadTooLargeError(Exception):
    """Raised into the parser, which turns it into a 400 and closes."""


class TooManyWaitingError(Exception):
    """Raised into the parser, which reads no further: what came before is answered, and the connection ends."""


class AnotherProtocolError(Exception):
    """Raised into the parser, which turns it into a 400 and closes."""


class CertificateProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the client certificate in the scope and bounds on what one request may cost."""

    gate = ConnectionGate()
    """Of the worker; `service_config` gives each its own."""
    edges = Edges()
    trust: Trust | None = None
    """What a certificate is asked about besides the handshake, then and whenever lists or authorities change."""
    strangers: Strangers | None = None
    clock: Clock = staticmethod(system_clock)

    _unanswered: tuple[RequestResponseCycle, ...] = ()
    """What is being answered, and behind it what waits for that."""
    _extensions: dict[str, Any] | None = None
    _entered_as: str | None = None
    _shown: bytes = b""
    _is_edge = False
    _is_shared = False
    """Whether it was an edge's when it was let in."""
    _head_bytes = 0
    _discarded_bytes = 0
    _is_arriving = False
    _has_head = False
    _unread = NO_HTTP
    _reads_on = True
    _has_moved = False
    _still_bytes = 0
    _message_timer: asyncio.TimerHandle | None = None
    _expiry_timer: asyncio.TimerHandle | None = None
    _goodbye_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _named_timer: asyncio.TimerHandle | None = None
    _named_until: datetime | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the parent
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        der = None if tls is None else tls.getpeercert(binary_form=True)
        if der is None:
            return
        if self.trust is not None and not self.trust.admits(der, tls.context):
            self._refuse(der)
            return
        extension = tls_extension(der)
        thumbprint = extension[THUMBPRINT_FIELD]
        self._is_edge = thumbprint in self.edges
        self._is_shared = self._is_edge
        if not self.gate.enter(thumbprint, extension[ISSUER_FIELD], is_shared=self._is_shared):
            transport.abort()  # before a byte of it is read
            return
        self._entered_as, self._shown = thumbprint, der
        if self.trust is not None:
            self.trust.opened.add(self)
        self._message_timer = self.loop.call_later(_SILENT_SECONDS, transport.close)
        ends = {"abort": transport.abort, "close": transport.close}
        self._extensions = {TLS_EXTENSION: extension, ABORT_EXTENSION: ends}
        # INVARIANT: a connection does not outlive the certificate it was opened with.
        left_seconds = ssl.cert_time_to_seconds(tls.getpeercert()["notAfter"]) - self.clock().timestamp()
        if left_seconds <= 0:
            # The handshake asked the machine's clock, which was set back.
            transport.abort()
            return
        self._expiry_timer = self.loop.call_later(min(left_seconds, _LONGEST_TIMER_SECONDS), transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
        if self._named_timer is not None:
            self._named_timer.cancel()
        if self._goodbye_timer is not None:
            self._goodbye_timer.cancel()
        self._stop_stall_timer()
        if self._entered_as is not None:
            self.gate.leave(self._entered_as, is_shared=self._is_shared)
        if self.trust is not None:
            self.trust.opened.discard(self)
        super().connection_lost(exc)
        # The parent tells the request that came last: a stream before it would go on for nobody.
        for cycle in self._unanswered:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def reconsider(self, *, has_shrunk: bool) -> None:
        """Cut the connection where whoever is at its other end would be refused now, whatever it is amid.

        `has_shrunk` where there is an authority less: each certificate is asked whether another has issued it.
        """
        trust = self.trust
        if trust is None or self.transport.is_closing():
            return
        was_edge, self._is_edge = self._is_edge, self._entered_as in self.edges
        if was_edge and not self._is_edge:
            # Whom it named meanwhile nobody vouches for.
            self.transport.abort()
        elif trust.is_revoked(self._shown) or (has_shrunk and not trust.is_issued(self._shown)):
            self._refuse(self._shown)
        elif self._is_edge and any(trust.is_revoked(der) for der in self._named_by_edge()):
            self.transport.abort()

    def _refuse(self, der: bytes) -> None:
        is_revoked = self.trust is not None and self.trust.is_revoked(der)
        if self.strangers is not None:
            wrong = Wrong.REVOKED if is_revoked else Wrong.UNKNOWN_AUTHORITY
            self.strangers.count(self.client[0] if self.client else "", wrong)
        self.transport.abort()

    def _named_by_edge(self) -> Iterator[bytes]:
        """Yield the certificates of whose requests are not answered to their end, a stream's among them."""
        for cycle in self._unanswered:
            if not cycle.response_complete:
                scope: Any = cycle.scope
                tls = (scope.get("extensions") or {}).get(TLS_EXTENSION)
                yield from () if tls is None else map(ssl.PEM_cert_to_DER_cert, tls["client_cert_chain"])

    def shutdown(self) -> None:
        super().shutdown()
        # A server that stops says so again and again.
        if self._goodbye_timer is None:
            self._goodbye_timer = self.loop.call_later(_GOODBYE_SECONDS, self._part)

    def _part(self) -> None:
        """Cut the connection once it was closed; one that is still being answered is looked at again.

        So is one whose answer is on its way: its reader is slow, and what it has not taken would be lost.
        """
        if self.transport.is_closing() and not self._is_being_taken():
            self.transport.abort()
        else:
            self._goodbye_timer = self.loop.call_later(_GOODBYE_SECONDS, self._part)

    def _is_being_taken(self) -> bool:
        """Return whether the other end has more to take than the goodbye, as far as the system says."""
        # What TLS has given away waits where nothing else can be asked; the system's part of it goes out last.
        connection = self.transport.get_extra_info("socket")
        try:
            waiting = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        except (AttributeError, OSError, ValueError):
            return False
        return int.from_bytes(waiting, sys.byteorder) > _GOODBYE_BYTES

    def data_received(self, data: bytes) -> None:
        if not self._reads_on:
            return
        self._has_moved = False
        super().data_received(data)
        # The parser tells of a header when it ends, and keeps it until then: one that never ends is counted here.
        self._still_bytes = 0 if self._has_moved else self._still_bytes + len(data)
        if self._still_bytes > _LARGEST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("")
        # Blank lines begin no request, and end the parent's own patience with who is idle.
        is_idle = self.cycle is None or self.cycle.response_complete
        is_waited_for = self._has_head or not self._is_arriving
        if is_waited_for and not is_idle:
            self._stop_timer()
        elif self._message_timer is None:
            self._message_timer = self.loop.call_later(_MESSAGE_SECONDS, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        # Closing would wait for what the reader does not take.
        self._stall_timer = self.loop.call_later(_STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_stall_timer()
        super().resume_writing()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _MOST_WAITING:
            raise TooManyWaitingError
        self._has_moved = True
        super().on_message_begin()
        self._is_arriving, self._has_head = True, False
        self._stop_timer()
        self._head_bytes = self._discarded_bytes = 0
        if self._extensions is not None:
            self.scope["extensions"] = self._extensions

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        if len(self.headers) >= _MOST_HEADERS:
            raise HeadTooLargeError
        # A trailer is no header (RFC 9110 §6.5.1): what came with the head alone decides, however the body is cut.
        if not self._has_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_edge:
            self._take_from_edge()
        wants_another = self.parser.should_upgrade()
        if wants_another and self._has_body():
            # INVARIANT: no byte of a body is read as a request. The parser takes what follows the head of an upgrade
            # for another protocol, and this server, which has none, for the next request: at an edge, anybody's.
            self._unread = NO_UPGRADE
            raise AnotherProtocolError
        super().on_headers_complete()
        self._unanswered = (*(each for each in self._unanswered if not each.response_complete), self.cycle)
        if self.scope["http_version"] == "1.0":
            self.cycle.send = _unchunked(self.cycle)  # type: ignore[method-assign,assignment]  # takes as much
        self._has_head = True
        if wants_another:
            # Answered as if nobody had asked for it (RFC 9110 §7.8), and nothing behind it.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._has_moved = True
        if self.cycle.response_complete:
            self._discarded_bytes += len(body)
            if self._discarded_bytes > _LARGEST_DISCARD_BYTES:
                self.transport.close()
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_arriving = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  the parent's text names its parser
        """Refuse what is no HTTP: there is no request to record, so it counts among the refused connections.

        Behind a whole request that is not answered yet it is not told: it would be taken for the answer to that one.
        """
        if self.strangers is not None and len(self.pipeline) < _MOST_WAITING:
            self.strangers.count(self.client[0] if self.client else "", Wrong.NO_HTTP)
        is_amid_body = self._is_arriving and self._has_head
        if self.cycle is None or self.cycle.response_complete or is_amid_body:
            self.transport.write(unread_answer(self._unread))
            self.transport.close()
            return
        self.cycle.keep_alive = self._reads_on = self._is_arriving = False

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the parent's advice is to install what this service must not have."""

    def _has_body(self) -> bool:
        """Return whether content follows the head (RFC 9112 §6)."""
        return any(
            name == b"transfer-encoding" or (name == b"content-length" and int(value)) for name, value in self.headers
        )

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _LARGEST_HEAD_BYTES:
            raise HeadTooLargeError

    def _take_from_edge(self) -> None:
        """Put in place of the edge whom it names."""
        # INVARIANT: an edge itself is nobody: where it names nobody well, nobody came.
        forwarded = self.edges.forwarded(self.headers)
        extensions = {name: value for name, value in (self._extensions or {}).items() if name != TLS_EXTENSION}
        self.scope["client"] = None
        if forwarded is not None:
            extensions[TLS_EXTENSION] = forwarded.extension
            self.scope["client"] = (forwarded.source, 0)
            self._name_until(forwarded.not_after)
        self.scope["extensions"] = extensions

    def _name_until(self, not_after: datetime) -> None:
        """Look then at whom the edge named, if nobody of theirs ends before."""
        if self._named_until is not None and self._named_until <= not_after:
            return
        if self._named_timer is not None:
            self._named_timer.cancel()
        left_seconds = max(0.0, (not_after - self.clock()).total_seconds())
        self._named_until = not_after
        self._named_timer = self.loop.call_later(min(left_seconds, _LONGEST_TIMER_SECONDS), self._end_over)

    def _end_over(self) -> None:
        # INVARIANT: no answer outlives the certificate of whom it is for. The edge asked about it at the beginning.
        self._named_timer = self._named_until = None
        ends = [read_certificate(der).not_after for der in self._named_by_edge()]
        if any(end <= self.clock() for end in ends):
            self.transport.close()
        elif ends:
            self._name_until(min(ends))

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()

    def _stop_timer(self) -> None:
        if self._message_timer is not None:
            self._message_timer.cancel()
            self._message_timer = None


def _unchunked(cycle: RequestResponseCycle) -> Callable[[Any], Coroutine[Any, Any, None]]:
    """Return what sends an answer to HTTP/1.0, which knows no chunks (RFC 9112 §6.1).

    One without a length ends as the connection does, which it always does there.
    """
    as_ever, is_endless = cycle.send, False

    async def send(message: Any) -> None:
        nonlocal is_endless
        if message["type"] == "http.response.start":
            is_endless = all(name.lower() != b"content-length" for name, _ in message["headers"])
            if is_endless:
                cycle.chunked_encoding = False
        elif is_endless:
            # The server counts what comes against a length, of which there is none.
            cycle.expected_content_length = len(message.get("body", b""))
        await as_ever(message)

    return send
