"""Alerts for auditors. Each auditor sees those whose entries are in its own slice."""

from starlette.responses import Response

from exchange.entrypoints.api.parameters import AFTER, LIMIT, page_limit
from exchange.entrypoints.http.routing import Operation, Parameter, answered
from exchange.entrypoints.http.visit import Visit
from exchange.kernel import from_micros
from exchange.store.rows.alert_rows import AlertRow
from exchange.usecases.auditors.list_alerts import AlertQuery, list_alerts
from exchange.wire import AlertBody, AlertListBody, AlertSubjectBody


@Operation(
    method="GET",
    path="/v1/audit/alerts",
    action="alert.list",
    answer=AlertListBody,
    parameters=(
        AFTER,
        LIMIT,
        Parameter("rule", "query", "Only alerts of the rule with this name."),
    ),
)
async def list_all(visit: Visit) -> Response:
    """List alerts, oldest first: an auditor sees those about its own member's clients and reports."""
    query = visit.read_query()
    limit = page_limit(query)
    asked = AlertQuery(rule=query.get("rule"), cursor=query.get("after"), limit=limit)
    recorded = await list_alerts(visit.services, visit.call, asked)
    page = recorded.value
    return answered(recorded, AlertListBody(items=[_shown(alert) for alert in page.items], next=page.next))


def _shown(alert: AlertRow) -> AlertBody:
    return AlertBody(
        id=alert.id,
        rule=alert.rule,
        kind=alert.kind,
        severity=alert.severity,
        raised_at=from_micros(alert.raised_at),
        subject=AlertSubjectBody(type=alert.subject_kind, id=alert.subject_id),
        member=alert.member,
        owner=alert.owner,
        entry=alert.entry_id,
        evidence=list(alert.evidence),
    )


OPERATIONS = (list_all,)
