"""Marking lower what derives from a report: asked for and withdrawn, granted, refused, revoked."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.api.consents import consent_fields
from exchange.entrypoints.api.parameters import PURPOSE, REPORT_ID, REQUEST_ID
from exchange.entrypoints.http.routing import Operation, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.store import DerivationWish
from exchange.usecases import (
    DERIVING_ROLES,
    DerivationView,
    grant_derivation,
    list_derivations,
    refuse_derivation,
    request_derivation,
    revoke_derivation,
    withdraw_derivation,
)
from exchange.wire import (
    BareAct,
    ConsentRefusal,
    DerivationBody,
    DerivationGrant,
    DerivationListBody,
    DerivationRequest,
    LabelBody,
)


@Operation(
    method="POST",
    path="/v1/reports/{id}/derivation-requests",
    action="derivation.request",
    body=DerivationRequest,
    answer=DerivationBody,
    status=201,
    parameters=(REPORT_ID, PURPOSE),
    errors=(409,),
    example={
        "label": {"policy": "NATO", "classification": "RESTRICTED", "releasable_to": ["DNK", "GBR", "NOR"]},
        "until": "2027-06-30T00:00:00Z",
        "reason": "police forces are to be warned",
    },
)
async def request(visit: Visit) -> Response:
    """Ask the originator that what derives from a report may be marked lower (contributor, releaser)."""
    body = await read_as(visit, DerivationRequest, *DERIVING_ROLES, event=EventName.DERIVATION_REQUESTED)
    wish = DerivationWish(body.label.to_label(), body.until, body.reason)
    recorded = await request_derivation(visit.services, visit.call, visit.path["id"], wish)
    return answered(recorded, _body(recorded.value), status=201)


@Operation(method="GET", path="/v1/derivation-requests", action="derivation.list", answer=DerivationListBody)
async def list_(visit: Visit) -> Response:
    """Requests that this client made, or that are about reports of a releaser's member."""
    visit.read_query()
    recorded = await list_derivations(visit.services, visit.call)
    return answered(recorded, DerivationListBody(items=[_body(view) for view in recorded.value]))


@Operation(
    method="POST",
    path="/v1/derivation-requests/{id}/grant",
    action="derivation.grant",
    body=DerivationGrant,
    answer=DerivationBody,
    parameters=(REQUEST_ID,),
    errors=(409,),
    example={"conditions": "without the name of the vessel"},
)
async def grant(visit: Visit) -> Response:
    """Consent to a request (originator's releaser); above CONFIDENTIAL it waits for a second one."""
    body = await read_as(visit, DerivationGrant, Role.RELEASER, event=EventName.DERIVATION_GRANTED)
    recorded = await grant_derivation(visit.services, visit.call, visit.path["id"], body.conditions)
    return answered(recorded, _body(recorded.value))


@Operation(
    method="POST",
    path="/v1/derivation-requests/{id}/refusal",
    action="derivation.refuse",
    body=ConsentRefusal,
    answer=DerivationBody,
    parameters=(REQUEST_ID,),
    errors=(409,),
    example={"reason": "the source would be known"},
)
async def refuse(visit: Visit) -> Response:
    """Refuse a request (originator's releaser)."""
    body = await read_as(visit, ConsentRefusal, Role.RELEASER, event=EventName.DERIVATION_REFUSED)
    recorded = await refuse_derivation(visit.services, visit.call, visit.path["id"], body.reason)
    return answered(recorded, _body(recorded.value))


@Operation(
    method="POST",
    path="/v1/derivation-requests/{id}/withdrawal",
    action="derivation.withdraw",
    body=BareAct,
    answer=DerivationBody,
    parameters=(REQUEST_ID,),
    errors=(409,),
)
async def withdraw(visit: Visit) -> Response:
    """Take back a request that this client made and nobody has decided (contributor, releaser)."""
    await read_as(visit, BareAct, *DERIVING_ROLES, event=EventName.DERIVATION_WITHDRAWN)
    recorded = await withdraw_derivation(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _body(recorded.value))


@Operation(
    method="POST",
    path="/v1/derivation-requests/{id}/revocation",
    action="derivation.revoke",
    body=BareAct,
    answer=DerivationBody,
    parameters=(REQUEST_ID,),
    errors=(409,),
)
async def revoke(visit: Visit) -> Response:
    """Take a consent back (originator's releaser): nothing more is marked lower under it."""
    await read_as(visit, BareAct, Role.RELEASER, event=EventName.DERIVATION_REVOKED)
    recorded = await revoke_derivation(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _body(recorded.value))


def _body(view: DerivationView) -> DerivationBody:
    row = view.row
    return DerivationBody(
        **consent_fields(view),
        version=row.version,
        member=row.requester_member,
        label=LabelBody.of(row.wish.lowest),
        until=row.wish.until,
    )


OPERATIONS = (request, list_, grant, refuse, withdraw, revoke)
