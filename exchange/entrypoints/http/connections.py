"""What the scope of a request tells of its connection: whose certificate it was opened with, and how it is ended."""

import hashlib
import ssl
from collections.abc import Callable
from typing import Any, Literal

from exchange.crypto import issuer_of_der, public_key_of_der, subject_of_der

TLS_EXTENSION = "tls"
ABORT_EXTENSION = "exchange.connection"
"""Holds `abort`: what cuts the connection whose other end takes nothing any more; and `close`, behind what was sent."""
THUMBPRINT_FIELD = "exchange_client_thumbprint"
"""Beside the fields of the ASGI TLS extension: SHA-256 of the leaf, computed once per connection."""

ISSUER_FIELD = "exchange_client_issuer"
"""Beside it: what says in the leaf who issued it, for shares alone."""


def tls_extension(der: bytes) -> dict[str, Any]:
    """Return the ASGI TLS extension for a connection whose client showed the certificate `der`."""
    return {
        "server_cert": None,
        "client_cert_chain": (ssl.DER_cert_to_PEM_cert(der),),
        "client_cert_name": subject_of_der(der),
        "client_public_key": public_key_of_der(der),
        "client_cert_error": None,
        "tls_version": 0x0304,
        "cipher_suite": None,
        THUMBPRINT_FIELD: hashlib.sha256(der).hexdigest(),
        ISSUER_FIELD: issuer_of_der(der),
    }


def thumbprint_in(scope: Any) -> str | None:
    """Return the SHA-256 thumbprint of the client certificate in an ASGI scope, or None where there is none.

    Reads the `tls` extension only: what the server itself checked. No header has a say.
    """
    tls = (scope.get("extensions") or {}).get(TLS_EXTENSION)
    if not tls or tls.get("client_cert_error"):
        return None
    known = tls.get(THUMBPRINT_FIELD)
    if isinstance(known, str):
        return known
    chain = tls.get("client_cert_chain")
    if not chain:
        return None
    leaf: str = next(iter(chain))
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf)).hexdigest()


def subject_in(scope: Any) -> str | None:
    """Return the distinguished name in the client certificate of an ASGI scope, None where there is none."""
    tls = (scope.get("extensions") or {}).get(TLS_EXTENSION)
    return tls.get("client_cert_name") if tls else None


def issuer_in(scope: Any) -> str:
    """Return what issued the client certificate of an ASGI scope, as the certificate names it; empty where unknown."""
    tls = (scope.get("extensions") or {}).get(TLS_EXTENSION)
    return (tls.get(ISSUER_FIELD) or "") if tls else ""


def public_key_in(scope: Any) -> str | None:
    """Return the SHA-256 of the public key in the client certificate of an ASGI scope, None where there is none."""
    tls = (scope.get("extensions") or {}).get(TLS_EXTENSION)
    return tls.get("client_public_key") if tls else None


def end_of(scope: Any, how: Literal["abort", "close"]) -> Callable[[], None] | None:
    """Return what ends the connection of a request, None where it cannot be ended."""
    end: Callable[[], None] | None = (scope.get("extensions") or {}).get(ABORT_EXTENSION, {}).get(how)
    return end
