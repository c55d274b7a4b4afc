"""Consultations and disputes: open, list, answer, settle."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.api.parameters import AGREEMENT_ID
from exchange.entrypoints.http.routing import Operation, Parameter, answered, read_as
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.usecases import NewMatter, answer_consultation, list_consultations, open_consultation, settle_consultation
from exchange.wire import ConsultationBody, ConsultationListBody, ConsultationOpening, ConsultationWords

_MATTER_ID = Parameter("id", "path", "The consultation's id.")


@Operation(
    method="POST",
    path="/v1/agreements/{id}/consultations",
    action="consultation.open",
    body=ConsultationOpening,
    answer=ConsultationBody,
    status=201,
    parameters=(AGREEMENT_ID,),
    example={"kind": "consultation", "text": "No report has come since May: what keeps you?", "members": ["NOR"]},
)
async def open_(visit: Visit) -> Response:
    """Open a consultation or dispute with other parties (signatory)."""
    sent = await read_as(visit, ConsultationOpening, Role.SIGNATORY, event=EventName.CONSULTATION_OPENED)
    new = NewMatter(sent.to_kind(), sent.text, tuple(sent.members), sent.breach)
    recorded = await open_consultation(visit.services, visit.call, visit.path["id"], new)
    return answered(recorded, ConsultationBody.of(recorded.value), status=201)


@Operation(
    method="GET",
    path="/v1/agreements/{id}/consultations",
    action="consultation.list",
    answer=ConsultationListBody,
    parameters=(AGREEMENT_ID,),
)
async def list_(visit: Visit) -> Response:
    """List the consultations and disputes that name the caller's member (signatory)."""
    visit.read_query()
    recorded = await list_consultations(visit.services, visit.call, visit.path["id"])
    return answered(recorded, ConsultationListBody(items=[ConsultationBody.of(each) for each in recorded.value]))


@Operation(
    method="POST",
    path="/v1/consultations/{id}/answers",
    action="consultation.answer",
    body=ConsultationWords,
    answer=ConsultationBody,
    status=201,
    parameters=(_MATTER_ID,),
    errors=(409,),
    example={"text": "The desk was moved; the reports follow this week."},
)
async def answer(visit: Visit) -> Response:
    """Answer for the caller's member (signatory)."""
    sent = await read_as(visit, ConsultationWords, Role.SIGNATORY, event=EventName.CONSULTATION_ANSWERED)
    recorded = await answer_consultation(visit.services, visit.call, visit.path["id"], sent.text)
    return answered(recorded, ConsultationBody.of(recorded.value), status=201)


@Operation(
    method="POST",
    path="/v1/consultations/{id}/settlement",
    action="consultation.settle",
    body=ConsultationWords,
    answer=ConsultationBody,
    parameters=(_MATTER_ID,),
    errors=(409,),
    example={"text": "A report a week from June on."},
)
async def settle(visit: Visit) -> Response:
    """Agree to settle it with these words: the opener's for a consultation, the same of all for a dispute."""
    sent = await read_as(visit, ConsultationWords, Role.SIGNATORY, event=EventName.CONSULTATION_SETTLED)
    recorded = await settle_consultation(visit.services, visit.call, visit.path["id"], sent.text)
    return answered(recorded, ConsultationBody.of(recorded.value))


OPERATIONS = (open_, list_, answer, settle)
