"""The OpenAPI 3.1 document, written from the declarations of the operations: nothing served is missing from it."""

from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from pydantic.json_schema import models_json_schema

from exchange.entrypoints.api.examples import EXAMPLE_ID, example_of
from exchange.entrypoints.http.problems import STATUSES, TITLES
from exchange.entrypoints.http.receipts import AUDIT_HEADER, LEAF_HEADER
from exchange.entrypoints.http.routing import JSON, Operation, Parameter
from exchange.kernel import ExchangeError
from exchange.wire import PROBLEM_MEDIA_TYPE, ProblemBody, WireModel

_REFERENCE = "#/components/schemas/{model}"
_RECEIPT = (AUDIT_HEADER, LEAF_HEADER)
_WITHOUT_RECEIPT = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE})
_HEADERS_OF_PROBLEMS = {
    HTTPStatus.METHOD_NOT_ALLOWED: ("Allow",),
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: ("Content-Range",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}
_ANSWER_HEADERS = {
    "X-Request-Id": "The exchange's own id of this request.",
    AUDIT_HEADER: "Id of the audit entry that was durable before this answer existed.",
    LEAF_HEADER: "Leaf hash of that entry in base64 (RFC 9162): kept, it proves later that the log had the entry.",
    "Location": "Where the new thing is.",
    "ETag": "The version shown, for `If-Match`.",
    "Idempotency-Replayed": "`true` where an earlier post with the same key is answered again.",
    "Content-Disposition": "Always an attachment.",
    "Accept-Ranges": "`bytes`.",
    "Link": '`rel="license"`: the report, whose `released_under` has the terms on which its originator gives it.',
    "Content-Range": "Which bytes these are, and of how many.",
    "Allow": "The methods that this path has.",
    "Retry-After": "Seconds to wait.",
    "X-Audit-Export-End": "The place behind the last entry that this export may hold, `LOG.POSITION`.",
}
_DESCRIPTION = """\
States that have signed sharing agreements post and pull encrypted intelligence reports here, and can prove afterwards
who read what, when, under which agreement, and why it was allowed.

Every request comes over TLS 1.3 with a client certificate that is enrolled. What a client may not see does not exist
for it: absent and invisible are one answer. Every answer names its audit entry in `X-Audit-Entry` and that
entry's leaf hash in `X-Audit-Leaf`: together they are the caller's receipt.
"""


def document(operations: Iterable[Operation], *, version: str) -> dict[str, Any]:
    """Return the whole document."""
    listed = list(operations)
    schemas = _schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        # `{index:path}` is Starlette's way to say that a parameter may hold slashes.
        paths.setdefault(operation.path.replace(":path}", "}"), {})[operation.method.lower()] = _operation(
            operation, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "The exchange", "version": version, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"client_certificate": []}],
        "tags": [{"name": name} for name in sorted({_tag(operation) for operation in listed})],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": _problems(listed),
            "securitySchemes": {
                "client_certificate": {
                    "type": "mutualTLS",
                    "description": "A certificate of a trusted authority, enrolled with the exchange.",
                }
            },
        },
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [_tag(operation)],
        "x-policy-action": operation.action,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": {str(operation.status): _answer(operation, schemas), **_refusals(operation, schemas)},
    }
    for status, answer in operation.other_answers:
        other = replace(operation, status=status, answer=answer)
        described["responses"][str(status)] = _answer(other, schemas)
    if operation.body is not None:
        content = dict(_body(operation, operation.body))
        described["requestBody"] = {"required": operation.body_required, "content": content}
    elif JSON not in operation.body_media:
        octets = {"schema": {"type": "string", "format": "binary"}}
        described["requestBody"] = {"required": True, "content": dict.fromkeys(operation.body_media, octets)}
    return described


def _tag(operation: Operation) -> str:
    return operation.path.split("/")[2]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.required or parameter.place == "path",
        "schema": parameter.schema,
    }


def _body(operation: Operation, model: type[WireModel]) -> Iterable[tuple[str, dict[str, Any]]]:
    for media in operation.body_media:
        if media == JSON:
            shown = operation.example if model.model_fields else {}
            example = {} if shown is None else {"example": shown}
            yield media, {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}, **example}
        else:
            yield media, {"schema": {"type": "string", "description": "The same as a file."}}


def _answer(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    if operation.answer is None:
        # A stream has no schema of its own here: tools read one as that of each event.
        is_stream = operation.answer_media == "text/event-stream"
        shape: dict[str, Any] = {} if is_stream else {"schema": {"type": "string", "format": "binary"}}
        content: dict[str, Any] = {operation.answer_media: shape}
    else:
        example = example_of(schemas[operation.answer.__name__], schemas)
        content = {JSON: {"schema": {"$ref": _REFERENCE.format(model=operation.answer.__name__)}, "example": example}}
    names = ("X-Request-Id", *_RECEIPT, *operation.answer_headers)
    return {"description": operation.summary, "headers": _headers(names), "content": content}


def _refusals(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    statuses = map(HTTPStatus, operation.refusals)
    refusals = {str(status.value): {"$ref": f"#/components/responses/{_name(status)}"} for status in statuses}
    if HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE in operation.errors:
        ranged = replace(operation, answer_headers=(*operation.answer_headers, "Content-Range"))
        refusals["206"] = {**_answer(ranged, schemas), "description": "The range asked for."}
    return refusals


def _problems(operations: list[Operation]) -> dict[str, Any]:
    statuses = sorted({HTTPStatus(status) for operation in operations for status in operation.refusals})
    return {_name(status): _problem(status) for status in statuses}


def _problem(status: HTTPStatus) -> dict[str, Any]:
    # What nobody foresaw has no type of its own, and tells nothing but where to look.
    code = next((kind.code for kind, row in STATUSES.items() if row is status), ExchangeError.code)
    example = {
        "type": f"urn:exchange:problem:{code}",
        "title": TITLES[status],
        "status": status.value,
        "code": code,
        "detail": TITLES[status].lower(),
        "request_id": EXAMPLE_ID,
    }
    # Where the log is away or nobody foresaw it there is none; of a client that asks too often only the first refusal
    # in a second has one.
    receipt = () if status in _WITHOUT_RECEIPT else _RECEIPT
    told = _HEADERS_OF_PROBLEMS.get(status, ())
    schema = {"$ref": _REFERENCE.format(model=ProblemBody.__name__)}
    return {
        "description": TITLES[status],
        "headers": _headers(("X-Request-Id", *receipt, *told)),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema, "example": example}},
    }


def _name(status: HTTPStatus) -> str:
    return status.name.title().replace("_", "")


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"description": _ANSWER_HEADERS[name], "schema": {"type": "string"}} for name in names}


def _schemas(operations: list[Operation]) -> dict[str, Any]:
    bodies: set[type[WireModel]] = {operation.body for operation in operations if operation.body is not None}
    answers: set[type[WireModel]] = {operation.answer for operation in operations if operation.answer is not None}
    others = {answer for operation in operations for _, answer in operation.other_answers}
    models: list[type[WireModel]] = sorted({*bodies, *answers, *others, ProblemBody}, key=lambda model: model.__name__)
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas
