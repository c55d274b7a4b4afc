"""Reports whose parts come later: parts as they are sent, the completion, and what its client has open."""

import re

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.api.parameters import PART_NUMBER, PURPOSE, REPORT_ID
from exchange.entrypoints.http.routing import Operation, answered, read_model
from exchange.entrypoints.http.visit import Visit, arriving_body, require_media_type, stated_length
from exchange.kernel import MalformedError
from exchange.members import Role
from exchange.usecases import (
    Incoming,
    OpenUpload,
    Recorded,
    UploadView,
    authenticate,
    complete_upload,
    give_up_upload,
    list_uploads,
    receive_part,
)
from exchange.wire import (
    BareAct,
    DeclaredPartBody,
    GivenUpBody,
    HeaderBody,
    LabelBody,
    OpenUploadBody,
    OpenUploadListBody,
    UploadBody,
)

BYTES = "application/octet-stream"

_NUMBER = re.compile("[1-9][0-9]{0,3}")

_AT_HAND_BYTES = 2 * 1024 * 1024
"""What a part that arrives takes in memory at a time, whatever its size: what came, and what is being sealed."""


@Operation(
    method="PUT",
    path="/v1/reports/{id}/parts/{n}",
    action="report.send-part",
    body_media=(BYTES,),
    answer=UploadBody,
    parameters=(REPORT_ID, PART_NUMBER),
    errors=(409,),
)
async def send_part(visit: Visit) -> Response:
    """Send the bytes of one part of a report posted with `complete` false; sent again, the last counts."""
    await authenticate(visit.services, visit.call, Role.CONTRIBUTOR, event=EventName.UPLOAD_PART_RECEIVED)
    visit.read_query()
    require_media_type(visit.request, BYTES)
    if "content-range" in visit.request.headers:
        # RFC 9110 §14.5: some of a part is never taken for the whole.
        raise MalformedError("a part is sent whole, without `Content-Range`")
    limits, scope = visit.limits, visit.request.scope
    stated = stated_length(visit.request)
    limits.room.take(scope, _AT_HAND_BYTES)
    incoming = Incoming(arriving_body(visit.request, limits), stated, hold=lambda size: limits.room.take(scope, size))
    recorded = await receive_part(visit.services, visit.call, visit.path["id"], part_number(visit), incoming)
    return answered(recorded, upload_body(recorded.value))


@Operation(
    method="POST",
    path="/v1/reports/{id}/completion",
    action="report.complete",
    body=BareAct,
    body_required=False,
    answer=HeaderBody,
    status=201,
    parameters=(REPORT_ID, PURPOSE),
    errors=(409,),
    answer_headers=("Location",),
)
async def complete(visit: Visit) -> Response:
    """Complete a report whose parts have all been sent: from here on it is posted."""
    await authenticate(visit.services, visit.call, Role.CONTRIBUTOR, event=EventName.UPLOAD_COMPLETED)
    visit.read_query()
    # There is nothing to be said, so nothing need be.
    headers = visit.request.headers
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        await read_model(visit, BareAct)
    recorded = await complete_upload(visit.services, visit.call, visit.path["id"])
    location = f"/v1/reports/{recorded.value.report_id}"
    return answered(recorded, recorded.value.header_json, status=201, location=location)


@Operation(method="GET", path="/v1/uploads", action="upload.list", answer=OpenUploadListBody)
async def list_open(visit: Visit) -> Response:
    """The reports that this client began with `complete` false and has not completed, the oldest first."""
    visit.read_query()
    recorded = await list_uploads(visit.services, visit.call)
    return answered(recorded, OpenUploadListBody(items=list(map(_open_body, recorded.value))))


@Operation(
    method="DELETE",
    path="/v1/uploads/{id}",
    action="upload.give-up",
    answer=GivenUpBody,
    parameters=(REPORT_ID,),
    errors=(409,),
)
async def give_up(visit: Visit) -> Response:
    """Give up a report that this client began and has not completed: what has come of it is destroyed."""
    visit.read_query()
    recorded = await give_up_upload(visit.services, visit.call, visit.path["id"])
    return answered(recorded, GivenUpBody(id=recorded.value))


def begun_answer(recorded: Recorded[UploadView]) -> Response:
    """Return the answer to a post with `complete` false."""
    view = recorded.value
    replayed = {"idempotency_replayed": "true"} if view.is_replayed else {}
    location = f"/v1/reports/{view.declared.id}"
    return answered(recorded, upload_body(view), status=202, location=location, **replayed)


def part_number(visit: Visit) -> int:
    """Return the number in the path; what is none, or another spelling of one, is answered like that of no part."""
    number = visit.path["n"]
    return int(number) if _NUMBER.fullmatch(number) else 0


def upload_body(view: UploadView) -> UploadBody:
    """Return an upload as JSON shows it."""
    declared = view.declared
    return UploadBody(
        id=declared.id,
        agreement=declared.agreement,
        scope=declared.scope,
        originator=declared.originator,
        begun_at=view.begun_at,
        given_up_at=view.due_at,
        parts=[
            DeclaredPartBody(
                number=part.header.number,
                label=LabelBody.of(part.header.label),
                marking=part.marking,
                media_type=part.header.media_type,
                name=part.header.name,
                size_bytes=part.header.size_bytes,
                sha256=part.header.sha256 or None,
                received=part.is_received,
            )
            for part in view.parts
        ],
    )


def _open_body(upload: OpenUpload) -> OpenUploadBody:
    return OpenUploadBody(
        id=upload.id,
        agreement=upload.agreement,
        scope=upload.scope,
        begun_at=upload.begun_at,
        given_up_at=upload.due_at,
        parts=upload.parts,
        size_bytes=upload.size_bytes,
        parts_received=upload.parts_received,
        received_bytes=upload.received_bytes,
    )


OPERATIONS = (send_part, complete, list_open, give_up)
