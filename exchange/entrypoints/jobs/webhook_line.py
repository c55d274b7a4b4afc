"""The line to webhooks: HTTPS to an address that was looked at first.

Promises: a name is resolved once, every address that it has must be a public one (unless the operator said that this
host is private), and the connection goes to one of exactly these; the certificate is checked for the name. No redirect
is followed, no proxy asked, no answer read beyond its head; a call has a deadline.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

import httpx2

from exchange.entrypoints.http.contexts import read_plain
from exchange.kernel.addresses import is_public, lies_in
from exchange.kernel.files import state_of
from exchange.usecases.log.deliver_alerts import Webhook

CALL_SECONDS: Final = 15.0
"""Standard Webhooks asks for 15 to 30 seconds; another try costs less than a line that is held."""

_HTTPS_PORT: Final = 443
_MOST_ADDRESSES: Final = 3
_LARGEST_HEAD_BYTES: Final = 32 * 1024
"""Interim answers (RFC 9110 §15.2) may be as many as a receiver likes, and each costs more to read than to send."""
_CONNECTED: Final = "connection.start_tls.complete"
_OK: Final = range(200, 300)
_ELSEWHERE: Final = range(300, 400)

Resolve = Callable[[str, int], Awaitable[list[str]]]


async def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses of a host in the order of the system's resolver; OSError where it has none.

    Each is looked for in a thread of its own: the loop's few would all wait for name servers that say nothing, with
    every other webhook and whoever connects to the database behind them.
    """
    looked: Future[list[str]] = Future()

    def look() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as exc:  # noqa: BLE001  told to who waits, if anybody still does
            told = partial(looked.set_exception, exc)
        else:
            told = partial(looked.set_result, list(dict.fromkeys(str(where[0]) for _, _, _, _, where in found)))
        # Whoever gave up has cancelled it.
        if looked.set_running_or_notify_cancel():
            with suppress(RuntimeError):  # the loop has closed: nobody waits
                told()

    # The end of the process waits for none of them.
    thread = threading.Thread(target=look, name="webhook-name", daemon=True)
    try:
        thread.start()
    except RuntimeError as exc:
        # Too many look already: it is tried again, and given up some day, as one that is not reached.
        raise OSError("there is no thread to look for a name in") from exc
    return await asyncio.wrap_future(looked)


class HttpWebhookLine:
    """A connection for each call: none is kept that was looked at long ago."""

    def __init__(self, resolve: Resolve = addresses_of, *, call_seconds: float = CALL_SECONDS) -> None:
        self._resolve = resolve
        self._seconds = call_seconds
        self._contexts: dict[str | None, tuple[tuple[int, ...], ssl.SSLContext]] = {}

    async def post(self, hook: Webhook, headers: Mapping[str, str], body: bytes) -> str | None:
        """Send `body`; return None where it was taken (2xx), else what went wrong."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(hook, headers, body)
        except TimeoutError:
            return f"no answer within {self._seconds:g} seconds"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as exc:
            return f"no connection: {type(exc).__name__}"

    async def _post(self, hook: Webhook, headers: Mapping[str, str], body: bytes) -> str | None:
        parts = urlsplit(hook.url)
        host = parts.hostname
        if parts.scheme != "https" or not host:
            return "its address is not HTTPS"
        found = (await self._resolve(host, parts.port or _HTTPS_PORT))[:_MOST_ADDRESSES]
        if not found or not all(_may_be_reached(hook, address) for address in found):
            return "its host has an address that is not public"
        told: str | None = None
        # An address behind which nobody answers leaves the next one time enough to connect and to answer.
        limit = httpx2.Timeout(self._seconds, connect=self._seconds / (2 * len(found) - 1))
        async with httpx2.AsyncClient(
            verify=self._context(hook.authority), timeout=limit, trust_env=False, follow_redirects=False
        ) as http:
            for address in found:
                try:
                    return await _sent(http, parts, address, headers, body)
                except (httpx2.ConnectError, httpx2.ConnectTimeout) as exc:
                    told = f"no connection: {type(exc).__name__}"
        return told

    def _context(self, authority: str | None) -> ssl.SSLContext:
        state = () if authority is None else state_of(Path(authority))
        known = self._contexts.get(authority)
        if known is None or known[0] != state:
            try:
                if authority is not None:
                    read_plain(Path(authority))  # refuses a pipe, which OpenSSL would wait at, and this loop with it
                context = ssl.create_default_context(cafile=authority)
            except OSError:
                if known is None:
                    raise
                return known[1]  # the next one is not whole yet, or gone for now
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._contexts[authority] = known = (state, context)
        return known[1]


def _may_be_reached(hook: Webhook, address: str) -> bool:
    return hook.is_private or is_public(address) or lies_in(address, hook.networks)


async def _sent(
    http: httpx2.AsyncClient, parts: SplitResult, address: str, headers: Mapping[str, str], body: bytes
) -> str | None:
    port = "" if parts.port is None else f":{parts.port}"
    place = f"[{address}]{port}" if ":" in address else f"{address}{port}"
    url = urlunsplit(("https", place, parts.path or "/", parts.query, ""))
    # INVARIANT: the name is for the certificate and the receiver; where the bytes go was decided above.
    own = {**headers, "host": parts.netloc}
    extensions = {"sni_hostname": parts.hostname, "trace": _bound}
    async with http.stream("POST", url, content=body, headers=own, extensions=extensions) as answer:
        status = answer.status_code
    if status in _OK:
        return None
    return f"it answered {status}: redirects are not followed" if status in _ELSEWHERE else f"it answered {status}"


async def _bound(event: str, told: Mapping[str, Any]) -> None:
    """Let a connection that stands bring no more than the head of an answer."""
    if event != _CONNECTED:
        return
    line, left = told["return_value"], _LARGEST_HEAD_BYTES
    as_ever = line.read

    async def read(most: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  as its caller names it
        nonlocal left
        if left <= 0:
            raise httpx2.RemoteProtocolError("its answer does not begin")
        content: bytes = await as_ever(min(most, left), timeout)
        left -= len(content)
        return content

    line.read = read
