"""The log for auditors: search it, show one entry. Each auditor sees its own slice."""

from starlette.responses import Response

from exchange.entrypoints.api.audit_filters import FILTERS, criteria_in
from exchange.entrypoints.api.parameters import AFTER, ENTRY_ID, LIMIT, chosen, page_limit
from exchange.entrypoints.http.routing import Operation, Parameter, answered
from exchange.entrypoints.http.visit import Visit
from exchange.usecases import EntryQuery, FoundEntry, personal_as_json, search_entries, show_entry
from exchange.wire import EntryListBody, ShownEntryBody

_ORDERS = ("newest", "oldest")


@Operation(
    method="GET",
    path="/v1/audit/entries",
    action="audit.search",
    answer=EntryListBody,
    parameters=(
        AFTER,
        LIMIT,
        Parameter(
            "order",
            "query",
            "`newest` first or `oldest` first, by when what an entry is about began. What took long comes in behind its"
            " time: who follows the log asks for an export with `follow`, which is in the log's own order.",
            {"type": "string", "enum": list(_ORDERS)},
        ),
        *FILTERS,
    ),
)
async def search(visit: Visit) -> Response:
    """Search the log: an auditor sees its own member's slice, the exchange's auditor all."""
    query = visit.read_query()
    asked = EntryQuery(
        criteria=criteria_in(visit.services, query),
        cursor=query.get("after"),
        limit=page_limit(query),
        newest_first=chosen(query, "order", _ORDERS) == "newest",
    )
    recorded = await search_entries(visit.services, visit.call, asked)
    page = recorded.value
    return answered(recorded, EntryListBody(items=[_shown(found) for found in page.items], next=page.next))


@Operation(
    method="GET",
    path="/v1/audit/entries/{id}",
    action="audit.show",
    answer=ShownEntryBody,
    parameters=(ENTRY_ID,),
)
async def show(visit: Visit) -> Response:
    """Show one entry of the log, as far as this auditor may see it."""
    visit.read_query()
    recorded = await show_entry(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _shown(recorded.value))


def _shown(found: FoundEntry) -> ShownEntryBody:
    return ShownEntryBody.of(found.view, found.receipt, personal_as_json(found.personal))


OPERATIONS = (search, show)
