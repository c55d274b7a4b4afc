"""The service as an ASGI app: FastAPI's routes and document, behind the door."""

from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from exchange.entrypoints.http.door import Door
from exchange.entrypoints.http.gate import MOST_CONNECTIONS, ConnectionGate
from exchange.entrypoints.http.holders import Holder, Holders
from exchange.entrypoints.http.metrics import UNMATCHED_SLOT, Metrics
from exchange.entrypoints.http.rates import Rates
from exchange.entrypoints.http.route_table import RouteTable
from exchange.entrypoints.http.routing import OperationRoute
from exchange.entrypoints.http.traced import TracedDoor
from exchange.kernel.spans import Tracer
from exchange.usecases import Services


class Service(FastAPI):
    """FastAPI whose every request passes the door first.

    A request for an operation goes from the door to its route; FastAPI answers the rest: its document, and what no
    route is for.
    """

    door: Door
    metrics: Metrics
    gate: ConnectionGate

    def set_door(
        self,
        rates: Rates,
        *,
        counts: Any | None = None,
        worker: int = 0,
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        """Close the app behind a door; called once, when every route has been added."""
        routes = [route for route in self.router.routes if isinstance(route, OperationRoute)]
        named = [(route.operation.method, route.operation.path) for route in routes]
        holders = Holders(self._holder_of)
        self.gate = ConnectionGate(most=most_connections, holders=holders)
        self.metrics = Metrics(named, memory=counts, worker=worker)
        for slot, route in enumerate(routes, UNMATCHED_SLOT + 1):
            route.slot = slot
        table = RouteTable(routes)
        self.door = Door(super().__call__, table, rates=rates, metrics=self.metrics, holders=holders)
        self._entrance: ASGIApp = self.door

    def measure(self, tracer: Tracer) -> None:
        """Measure every request from now on."""
        self._entrance = TracedDoor(self.door, tracer)

    async def _holder_of(self, thumbprint: str) -> Holder | None:
        services: Services = self.state.services
        client = (await services.store.caller(thumbprint)).client
        return None if client is None else Holder(str(client.id), client.member)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["app"] = self
        await self._entrance(scope, receive, send)
