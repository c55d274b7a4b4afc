"""Crises of an agreement: asked for, listed, ended before their time. What opens one is the confirmation of an act."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.api.parameters import AGREEMENT_ID
from exchange.entrypoints.http.routing import Operation, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.usecases import CrisisView, CrisisWish, ask_for_crisis, end_crisis, list_crises
from exchange.wire import CrisisBody, CrisisEnd, CrisisListBody, CrisisRequest, PendingActBody


@Operation(
    method="POST",
    path="/v1/agreements/{id}/crises",
    action="crisis.ask",
    body=CrisisRequest,
    answer=PendingActBody,
    status=201,
    parameters=(AGREEMENT_ID,),
    errors=(409,),
    example={"clause": "storm-watch", "reason": "a second cable was cut this morning", "hours": 24},
)
async def ask(visit: Visit) -> Response:
    """Ask for a crisis to be opened (named signatory); one of another member confirms the act that this makes."""
    body = await read_as(visit, CrisisRequest, Role.SIGNATORY, event=EventName.CRISIS_ASKED)
    wish = CrisisWish(body.clause, body.reason, body.hours)
    recorded = await ask_for_crisis(visit.services, visit.call, visit.path["id"], wish)
    return answered(recorded, PendingActBody.of(recorded.value, may_confirm=False), status=201)


@Operation(
    method="GET",
    path="/v1/agreements/{id}/crises",
    action="crisis.list",
    answer=CrisisListBody,
    parameters=(AGREEMENT_ID,),
)
async def list_(visit: Visit) -> Response:
    """List every use of an agreement's crisis clauses, the newest first, to a party."""
    visit.read_query()
    recorded = await list_crises(visit.services, visit.call, visit.path["id"])
    return answered(recorded, CrisisListBody(items=[_body(view) for view in recorded.value.uses]))


@Operation(
    method="POST",
    path="/v1/agreements/{id}/crisis-end",
    action="crisis.end",
    body=CrisisEnd,
    answer=CrisisBody,
    parameters=(AGREEMENT_ID,),
    errors=(409,),
    example={"crisis": "01980000-0000-7000-8000-00000000000f"},
)
async def end(visit: Visit) -> Response:
    """End a crisis before its time (any signatory whom its clause names), from the next request on."""
    body = await read_as(visit, CrisisEnd, Role.SIGNATORY, event=EventName.CRISIS_ENDED)
    recorded = await end_crisis(visit.services, visit.call, visit.path["id"], body.crisis)
    return answered(recorded, _body(recorded.value))


def _body(view: CrisisView) -> CrisisBody:
    return CrisisBody.of(view.crisis, view.clause, is_open=view.is_open)


OPERATIONS = (ask, list_, end)
