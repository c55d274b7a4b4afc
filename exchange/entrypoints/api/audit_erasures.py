"""Erasures of personal data from the log: one person asks, another one approves."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.http.routing import Operation, Parameter, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.usecases import (
    ERASING_ROLES,
    Erasure,
    Recorded,
    WantedErasure,
    approve_erasure,
    request_erasure,
    show_erasure,
)
from exchange.wire import BareAct, ErasureBody, ErasureRequest

_ERASURE_ID = Parameter("id", "path", "The erasure's id.")


@Operation(
    method="POST",
    path="/v1/audit/erasures",
    action="erasure.request",
    body=ErasureRequest,
    answer=ErasureBody,
    status=201,
    errors=(409,),
    answer_headers=("Location",),
    example={
        "subject": "01987f00-0000-7000-8000-000000000000",
        "period": "2026-10",
        "reason": "request of the data subject, file 12/2026",
    },
)
async def request(visit: Visit) -> Response:
    """Ask for the erasure of a client's personal data of one period from the log."""
    wanted = await read_as(visit, ErasureRequest, *ERASING_ROLES, event=EventName.PERSONAL_ERASURE_REQUESTED)
    asked = WantedErasure(wanted.subject, wanted.period, wanted.reason)
    recorded = await request_erasure(visit.services, visit.call, asked)
    return _answer(recorded, status=201, location=f"/v1/audit/erasures/{recorded.value.act.id}")


@Operation(
    method="POST",
    path="/v1/audit/erasures/{id}/approval",
    action="erasure.approve",
    body=BareAct,
    answer=ErasureBody,
    parameters=(_ERASURE_ID,),
    errors=(409,),
)
async def approve(visit: Visit) -> Response:
    """Approve, as the second person, an erasure that another client asked for; it is done at once."""
    await read_as(visit, BareAct, *ERASING_ROLES, event=EventName.PERSONAL_ERASED)
    return _answer(await approve_erasure(visit.services, visit.call, visit.path["id"]))


@Operation(
    method="GET",
    path="/v1/audit/erasures/{id}",
    action="erasure.show",
    answer=ErasureBody,
    parameters=(_ERASURE_ID,),
    errors=(409,),
)
async def show(visit: Visit) -> Response:
    """Show an erasure that was asked for, to who may approve it."""
    visit.read_query()
    return _answer(await show_erasure(visit.services, visit.call, visit.path["id"]))


def _answer(recorded: Recorded[Erasure], *, status: int = 200, **headers: str) -> Response:
    erasure = recorded.value
    return answered(recorded, ErasureBody.of(erasure.act, keys=erasure.keys), status=status, **headers)


OPERATIONS = (request, show, approve)
