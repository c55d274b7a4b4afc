"""A witness as a small HTTP service (C2SP tlog-witness), with nothing but the standard library.

Promises: TLS 1.3, or plain HTTP on loopback only; a body has a limit and every request a deadline, and what exceeds
them holds one of a bounded number of connections for that long at most, of which one place has half; where half are
held a connection ends with its answer; a fault of ours is a 500 and no cosignature.
Does not: decide (see `desk`), know who asks (the log's signature is what counts), or serve anything but the protocol.
"""

import io
import ipaddress
import logging
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from exchange import __version__
from exchange.audit.export.visible import visible
from exchange.client.witness.desk import Answer, Desk, told_answer
from exchange.client.witness.errors import WitnessError
from exchange.kernel.addresses import is_loopback

_log = logging.getLogger("exchange.witness")

# 63 proof lines have 3 KiB, a signature line at most 5 kB (C2SP signed-note); this takes twenty of them.
LARGEST_BODY_BYTES: Final = 128 * 1024
# From the first byte that may come to the last: a log is a machine nearby, not a person.
REQUEST_SECONDS: Final = 15.0
# A log and its monitors keep a handful open.
MOST_CONNECTIONS: Final = 32
# Nobody is asked who it is: whoever knocks from one place only leaves as many to the log.
MOST_OF_ONE_PLACE: Final = MOST_CONNECTIONS // 2

_CANNOT = told_answer(HTTPStatus.INTERNAL_SERVER_ERROR, "the witness cannot work now")
_MONITORED = re.compile(r"/([0-9a-f]{64})/checkpoint")


class WitnessServer(ThreadingHTTPServer):
    """Listens at `address` and answers from `desk` until `shutdown`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        desk: Desk,
        context: Callable[[], ssl.SSLContext | None],
        *,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        if context() is None and not is_loopback(address[0]):
            raise WitnessError(
                f"plain HTTP is for loopback only, not `{address[0]}`: give `--tls-cert` and `--tls-key`"
            )
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.desk = desk
        self.request_seconds = request_seconds
        self._context = context
        self._held: Counter[str] = Counter()
        self._holding = threading.Lock()
        try:
            super().__init__(address, _Handler)
        except OSError as exc:
            raise WitnessError(f"cannot listen on `{address[0]}` port {address[1]}: {exc.strerror}") from exc

    @property
    def url(self) -> str:
        """Return the submission prefix, which is the monitoring prefix too."""
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"{'http' if self._context() is None else 'https'}://{shown}:{port}"

    @property
    def is_crowded(self) -> bool:
        """Return whether so many connections are held that one ends with its answer: others may be waiting."""
        with self._holding:
            return self._held.total() > MOST_CONNECTIONS // 2

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection to a thread of its own, or close it where too many are open."""
        place = _place_of(client_address[0])
        with self._holding:
            is_full = self._held.total() >= MOST_CONNECTIONS or self._held[place] >= MOST_OF_ONE_PLACE
            if not is_full:
                self._held[place] += 1
        if is_full:
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._give_back(place)
            raise

    def _give_back(self, place: str) -> None:
        with self._holding:
            self._held[place] -= 1
            if not self._held[place]:
                del self._held[place]

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection; the handshake happens here, where it keeps nobody else waiting."""
        try:
            request.settimeout(self.request_seconds)
            # Asked anew: a certificate is renewed while the service runs.
            if (context := self._context()) is not None:
                request = context.wrap_socket(request, server_side=True)
            super().process_request_thread(request, client_address)
        except OSError as exc:
            _log.info("connection ended: %s", type(exc).__name__)
            self.shutdown_request(request)
        finally:
            self._give_back(_place_of(client_address[0]))

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  the signature is the library's
        """Say what broke a connection, without a traceback on a terminal."""
        _log.warning("connection broken", exc_info=_log.isEnabledFor(logging.DEBUG))


class _Timed(io.RawIOBase):
    """What a socket receives until a deadline: a sender of one byte at a time gains nothing."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.deadline = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request did not arrive in time")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: WitnessServer
    protocol_version = "HTTP/1.1"
    server_version = f"exchange-witness/{__version__}"
    sys_version = ""

    def setup(self) -> None:
        """Read through the deadline."""
        super().setup()
        self.rfile.close()
        self._timed = _Timed(self.connection)
        self.rfile = io.BufferedReader(self._timed)

    def handle_one_request(self) -> None:
        """Read one request and answer it within its time."""
        self._timed.deadline = time.monotonic() + self.server.request_seconds
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Read a head, and refuse one with a line that is no field (RFC 9112 §5.1): a proxy may read on behind it."""
        if not super().parse_request():
            return False
        # The library takes what follows such a line for a body, and a length there for none.
        if self.headers.defects or self.headers.get_payload():
            self._refuse(HTTPStatus.BAD_REQUEST, "a line of the head is no field")
            return False
        return True

    def do_POST(self) -> None:
        """Answer `add-checkpoint`."""
        if self.path != "/add-checkpoint":
            self._refuse(HTTPStatus.NOT_FOUND, "there is POST /add-checkpoint and GET /<origin hash>/checkpoint")
            return
        body = self._body()
        if body is not None:
            self._answer(lambda: self.server.desk.add_checkpoint(body))

    def do_GET(self) -> None:
        """Answer with the newest checkpoint of a log (monitor retrieval)."""
        found = _MONITORED.fullmatch(self.path)
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is POST /add-checkpoint and GET /<origin hash>/checkpoint")
            return
        lengths = self.headers.get_all("Content-Length") or ["0"]
        if "Transfer-Encoding" in self.headers or any(length.strip() != "0" for length in lengths):
            # Nobody reads it: behind a proxy its bytes would be answered to whoever asks next.
            self._refuse(HTTPStatus.BAD_REQUEST, "a GET has no body here")
            return
        self._answer(lambda: self.server.desk.newest(found[1]))

    def log_message(self, format: str, *args: object) -> None:
        """Say each request on stderr, as the rest is; what a stranger sent steers no terminal."""
        _log.info("%s %s", self.address_string(), visible(format % args))

    def _body(self) -> bytes | None:
        """Return the body, None where it was refused; the rest of a refused one is never read."""
        # Of two lengths a proxy may take the other one.
        stated, *others = self.headers.get_all("Content-Length") or [""]
        if "Transfer-Encoding" in self.headers or others or not (stated.isascii() and stated.isdecimal()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "send the body with `Content-Length`")
            return None
        if len(stated) > len(str(LARGEST_BODY_BYTES)) or int(stated) > LARGEST_BODY_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {LARGEST_BODY_BYTES} bytes")
            return None
        body = self.rfile.read(int(stated))
        if len(body) != int(stated):
            self._refuse(HTTPStatus.BAD_REQUEST, "the body ended early")
            return None
        return body

    def _answer(self, act: Callable[[], Answer]) -> None:
        try:
            answer = act()
        except WitnessError as exc:
            # Full disk, unreadable folder: nothing was cosigned, and the operator has to know.
            _log.critical("not answered: %s", exc)
            answer = _CANNOT
        except Exception as exc:  # noqa: BLE001  told
            # Nor may a fault of ours look like a witness that is away: no thread to shout from, say.
            _log.critical("not answered: a fault: %s", type(exc).__name__, exc_info=_log.isEnabledFor(logging.DEBUG))
            answer = _CANNOT
        self._send(answer)

    def _refuse(self, status: HTTPStatus, told: str) -> None:
        # What was not read would be taken for the next request.
        self.close_connection = True
        self._send(told_answer(status, told))

    def _send(self, answer: Answer) -> None:
        self.close_connection |= self.server.is_crowded
        self.connection.settimeout(self.server.request_seconds)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.content)))
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.content)


def _place_of(address: str) -> str:
    """Return what one caller has: an IPv4 address, or the network of an IPv6 one (RFC 6177: no site has less)."""
    try:
        network = ipaddress.ip_network((address.partition("%")[0], 64 if ":" in address else 32), strict=False)
    except ValueError:
        return address
    return str(network)
