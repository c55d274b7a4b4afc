"""Acts that wait for a second person: seen, confirmed, refused, whatever their kind."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.http.routing import Operation, Parameter, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import ACTING_ROLES
from exchange.usecases import PendingActView, Recorded, confirm_act, list_pending_acts, refuse_act, show_pending_act
from exchange.wire import ActConfirmation, ActRefusal, PendingActBody, PendingActListBody

_ACT_ID = Parameter("id", "path", "The act's id.")


@Operation(method="GET", path="/v1/acts", action="act.list", answer=PendingActListBody)
async def list_(visit: Visit) -> Response:
    """List the acts that wait for a second person and that this client has to do with."""
    visit.read_query()
    recorded = await list_pending_acts(visit.services, visit.call)
    return answered(recorded, PendingActListBody(items=[_body(view) for view in recorded.value]))


@Operation(
    method="GET",
    path="/v1/acts/{id}",
    action="act.show",
    answer=PendingActBody,
    parameters=(_ACT_ID,),
    errors=(409,),
)
async def show(visit: Visit) -> Response:
    """Show an act that was asked for, to those who have to do with it."""
    visit.read_query()
    return _answer(await show_pending_act(visit.services, visit.call, visit.path["id"]))


@Operation(
    method="POST",
    path="/v1/acts/{id}/confirmation",
    action="act.confirm",
    body=ActConfirmation,
    answer=PendingActBody,
    parameters=(_ACT_ID,),
    errors=(409,),
    example={"digest": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
)
async def confirm(visit: Visit) -> Response:
    """Confirm, as the second person, an act that another one asked for; it is done at once."""
    given = await read_as(visit, ActConfirmation, *ACTING_ROLES, event=EventName.ACT_CONFIRMED)
    return _answer(await confirm_act(visit.services, visit.call, visit.path["id"], given.digest))


@Operation(
    method="POST",
    path="/v1/acts/{id}/refusal",
    action="act.refuse",
    body=ActRefusal,
    answer=PendingActBody,
    parameters=(_ACT_ID,),
    errors=(409,),
    example={},
)
async def refuse(visit: Visit) -> Response:
    """End an act without its being done: refuse it, or take back what one asked for."""
    given = await read_as(visit, ActRefusal, *ACTING_ROLES, event=EventName.ACT_REFUSED)
    return _answer(await refuse_act(visit.services, visit.call, visit.path["id"], given.reason))


def _body(view: PendingActView) -> PendingActBody:
    return PendingActBody.of(view.act, may_confirm=view.may_confirm)


def _answer(recorded: Recorded[PendingActView]) -> Response:
    return answered(recorded, _body(recorded.value))


OPERATIONS = (list_, show, confirm, refuse)
