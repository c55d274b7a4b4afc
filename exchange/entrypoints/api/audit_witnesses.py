"""Who witnesses the log, and the door through which a member's witness brings its cosignature."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.http.routing import Operation, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.usecases.log.receive_cosignature import receive_cosignature
from exchange.usecases.log.witnesses import show_witnesses
from exchange.wire import CosignaturesBody, CosignedCheckpoint, WitnessListBody


@Operation(method="GET", path="/v1/audit/witnesses", action="witness.list", answer=WitnessListBody)
async def list_all(visit: Visit) -> Response:
    """Who stands behind the log's newest kept checkpoint, how far behind each is, and whether they are enough."""
    visit.read_query()
    recorded = await show_witnesses(visit.services, visit.call)
    return answered(recorded, WitnessListBody.of(recorded.value))


@Operation(
    method="POST",
    path="/v1/audit/cosignatures",
    action="cosignature.receive",
    body=CosignedCheckpoint,
    answer=CosignaturesBody,
    errors=(409,),
    example={"checkpoint": "exchange.example/log/7\n20\n...\n\n\u2014 exchange.example/log/7 ...\n"},
)
async def receive(visit: Visit) -> Response:
    """Take the cosignatures of enrolled witnesses on a kept checkpoint, brought by a member's auditor."""
    brought = await read_as(visit, CosignedCheckpoint, Role.AUDITOR, event=EventName.COSIGNATURE_RECEIVED)
    recorded = await receive_cosignature(visit.services, visit.call, brought.checkpoint)
    taken = recorded.value
    return answered(recorded, CosignaturesBody(size=taken.size, witnesses=list(taken.witnesses)))


OPERATIONS = (list_all, receive)
