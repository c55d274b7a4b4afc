"""Whether the parties of an agreement do what they promised."""

from starlette.responses import Response

from exchange.audit import EventName
from exchange.entrypoints.api.parameters import AFTER, AGREEMENT_ID, LIMIT, PURPOSE, page_limit
from exchange.entrypoints.http.routing import Operation, Parameter, answered
from exchange.entrypoints.http.visit import Visit, moment_in
from exchange.members import Role
from exchange.store import BreachKind, BreachRow
from exchange.usecases import authenticate, list_breaches, show_compliance
from exchange.wire import BreachBody, BreachListBody, ComplianceBody, PartyRecordBody


@Operation(
    method="GET",
    path="/v1/agreements/{id}/breaches",
    action="breach.list",
    answer=BreachListBody,
    parameters=(AGREEMENT_ID, AFTER, LIMIT),
)
async def breaches(visit: Visit) -> Response:
    """What the caller's member did not do for others, or others for it; to its signatories that are cleared."""
    query = visit.read_query()
    limit = page_limit(query)
    recorded = await list_breaches(visit.services, visit.call, visit.path["id"], cursor=query.get("after"), limit=limit)
    items = [_breach(row) for row in recorded.value.rows]
    return answered(recorded, BreachListBody(items=items, next=recorded.value.next))


@Operation(
    method="GET",
    path="/v1/agreements/{id}/compliance",
    action="compliance.read",
    answer=ComplianceBody,
    parameters=(
        AGREEMENT_ID,
        PURPOSE,
        Parameter(
            "since",
            "query",
            "From when on; absent, 90 days ago. At most 366 days.",
            {"type": "string", "format": "date-time"},
        ),
    ),
)
async def compliance(visit: Visit) -> Response:
    """What each party promised and did, counted over what the calling reader may read."""
    await authenticate(visit.services, visit.call, Role.READER, event=EventName.COMPLIANCE_READ)
    since = moment_in(visit.read_query(), "since")
    recorded = await show_compliance(visit.services, visit.call, visit.path["id"], since)
    found = recorded.value
    body = ComplianceBody(
        id=found.agreement.id,
        since=found.since,
        until=found.now,
        parties=[PartyRecordBody.of(each) for each in found.parties],
    )
    return answered(recorded, body)


def _breach(row: BreachRow) -> BreachBody:
    return BreachBody(
        id=row.id,
        kind=row.kind.value,
        party=row.party,
        owed_to=row.owed_to,
        scope=row.scope,
        report=row.subject if row.kind is BreachKind.ACKNOWLEDGEMENT else None,
        due=row.due_at,
        found_at=row.found_at,
    )


OPERATIONS = (compliance, breaches)
