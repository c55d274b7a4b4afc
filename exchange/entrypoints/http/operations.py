"""The operations address: alive, ready, counted. Plain HTTP, for the host and its orchestrator only.

It says nothing of reports, clients or agreements, so it needs no identity; it must never be reachable from outside.
Whichever worker answers `/metrics` tells of all of them (`board`).
"""

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exchange import __version__
from exchange.entrypoints.http.inspection import HostPlaces, inspected
from exchange.entrypoints.http.service import Service
from exchange.kernel import system_clock
from exchange.usecases import Check, Readiness, check_readiness, inspect_service

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def operations_app(app: Service, places: HostPlaces | None = None) -> Starlette:
    """Return the app of the operations address for the service `app`."""

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
            lines += inspected(found, places, version=__version__, now=system_clock())
        return Response("\n".join([*lines, ""]), media_type=_PROMETHEUS)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


def _readiness(readiness: Readiness) -> Response:
    checks = [{"name": check.name, "works": check.is_working, "finding": check.finding} for check in readiness.checks]
    content = orjson.dumps({"ready": readiness.is_ready, "checks": checks})
    return Response(content, status_code=200 if readiness.is_ready else 503, media_type="application/json")
