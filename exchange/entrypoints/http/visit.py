"""One request on its way to a use case: its call, its body, its query, each read at the moment it may be read."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from exchange.entrypoints.http.errors import (
    NotAcceptableError,
    OverloadedError,
    SlowRequestError,
    UnsupportedMediaError,
)
from exchange.entrypoints.http.holders import Holder, stranger
from exchange.entrypoints.http.shares import Share, Shares
from exchange.entrypoints.http.turns import turn_in
from exchange.kernel import Fault, InvalidError, LimitExceededError, MalformedError, TooLargeError, parse_rfc3339
from exchange.usecases import Call, Services

CALL_KEY = "exchange.call"
SERVICES_KEY = "exchange.services"
HOLDER_KEY = "exchange.holder"
"""Against whose shares the request counts."""

_HELD_KEY = "exchange.held"
MOST_HELD_BYTES = 256 * 1024 * 1024
"""Of one worker: sixteen of the largest bodies, and what is made of them."""
_NOBODY = stranger("", "")
_RETRY_SECONDS = 2
"""By then some of what is being sent has been answered."""
_PURPOSE = re.compile(r"[a-z0-9-]{1,64}")
_MOST_PARAMETERS = 32
_FAULTY_QUERY = "the query has faults"
_ENTITY_TAG = re.compile(r'"(\d{1,9})"')
_LOST_PLUS = re.compile(r"T.* \d\d:\d\d\Z")
"""An offset whose `+` was read as the blank that it is in a query."""


class BodyRoom:
    """How much of bodies a worker holds in memory at a time: whoever comes when it is full is told to come again.

    So is a client which, or whose member, has its share of it; one body of `at_least` so many bytes has room in it.
    """

    def __init__(self, most_bytes: int = MOST_HELD_BYTES, *, at_least: int = 0) -> None:
        self._most_bytes = most_bytes
        self._shares = Shares(most_bytes, at_least=at_least)
        self.held_bytes = 0

    def take(self, scope: Any, size: int) -> None:
        """Hold so many more bytes for a request, else they are not kept.

        OverloadedError where there is no room, LimitExceededError where the client or its member has its share of it.
        """
        if self.held_bytes + size > self._most_bytes:
            raise OverloadedError("too much is being sent here: ask again, or another node")
        spent = self._shares.take(_holder_of(scope), size)
        if spent is not None:
            most = self._shares.of_client if spent is Share.CLIENT else self._shares.of_member
            message = f"{spent.value} may send {most} bytes here at a time: let some be answered first"
            raise LimitExceededError(message, retry_after_seconds=_RETRY_SECONDS)
        self.held_bytes += size
        scope[_HELD_KEY] = scope.get(_HELD_KEY, 0) + size

    def give_back(self, scope: Any) -> None:
        """Let go of what was held for a request."""
        held = scope.pop(_HELD_KEY, 0)
        self.held_bytes -= held
        if held:
            self._shares.give_back(_holder_of(scope), held)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be and how long it may take; both from the settings."""

    largest_bytes: int
    seconds: float
    room: BodyRoom = field(default_factory=BodyRoom)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request with its call. `call.purpose` is what `Exchange-Purpose` says."""

    request: Request
    services: Services
    call: Call
    limits: BodyLimits
    query_names: frozenset[str]
    """What may stand in its query."""

    @property
    def path(self) -> dict[str, str]:
        """Return the parameters in the path, as text: a use case decides what a malformed id means."""
        return self.request.path_params

    @property
    def is_head(self) -> bool:
        """Return whether the head of an answer alone is asked for (RFC 9110 §9.3.2): nothing of the rest leaves."""
        return self.request.method == "HEAD"

    def read_query(self) -> dict[str, str]:
        """Return the query's parameters, as `read_query`: those that its operation declares and no others."""
        return read_query(self.request, self.query_names)


def single_header(request: Request, name: str) -> str | None:
    """Return the one value of a header, None where it is absent.

    MalformedError where it stands twice: of two readers each may take another one.
    """
    given = request.headers.getlist(name)
    if len(given) > 1:
        raise MalformedError(f"`{name}` stands twice: send it once")
    return given[0] if given else None


def stated_purpose(request: Request) -> str | None:
    """Return what `Exchange-Purpose` states, None where it is absent; MalformedError for what cannot be a purpose."""
    given = single_header(request, "Exchange-Purpose")
    if given is not None and not _PURPOSE.fullmatch(given):
        raise MalformedError("`Exchange-Purpose` is no purpose: see GET /v1/vocabulary")
    return given


def stated_version(request: Request) -> int | None:
    """Return the version in `If-Match: "3"`, None where it is absent or `*`."""
    stated = single_header(request, "If-Match")
    if stated is None or stated == "*":
        return None
    found = _ENTITY_TAG.fullmatch(stated)
    if found is None:
        raise MalformedError('`If-Match` names no version: send the `version` that you read, in quotes, such as "3"')
    return int(found[1])


def require_acceptable(request: Request, offered: str) -> None:
    """Raise NotAcceptableError unless the caller accepts `offered` (RFC 9110 §12.5.1; weights but 0 are equal).

    `*/*` is offered where the answer is what somebody put there, of a kind that is not known before: whoever names that
    kind accepts it.
    """
    given = request.headers.getlist("accept")
    # Several lines are one list (RFC 9110 §5.3).
    accept = ",".join(given)
    if not given or offered == "*/*" or accept in {"*/*", offered}:
        return
    kind = offered.partition("/")[0]
    wanted = {"*/*", f"{kind}/*", offered.partition(";")[0].strip().lower()}
    for entry in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in entry.split(";"))
        if media in wanted and not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters):
            return
    raise NotAcceptableError(f"this answers as `{offered}`")


def require_media_type(request: Request, *read: str) -> str:
    """Return the body's media type if it is one of `read`; UnsupportedMediaError for others and for coded bodies."""
    given = (single_header(request, "Content-Type") or "").partition(";")[0].strip().lower()
    if given not in read:
        raise UnsupportedMediaError(f"send the body as {' or '.join(f'`{media}`' for media in read)}")
    if (single_header(request, "Content-Encoding") or "identity").strip().lower() != "identity":
        raise UnsupportedMediaError("send the body without `Content-Encoding`")
    # RFC 9112 §6.1: the parser takes off `chunked` alone; what lies beneath another coding is not what was meant.
    if (single_header(request, "Transfer-Encoding") or "chunked").strip().lower() != "chunked":
        raise UnsupportedMediaError("send the body with no `Transfer-Encoding` but `chunked`")
    return given


async def read_body(request: Request, limits: BodyLimits) -> bytes:
    """Return the whole body.

    Raises TooLargeError from `Content-Length` before a byte is read, and for a chunked body as soon as it is larger;
    SlowRequestError where it does not arrive in time, MalformedError where it ends early, OverloadedError where too
    many bodies are in memory, LimitExceededError where too many of them are this client's or its member's.
    """
    stated = request.headers.get("content-length")
    if stated is not None and (not _is_length(stated) or int(stated) > limits.largest_bytes):
        raise _too_large(limits)
    chunks, size = [], 0
    turn = turn_in(request.scope)
    if turn is not None:
        turn.pause()
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.largest_bytes:
                    raise _too_large(limits)
                limits.room.take(request.scope, len(chunk))
                chunks.append(chunk)
    except TimeoutError as exc:
        raise SlowRequestError(f"the body did not arrive within {limits.seconds:g} seconds") from exc
    except ClientDisconnect as exc:
        raise MalformedError("the body ended early") from exc
    if turn is not None:
        await turn.resume()
    return b"".join(chunks)


def stated_length(request: Request) -> int | None:
    """Return what `Content-Length` says, None where the body comes in chunks."""
    stated = request.headers.get("content-length")
    if stated is None:
        return None
    if not _is_length(stated):
        raise MalformedError("`Content-Length` is no number of bytes")
    return int(stated)


def _is_length(stated: str) -> bool:
    # A parser lets any number of leading zeros pass; to `int` thousands of digits are an error.
    return stated.isdecimal() and len(stated) < len("10000000000000000000")


async def arriving_body(request: Request, limits: BodyLimits) -> AsyncIterator[bytes]:
    """Yield a body as it arrives; nothing of it is kept here.

    It may take as long as a body of `largest_bytes` for each such stretch that has come, and for one more. Raises
    SlowRequestError where it does not come at that pace, MalformedError where it ends early.
    """
    turn = turn_in(request.scope)
    if turn is not None:
        turn.end()  # there is no resuming it: places and rows may be held meanwhile
    loop = asyncio.get_running_loop()
    begun, size = loop.time(), 0
    stream = request.stream()
    while True:
        due = begun + limits.seconds * (1 + size / limits.largest_bytes)
        try:
            async with asyncio.timeout_at(due):
                piece = await anext(stream, None)
        except TimeoutError as exc:
            raise SlowRequestError(f"the body came too slowly after {size} bytes: send it again") from exc
        except ClientDisconnect as exc:
            raise MalformedError(f"the body ended early, after {size} bytes: send it again") from exc
        if piece is None:
            return
        size += len(piece)
        if piece:
            yield piece


def read_query(request: Request, allowed: frozenset[str]) -> dict[str, str]:
    """Return the query's parameters by name; InvalidError points at each that is unknown or stands twice."""
    raw = request.scope.get("query_string", b"")
    if not raw:
        return {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict")
    except ValueError as exc:
        raise MalformedError("the query string cannot be read") from exc
    faults, query = [], {}
    for name, value in pairs:
        place = f"/{name[:64]}"
        if name not in allowed:
            faults.append(Fault(place, "unknown-field", f"no such parameter here: use {_listed(allowed)}"))
        elif name in query:
            faults.append(Fault(place, "repeated", "the parameter stands twice"))
        query[name] = value
    if faults:
        raise InvalidError(_FAULTY_QUERY, tuple(faults))
    return query


def moment_in(query: dict[str, str], name: str) -> datetime | None:
    """Return the time that the parameter `name` says, None where it is absent; InvalidError where it is none."""
    try:
        return parse_rfc3339(query[name]) if name in query else None
    except MalformedError as exc:
        why = f"{exc.message}; write a `+` as `%2B`" if _LOST_PLUS.search(query[name]) else exc.message
        raise query_fault(name, why) from exc


def query_fault(name: str, message: str) -> InvalidError:
    """Return the error about one parameter of a query."""
    return InvalidError(_FAULTY_QUERY, (Fault(f"/{name}", "invalid-value", message),))


def _holder_of(scope: Any) -> Holder:
    holder: Holder = scope.get(HOLDER_KEY) or _NOBODY
    return holder


def _too_large(limits: BodyLimits) -> TooLargeError:
    return TooLargeError(f"the body is larger than {limits.largest_bytes} bytes")


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none"
