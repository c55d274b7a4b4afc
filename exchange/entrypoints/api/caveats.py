"""National caveats: checked, proposed and withdrawn by a member's releasers, seen by its own clients."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.http.routing import Operation, Parameter, answered, read_as
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


@Operation(method="GET", path="/v1/caveats", action="caveats.list", answer=CaveatSetListBody)
async def list_(visit: Visit) -> Response:
    """What the caller's member has, had and waits to have in force for its own reports."""
    visit.read_query()
    recorded = await list_caveats(visit.services, visit.call)
    return answered(recorded, CaveatSetListBody(items=[_body(each) for each in recorded.value]))


@Operation(
    method="POST",
    path="/v1/caveats",
    action="caveats.propose",
    body=CaveatsText,
    answer=CaveatSetBody,
    status=201,
    errors=(409,),
    example=EXAMPLE,
)
async def propose(visit: Visit) -> Response:
    """Ask that these guards hold for the member's own reports (releaser); a second releaser confirms it."""
    body = await read_as(visit, CaveatsText, Role.RELEASER, event=EventName.CAVEATS_PROPOSED)
    recorded = await propose_caveats(visit.services, visit.call, NationalText(body.guards, body.examples))
    return answered(recorded, _body(recorded.value), status=201)


@Operation(
    method="POST",
    path="/v1/caveats/checks",
    action="caveats.check",
    body=CaveatsText,
    answer=CaveatPreviewBody,
    example=EXAMPLE,
)
async def check(visit: Visit) -> Response:
    """What these guards would stop, narrow or open (releaser); nothing of it is kept."""
    body = await read_as(visit, CaveatsText, Role.RELEASER, event=EventName.CAVEATS_CHECKED)
    recorded = await preview_caveats(visit.services, visit.call, NationalText(body.guards, body.examples))
    return answered(recorded, _preview(recorded.value))


@Operation(
    method="POST",
    path="/v1/caveats/withdrawal",
    action="caveats.withdraw",
    body=BareAct,
    answer=CaveatSetBody,
    status=201,
    errors=(409,),
)
async def withdraw(visit: Visit) -> Response:
    """Ask that no guard of the member's own holds any more (releaser); a second releaser confirms it."""
    await read_as(visit, BareAct, Role.RELEASER, event=EventName.CAVEATS_PROPOSED)
    recorded = await withdraw_caveats(visit.services, visit.call)
    return answered(recorded, _body(recorded.value), status=201)


@Operation(
    method="GET",
    path="/v1/caveats/{id}",
    action="caveats.show",
    answer=CaveatSetTextBody,
    parameters=(_SET_ID,),
)
async def show(visit: Visit) -> Response:
    """One set of the caller's member with its text."""
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


OPERATIONS = (list_, propose, check, withdraw, show)
