"""A door whose requests are spans, for whoever has traces on.

What a caller sends is not believed: no trace is continued that comes with a request. Nothing of it is noted but its
method, if it is one of HTTP's, and the template of its route.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.entrypoints.http.metrics import UNMATCHED
from exchange.entrypoints.http.visit import CALL_KEY
from exchange.kernel.spans import Mark, Span, SpanName, Tracer

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
_OTHER = "_OTHER"
"""OpenTelemetry's own word for a method that is none (semantic conventions for HTTP spans)."""
_FAULT, _REFUSED = 500, 400


class TracedDoor:
    """Pure ASGI, as the door is."""

    def __init__(self, door: ASGIApp, tracer: Tracer) -> None:
        self._door = door
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._door(scope, receive, send)
            return
        status = _FAULT

        async def noticed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracer.span(SpanName.REQUEST) as span:
            try:
                await self._door(scope, receive, noticed)
            finally:
                _note(span, scope, status)


def _note(span: Span, scope: Scope, status: int) -> None:
    method, route, call = scope["method"], scope.get("route"), scope.get(CALL_KEY)
    span.note(Mark.METHOD, method if method in _METHODS else _OTHER)
    span.note(Mark.ROUTE, getattr(route, "path", UNMATCHED))
    span.note(Mark.STATUS, status)
    span.note(Mark.OUTCOME, "failed" if status >= _FAULT else "refused" if status >= _REFUSED else "answered")
    if call is not None:
        span.note(Mark.REQUEST_ID, call.request_id)
