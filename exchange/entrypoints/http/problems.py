"""The one table: type of error -> status. A type without a row is a 500 that tells nothing.

Promises: absent and forbidden things get the same bytes but for the request id; no answer repeats what was sent
beyond what the fault must name, and none tells of an error that nobody foresaw.
"""

import logging
from dataclasses import dataclass
from http import HTTPStatus

import orjson
from starlette.responses import Response
from starlette.types import Scope

from exchange.audit import EventName, Outcome
from exchange.entrypoints.http.errors import (
    MethodNotAllowedError,
    NotAcceptableError,
    OverloadedError,
    RangeError,
    SlowRequestError,
    UnknownPathError,
    UnsupportedMediaError,
)
from exchange.entrypoints.http.metrics import UNMATCHED
from exchange.entrypoints.http.receipts import receipt_headers
from exchange.kernel import (
    ConflictError,
    EntryReceipt,
    ExchangeError,
    ForbiddenError,
    InvalidError,
    LimitExceededError,
    MalformedError,
    NotAuthenticatedError,
    NotFoundError,
    PreconditionError,
    StalePolicyError,
    TooLargeError,
    UnavailableError,
    faults_told,
)
from exchange.store.rows.unread import UnreadRowError
from exchange.store.writer.standing import AlteredStateError
from exchange.usecases import Call, Services, authenticate, record_rejection, record_tampering
from exchange.wire import PROBLEM_MEDIA_TYPE, FaultBody, ProblemBody

_log = logging.getLogger("exchange.http")

STATUSES: dict[type[ExchangeError], HTTPStatus] = {
    MalformedError: HTTPStatus.BAD_REQUEST,
    NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    MethodNotAllowedError: HTTPStatus.METHOD_NOT_ALLOWED,
    NotAcceptableError: HTTPStatus.NOT_ACCEPTABLE,
    SlowRequestError: HTTPStatus.REQUEST_TIMEOUT,
    ConflictError: HTTPStatus.CONFLICT,
    PreconditionError: HTTPStatus.PRECONDITION_FAILED,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    RangeError: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    InvalidError: HTTPStatus.UNPROCESSABLE_ENTITY,
    LimitExceededError: HTTPStatus.TOO_MANY_REQUESTS,
    # The use case has begun again several times by then: the policy moves faster than it can be followed.
    StalePolicyError: HTTPStatus.SERVICE_UNAVAILABLE,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}

TITLES: dict[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read",
    HTTPStatus.UNAUTHORIZED: "Nobody is enrolled with this certificate",
    HTTPStatus.FORBIDDEN: "This client may not do that",
    HTTPStatus.NOT_FOUND: "There is no such thing, or none that you may see",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path has no such method",
    HTTPStatus.NOT_ACCEPTABLE: "No acceptable media type is offered here",
    HTTPStatus.REQUEST_TIMEOUT: "The request did not arrive in time",
    HTTPStatus.CONFLICT: "The state does not allow it now",
    HTTPStatus.PRECONDITION_FAILED: "It has changed since you read it",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Bodies of this media type are not read here",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "The range lies outside the part",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request has faults",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The exchange failed",
    HTTPStatus.SERVICE_UNAVAILABLE: "The exchange cannot answer now; nothing was released",
}

_FAILED = "failed"
_DETAIL_LENGTH = 500
_CUT = " ..."
_RETRY_SECONDS = 2
"""Long enough for a restarted database, short enough for a person."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, as far as the log may know it: the route's template, never the path as typed.

    `count` is for how many requests alike the one entry speaks.
    """

    method: str
    route: str
    count: int = 1


def asked_in(scope: Scope) -> Asked:
    """Return what was asked by the request of `scope`."""
    return Asked(scope["method"], getattr(scope.get("route"), "path", UNMATCHED))


async def refusal(services: Services, call: Call, error: ExchangeError, asked: Asked) -> Response:
    """Return the answer to a request that ended in `error`, after the log has it.

    What a use case raised is recorded already; what was refused before any is recorded here. A stranger hears that
    it is one, whatever else was wrong. Where the log fails the answer is a 503: nothing is answered off the record.
    """
    if isinstance(error, AlteredStateError):
        _log.error("request not answered", extra={"request_id": call.request_id, "cause": _shortened(error.message)})
    if isinstance(error, UnreadRowError | AlteredStateError):
        return await failure(services, call, asked, error)
    if error.receipt is None and not isinstance(error, UnavailableError):
        try:
            await authenticate(services, call, event=EventName.ROUTE_REQUESTED)
            error.receipt = await record_rejection(
                services, call, method=asked.method, route=asked.route, code=error.code, count=asked.count
            )
        except (NotAuthenticatedError, ForbiddenError) as exc:
            error = exc
        except (UnreadRowError, AlteredStateError) as exc:
            return await failure(services, call, asked, exc)
        except ExchangeError as exc:
            _log.error("rejection not recorded", extra={"request_id": call.request_id, "cause": type(exc).__name__})
            error = UnavailableError("the log cannot be written")
    return problem(error, call.request_id)


async def failure(services: Services, call: Call, asked: Asked, cause: Exception) -> Response:
    """Return the answer to a request that failed for a reason nobody foresaw, after the log has it if it takes it.

    Where the caller's own row cannot be read, or something in the database is no number that has to be one, that was
    the reason, and somebody wrote it there.
    """
    receipt = None
    try:
        places = await services.store.misfits.lately()
        if isinstance(cause, UnreadRowError):
            # Where it is a number that is none, the column is named too.
            places = (*(each for each in places if each.startswith(cause.place)), cause.place)
        if places:
            await record_tampering(services, call, None, places[0], cause)
    except UnavailableError as exc:
        return problem(exc, call.request_id)
    except Exception as exc:  # noqa: BLE001  it is told as a failure then
        _log.exception("rows were not looked at", extra={"request_id": call.request_id, "cause": type(exc).__name__})
    try:
        receipt = await record_rejection(
            services, call, method=asked.method, route=asked.route, code=_FAILED, outcome=Outcome.FAILED
        )
    except Exception as exc:  # noqa: BLE001  what is broken may be the log itself: the caller is told the same
        _log.exception("failure not recorded", extra={"request_id": call.request_id, "cause": type(exc).__name__})
    return unforeseen(call.request_id, receipt)


def problem(error: ExchangeError, request_id: str) -> Response:
    """Return `error` as problem+json (RFC 9457)."""
    status = status_of_error(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("error without a row in the table", extra={"request_id": request_id, "cause": type(error).__name__})
        return unforeseen(request_id, error.receipt)
    if status is HTTPStatus.SERVICE_UNAVAILABLE and not isinstance(error, OverloadedError):
        # For the operator, who reads logs at night: what is broken, under the id that the caller was given.
        broken = {"request_id": request_id, "code": error.code, "cause": _shortened(error.message)}
        _log.error("request not answered", extra=broken)
    headers = _headers(error)
    if error.receipt is not None:
        headers |= receipt_headers(error.receipt)
    # INVARIANT: absent and forbidden are one answer; the message of a NotFoundError is not believed to be so.
    is_secret = status is HTTPStatus.NOT_FOUND and not isinstance(error, UnknownPathError)
    detail = TITLES[status].lower() if is_secret else _shortened(_told(error))
    body = ProblemBody(
        type=f"urn:exchange:problem:{error.code}",
        title=TITLES[status],
        status=status,
        code=error.code,
        detail=detail,
        request_id=request_id,
        errors=_faults(error),
    )
    return _response(body, headers)


def unforeseen(request_id: str, receipt: EntryReceipt | None) -> Response:
    """Return the 500 that tells nothing but where to look in the logs, and which entry says that it was."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    body = ProblemBody(
        type=f"urn:exchange:problem:{_FAILED}",
        title=TITLES[status],
        status=status,
        code=_FAILED,
        detail="the exchange's operator finds the cause under the request id",
        request_id=request_id,
    )
    return _response(body, {} if receipt is None else receipt_headers(receipt))


def status_of_error(error: ExchangeError) -> HTTPStatus:
    """Return the status of the nearest type in the table; 500 where there is none."""
    rows = (STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    return next(rows, HTTPStatus.INTERNAL_SERVER_ERROR)


def _shortened(text: str) -> str:
    return text if len(text) <= _DETAIL_LENGTH else text[: _DETAIL_LENGTH - len(_CUT)] + _CUT


def _told(error: ExchangeError) -> str:
    return error.told if isinstance(error, UnavailableError) else error.message


def _faults(error: ExchangeError) -> list[FaultBody] | None:
    if not isinstance(error, InvalidError) or not error.faults:
        return None
    return [
        FaultBody(pointer=fault.pointer, code=fault.code, detail=_shortened(fault.message), line=fault.line)
        for fault in faults_told(error.faults)
    ]


def _headers(error: ExchangeError) -> dict[str, str]:
    match error:
        case LimitExceededError(retry_after_seconds=seconds):
            return {"Retry-After": str(seconds)}
        case UnavailableError() | StalePolicyError():
            return {"Retry-After": str(_RETRY_SECONDS)}
        case MethodNotAllowedError(allowed=allowed):
            return {"Allow": ", ".join(allowed)}
        case RangeError(size_bytes=size):
            return {"Content-Range": f"bytes */{size}"}
        case _:
            return {}


def _response(body: ProblemBody, headers: dict[str, str]) -> Response:
    content = orjson.dumps(body.model_dump(exclude_none=True))
    return Response(content, status_code=body.status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)
