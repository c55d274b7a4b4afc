"""The life of a report: amend, downgrade, recall, and the destruction that a recall asks for."""

from datetime import datetime
from typing import Literal

from starlette.responses import Response

from exchange.audit import EventName
from exchange.audit.strict_text import base64_text
from exchange.entrypoints.api.parameters import IF_MATCH, PURPOSE, REPORT_ID
from exchange.entrypoints.http.routing import Operation, answered, read_as, read_change
from exchange.entrypoints.http.visit import Visit
from exchange.members import Role
from exchange.store import DestructionRow
from exchange.usecases import (
    DESTROYING_ROLES,
    AskedDestruction,
    Certificate,
    MadeVersion,
    Recall,
    amend_report,
    certify_destruction,
    downgrade_report,
    list_destructions,
    preview_recall,
    recall_report,
    show_recall,
)
from exchange.wire import (
    AmendmentBody,
    AskedDestructionBody,
    AskedDestructionListBody,
    CertificateBody,
    DestructionBody,
    DowngradeBody,
    GivenToBody,
    LabelBody,
    MadeVersionBody,
    RecallBody,
    RecallOutlookBody,
    RecallRequest,
)

_LABEL = {"policy": "NATO", "classification": "RESTRICTED", "releasable_to": ["GBR", "NOR"]}


@Operation(
    method="POST",
    path="/v1/reports/{id}/amendments",
    action="report.amend",
    body=AmendmentBody,
    answer=MadeVersionBody,
    status=201,
    parameters=(REPORT_ID, IF_MATCH, PURPOSE),
    errors=(409, 412),
    answer_headers=("ETag",),
    example={
        "kind": "intrep",
        "topic": "cyber.apt",
        "regions": ["EUR"],
        "label": {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]},
        "parts": [{"media_type": "text/plain", "name": "note.txt", "content": "Seen twice.", "encoding": "utf-8"}],
    },
)
async def amend(visit: Visit) -> Response:
    """Put a new version in the place of a report (originator's contributor)."""
    body, version = await read_change(visit, AmendmentBody, Role.CONTRIBUTOR, event=EventName.REPORT_AMENDED)
    recorded = await amend_report(
        visit.services,
        visit.call,
        visit.path["id"],
        body.to_posted(),
        keeps_precedence=body.precedence is None,
        if_version=version,
    )
    return answered(recorded, _made(recorded.value), status=201, etag=f'"{recorded.value.version}"')


@Operation(
    method="POST",
    path="/v1/reports/{id}/downgrade",
    action="report.downgrade",
    body=DowngradeBody,
    answer=MadeVersionBody,
    other_answers=((202, MadeVersionBody),),
    parameters=(REPORT_ID, IF_MATCH),
    errors=(409, 412),
    answer_headers=("ETag",),
    example={"label": _LABEL},
)
async def downgrade(visit: Visit) -> Response:
    """Lower the labels of a report (originator's releaser); above CONFIDENTIAL a second one confirms (202)."""
    body, version = await read_change(visit, DowngradeBody, Role.RELEASER, event=EventName.REPORT_DOWNGRADED)
    wanted = body.to_downgrade()
    recorded = await downgrade_report(visit.services, visit.call, visit.path["id"], wanted, if_version=version)
    made = recorded.value
    return answered(recorded, _made(made), status=200 if made.act is None else 202, etag=f'"{made.version}"')


@Operation(
    method="POST",
    path="/v1/reports/{id}/recall",
    action="report.recall",
    body=RecallRequest,
    answer=RecallBody,
    status=201,
    parameters=(REPORT_ID,),
    errors=(409,),
    example={"reason": "the source is at risk"},
)
async def recall(visit: Visit) -> Response:
    """Recall a report: its keys are destroyed, and whoever was given it is asked to destroy it."""
    body = await read_as(visit, RecallRequest, Role.RELEASER, event=EventName.REPORT_RECALLED)
    recorded = await recall_report(visit.services, visit.call, visit.path["id"], body.reason)
    return answered(recorded, _recall(recorded.value, visit.call.now), status=201)


@Operation(
    method="GET",
    path="/v1/reports/{id}/recall",
    action="report.read-recall",
    answer=RecallBody,
    parameters=(REPORT_ID,),
)
async def read_recall(visit: Visit) -> Response:
    """Who had a recalled report, and who has certified its destruction (originator's releaser)."""
    visit.read_query()
    recorded = await show_recall(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _recall(recorded.value, visit.call.now))


@Operation(
    method="GET",
    path="/v1/reports/{id}/recall/outlook",
    action="report.preview-recall",
    answer=RecallOutlookBody,
    parameters=(REPORT_ID,),
    errors=(409,),
)
async def read_recall_outlook(visit: Visit) -> Response:
    """What a recall would do, and to how many clients of which members (originator's releaser)."""
    visit.read_query()
    recorded = await preview_recall(visit.services, visit.call, visit.path["id"])
    outlook = recorded.value
    body = RecallOutlookBody(
        id=outlook.report,
        version=outlook.version,
        agreement=outlook.agreement,
        scope=outlook.scope,
        marking=outlook.marking,
        given=[GivenToBody(member=member, clients=clients) for member, clients in outlook.given.items()],
    )
    return answered(recorded, body)


@Operation(
    method="POST",
    path="/v1/reports/{id}/destruction",
    action="report.certify-destruction",
    body=CertificateBody,
    answer=AskedDestructionBody,
    status=201,
    parameters=(REPORT_ID,),
    errors=(409,),
    example={"method": "erased from the case system and its backups", "copies": 2},
)
async def certify(visit: Visit) -> Response:
    """Certify that a recalled report was destroyed (a client that was given it, or its member's releaser)."""
    body = await read_as(visit, CertificateBody, *DESTROYING_ROLES, event=EventName.DESTRUCTION_CERTIFIED)
    certificate = Certificate(body.method, body.copies, body.client)
    recorded = await certify_destruction(visit.services, visit.call, visit.path["id"], certificate)
    return answered(recorded, _asked(recorded.value, visit.call.now), status=201)


@Operation(method="GET", path="/v1/destructions", action="destruction.list", answer=AskedDestructionListBody)
async def destructions(visit: Visit) -> Response:
    """Recalled reports that this client, or for a releaser its member, is still to destroy."""
    visit.read_query()
    recorded = await list_destructions(visit.services, visit.call)
    items = [_asked(each, visit.call.now) for each in recorded.value]
    return answered(recorded, AskedDestructionListBody(items=items))


def _made(made: MadeVersion) -> MadeVersionBody:
    return MadeVersionBody(
        id=made.report,
        version=made.version,
        label=LabelBody.of(made.label),
        marking=made.marking,
        part_labels=[LabelBody.of(label) for label in made.part_labels],
        digest=made.digest,
        replaced=made.replaced,
        state="made" if made.act is None else "awaiting-second-person",
        act=made.act,
    )


def _recall(recall: Recall, now: datetime) -> RecallBody:
    stone = recall.tombstone
    return RecallBody(
        id=stone.report,
        recalled_at=stone.at,
        cause=stone.cause.value,
        tombstone=base64_text(stone.note),
        asked=[_destruction(row, now) for row in recall.asked],
    )


def _asked(asked: AskedDestruction, now: datetime) -> AskedDestructionBody:
    stone = asked.tombstone
    return AskedDestructionBody(
        id=stone.report,
        recalled_at=stone.at,
        tombstone=base64_text(stone.note),
        destruction=_destruction(asked.row, now),
    )


def _destruction(row: DestructionRow, now: datetime) -> DestructionBody:
    return DestructionBody(
        client=row.given.client,
        member=row.given.member,
        agency=row.given.agency,
        read_at=row.given.at,
        read_entry=row.given.entry,
        state=_state(row, now),
        asked_at=row.asked_at,
        due_at=row.due_at,
        returned_at=row.returned_at,
        certificate=None if row.note is None else base64_text(row.note),
    )


def _state(row: DestructionRow, now: datetime) -> Literal["asked", "overdue", "certified"]:
    if row.returned_at is not None:
        return "certified"
    return "overdue" if row.due_at <= now else "asked"


OPERATIONS = (amend, downgrade, recall, read_recall, read_recall_outlook, certify, destructions)
