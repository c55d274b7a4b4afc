"""National caveats: checked, proposed and withdrawn by a member's releasers, seen by its own clients."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.http.routing import Endpoint, Operation, Parameter, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.release import NationalText
from exchange.store import CaveatSet
from exchange.usecases import (
    CaveatPreview,
    list_caveats,
    preview_caveats,
    propose_caveats,
    show_caveats,
    withdraw_caveats,
)
from exchange.wire import (
    BareAct,
    CaveatPreviewBody,
    CaveatSetBody,
    CaveatSetListBody,
    CaveatSetTextBody,
    CaveatsText,
    GuardBody,
    ReleaseChangeBody,
)
from exchange.wire.caveats import EXAMPLE, CaveatState

_SET_ID = Parameter("id", "path", "The id of the set of caveats.")

LIST = Operation(
    method="GET",
    path="/v1/caveats",
    action="caveats.list",
    summary="What the caller's member has, had and waits to have in force for its own reports.",
    answer=CaveatSetListBody,
)
PROPOSE = Operation(
    method="POST",
    path="/v1/caveats",
    action="caveats.propose",
    summary="Ask that these guards hold for the member's own reports (releaser); a second releaser confirms it.",
    body=CaveatsText,
    answer=CaveatSetBody,
    status=201,
    errors=(409,),
    example=EXAMPLE,
)
CHECK = Operation(
    method="POST",
    path="/v1/caveats/checks",
    action="caveats.check",
    summary="What these guards would stop, narrow or open (releaser); nothing of it is kept.",
    body=CaveatsText,
    answer=CaveatPreviewBody,
    example=EXAMPLE,
)
WITHDRAW = Operation(
    method="POST",
    path="/v1/caveats/withdrawal",
    action="caveats.withdraw",
    summary="Ask that no guard of the member's own holds any more (releaser); a second releaser confirms it.",
    body=BareAct,
    answer=CaveatSetBody,
    status=201,
    errors=(409,),
)
SHOW = Operation(
    method="GET",
    path="/v1/caveats/{id}",
    action="caveats.show",
    summary="One set of the caller's member with its text.",
    answer=CaveatSetTextBody,
    parameters=(_SET_ID,),
)


async def list_(visit: Visit) -> Response:
    """Answer `GET /v1/caveats`."""
    visit.read_query()
    recorded = await list_caveats(visit.services, visit.call)
    return answered(recorded, CaveatSetListBody(items=[_body(each) for each in recorded.value]))


async def propose(visit: Visit) -> Response:
    """Answer `POST /v1/caveats`."""
    body = await read_as(visit, CaveatsText, Role.RELEASER, event=EventName.CAVEATS_PROPOSED)
    recorded = await propose_caveats(visit.services, visit.call, NationalText(body.guards, body.examples))
    return answered(recorded, _body(recorded.value), status=201)


async def check(visit: Visit) -> Response:
    """Answer `POST /v1/caveats/checks`."""
    body = await read_as(visit, CaveatsText, Role.RELEASER, event=EventName.CAVEATS_CHECKED)
    recorded = await preview_caveats(visit.services, visit.call, NationalText(body.guards, body.examples))
    return answered(recorded, _preview(recorded.value))


async def withdraw(visit: Visit) -> Response:
    """Answer `POST /v1/caveats/withdrawal`."""
    await read_as(visit, BareAct, Role.RELEASER, event=EventName.CAVEATS_PROPOSED)
    recorded = await withdraw_caveats(visit.services, visit.call)
    return answered(recorded, _body(recorded.value), status=201)


async def show(visit: Visit) -> Response:
    """Answer `GET /v1/caveats/{id}`."""
    visit.read_query()
    recorded = await show_caveats(visit.services, visit.call, visit.path["id"])
    one = recorded.value
    shown = CaveatSetTextBody(**_body(one).model_dump(), cedar=one.guards, examples=one.examples)
    return answered(recorded, shown)


def _body(one: CaveatSet) -> CaveatSetBody:
    return CaveatSetBody(
        id=one.id,
        member=one.member,
        number=one.number,
        state=_state(one),
        guards=_guards(one.told),
        digest=one.digest,
        replaces=one.replaces,
        act=one.act,
        proposed_by=one.proposed_by,
        proposed_at=one.proposed_at,
        in_force_at=one.in_force_at,
        ended_at=one.ended_at,
    )


def _state(one: CaveatSet) -> CaveatState:
    if one.in_force_at is not None:
        return "in_force" if one.ended_at is None else "ended"
    if one.act_state == "ended":
        return "refused"
    return "waiting" if one.act_state == "waiting" else "lapsed"


def _guards(told: tuple[tuple[str, str], ...]) -> list[GuardBody]:
    return [GuardBody(id=guard, reason=reason) for guard, reason in told]


def _preview(preview: CaveatPreview) -> CaveatPreviewBody:
    return CaveatPreviewBody(
        guards=_guards(preview.guards),
        examples=preview.examples,
        changes=[
            ReleaseChangeBody(
                member=each.member,
                change=each.change.value,
                reports=each.reports,
                agreement=each.agreement,
                scope=each.scope,
                topic=each.topic,
                kind=each.kind,
                marking=each.marking,
            )
            for each in preview.changes
        ],
    )


OPERATIONS: tuple[tuple[Operation, Endpoint], ...] = (
    (LIST, list_),
    (PROPOSE, propose),
    (CHECK, check),
    (WITHDRAW, withdraw),
    (SHOW, show),
)
