"""Agreements: propose, read, and the acts of a party."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from starlette.responses import Response

from exchange.agreements import terms_as_json
from exchange.agreements.strict_yaml import Document, read_yaml
from exchange.audit import EventName
from exchange.entrypoints.api.parameters import AGREEMENT_ID
from exchange.entrypoints.http.routing import JSON, Operation, answered, read_as
from exchange.entrypoints.http.visit import Visit, read_body, require_media_type
from exchange.kernel import MalformedError
from exchange.members import Role
from exchange.usecases import (
    PROPOSING_ROLES,
    AgreementView,
    AmendmentView,
    Call,
    GivenSignature,
    Recorded,
    Services,
    authenticate,
    export_agreement,
    list_agreements,
    list_amendments,
    propose_agreement,
    propose_amendment,
    resume_agreement,
    show_agreement,
    sign_agreement,
    suspend_agreement,
    take_back_signature,
    withdraw_agreement,
)
from exchange.wire import (
    AgreementAmendmentBody,
    AgreementAmendmentListBody,
    AgreementBody,
    AgreementEvidenceBody,
    AgreementListBody,
    AgreementSignature,
    BareAct,
    TermsBody,
    read_sent,
)

YAML = "application/yaml"
"""RFC 9512; the agreement file as it is, so that faults come back with their lines."""

_READER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="yaml")
"""Reads the texts one after another: the largest takes a second, in which everybody else is answered."""

Step = Callable[[Services, Call, str], Awaitable[Recorded[AgreementView]]]

PROPOSE = Operation(
    method="POST",
    path="/v1/agreements",
    action="agreement.propose",
    body=TermsBody,
    body_media=(JSON, YAML),
    answer=AgreementBody,
    status=201,
    errors=(409,),
    answer_headers=("Location",),
    example={
        "title": "North Sea cyber warning arrangement",
        "parties": ["GBR", "NOR"],
        "policy": "NATO",
        "validity": {"from": "2026-01-01", "until": "2030-12-31", "review_every": "P2Y"},
        "scopes": [
            {
                "name": "cyber-threats",
                "topics": ["cyber"],
                "regions": ["EUR"],
                "kinds": ["intrep", "threat-warning"],
                "purposes": ["defence"],
                "ceiling": "SECRET",
                "compartments": [],
                "contributors": ["GBR"],
                "readers": ["GBR", "NOR"],
                "onward_release": "originator-consent",
                "retention": "P5Y",
            }
        ],
        "obligations": [],
        "termination": {"notice": "P90D", "shared_reports": "recalled"},
    },
)
SIGN = Operation(
    method="POST",
    path="/v1/agreements/{id}/signatures",
    action="agreement.sign",
    body=AgreementSignature,
    answer=AgreementBody,
    parameters=(AGREEMENT_ID,),
    errors=(409,),
    example={
        "text": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "key": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "signature": {"ed25519": "AAAA", "ml_dsa_65": "AAAA"},
    },
)
SUSPEND = Operation(
    method="POST",
    path="/v1/agreements/{id}/suspension",
    action="agreement.suspend",
    body=BareAct,
    answer=AgreementBody,
    parameters=(AGREEMENT_ID,),
    errors=(409,),
)


@Operation(method="GET", path="/v1/agreements", action="agreement.list", answer=AgreementListBody)
async def list_(visit: Visit) -> Response:
    """List the agreements that this client's member is a party of."""
    visit.read_query()
    recorded = await list_agreements(visit.services, visit.call)
    items = [AgreementBody.of(view.agreement, visit.call.now) for view in recorded.value]
    return answered(recorded, AgreementListBody(items=items))


@PROPOSE
async def propose(visit: Visit) -> Response:
    """Lay an agreement before its parties."""
    document = await document_as(visit, *PROPOSING_ROLES, event=EventName.AGREEMENT_PROPOSED)
    recorded = await propose_agreement(visit.services, visit.call, document)
    return _answer(visit, recorded, status=201, location=f"/v1/agreements/{recorded.value.agreement.id}")


async def document_as(visit: Visit, *roles: Role, event: EventName) -> object:
    """Return the agreement in the body, as `read_as`: the text of a YAML file, or a JSON value."""
    await authenticate(visit.services, visit.call, *roles, event=event)
    visit.read_query()
    media = require_media_type(visit.request, *PROPOSE.body_media)
    body = await read_body(visit.request, visit.limits)
    return await _yaml(body) if media == YAML else _not_text(read_sent(body))


@Operation(
    method="GET",
    path="/v1/agreements/{id}",
    action="agreement.show",
    answer=AgreementBody,
    parameters=(AGREEMENT_ID,),
)
async def show(visit: Visit) -> Response:
    """Show one agreement to a party."""
    visit.read_query()
    return _answer(visit, await show_agreement(visit.services, visit.call, visit.path["id"]))


@Operation(
    method="GET",
    path="/v1/agreements/{id}/evidence",
    action="agreement.export",
    answer=AgreementEvidenceBody,
    parameters=(AGREEMENT_ID,),
)
async def evidence(visit: Visit) -> Response:
    """Give a member the texts that name it, with signatures and keys, to verify without the exchange."""
    visit.read_query()
    recorded = await export_agreement(visit.services, visit.call, visit.path["id"])
    found = recorded.value
    return answered(recorded, AgreementEvidenceBody.of(found.agreement.id, found.texts, found.keys))


@SIGN
async def sign(visit: Visit) -> Response:
    """Sign the agreement's text for the caller's member."""
    given = await _signature(visit, EventName.AGREEMENT_SIGNED)
    return _answer(visit, await sign_agreement(visit.services, visit.call, visit.path["id"], given))


@replace(
    SIGN,
    path="/v1/agreements/{id}/signatures/withdrawal",
    action="agreement.take-back",
    answer=AgreementAmendmentBody,
)
async def take_back(visit: Visit) -> Response:
    """Take back the signature of the caller's member under an amendment that is proposed still."""
    given = await _signature(visit, EventName.AGREEMENT_SIGNATURE_WITHDRAWN)
    recorded = await take_back_signature(visit.services, visit.call, visit.path["id"], given)
    return answered(recorded, _amendment(recorded.value))


@replace(
    PROPOSE,
    path="/v1/agreements/{id}/amendments",
    action="amendment.propose",
    answer=AgreementAmendmentBody,
    parameters=(AGREEMENT_ID,),
    answer_headers=(),
)
async def amend(visit: Visit) -> Response:
    """Lay another text of an agreement before those who have to sign it; it says in words what changes."""
    document = await document_as(visit, Role.SIGNATORY, event=EventName.AMENDMENT_PROPOSED)
    recorded = await propose_amendment(visit.services, visit.call, visit.path["id"], document)
    return answered(recorded, _amendment(recorded.value), status=201)


@Operation(
    method="GET",
    path="/v1/agreements/{id}/amendments",
    action="amendment.list",
    answer=AgreementAmendmentListBody,
    parameters=(AGREEMENT_ID,),
)
async def amendments(visit: Visit) -> Response:
    """List the amendments of an agreement, with what each changes, to signatories of those whom they concern."""
    visit.read_query()
    recorded = await list_amendments(visit.services, visit.call, visit.path["id"])
    return answered(recorded, AgreementAmendmentListBody(items=[_amendment(view) for view in recorded.value]))


@SUSPEND
async def suspend(visit: Visit) -> Response:
    """Suspend the caller's member's own part."""
    return await _act(visit, suspend_agreement, EventName.AGREEMENT_SUSPENDED)


@replace(SUSPEND, path="/v1/agreements/{id}/resumption", action="agreement.resume")
async def resume(visit: Visit) -> Response:
    """End the caller's member's own suspension."""
    return await _act(visit, resume_agreement, EventName.AGREEMENT_RESUMED)


@replace(SUSPEND, path="/v1/agreements/{id}/withdrawal", action="agreement.withdraw")
async def withdraw(visit: Visit) -> Response:
    """Withdraw the caller's member: a draft at once, else after its notice."""
    return await _act(visit, withdraw_agreement, EventName.AGREEMENT_WITHDRAWN)


async def _signature(visit: Visit, event: EventName) -> GivenSignature:
    sent = await read_as(visit, AgreementSignature, Role.SIGNATORY, event=event)
    return GivenSignature(sent.text, sent.key, sent.signature.to_signature())


def _amendment(view: AmendmentView) -> AgreementAmendmentBody:
    parties = [{"member": each, "state": "signed" if each in view.signed else "pending"} for each in view.signatories]
    return AgreementAmendmentBody.model_validate(
        {
            "number": view.amendment.number,
            "edition": view.edition,
            "previous": view.amendment.previous,
            "text": view.amendment.text,
            "state": view.state,
            "terms": terms_as_json(view.amendment.terms),
            "parties": parties,
            "changes": list(view.changes),
        }
    )


async def _act(visit: Visit, step: Step, event: EventName) -> Response:
    await read_as(visit, BareAct, Role.SIGNATORY, event=event)
    return _answer(visit, await step(visit.services, visit.call, visit.path["id"]))


def _answer(visit: Visit, recorded: Recorded[AgreementView], *, status: int = 200, **headers: str) -> Response:
    return answered(recorded, AgreementBody.of(recorded.value.agreement, visit.call.now), status=status, **headers)


async def _yaml(body: bytes) -> Document:
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise MalformedError("the body is not UTF-8") from exc
    return await asyncio.get_running_loop().run_in_executor(_READER, read_yaml, text)


def _not_text(value: object) -> object:
    # A JSON string would be taken for a YAML file further down.
    return None if isinstance(value, str) else value


OPERATIONS = (
    list_,
    propose,
    show,
    evidence,
    amendments,
    amend,
    sign,
    take_back,
    suspend,
    resume,
    withdraw,
)
