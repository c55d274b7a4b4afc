"""Notices: what a reader is told of reports that it was given."""

from starlette.responses import Response

from exchange.entrypoints.api.parameters import AFTER, LIMIT, page_limit
from exchange.entrypoints.http.routing import Operation, answered
from exchange.entrypoints.http.visit import Visit
from exchange.usecases import ListedNotice, list_notices
from exchange.wire import NoticeBody, NoticeListBody


@Operation(method="GET", path="/v1/notices", action="notice.list", answer=NoticeListBody, parameters=(AFTER, LIMIT))
async def list_all(visit: Visit) -> Response:
    """What happened to reports that this reader was given, oldest first."""
    query = visit.read_query()
    limit = page_limit(query)
    recorded = await list_notices(visit.services, visit.call, query.get("after"), limit=limit)
    page = recorded.value
    return answered(recorded, NoticeListBody(items=list(map(_notice_body, page.items)), next=page.next))


def _notice_body(notice: ListedNotice) -> NoticeBody:
    row = notice.row
    return NoticeBody(
        kind=row.kind.value,
        report=row.report,
        version=row.version,
        at=row.at,
        entry=row.entry,
        superseded_by=notice.superseded_by,
    )


OPERATIONS = (list_all,)
