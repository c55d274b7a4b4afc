"""Onward release: a reader asks, the originator's releaser grants, refuses, revokes; who asked withdraws."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.api.consents import consent_fields
from exchange.entrypoints.api.parameters import PURPOSE, REPORT_ID, REQUEST_ID
from exchange.entrypoints.http.routing import Operation, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.store import OnwardWish
from exchange.usecases import (
    OnwardView,
    grant_onward,
    list_onward,
    refuse_onward,
    request_onward,
    revoke_onward,
    withdraw_onward,
)
from exchange.wire import BareAct, ConsentRefusal, OnwardBody, OnwardGrant, OnwardListBody, OnwardRequest


@Operation(
    method="POST",
    path="/v1/reports/{id}/onward-requests",
    action="onward.request",
    body=OnwardRequest,
    answer=OnwardBody,
    status=201,
    parameters=(REPORT_ID, PURPOSE),
    errors=(409,),
    example={"recipient": "ESP", "reason": "ESP runs the operation that this concerns"},
)
async def request(visit: Visit) -> Response:
    """Ask the originator to release a report, or parts of it, to a member."""
    body = await read_as(visit, OnwardRequest, Role.READER, event=EventName.ONWARD_REQUESTED)
    wish = OnwardWish(body.recipient, tuple(body.parts), tuple(body.purposes), body.until, body.reason)
    recorded = await request_onward(visit.services, visit.call, visit.path["id"], wish)
    return answered(recorded, _body(recorded.value), status=201)


@Operation(method="GET", path="/v1/onward-requests", action="onward.list", answer=OnwardListBody)
async def list_(visit: Visit) -> Response:
    """Requests that this client made, or that are about reports of a releaser's member."""
    visit.read_query()
    recorded = await list_onward(visit.services, visit.call)
    return answered(recorded, OnwardListBody(items=[_body(view) for view in recorded.value]))


@Operation(
    method="POST",
    path="/v1/onward-requests/{id}/grant",
    action="onward.grant",
    body=OnwardGrant,
    answer=OnwardBody,
    parameters=(REQUEST_ID,),
    errors=(409,),
    example={"conditions": "not to be quoted", "until": "2027-01-01T00:00:00Z"},
)
async def grant(visit: Visit) -> Response:
    """Consent to a request (originator's releaser); above CONFIDENTIAL it waits for a second one."""
    body = await read_as(visit, OnwardGrant, Role.RELEASER, event=EventName.ONWARD_GRANTED)
    recorded = await grant_onward(visit.services, visit.call, visit.path["id"], body.conditions, until=body.until)
    return answered(recorded, _body(recorded.value))


@Operation(
    method="POST",
    path="/v1/onward-requests/{id}/refusal",
    action="onward.refuse",
    body=ConsentRefusal,
    answer=OnwardBody,
    parameters=(REQUEST_ID,),
    errors=(409,),
    example={"reason": "the source would be known"},
)
async def refuse(visit: Visit) -> Response:
    """Refuse a request (originator's releaser)."""
    body = await read_as(visit, ConsentRefusal, Role.RELEASER, event=EventName.ONWARD_REFUSED)
    recorded = await refuse_onward(visit.services, visit.call, visit.path["id"], body.reason)
    return answered(recorded, _body(recorded.value))


@Operation(
    method="POST",
    path="/v1/onward-requests/{id}/withdrawal",
    action="onward.withdraw",
    body=BareAct,
    answer=OnwardBody,
    parameters=(REQUEST_ID,),
    errors=(409,),
)
async def withdraw(visit: Visit) -> Response:
    """Take back a request that this client made and nobody has decided (reader)."""
    await read_as(visit, BareAct, Role.READER, event=EventName.ONWARD_WITHDRAWN)
    recorded = await withdraw_onward(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _body(recorded.value))


@Operation(
    method="POST",
    path="/v1/onward-requests/{id}/revocation",
    action="onward.revoke",
    body=BareAct,
    answer=OnwardBody,
    parameters=(REQUEST_ID,),
    errors=(409,),
)
async def revoke(visit: Visit) -> Response:
    """Take a consent back (originator's releaser), from the next request on."""
    await read_as(visit, BareAct, Role.RELEASER, event=EventName.ONWARD_REVOKED)
    recorded = await revoke_onward(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _body(recorded.value))


def _body(view: OnwardView) -> OnwardBody:
    wish = view.row.wish
    return OnwardBody(
        **consent_fields(view),
        recipient=wish.recipient,
        parts=list(view.parts),
        purposes=list(wish.purposes),
        until=wish.until,
    )


OPERATIONS = (request, list_, grant, refuse, withdraw, revoke)
