"""Routes: one declaration per operation, from which the route, its document and its policy action come.

A route in FastAPI's router whose handler is ours: the caller is authenticated before a byte of the body is read, which
FastAPI's own body parameters do not allow, and nothing stands between the socket and the use case on the hot paths.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from exchange.audit import EventName
from exchange.entrypoints.http.errors import MethodNotAllowedError, UnknownPathError
from exchange.entrypoints.http.metrics import UNMATCHED_SLOT
from exchange.entrypoints.http.problems import Asked, asked_in, refusal
from exchange.entrypoints.http.receipts import receipt_headers
from exchange.entrypoints.http.visit import (
    CALL_KEY,
    SERVICES_KEY,
    BodyLimits,
    Visit,
    read_body,
    require_acceptable,
    require_media_type,
    stated_purpose,
    stated_version,
)
from exchange.kernel import ExchangeError
from exchange.members import Role
from exchange.usecases import Recorded, authenticate
from exchange.wire import ListAnswer, UnopenedBody, WireModel, parse_body

JSON = "application/json"

Endpoint = Callable[[Visit], Awaitable[Response]]
T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=WireModel)

_EVERYWHERE = (400, 401, 403, 404, 405, 406, 422, 429, 500, 503)
"""Every operation: malformed query, not enrolled, suspended or without the role, absent, wrong method or media type,
unknown parameter, too many requests, what nobody foresaw, log or custody away."""
_WITH_BODY = (408, 413, 415)
"""Operations that read a body: too slow, too large, of another media type."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query, the path or the head, as the document shows it; one of the path is always there."""

    name: str
    place: str
    description: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method of one path does: the decorator of who answers it. `action` is the policy action it asks for.

    `summary` is the docstring of what it decorates.

    `errors` are the statuses that it may end in besides those of every operation, and of every one that reads a body.
    `body` and `answer` are models of `wire` (None: none, or bytes); `body_media` are the media types it reads, other
    than JSON where a body is bytes; `body_required` is false where nothing may be sent in its place.
    `other_answers` are what it answers besides, by status.
    """

    method: str
    path: str
    action: str
    summary: str = ""
    answer: type[WireModel] | None = None
    status: int = 200
    body: type[WireModel] | None = None
    body_media: tuple[str, ...] = (JSON,)
    body_required: bool = True
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()
    answer_media: str = JSON
    answer_headers: tuple[str, ...] = ()
    example: dict[str, Any] | None = None
    other_answers: tuple[tuple[int, type[WireModel]], ...] = ()

    def __call__(self, endpoint: Endpoint) -> "tuple[Operation, Any]":
        """Return it with its summary, and who answers it."""
        # An `Endpoint` is returned; mypy 2.4 ends in a crash where what is callable returns a pair of callables.
        return replace(self, summary=endpoint.__doc__ or ""), endpoint

    @property
    def name(self) -> str:
        """Return the operation's id in the document: `report.pull` -> `report_pull`."""
        return self.action.replace(".", "_").replace("-", "_")

    @property
    def refusals(self) -> tuple[int, ...]:
        """Return every status that it may end in where it does not answer."""
        has_body = self.body is not None or JSON not in self.body_media
        return tuple(sorted({*_EVERYWHERE, *(_WITH_BODY if has_body else ()), *self.errors}))


class ExactRoute(Route):
    """A route of its path alone: Starlette's own is found behind a line break, too, where `$` matches."""

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"\Z")


class OperationRoute(ExactRoute):
    """A route with its operation; HEAD answers like GET without content."""

    def __init__(self, operation: Operation, endpoint: Endpoint, limits: BodyLimits) -> None:
        async def handle(request: Request) -> Response:
            return await self.answer(request)

        # Not FastAPI's own kind, which reads each handler's signature for a document that is made elsewhere: with a
        # hundred routes that is half of what it takes to make the app.
        super().__init__(operation.path, handle, methods=[operation.method], name=operation.name)
        self.operation = operation
        self.slot = UNMATCHED_SLOT
        """Where its requests are counted."""
        self._visitor = endpoint
        self._query_names = frozenset(each.name for each in operation.parameters if each.place == "query")
        self._limits = limits
        self.app = self.serve

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: FastAPI's own handler would look for parameters that no endpoint here has."""
        response = await self.answer(Request(scope, receive, send))
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        """Return the endpoint's answer, or the problem that its error maps to."""
        scope = request.scope
        services, call = scope[SERVICES_KEY], scope[CALL_KEY]
        try:
            purpose = stated_purpose(request)
            if purpose is not None:
                call = replace(call, purpose=purpose)
            require_acceptable(request, self.operation.answer_media)
            return await self._visitor(Visit(request, services, call, self._limits, self._query_names))
        except ExchangeError as exc:
            return await refusal(services, call, exc, Asked(scope["method"], self.operation.path))
        finally:
            self._limits.room.give_back(scope)


def add_operations(app: FastAPI, operations: Iterable[tuple[Operation, Endpoint]], limits: BodyLimits) -> None:
    """Add a route for each operation, in this order: the first ones are matched soonest."""
    app.router.routes.extend(OperationRoute(operation, endpoint, limits) for operation, endpoint in operations)


async def answer_routing_fault(request: Request, error: Exception) -> Response:
    """Answer a request for which no route was found, or none for its method: known callers on the record."""
    scope = request.scope
    fault: ExchangeError = UnknownPathError()
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        fault = MethodNotAllowedError(_methods_at(request.app, scope))
    return await refusal(scope[SERVICES_KEY], scope[CALL_KEY], fault, asked_in(scope))


def _methods_at(app: FastAPI, scope: Scope) -> tuple[str, ...]:
    found = (
        route for route in app.router.routes if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
    )
    return tuple(sorted({method for route in found for method in route.methods or ()}))


async def read_model(visit: Visit, model: type[ModelT]) -> ModelT:
    """Return the JSON body as `model`; called only once the caller is known."""
    require_media_type(visit.request, JSON)
    return parse_body(model, await read_body(visit.request, visit.limits))


async def read_as(visit: Visit, model: type[ModelT], *roles: Role, event: EventName) -> ModelT:
    """Return the JSON body of who holds one of `roles`: anybody else is refused under `event` before it is read."""
    await authenticate(visit.services, visit.call, *roles, event=event)
    visit.read_query()
    return await read_model(visit, model)


async def read_change(visit: Visit, model: type[ModelT], *roles: Role, event: EventName) -> tuple[ModelT, int | None]:
    """Return the JSON body as `read_as`, and the version in `If-Match` that it is meant for."""
    await authenticate(visit.services, visit.call, *roles, event=event)
    visit.read_query()
    version = stated_version(visit.request)
    return await read_model(visit, model), version


def answered(recorded: Recorded[T], body: WireModel | bytes, *, status: int = 200, **headers: str) -> Response:
    """Return a JSON answer with the receipt of the entry that was durable before it existed.

    Keyword headers are written with underscores: `location`, `etag`.
    """
    content = body if isinstance(body, bytes) else _as_json(body, recorded.unopened)
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return Response(content, status_code=status, headers=named | receipt_headers(recorded.receipt), media_type=JSON)


def head_of_stream(headers: Mapping[str, str], media_type: str) -> Response:
    """Return the answer to a HEAD of what has no length before it ends (RFC 9110 §8.6)."""
    response = Response(headers=dict(headers), media_type=media_type)
    del response.headers["content-length"]
    return response


def _as_json(body: WireModel, unopened: int) -> bytes:
    if not isinstance(body, ListAnswer):
        return body.model_dump_json(by_alias=True).encode()
    if not unopened:
        return body.model_dump_json(by_alias=True, exclude={"unopened"}).encode()
    lacking = body.model_copy(update={"unopened": [UnopenedBody(id=None)] * unopened})
    return lacking.model_dump_json(by_alias=True).encode()
