"""Requests for the originator's consent: to pass a report on (onward), and to mark lower what derives from it.

Either is asked for and withdrawn, granted, refused, revoked.
"""

from dataclasses import replace
from typing import Any

from starlette.responses import Response

from exchange.audit import EventName
from exchange.audit.strict_text import base64_text
from exchange.entrypoints.api.parameters import PURPOSE, REPORT_ID, REQUEST_ID
from exchange.entrypoints.http.routing import Operation, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.store import ConsentState, DerivationWish, OnwardWish
from exchange.usecases import (
    DERIVING_ROLES,
    DerivationView,
    OnwardView,
    grant_derivation,
    grant_onward,
    list_derivations,
    list_onward,
    refuse_derivation,
    refuse_onward,
    request_derivation,
    request_onward,
    revoke_derivation,
    revoke_onward,
    withdraw_derivation,
    withdraw_onward,
)
from exchange.wire import (
    BareAct,
    ConsentRefusal,
    ConsentStateName,
    DerivationBody,
    DerivationGrant,
    DerivationListBody,
    DerivationRequest,
    LabelBody,
    OnwardBody,
    OnwardGrant,
    OnwardListBody,
    OnwardRequest,
)

REQUEST = Operation(
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
GRANT = Operation(
    method="POST",
    path="/v1/onward-requests/{id}/grant",
    action="onward.grant",
    body=OnwardGrant,
    answer=OnwardBody,
    parameters=(REQUEST_ID,),
    errors=(409,),
    example={"conditions": "not to be quoted", "until": "2027-01-01T00:00:00Z"},
)
REFUSE = Operation(
    method="POST",
    path="/v1/onward-requests/{id}/refusal",
    action="onward.refuse",
    body=ConsentRefusal,
    answer=OnwardBody,
    parameters=(REQUEST_ID,),
    errors=(409,),
    example={"reason": "the source would be known"},
)
WITHDRAW = Operation(
    method="POST",
    path="/v1/onward-requests/{id}/withdrawal",
    action="onward.withdraw",
    body=BareAct,
    answer=OnwardBody,
    parameters=(REQUEST_ID,),
    errors=(409,),
)
REVOKE = replace(WITHDRAW, path="/v1/onward-requests/{id}/revocation", action="onward.revoke")


@REQUEST
async def onward_request(visit: Visit) -> Response:
    """Ask the originator to release a report, or parts of it, to a member."""
    body = await read_as(visit, OnwardRequest, Role.READER, event=EventName.ONWARD_REQUESTED)
    wish = OnwardWish(body.recipient, tuple(body.parts), tuple(body.purposes), body.until, body.reason)
    recorded = await request_onward(visit.services, visit.call, visit.path["id"], wish)
    return answered(recorded, _onward(recorded.value), status=201)


@Operation(method="GET", path="/v1/onward-requests", action="onward.list", answer=OnwardListBody)
async def onward_list(visit: Visit) -> Response:
    """Requests that this client made, or that are about reports of a releaser's member."""
    visit.read_query()
    recorded = await list_onward(visit.services, visit.call)
    return answered(recorded, OnwardListBody(items=[_onward(view) for view in recorded.value]))


@GRANT
async def onward_grant(visit: Visit) -> Response:
    """Consent to a request (originator's releaser); above CONFIDENTIAL it waits for a second one."""
    body = await read_as(visit, OnwardGrant, Role.RELEASER, event=EventName.ONWARD_GRANTED)
    recorded = await grant_onward(visit.services, visit.call, visit.path["id"], body.conditions, until=body.until)
    return answered(recorded, _onward(recorded.value))


@REFUSE
async def onward_refuse(visit: Visit) -> Response:
    """Refuse a request (originator's releaser)."""
    body = await read_as(visit, ConsentRefusal, Role.RELEASER, event=EventName.ONWARD_REFUSED)
    recorded = await refuse_onward(visit.services, visit.call, visit.path["id"], body.reason)
    return answered(recorded, _onward(recorded.value))


@WITHDRAW
async def onward_withdraw(visit: Visit) -> Response:
    """Take back a request that this client made and nobody has decided (reader)."""
    await read_as(visit, BareAct, Role.READER, event=EventName.ONWARD_WITHDRAWN)
    recorded = await withdraw_onward(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _onward(recorded.value))


@REVOKE
async def onward_revoke(visit: Visit) -> Response:
    """Take a consent back (originator's releaser), from the next request on."""
    await read_as(visit, BareAct, Role.RELEASER, event=EventName.ONWARD_REVOKED)
    recorded = await revoke_onward(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _onward(recorded.value))


@replace(
    REQUEST,
    path="/v1/reports/{id}/derivation-requests",
    action="derivation.request",
    body=DerivationRequest,
    answer=DerivationBody,
    example={
        "label": {"policy": "NATO", "classification": "RESTRICTED", "releasable_to": ["DNK", "GBR", "NOR"]},
        "until": "2027-06-30T00:00:00Z",
        "reason": "police forces are to be warned",
    },
)
async def derivation_request(visit: Visit) -> Response:
    """Ask the originator that what derives from a report may be marked lower (contributor, releaser)."""
    body = await read_as(visit, DerivationRequest, *DERIVING_ROLES, event=EventName.DERIVATION_REQUESTED)
    wish = DerivationWish(body.label.to_label(), body.until, body.reason)
    recorded = await request_derivation(visit.services, visit.call, visit.path["id"], wish)
    return answered(recorded, _derivation(recorded.value), status=201)


@Operation(method="GET", path="/v1/derivation-requests", action="derivation.list", answer=DerivationListBody)
async def derivation_list(visit: Visit) -> Response:
    """Requests that this client made, or that are about reports of a releaser's member."""
    visit.read_query()
    recorded = await list_derivations(visit.services, visit.call)
    return answered(recorded, DerivationListBody(items=[_derivation(view) for view in recorded.value]))


@replace(
    GRANT,
    path="/v1/derivation-requests/{id}/grant",
    action="derivation.grant",
    body=DerivationGrant,
    answer=DerivationBody,
    example={"conditions": "without the name of the vessel"},
)
async def derivation_grant(visit: Visit) -> Response:
    """Consent to a request (originator's releaser); above CONFIDENTIAL it waits for a second one."""
    body = await read_as(visit, DerivationGrant, Role.RELEASER, event=EventName.DERIVATION_GRANTED)
    recorded = await grant_derivation(visit.services, visit.call, visit.path["id"], body.conditions)
    return answered(recorded, _derivation(recorded.value))


@replace(REFUSE, path="/v1/derivation-requests/{id}/refusal", action="derivation.refuse", answer=DerivationBody)
async def derivation_refuse(visit: Visit) -> Response:
    """Refuse a request (originator's releaser)."""
    body = await read_as(visit, ConsentRefusal, Role.RELEASER, event=EventName.DERIVATION_REFUSED)
    recorded = await refuse_derivation(visit.services, visit.call, visit.path["id"], body.reason)
    return answered(recorded, _derivation(recorded.value))


@replace(WITHDRAW, path="/v1/derivation-requests/{id}/withdrawal", action="derivation.withdraw", answer=DerivationBody)
async def derivation_withdraw(visit: Visit) -> Response:
    """Take back a request that this client made and nobody has decided (contributor, releaser)."""
    await read_as(visit, BareAct, *DERIVING_ROLES, event=EventName.DERIVATION_WITHDRAWN)
    recorded = await withdraw_derivation(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _derivation(recorded.value))


@replace(REVOKE, path="/v1/derivation-requests/{id}/revocation", action="derivation.revoke", answer=DerivationBody)
async def derivation_revoke(visit: Visit) -> Response:
    """Take a consent back (originator's releaser): nothing more is marked lower under it."""
    await read_as(visit, BareAct, Role.RELEASER, event=EventName.DERIVATION_REVOKED)
    recorded = await revoke_derivation(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _derivation(recorded.value))


def _onward(view: OnwardView) -> OnwardBody:
    wish = view.row.wish
    return OnwardBody(
        **_standing(view),
        recipient=wish.recipient,
        parts=list(view.parts),
        purposes=list(wish.purposes),
        until=wish.until,
    )


def _derivation(view: DerivationView) -> DerivationBody:
    row = view.row
    return DerivationBody(
        **_standing(view),
        version=row.version,
        member=row.requester_member,
        label=LabelBody.of(row.wish.lowest),
        until=row.wish.until,
    )


def _standing(view: OnwardView | DerivationView) -> dict[str, Any]:
    """Return what is told of a request, whatever it asks for."""
    row = view.row
    is_withdrawn = row.state is ConsentState.WITHDRAWN
    return {
        "id": row.id,
        "report": row.report,
        "originator": row.originator,
        "reason": row.wish.reason,
        "state": _state(row.state),
        "requester": row.requester,
        "requested_at": row.asked_at,
        "decided_at": None if is_withdrawn else row.decided_at,
        "conditions": row.conditions,
        "grant": None if row.note is None else base64_text(row.note),
        "act": view.act,
        "decided_by": None if is_withdrawn or view.is_requesters else row.decided_by,
        "withdrawn_at": row.decided_at if is_withdrawn else None,
    }


def _state(state: ConsentState) -> ConsentStateName:
    # INVARIANT: no word that clients from before do not know: they could not read the list any more.
    return "lapsed" if state is ConsentState.WITHDRAWN else state.value


OPERATIONS = (
    onward_request,
    onward_list,
    onward_grant,
    onward_refuse,
    onward_withdraw,
    onward_revoke,
    derivation_request,
    derivation_list,
    derivation_grant,
    derivation_refuse,
    derivation_withdraw,
    derivation_revoke,
)
