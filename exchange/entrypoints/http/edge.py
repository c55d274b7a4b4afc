"""The edge: a proxy that ends the members' mutual TLS in front of this service, and says in a header who came.

Promises: `Client-Cert` is believed on a connection that was itself opened with the certificate of a named edge, and
nowhere else; what such a connection says is whole and current, or nobody came with it. What is on a revocation list
that this service has is not believed either, whatever the edge has of it.
Does not: check chains of what is forwarded: the edge did, and the client's row decides.

The header is RFC 9440's, a byte sequence between colons (Caddy writes it so), or nginx's `$ssl_client_escaped_cert`
under the same name. `X-Forwarded-For` holds the one address that the edge saw.
"""

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from exchange.crypto import read_certificate, read_certificates
from exchange.entrypoints.http.connections import tls_extension
from exchange.entrypoints.http.contexts import read_plain
from exchange.kernel import Clock, MalformedError, UnsafeSettingError, system_clock
from exchange.kernel.addresses import is_address

CERTIFICATE_HEADER = b"client-cert"
SOURCE_HEADER = b"x-forwarded-for"

_LARGEST_HEADER_BYTES = 16_384
_ESCAPED_PEM = b"-----BEGIN%20CERTIFICATE-----"
_MOST_KEPT = 4_096
"""Certificates read already; each costs about 4 KiB."""

_PEM_END = b"-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Whom the edge let in: the fields of the ASGI TLS extension, and the address it came from, empty where unknown."""

    extension: dict[str, Any]
    source: str
    not_after: datetime
    """When the certificate ends."""


@dataclass(frozen=True, slots=True)
class _Known:
    extension: dict[str, Any]
    not_before: datetime
    not_after: datetime


class Edges:
    """The edges of one service, by the thumbprints of their own certificates; none by default."""

    def __init__(
        self,
        thumbprints: Iterable[str] = (),
        *,
        clock: Clock = system_clock,
    ) -> None:
        self._thumbprints = frozenset(thumbprints)
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._refuses: Callable[[bytes], bool] | None = None

    def __contains__(self, thumbprint: object) -> bool:
        return thumbprint in self._thumbprints

    @property
    def thumbprints(self) -> frozenset[str]:
        """Return the thumbprints of the certificates that are believed."""
        return self._thumbprints

    def believe(self, thumbprints: frozenset[str], *, refused: Callable[[bytes], bool]) -> None:
        """Believe these from now on, in place of those before; certificates that are `refused` name nobody."""
        self._thumbprints, self._refuses = thumbprints, refused
        # What was read was asked about then.
        self._known.clear()

    def forwarded(self, headers: Iterable[tuple[bytes, bytes]]) -> Forwarded | None:
        """Return whom a request of an edge is from; None where its headers do not name exactly one, valid now."""
        named = [value for name, value in headers if name == CERTIFICATE_HEADER]
        if len(named) != 1 or len(named[0]) > _LARGEST_HEADER_BYTES:
            return None
        known = self._known.get(named[0]) or self._read(named[0])
        if known is None or not known.not_before <= self._clock() < known.not_after:
            return None
        return Forwarded(known.extension, _source(headers), known.not_after)

    def _read(self, value: bytes) -> _Known | None:
        try:
            der = _der(value)
            facts = read_certificate(der)
        except (ValueError, MalformedError):
            return None
        is_refused = self._refuses is not None and self._refuses(der)
        # Kept like any other: it is looked at once, however often it comes, and at no moment is it valid.
        not_after = facts.not_before if is_refused else facts.not_after
        known = _Known(tls_extension(der), facts.not_before, not_after)
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[value] = known
        return known


def load_edges(path: Path | None, *, clock: Clock = system_clock) -> Edges:
    """Return the edges whose certificates are in the PEM file `path`; none where it is None.

    Raises UnsafeSettingError for a file that holds none, or something else.
    """
    return Edges() if path is None else Edges(read_edges(path), clock=clock)


def read_edges(path: Path) -> frozenset[str]:
    """Return the thumbprints of the certificates in a PEM file; UnsafeSettingError where it holds none."""
    try:
        thumbprints = frozenset(facts.thumbprint for facts in read_certificates(read_plain(path)))
    except (OSError, MalformedError) as exc:
        raise UnsafeSettingError(f"`{path}` does not hold the edges' certificates in PEM: {exc}") from exc
    if not thumbprints:
        raise UnsafeSettingError(
            f"`{path}` holds no certificate: put the edge's there, or unset `edge_certificates_file`"
        )
    return thumbprints


def _der(value: bytes) -> bytes:
    """Return the certificate in a header; ValueError for what is in neither form."""
    if value.startswith(_ESCAPED_PEM):
        body = unquote_to_bytes(value).replace(b"-----BEGIN CERTIFICATE-----", b"").replace(_PEM_END, b"")
        return base64.b64decode(b"".join(body.split()), validate=True)
    if value[:1] == value[-1:] == b":":
        return base64.b64decode(value[1:-1], validate=True)
    raise binascii.Error("neither a byte sequence nor an escaped PEM")


def _source(headers: Iterable[tuple[bytes, bytes]]) -> str:
    # The edge sets it and does not append: a list would hold what the client claimed.
    said = [value for name, value in headers if name == SOURCE_HEADER]
    address = said[0].decode("ascii", "replace") if len(said) == 1 else ""
    return address if is_address(address) else ""
