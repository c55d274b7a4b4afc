"""Asking the edge as anybody: with whichever certificate and headers, and with none."""

import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.error import HTTPError, URLError

URL = "https://localhost:8443"


def context_of(trust: Mapping[str, Path], own: Mapping[str, Path] | None) -> ssl.SSLContext:
    """Return what one connects with: `trust` has the edge's authority, `own` a certificate and its key."""
    context = ssl.create_default_context(cafile=str(trust["ca"]))
    if own is not None:
        context.load_cert_chain(own["client"], own["key"])
    return context


def asked(context: ssl.SSLContext, headers: Mapping[str, str]) -> bytes:
    """Return what `GET /v1/whoami` answers, refusals too; nothing where the connection is refused."""
    request = urllib.request.Request(f"{URL}/v1/whoami", headers=dict(headers))
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            found: bytes = answer.read()
            return found
    except HTTPError as exc:
        return exc.read()
    except (URLError, OSError):
        return b""
