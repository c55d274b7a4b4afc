"""The operations address: alive, ready, counted. Plain HTTP, for the host and its orchestrator only.

Its answers have the headers of every answer: a request id of their own, no sniffing, no storing.

It says nothing of reports, clients or agreements, so it needs no identity; it must never be reachable from outside.
Whichever worker answers `/metrics` tells of all of them (`board`).
"""

from collections.abc import Callable

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange import __version__
from exchange.entrypoints.http.door import COMMON_HEADERS
from exchange.entrypoints.http.inspection import HostPlaces, Shown, inspected
from exchange.entrypoints.http.service import Service
from exchange.kernel import new_id, system_clock, system_randomness
from exchange.usecases import Check, Readiness, check_readiness, inspect_service

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class _Headers:
    """Puts the headers of every answer (contract) on each that leaves here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                request_id = new_id(system_clock(), system_randomness).encode()
                message["headers"] = [*message["headers"], (b"x-request-id", request_id), *COMMON_HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers)


def operations_app(app: Service, places: HostPlaces | None = None, shown: Callable[[], Shown] = Shown) -> Starlette:
    """Return the app of the operations address for the service `app`; `shown` tells what its process has in use."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_: Request) -> Response:
        services = getattr(app.state, "services", None)
        if services is None:
            starting = Readiness((Check("start", is_working=False, finding="the service is starting"),))
            return _readiness(starting)
        return _readiness(await check_readiness(services))

    async def metrics(_: Request) -> Response:
        lines = list(app.metrics.board.lines())
        services = getattr(app.state, "services", None)
        if services is not None:
            found = await inspect_service(services)
            lines += inspected(found, places, version=__version__, now=system_clock(), shown=shown())
        return Response("\n".join([*lines, ""]), media_type=_PROMETHEUS)

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(routes=routes, middleware=[Middleware(_Headers)])


def _readiness(readiness: Readiness) -> Response:
    checks = [{"name": check.name, "works": check.is_working, "finding": check.finding} for check in readiness.checks]
    content = orjson.dumps({"ready": readiness.is_ready, "checks": checks})
    return Response(content, status_code=200 if readiness.is_ready else 503, media_type="application/json")
