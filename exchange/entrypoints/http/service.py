"""The service as an ASGI app: FastAPI's routes and document, behind the door."""

from typing import Any

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from exchange.entrypoints.http.door import Door
from exchange.entrypoints.http.limits import RateLimiter
from exchange.entrypoints.http.metrics import RequestCounts
from exchange.entrypoints.http.route_table import RouteTable
from exchange.entrypoints.http.routing import OperationRoute, operations_of


class Service(FastAPI):
    """FastAPI whose every request passes the door first.

    A request for an operation goes from the door to its route; FastAPI answers the rest: its document, and what no
    route is for.
    """

    door: Door

    def set_door(self, limiter: RateLimiter, *, counts: Any | None = None, worker: int = 0) -> None:
        """Close the app behind a door; called once, when every route has been added."""
        names = [f"{operation.method} {operation.path}" for operation in operations_of(self)]
        self.state.counts = RequestCounts(names, counts=counts, worker=worker)
        table = RouteTable(route for route in self.router.routes if isinstance(route, OperationRoute))
        self.door = Door(super().__call__, table, limiter=limiter, counts=self.state.counts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["app"] = self
        await self.door(scope, receive, send)
