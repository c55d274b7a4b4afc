"""Notices: what a reader is told of reports that it was given."""

from starlette.responses import Response

from exchange.entrypoints.api.parameters import EVERYWHERE, LIMIT
from exchange.entrypoints.http.routing import Endpoint, Operation, Parameter, answered
from exchange.entrypoints.http.visit import Visit, read_query, whole_number
from exchange.usecases import list_notices
from exchange.wire import NoticeBody, NoticeListBody

_LARGEST_PAGE = 500

LIST = Operation(
    method="GET",
    path="/v1/notices",
    action="notice.list",
    summary="What happened to reports that this reader was given, oldest first.",
    answer=NoticeListBody,
    parameters=(Parameter("after", "query", "`next` of an earlier page."), LIMIT),
    errors=EVERYWHERE,
)


async def list_all(visit: Visit) -> Response:
    """Answer `GET /v1/notices`."""
    query = read_query(visit.request, frozenset({"after", "limit"}))
    limit = whole_number(query, "limit", default=100, largest=_LARGEST_PAGE)
    recorded = await list_notices(visit.services, visit.call, query.get("after"), limit=limit)
    page = recorded.value
    items = [
        NoticeBody(kind=row.kind.value, report=row.report, version=row.version, at=row.at, entry=row.entry)
        for row in page.items
    ]
    return answered(recorded, NoticeListBody(items=items, next=page.next))


OPERATIONS: tuple[tuple[Operation, Endpoint], ...] = ((LIST, list_all),)
