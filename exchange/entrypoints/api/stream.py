"""The stream: Server-Sent Events (WHATWG HTML, "Server-sent events") over one long answer.

Promises: an event is written only once its entry is durable; who stops reading is cut off, and whoever comes back with
the last id it was given goes on there.
Does not: keep anything for a reader that is slow: what it has not taken yet stays in the database.
"""

import asyncio
from collections.abc import Mapping
from typing import assert_never

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from exchange.entrypoints.api.parameters import PURPOSE
from exchange.entrypoints.http.connections import end_of
from exchange.entrypoints.http.receipts import receipt_headers
from exchange.entrypoints.http.routing import Operation, Parameter, head_of_stream
from exchange.entrypoints.http.visit import Visit, single_header
from exchange.usecases import Begun, Ended, ListAnew, Notice, ReportStream, Shown, Silence, Told, Unopened, open_stream

EVENT_STREAM = "text/event-stream"

_RETRY = b"retry: 2000\n"
"""Milliseconds until a reader whose stream broke comes again: long enough for a node to stop and another to answer."""


@Operation(
    method="GET",
    path="/v1/stream",
    action="report.stream",
    answer_media=EVENT_STREAM,
    parameters=(
        Parameter("after", "query", "`next` of a list: begin behind it. `Last-Event-ID` wins over it."),
        Parameter("Last-Event-ID", "header", "The id of the last event that was taken: go on behind it."),
        PURPOSE,
    ),
)
async def stream(visit: Visit) -> Response:
    """Stream the headers that this client may see, requests and breaches, as they come (Server-Sent Events)."""
    query = visit.read_query()
    # An empty one is what a browser sends before it was given any.
    cursor = single_header(visit.request, "Last-Event-ID") or query.get("after")
    recorded = await open_stream(visit.services, visit.call, cursor)
    # The edge must pass each event on as it comes.
    headers = {**receipt_headers(recorded.receipt), "X-Accel-Buffering": "no"}
    if visit.is_head:
        await recorded.value.close()
        return head_of_stream(headers, EVENT_STREAM)
    return EventStream(recorded.value, headers, send_seconds=visit.services.watching.limits.send_seconds)


def written(notice: Notice) -> bytes:
    """Return the bytes of one notice. Ids and headers hold no line breaks: JSON and base64 write none."""
    match notice:
        case Begun(cursor):
            # No data, hence no event: the reader only notes where it is, and when to come again.
            return b"%bid: %b\n\n" % (_RETRY, cursor.encode())
        case Shown(header_json, cursor):
            return b"id: %b\nevent: report\ndata: %b\n\n" % (cursor.encode(), header_json)
        case Told(kind, facts_json, cursor):
            return b"id: %b\nevent: %b\ndata: %b\n\n" % (cursor.encode(), kind.encode(), facts_json)
        case Unopened(report, cursor):
            return b'id: %b\nevent: unopened\ndata: {"report":%b}\n\n' % (cursor.encode(), orjson.dumps(report))
        case Silence():
            return b":\n\n"
        case ListAnew():
            return b'event: list-anew\ndata: {"path":"/v1/reports"}\n\n'
        case Ended(why):
            return b'%bevent: end\ndata: {"why":"%b"}\n\n' % (_RETRY, why.value.encode())
        case other:
            assert_never(other)


class EventStream(Response):
    """The answer that goes on: it ends with the stream, or with the reader."""

    media_type = EVENT_STREAM

    def __init__(self, stream: ReportStream, headers: Mapping[str, str], *, send_seconds: float) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._stream = stream
        self._send_seconds = send_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until either end has enough."""
        leaving = asyncio.create_task(self._watch_reader(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for notice in self._stream.notices():
                await self._sent(send, written(notice), more_body=True)
            await self._sent(send, b"", more_body=False)
        except TimeoutError:
            # What waits in the connection is what it does not read: only cutting it ends that.
            if (abort := end_of(scope, "abort")) is not None:
                abort()
            await leaving
        finally:
            leaving.cancel()
            await self._stream.close()

    async def _sent(self, send: Send, body: bytes, *, more_body: bool) -> None:
        async with asyncio.timeout(self._send_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": more_body})

    async def _watch_reader(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass  # a GET has no body worth reading
        self._stream.leave()


OPERATIONS = (stream,)
