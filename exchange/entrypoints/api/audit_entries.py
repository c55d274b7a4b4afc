"""The log for auditors: search it, show one entry. Each auditor sees its own slice."""

from datetime import datetime

from starlette.responses import Response

from exchange.audit import Criteria
from exchange.entrypoints.api.parameters import ENTRY_ID, EVERYWHERE, LIMIT
from exchange.entrypoints.http.routing import Endpoint, Operation, Parameter, answered
from exchange.entrypoints.http.visit import Visit, read_query, whole_number
from exchange.kernel import Fault, InvalidError, MalformedError, parse_rfc3339
from exchange.usecases import EntryQuery, FoundEntry, personal_as_json, search_entries, show_entry
from exchange.wire import EntryListBody, ShownEntryBody

_LARGEST_PAGE = 500
_MOMENT = {"type": "string", "format": "date-time"}
_ORDERS = ("newest", "oldest")

_WORDS = {
    "member": "Only what clients of this member did.",
    "agency": "Only what clients of this agency did.",
    "client": "Only what the client with this id did.",
    "report": "Only what was done to the report with this id.",
    "subject": "Only what was done to the report, agreement, client or other thing with this id.",
    "owner": "Only what was done to reports, clients and the like of this member.",
    "agreement": "Only what was done under this agreement.",
    "event": "Only this event, such as `report.read`.",
    "outcome": "Only `permitted`, `refused` or `failed`.",
    "level": "Only labels of this level, by its name.",
    "reason": "Only refusals with this reason code.",
    "text": "Only refusals with a reason code that contains this.",
}

SEARCH = Operation(
    method="GET",
    path="/v1/audit/entries",
    action="audit.search",
    summary="Search the log: an auditor sees its own member's slice, the exchange's auditor all.",
    answer=EntryListBody,
    parameters=(
        Parameter("after", "query", "`next` of an earlier page."),
        LIMIT,
        Parameter("order", "query", "`newest` first or `oldest` first.", {"type": "string", "enum": list(_ORDERS)}),
        Parameter("since", "query", "Only entries of this time or later.", _MOMENT),
        Parameter("until", "query", "Only entries before this time.", _MOMENT),
        *(Parameter(name, "query", told) for name, told in _WORDS.items()),
    ),
    errors=EVERYWHERE,
)
SHOW = Operation(
    method="GET",
    path="/v1/audit/entries/{id}",
    action="audit.show",
    summary="Show one entry of the log, as far as this auditor may see it.",
    answer=ShownEntryBody,
    parameters=(ENTRY_ID,),
    errors=EVERYWHERE,
)


async def search(visit: Visit) -> Response:
    """Answer `GET /v1/audit/entries`."""
    query = read_query(visit.request, frozenset({"after", "limit", "order", "since", "until", *_WORDS}))
    asked = EntryQuery(
        criteria=_criteria(query),
        cursor=query.get("after"),
        limit=whole_number(query, "limit", default=100, largest=_LARGEST_PAGE),
        newest_first=_is_newest_first(query),
    )
    recorded = await search_entries(visit.services, visit.call, asked)
    page = recorded.value
    return answered(recorded, EntryListBody(items=[_shown(found) for found in page.items], next=page.next))


async def show(visit: Visit) -> Response:
    """Answer `GET /v1/audit/entries/{id}`."""
    read_query(visit.request, frozenset())
    recorded = await show_entry(visit.services, visit.call, visit.path["id"])
    return answered(recorded, _shown(recorded.value))


def _shown(found: FoundEntry) -> ShownEntryBody:
    return ShownEntryBody.of(found.view, found.receipt, personal_as_json(found.personal))


def _criteria(query: dict[str, str]) -> Criteria:
    words = {name: query.get(name) for name in _WORDS if name != "report"}
    if "report" in query:
        if "subject" in query:
            raise _fault("subject", "give `report` or `subject`: they are one filter")
        words["subject"] = query["report"]
    return Criteria(since=_moment(query, "since"), until=_moment(query, "until"), **words)


def _moment(query: dict[str, str], name: str) -> datetime | None:
    try:
        return parse_rfc3339(query[name]) if name in query else None
    except MalformedError as exc:
        raise _fault(name, exc.message) from exc


def _is_newest_first(query: dict[str, str]) -> bool:
    order = query.get("order", _ORDERS[0])
    if order not in _ORDERS:
        raise _fault("order", f"use one of {', '.join(_ORDERS)}")
    return order == _ORDERS[0]


def _fault(name: str, message: str) -> InvalidError:
    return InvalidError("the query has faults", (Fault(f"/{name}", "invalid-value", message),))


OPERATIONS: tuple[tuple[Operation, Endpoint], ...] = ((SEARCH, search), (SHOW, show))
