"""Subscriptions: a reader's own, to be told of new reports by webhook."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.api.parameters import PURPOSE
from exchange.entrypoints.http.routing import Operation, Parameter, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.kernel import from_micros
from exchange.members import Role
from exchange.store.rows.subscription_rows import DeliveryRow, SubscriptionRow
from exchange.usecases import (
    add_subscription,
    check_subscription,
    list_deliveries,
    list_subscriptions,
    remove_subscription,
    replay_deliveries,
)
from exchange.wire import (
    BareAct,
    DeliveryBody,
    DeliveryListBody,
    NewSubscriptionBody,
    ReplayBody,
    SentBody,
    SubscriptionBody,
    SubscriptionListBody,
    SubscriptionRequest,
)

_PATH = "/v1/subscriptions"
_SUBSCRIPTION_ID = Parameter("id", "path", "The subscription's id.")


@Operation(
    method="POST",
    path=_PATH,
    action="subscription.add",
    body=SubscriptionRequest,
    answer=NewSubscriptionBody,
    status=201,
    parameters=(PURPOSE,),
    errors=(409,),
    answer_headers=("Location",),
    example={"url": "https://desk.example/exchange"},
)
async def add(visit: Visit) -> Response:
    """Be told by webhook (Standard Webhooks) of what this client may read; the secret is shown this once."""
    asked = await read_as(visit, SubscriptionRequest, Role.READER, event=EventName.SUBSCRIPTION_ADDED)
    recorded = await add_subscription(visit.services, visit.call, asked.url)
    new = recorded.value
    body = NewSubscriptionBody(**_body(new.row).model_dump(), secret=new.secret)
    return answered(recorded, body, status=201, location=f"{_PATH}/{new.row.id}")


@Operation(method="GET", path=_PATH, action="subscription.list", answer=SubscriptionListBody)
async def list_(visit: Visit) -> Response:
    """List this client's subscriptions."""
    visit.read_query()
    recorded = await list_subscriptions(visit.services, visit.call)
    return answered(recorded, SubscriptionListBody(items=[_body(row) for row in recorded.value]))


@Operation(
    method="DELETE",
    path=f"{_PATH}/{{id}}",
    action="subscription.remove",
    answer=SubscriptionBody,
    parameters=(_SUBSCRIPTION_ID,),
)
async def remove(visit: Visit) -> Response:
    """End a subscription: nothing more is sent there."""
    visit.read_query()
    recorded = await remove_subscription(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _body(recorded.value))


@Operation(
    method="POST",
    path=f"{_PATH}/{{id}}/test",
    action="subscription.test",
    body=BareAct,
    answer=SentBody,
    status=202,
    parameters=(_SUBSCRIPTION_ID,),
)
async def send_test(visit: Visit) -> Response:
    """Send a message that tells of nothing."""
    await read_as(visit, BareAct, Role.READER, event=EventName.SUBSCRIPTION_TESTED)
    recorded = await check_subscription(visit.services, visit.call, visit.path["id"])
    return answered(recorded, SentBody(id=recorded.value), status=202)


@Operation(
    method="GET",
    path=f"{_PATH}/{{id}}/deliveries",
    action="subscription.deliveries",
    answer=DeliveryListBody,
    parameters=(_SUBSCRIPTION_ID,),
)
async def deliveries(visit: Visit) -> Response:
    """Show what was delivered and what nobody took, the newest hundred."""
    visit.read_query()
    recorded = await list_deliveries(visit.services, visit.call, visit.path["id"])
    return answered(recorded, DeliveryListBody(items=[_delivery(row) for row in recorded.value]))


@Operation(
    method="POST",
    path=f"{_PATH}/{{id}}/replay",
    action="subscription.replay",
    body=BareAct,
    answer=ReplayBody,
    parameters=(_SUBSCRIPTION_ID,),
)
async def replay(visit: Visit) -> Response:
    """Send again what nobody took, as far as this client may still read it."""
    await read_as(visit, BareAct, Role.READER, event=EventName.SUBSCRIPTION_REPLAYED)
    recorded = await replay_deliveries(visit.services, visit.call, visit.path["id"])
    return answered(recorded, ReplayBody(id=visit.path["id"], replayed=recorded.value))


def _body(row: SubscriptionRow) -> SubscriptionBody:
    return SubscriptionBody(id=row.id, url=row.url, purpose=row.purpose, added_at=from_micros(row.added_at))


def _delivery(row: DeliveryRow) -> DeliveryBody:
    shown = {
        "id": row.id,
        "kind": row.kind,
        "state": row.state.value,
        "tries": row.tries,
        "queued_at": from_micros(row.queued_at),
        "ended_at": None if row.ended_at is None else from_micros(row.ended_at),
        "told": row.told,
    }
    return DeliveryBody.model_validate(shown)


OPERATIONS = (add, list_, remove, send_test, deliveries, replay)
