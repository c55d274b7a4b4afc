"""Requests for information: a reader asks, whoever is asked answers with reports, the asker ends it."""

from typing import Any

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.api.parameters import AFTER, LIMIT, PURPOSE, REQUEST_ID, page_limit
from exchange.entrypoints.http.routing import Operation, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.usecases import (
    RequestView,
    answer_request,
    close_request,
    list_requests,
    request_information,
    show_request,
    withdraw_request,
)
from exchange.wire import (
    AnswerGiven,
    BareAct,
    InformationWanted,
    LabelBody,
    RequestAnswerBody,
    RequestLineBody,
    RequestListBody,
    RequestShownBody,
)


@Operation(
    method="POST",
    path="/v1/information-requests",
    action="request.make",
    body=InformationWanted,
    answer=RequestShownBody,
    status=201,
    parameters=(PURPOSE,),
    errors=(409,),
    answer_headers=("Location",),
    example={
        "agreement": "01980000-0000-7000-8000-000000000001",
        "scope": "cyber-threats",
        "kind": "intrep",
        "topic": "cyber.apt",
        "regions": ["EUR"],
        "precedence": "PRIORITY",
        "subject": "Addresses of the group",
        "label": {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]},
        "text": "Which addresses does the group use against ports since May?",
        "deadline": "2030-06-30T12:00:00Z",
        "asked": ["NOR"],
    },
)
async def ask(visit: Visit) -> Response:
    """Ask contributors of a scope for information."""
    body = await read_as(visit, InformationWanted, Role.READER, event=EventName.REQUEST_MADE)
    recorded = await request_information(visit.services, visit.call, body.to_posted())
    location = f"/v1/information-requests/{recorded.value.row.id}"
    return answered(recorded, _shown(recorded.value), status=201, location=location)


@Operation(
    method="GET",
    path="/v1/information-requests",
    action="request.list",
    answer=RequestListBody,
    parameters=(AFTER, LIMIT, PURPOSE),
)
async def list_(visit: Visit) -> Response:
    """Requests that this client's member made or is asked by, as far as the client may read them."""
    query = visit.read_query()
    limit = page_limit(query)
    recorded = await list_requests(visit.services, visit.call, cursor=query.get("after"), limit=limit)
    items = [RequestLineBody(**_fields(view)) for view in recorded.value.items]
    return answered(recorded, RequestListBody(items=items, next=recorded.value.next))


@Operation(
    method="GET",
    path="/v1/information-requests/{id}",
    action="request.read",
    answer=RequestShownBody,
    parameters=(REQUEST_ID, PURPOSE),
)
async def show(visit: Visit) -> Response:
    """A request with its text, and the answers that this client may know of."""
    visit.read_query()
    recorded = await show_request(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _shown(recorded.value))


@Operation(
    method="POST",
    path="/v1/information-requests/{id}/answers",
    action="request.answer",
    body=AnswerGiven,
    answer=RequestShownBody,
    status=201,
    parameters=(REQUEST_ID, PURPOSE),
    errors=(409,),
    example={"report": "01980000-0000-7000-8000-00000000000f"},
)
async def answer(visit: Visit) -> Response:
    """Give a report of one's own as an answer (contributor of a member that is asked)."""
    body = await read_as(visit, AnswerGiven, Role.CONTRIBUTOR, event=EventName.REQUEST_ANSWERED)
    recorded = await answer_request(visit.services, visit.call, visit.path["id"], body.report)
    return answered(recorded, _shown(recorded.value), status=201)


@Operation(
    method="POST",
    path="/v1/information-requests/{id}/closure",
    action="request.close",
    body=BareAct,
    answer=RequestShownBody,
    parameters=(REQUEST_ID, PURPOSE),
    errors=(409,),
)
async def close(visit: Visit) -> Response:
    """Close a request (reader of the member that asked): it is answered no more."""
    await read_as(visit, BareAct, Role.READER, event=EventName.REQUEST_CLOSED)
    recorded = await close_request(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _shown(recorded.value))


@Operation(
    method="POST",
    path="/v1/information-requests/{id}/withdrawal",
    action="request.withdraw",
    body=BareAct,
    answer=RequestShownBody,
    parameters=(REQUEST_ID, PURPOSE),
    errors=(409,),
)
async def withdraw(visit: Visit) -> Response:
    """Withdraw a request (reader of the member that asked): whoever was asked sees nothing of it any more."""
    await read_as(visit, BareAct, Role.READER, event=EventName.REQUEST_WITHDRAWN)
    recorded = await withdraw_request(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _shown(recorded.value))


def _shown(view: RequestView) -> RequestShownBody:
    return RequestShownBody(**_fields(view), text=view.request.text)


def _fields(view: RequestView) -> dict[str, Any]:
    header = view.request.header
    return {
        "id": view.row.id,
        "agreement": header.agreement,
        "scope": header.scope,
        "asker": header.originator,
        "kind": header.kind,
        "topic": header.topic,
        "regions": list(header.regions),
        "precedence": header.precedence.value,
        "subject": header.subject,
        "label": LabelBody.of(header.label),
        "marking": view.marking,
        "asked": list(view.asked),
        "asked_at": view.row.asked_at,
        "deadline": view.request.deadline,
        "state": view.state.value,
        "answers": [
            RequestAnswerBody(
                report=each.report,
                originator=each.member,
                answered_at=each.at,
                is_late=each.at > view.request.deadline,
            )
            for each in view.answers
        ],
    }


OPERATIONS = (ask, list_, show, answer, close, withdraw)
