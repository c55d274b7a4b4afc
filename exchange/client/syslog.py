"""The road of a live feed: syslog messages over TLS (RFC 5425), and as much certainty as there is that they arrived.

Syslog has no acknowledgement. What there is: a session that is ended in order. A receiver answers our close_notify when
it has read all that came before it (RFC 5425 §4.4, RFC 8446 §6.1); one that was killed resets the connection instead.
So messages count as delivered when their session was ended in order, and what was sent in any other is sent again: at
least once. What a receiver has read and then loses before it keeps it, nobody at this end can know.
"""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from exchange.audit.export.syslog import framed
from exchange.client.errors import UnsafeKeyError
from exchange.client.tls import no_password
from exchange.kernel import ExchangeError, InvalidError

SCHEME = "syslog+tls"
# IANA: syslog over TLS (RFC 5425 §4.1).
_PORT = 6514
_TIMEOUT_SECONDS = 30.0


class ReceiverError(ExchangeError):
    """The receiver could not be reached, broke off, or did not say that it had everything."""

    code = "receiver-failed"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a feed goes, and whom we are there: `cert` and `key` where the receiver asks for a certificate."""

    host: str
    port: int
    ca: Path
    cert: Path | None = None
    key: Path | None = None

    @classmethod
    def parse(cls, address: str, ca: Path, cert: Path | None, key: Path | None) -> "Receiver":
        """Return the receiver at `syslog+tls://HOST[:PORT]`; raises InvalidError for any other address."""
        message = f"`{address[:80]}` is no receiver: write {SCHEME}://HOST:PORT"
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError as exc:
            raise InvalidError(message) from exc
        bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
        if parts.scheme != SCHEME or not host or not bare:
            raise InvalidError(message)
        if (cert is None) != (key is None):
            raise InvalidError("a certificate for the receiver needs its key, and a key its certificate: give both")
        return cls(host, port or _PORT, ca, cert, key)


class SyslogSession:
    """One TLS session at a time, opened by the first message after the last one ended."""

    def __init__(self, receiver: Receiver, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._receiver = receiver
        self._timeout_seconds = timeout_seconds
        self._context = _context(receiver)
        self._socket: ssl.SSLSocket | None = None

    def send(self, message: bytes) -> None:
        """Send one message; returns when the sockets took it, which a slow receiver delays. Raises ReceiverError."""
        try:
            if self._socket is None:
                self._socket = self._open()
            self._socket.sendall(framed(message))
        except (OSError, ssl.SSLError) as exc:
            self.abandon()
            raise ReceiverError(self._said(exc)) from exc

    def confirm(self) -> None:
        """End the session in order: when this returns, the receiver has read all of it. Raises ReceiverError."""
        if self._socket is None:
            return
        try:
            self._socket.unwrap().close()
        except ssl.SSLEOFError:
            # It closed its side without a close_notify of its own. With bytes unread that would have been a reset.
            self.abandon()
        except (OSError, ssl.SSLError) as exc:
            self.abandon()
            raise ReceiverError(self._said(exc)) from exc
        self._socket = None

    def abandon(self) -> None:
        """Drop the session; what was sent in it counts for nothing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> ssl.SSLSocket:
        at = (self._receiver.host, self._receiver.port)
        plain = socket.create_connection(at, timeout=self._timeout_seconds)
        try:
            return self._context.wrap_socket(plain, server_hostname=self._receiver.host)
        except BaseException:
            plain.close()
            raise

    def _said(self, exc: Exception) -> str:
        reason = getattr(exc, "verify_message", "") or getattr(exc, "strerror", "") or str(exc) or type(exc).__name__
        return f"{SCHEME}://{self._receiver.host}:{self._receiver.port}: {reason.lower()}"


def _context(receiver: Receiver) -> ssl.SSLContext:
    """Return a TLS context that believes receivers of the authority in `ca` and no others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # RFC 5425 asks for TLS 1.2; receivers of appliances often have no newer one.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=receiver.ca)
        if receiver.cert is not None and receiver.key is not None:
            context.load_cert_chain(receiver.cert, receiver.key, password=no_password)
    except (ssl.SSLError, OSError, ValueError) as exc:
        raise UnsafeKeyError(f"the files for the receiver cannot be used: {exc}") from exc
    return context
