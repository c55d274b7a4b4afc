"""The door: what happens to every request before and after its route, in one pass.

Steps: (1) a request id of our own, never the caller's; (2) room for one more, the shares and the rates of the client
and its member, and its turn; (3) no client certificate, no entry: the handshake refuses already, this is the second
lock, and of whom an edge names nobody for, the first; (4) one `Host`, no page of another site, and the route; (5) on
every answer the request id, no sniffing, no storing; (6) an error nobody foresaw becomes a 500 that tells nothing, and
what a server that ends has no time left for a 503; an answer that may not go on ends with its connection.

Which name stands in `Host` is not looked at: what a client believes is the server's certificate, and no answer is made
of the name.

Whose card is in a browser comes with its certificate whatever page asks: a page of another site could read in its
name, on the record, and see by what loads what it may read (Fetch Metadata). No page of another site is answered.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.entrypoints.http.connections import end_of, issuer_in, public_key_in, subject_in, thumbprint_in
from exchange.entrypoints.http.errors import OverloadedError
from exchange.entrypoints.http.floods import FloodEnds, Refused
from exchange.entrypoints.http.holders import Holder, Holders, stranger
from exchange.entrypoints.http.large_answers import LARGE_BYTES, LargeAnswers
from exchange.entrypoints.http.metrics import UNMATCHED, UNMATCHED_SLOT, Metrics, TurnedAway
from exchange.entrypoints.http.problems import Asked, asked_in, failure, problem, refusal
from exchange.entrypoints.http.rates import RETRY_AFTER_SECONDS, Rates
from exchange.entrypoints.http.route_table import RouteTable
from exchange.entrypoints.http.shares import Share, Shares
from exchange.entrypoints.http.turns import TURN_KEY, Turn, Turns
from exchange.entrypoints.http.visit import CALL_KEY, HOLDER_KEY, SERVICES_KEY
from exchange.kernel import (
    ExchangeError,
    LimitExceededError,
    MalformedError,
    NotAuthenticatedError,
    UnavailableError,
    new_id,
)
from exchange.usecases import Call, Services

COMMON_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
MOST_IN_FLIGHT = 1024
"""Requests that a worker answers at a time, streams apart; the next one is told at once to come again."""
UNKNOWN_CERTIFICATE = ""
"""Stands for a missing certificate in a call: None would be the host's own operator, which no request ever is."""
_NOBODY = stranger(UNKNOWN_CERTIFICATE, "")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
"""RFC 9110 §7.2, with a name: there is none without where a certificate was checked against it."""
_OWN_SITES = frozenset({b"same-origin", b"none"})
"""Fetch Metadata: a page of the exchange's own, or a person that typed or kept the address. Programs send none."""
_SITE, _ORIGIN = b"sec-fetch-site", b"origin"
_WHO_ASKS = frozenset({_SITE, _ORIGIN})
_LED_TO = "/docs"

_log = logging.getLogger("exchange.http")


class Door:
    """Pure ASGI: a function call per request, no task and no copy of the body."""

    def __init__(self, app: ASGIApp, table: RouteTable, *, rates: Rates, metrics: Metrics, holders: Holders) -> None:
        self._app = app
        self._table = table
        self.rates = rates
        self.holders = holders
        self._metrics = metrics
        self.large = LargeAnswers()
        self.shares = Shares(MOST_IN_FLIGHT)
        self.turns = Turns()
        self._floods = FloodEnds()
        self.in_flight = 0
        """Requests being answered, with those that are being refused."""
        self._held = 0
        """Those that hold a share: who is slow to take a refusal keeps nobody out."""
        self._meeting = 0
        """Those of whom it is being asked whose they are: each of them for as long as one read takes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        begun = perf_counter()
        # (1) our own id
        services: Services = scope["app"].state.services
        call = new_call(services, scope)
        scope[SERVICES_KEY], scope[CALL_KEY] = services, call
        answer = _Answer(send, call, self.large, is_head=scope["method"] == "HEAD")
        self.in_flight += 1
        try:
            await self._enter(scope, receive, answer)
        except Exception as exc:
            # (6) an answer that may not go on, or nobody foresaw it
            if answer.status is not None and isinstance(exc, ExchangeError) and await _has_hung_up(scope, receive):
                told = {"request_id": call.request_id, "code": exc.code, "cause": type(exc).__name__}
                _log.info("an answer ended before it was whole", extra=told)
                return
            _log.exception("unforeseen error", extra={"request_id": call.request_id, "cause": type(exc).__name__})
            if answer.status is not None:
                raise  # half an answer is out: only cutting the connection tells the caller
            await (await failure(services, call, asked_in(scope), exc))(scope, receive, answer)
        except asyncio.CancelledError:
            # (6) the server ends, and has waited for as long as it does
            if answer.status is not None:
                raise
            error = UnavailableError("this node is being stopped: ask again, or another node")
            await problem(error, call.request_id)(scope, receive, answer)
        finally:
            self.in_flight -= 1
            slot = getattr(scope.get("route"), "slot", UNMATCHED_SLOT)
            self._metrics.answered(slot, answer.status or 500, (answer.begun or perf_counter()) - begun)

    async def _enter(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        services, call = scope[SERVICES_KEY], scope[CALL_KEY]
        asked = Asked(scope["method"], UNMATCHED)
        # (2) room for it, the shares, the rates and the turn of its client and member; nobody's are a stranger's
        if self._held >= MOST_IN_FLIGHT and self._held - len(services.watching) >= MOST_IN_FLIGHT:
            await self._turn_away(scope, receive, answer)
            return
        holder = self.holders.known(call.thumbprint) or await self._met(scope, receive, answer)
        if holder is None:
            return
        scope[HOLDER_KEY] = answer.holder = holder
        streams = services.watching.streams_of
        beside = (streams(holder.client), streams(holder.member)) if services.watching.is_needed else (0, 0)
        spent = self.shares.take(holder, beside=beside)
        if spent is not None:
            await self._refuse_share(scope, receive, answer, spent)
            return
        self._held += 1
        try:
            spent = self.rates.admit(holder)
            if spent is not None and not await self._is_admitted(scope, receive, answer, spent):
                return
            turn = scope[TURN_KEY] = answer.turn = Turn(self.turns, holder)
            if not turn.begin():
                await turn.wait()
            # (3) the second lock, (4) one host, no other site, its route
            wrong = _no_certificate(call) or _wrong_in_head(scope)
            if wrong is not None:
                await (await refusal(services, call, wrong, asked))(scope, receive, answer)
                return
            route = self._table.find(scope)
            await (self._app(scope, receive, answer) if route is None else route.serve(scope, receive, answer))
        finally:
            answer.end_turn()
            self._held -= 1
            self.shares.give_back(holder)

    async def _met(self, scope: Scope, receive: Receive, answer: "_Answer") -> Holder | None:
        """Return who asks with a certificate that this worker meets for the first time; None where it has been told."""
        call: Call = scope[CALL_KEY]
        nobody = stranger(call.thumbprint or UNKNOWN_CERTIFICATE, issuer_in(scope))
        if self._meeting >= MOST_IN_FLIGHT:
            await self._turn_away(scope, receive, answer)
            return None
        self._meeting += 1
        try:
            return await self.holders.meet(nobody.client) or nobody
        except UnavailableError as exc:
            await (await refusal(scope[SERVICES_KEY], call, exc, asked_in(scope)))(scope, receive, answer)
            return None
        finally:
            self._meeting -= 1

    async def _turn_away(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        self._metrics.turned_away(TurnedAway.OVERLOAD)
        error = OverloadedError("too many requests are being answered here: ask again, or another node")
        await problem(error, scope[CALL_KEY].request_id)(scope, receive, answer)

    async def _is_admitted(self, scope: Scope, receive: Receive, answer: "_Answer", missing: Share) -> bool:
        """Return whether the client may ask once more; where it may not, it has been told."""
        call: Call = scope[CALL_KEY]
        try:
            spent = await self.rates.admit_later(scope[HOLDER_KEY], missing)
        except UnavailableError as exc:
            await problem(exc, call.request_id)(scope, receive, answer)
            return False
        if spent is not None:
            why = "this client asks" if spent is Share.CLIENT else f"{spent.value} ask"
            await self._slow_down(scope, receive, answer, f"{why} too often")
        return spent is None

    async def _refuse_share(self, scope: Scope, receive: Receive, answer: "_Answer", spent: Share) -> None:
        told = {
            Share.CLIENT: f"this client has {self.shares.of_client} requests open here",
            Share.MEMBER: f"{spent.value} have {self.shares.of_member} requests open here",
            Share.STRANGERS: f"{spent.value} have too many requests open here",
        }
        await self._slow_down(scope, receive, answer, told[spent])

    async def _slow_down(self, scope: Scope, receive: Receive, answer: "_Answer", why: str) -> None:
        self._metrics.turned_away(TurnedAway.RATE)
        call: Call = scope[CALL_KEY]
        told_as, refusals = scope[HOLDER_KEY].told_as, self.rates.refusals
        error = LimitExceededError(why, retry_after_seconds=RETRY_AFTER_SECONDS)
        count = refusals.to_record(told_as)
        if count:
            response = await refusal(scope[SERVICES_KEY], call, error, Asked(scope["method"], UNMATCHED, count))
        else:
            refused = Refused(scope[SERVICES_KEY], call, scope["method"], error.code, told_as, refusals.untold)
            self._floods.expect(refused)
            response = problem(error, call.request_id)
        await response(scope, receive, answer)


class _Answer:
    """The way out: counts what left, adds the common headers, sends large answers in pieces, no content to a HEAD."""

    __slots__ = ("_call", "_is_head", "_large", "_send", "begun", "holder", "status", "turn")

    def __init__(self, send: Send, call: Call, large: LargeAnswers, *, is_head: bool) -> None:
        self._send = send
        self._large = large
        self._call = call
        self._is_head = is_head
        self.status: int | None = None
        self.begun = 0.0
        self.holder = _NOBODY
        self.turn: Turn | None = None

    def end_turn(self) -> None:
        """Let the next request of its member be worked on."""
        if self.turn is not None:
            self.turn.end()

    async def __call__(self, message: Message) -> None:
        # (5) on every answer
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.begun = perf_counter()
            # How long its reader takes for it is no work.
            self.end_turn()
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", self._call.request_id.encode()),
                *COMMON_HEADERS,
            ]
        elif self._is_head and message["type"] == "http.response.body":
            message["body"] = b""
        elif len(message.get("body", b"")) > LARGE_BYTES:
            await self._large.send(self._send, message, holder=self.holder)
            return
        await self._send(message)


async def _has_hung_up(scope: Scope, receive: Receive) -> bool:
    """End the connection behind what was sent of an answer, and wait for that; False where it cannot be ended."""
    close = end_of(scope, "close")
    if close is None:
        return False
    close()
    while (await receive())["type"] != "http.disconnect":
        pass  # nobody reads the rest of the request
    return True


def _no_certificate(call: Call) -> NotAuthenticatedError | None:
    if call.thumbprint == UNKNOWN_CERTIFICATE:
        return NotAuthenticatedError("no client certificate came with this connection")
    return None


def _has_one_host(scope: Scope) -> bool:
    """Return whether `Host` stands once and can be one; HTTP/1.0 may leave it out (RFC 9112 §3.2)."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) == 1:
        return _HOST.fullmatch(hosts[0]) is not None
    return not hosts and scope["http_version"] == "1.0"


def _wrong_in_head(scope: Scope) -> MalformedError | None:
    """Return why a request is not looked at further, None where nothing is wrong with whom it asks and who asks it."""
    if not _has_one_host(scope):
        return MalformedError("send `Host` once, with the name or the address that is asked")
    asking = [header for header in scope["headers"] if header[0] in _WHO_ASKS]
    # Where the description of the interface stands, anybody may be led: it is the same for everybody.
    if asking and scope["path"] != _LED_TO and _is_foreign(asking, scope):
        return MalformedError("a page of another site asks for this: open the exchange's own")
    return None


def _is_foreign(asking: Sequence[tuple[bytes, bytes]], scope: Scope) -> bool:
    """Return whether a page of another site asks.

    A browser from before Fetch Metadata says with what it posts, and what a script reads, of which origin the page is
    (RFC 6454 §7); that its other loads are no program's, nothing tells.
    """
    if any(name == _SITE for name, _ in asking):
        return any(value not in _OWN_SITES for name, value in asking if name == _SITE)
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return any(value.lower() != b"https://" + host.lower() for _, value in asking)


def new_call(services: Services, scope: Any) -> Call:
    """Return the call of a request: its id, its one time, where it came from, whose certificate it carries."""
    now = services.clock()
    client = scope.get("client")
    return Call(
        request_id=new_id(now, services.randomness),
        source="" if client is None else client[0],
        thumbprint=thumbprint_in(scope) or UNKNOWN_CERTIFICATE,
        now=now,
        certificate_subject=subject_in(scope),
        public_key=public_key_in(scope),
        user_agent=_user_agent(scope),
    )


def _user_agent(scope: Any) -> str | None:
    """Return what the caller's program calls itself."""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            text: str = value.decode("latin-1")
            return text
    return None
