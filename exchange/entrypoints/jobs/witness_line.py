"""The line to witnesses: C2SP tlog-witness over HTTPS, from the log's side.

Promises: an answer has a limit and a call a deadline; no redirect is followed; plain HTTP goes to loopback only.
Does not: judge what a witness says.
"""

import asyncio
import ssl
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpx2

from exchange.audit.witness import SIZE_MEDIA_TYPE, origin_hash, parse_size_line
from exchange.entrypoints.http.contexts import read_plain
from exchange.kernel import MalformedError
from exchange.kernel.addresses import is_loopback
from exchange.kernel.files import state_of
from exchange.usecases.log.ask_witness import Cosignatures, Declined, HeldSize, Reply, Unreachable

CALL_SECONDS: Final = 5.0
"""A witness fsyncs once and signs twice: milliseconds. The next one is asked meanwhile, but checkpoints pass."""

# A note with a hundred cosignatures stays below it (C2SP signed-note: the limit is the reader's).
_LARGEST_ANSWER_BYTES = 512 * 1024
_TOLD_LETTERS = 200


class HttpWitnessLine:
    """Connections to witnesses, kept open between rounds. `authority` is the file of authorities they are known by."""

    def __init__(self, authority: Path | None, *, call_seconds: float = CALL_SECONDS) -> None:
        self._authority = authority
        self._seen = () if authority is None else state_of(authority)
        self._context = context = ssl.create_default_context(cafile=authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._seconds = call_seconds
        self._http = httpx2.AsyncClient(verify=context, timeout=call_seconds, trust_env=False, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def add_checkpoint(self, url: str, body: bytes) -> Reply:
        """Ask the witness at the submission prefix `url` for its cosignatures."""
        try:
            status, media, content = await self._called("POST", f"{url.rstrip('/')}/add-checkpoint", body)
        except _CallFailed as exc:
            return Unreachable(str(exc))
        match status:
            case HTTPStatus.OK:
                return Cosignatures(content)
            case HTTPStatus.CONFLICT if media == SIZE_MEDIA_TYPE:
                try:
                    return HeldSize(parse_size_line(content))
                except MalformedError as exc:
                    return Unreachable(f"a 409 without a size: {exc.message}")
            case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
                return Unreachable(f"it answered {status}")
            case _:
                return Declined(status, content[:_TOLD_LETTERS].decode("ascii", errors="replace").strip())

    async def newest(self, url: str, origin: str) -> bytes | None:
        """Return the note that the witness keeps of the log, None where it shows none."""
        try:
            status, _, content = await self._called("GET", f"{url.rstrip('/')}/{origin_hash(origin)}/checkpoint", None)
        except _CallFailed:
            return None
        return content if status == HTTPStatus.OK else None

    async def _called(self, method: str, url: str, body: bytes | None) -> tuple[int, str, bytes]:
        _check_safe(url)
        self._see_authority()
        try:
            async with asyncio.timeout(self._seconds), self._http.stream(method, url, content=body) as answer:
                content = b""
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > _LARGEST_ANSWER_BYTES:
                        raise _CallFailed(f"it answered with more than {_LARGEST_ANSWER_BYTES} bytes")
                media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
                return answer.status_code, media, content
        except TimeoutError as exc:
            raise _CallFailed(f"it did not answer within {self._seconds:g} seconds") from exc
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError) as exc:
            raise _CallFailed(_why_unconnected(exc)) from exc

    def _see_authority(self) -> None:
        """Believe what lies there anew beside what is believed already; what is not whole yet is looked at again."""
        if self._authority is not None and (state := state_of(self._authority)) != self._seen:
            self._seen = state
            with suppress(OSError):
                read_plain(self._authority)  # refuses a pipe, which OpenSSL would wait at, and this loop with it
                self._context.load_verify_locations(cafile=self._authority)


class _CallFailed(Exception):  # noqa: N818  it never leaves this file
    """There is no answer; the message says why."""


def _why_unconnected(failure: Exception) -> str:
    """Name what is wrong with the witness's certificate where that is it: only the operator can mend it."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not believed: {cause.verify_message} (see `witness_authority_file`)"
        cause = cause.__cause__ or cause.__context__
    return f"no connection: {type(failure).__name__}"


def _check_safe(url: str) -> None:
    try:
        parts = urlsplit(url)
        # Written into the policy's file by hand: a port beyond all ports, or octets that are no text.
        _ = parts.port, url.encode()
    except ValueError as exc:
        raise _CallFailed("its address is none") from exc
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return
    raise _CallFailed("its address is neither HTTPS nor on loopback")
