"""Posting on behalf of another member: consent to it, list consents, take one back."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.http.routing import Operation, Parameter, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.store import ProxyWish
from exchange.usecases import ProxyView, ask_proxy, list_proxies, revoke_proxy
from exchange.wire import BareAct, ProxyBody, ProxyConsent, ProxyListBody


@Operation(
    method="POST",
    path="/v1/proxies",
    action="proxy.ask",
    body=ProxyConsent,
    answer=ProxyBody,
    status=201,
    errors=(409,),
    example={
        "proxy": "NOR",
        "agreement": "01980000-0000-7000-8000-000000000001",
        "scope": "cyber-threats",
        "reason": "NOR runs the joint sensor",
    },
)
async def ask(visit: Visit) -> Response:
    """Consent that another member posts for the caller's (releaser); a second releaser confirms it."""
    body = await read_as(visit, ProxyConsent, Role.RELEASER, event=EventName.PROXY_ASKED)
    wish = ProxyWish(body.proxy, body.agreement, body.scope, body.until, body.reason)
    recorded = await ask_proxy(visit.services, visit.call, wish)
    return answered(recorded, _body(recorded.value), status=201)


@Operation(method="GET", path="/v1/proxies", action="proxy.list", answer=ProxyListBody)
async def list_(visit: Visit) -> Response:
    """To a releaser the consents of its member, to a contributor those under which it may post for others."""
    visit.read_query()
    recorded = await list_proxies(visit.services, visit.call)
    return answered(recorded, ProxyListBody(items=[_body(view) for view in recorded.value]))


@Operation(
    method="POST",
    path="/v1/proxies/{id}/revocation",
    action="proxy.revoke",
    body=BareAct,
    answer=ProxyBody,
    parameters=(Parameter("id", "path", "The consent's id."),),
    errors=(409,),
)
async def revoke(visit: Visit) -> Response:
    """Take a consent back (releaser of the member that gave it), from the next post on."""
    await read_as(visit, BareAct, Role.RELEASER, event=EventName.PROXY_REVOKED)
    recorded = await revoke_proxy(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _body(recorded.value))


def _body(view: ProxyView) -> ProxyBody:
    row, wish = view.row, view.row.wish
    return ProxyBody(
        id=row.id,
        originator=row.originator,
        proxy=wish.proxy,
        agreement=wish.agreement,
        scope=wish.scope,
        until=wish.until,
        reason=wish.reason,
        state=row.state.value,
        asked_at=row.asked_at,
        decided_at=row.decided_at,
        act=view.act,
        decided_by=row.decided_by if view.is_own else None,
        refusal=row.refusal if view.is_own else None,
    )


OPERATIONS = (ask, list_, revoke)
