"""The log as an export: streamed in the order of the log, in the format that the auditor's tools read."""

from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from exchange.audit.export import FORMATS, Format, FormatName, Place, Statement, parse_place
from exchange.entrypoints.api.audit_filters import FILTERS, criteria_in
from exchange.entrypoints.api.parameters import FLAG, chosen, flag
from exchange.entrypoints.http.receipts import receipt_headers
from exchange.entrypoints.http.routing import Operation, Parameter, head_of_stream
from exchange.entrypoints.http.visit import Visit, query_fault
from exchange.kernel import MalformedError
from exchange.usecases import Export, ExportQuery, export_entries

END_HEADER = "X-Audit-Export-End"

_FORMAT_NAMES = [name.value for name in FormatName]


@Operation(
    method="GET",
    path="/v1/audit/export",
    action="audit.export",
    answer_media="*/*",
    parameters=(
        Parameter("format", "query", "How each entry is written.", {"type": "string", "enum": _FORMAT_NAMES}),
        Parameter("after", "query", "`LOG.POSITION` of the last entry that one has: go on behind it."),
        Parameter("follow", "query", "Go on with what is new when all is said, and do not end.", FLAG),
        Parameter("proofs", "query", "Put an inclusion proof beside each entry (NDJSON).", FLAG),
        *FILTERS,
    ),
    answer_headers=("Content-Disposition", END_HEADER),
)
async def export(visit: Visit) -> Response:
    """Export an auditor's slice of the log; the last record says how far it is complete."""
    query = visit.read_query()
    name = FormatName(chosen(query, "format", _FORMAT_NAMES))
    asked = ExportQuery(
        name, _after(query), criteria_in(visit.services, query), flag(query, "follow"), flag(query, "proofs")
    )
    if asked.proofs and name is not FormatName.NDJSON:
        raise query_fault("proofs", "only `ndjson` has a place for proofs")
    recorded = await export_entries(visit.services, visit.call, asked)
    begun, form = recorded.value, FORMATS[name]
    headers = {
        **receipt_headers(recorded.receipt),
        END_HEADER: str(begun.end),
        "Content-Disposition": f'attachment; filename="audit.{name.value}"',
    }
    if visit.is_head:
        return head_of_stream(headers, form.media_type)
    return StreamingResponse(
        _lines(begun, form, with_head=asked.after is None), headers=headers, media_type=form.media_type
    )


async def _lines(begun: Export, form: Format, *, with_head: bool) -> AsyncIterator[bytes]:
    if with_head and form.head:
        yield form.head
    async for item in begun.items:
        yield form.statement_line(item) if isinstance(item, Statement) else b"".join(map(form.entry_line, item))


def _after(query: dict[str, str]) -> Place | None:
    try:
        return parse_place(query["after"]) if "after" in query else None
    except MalformedError as exc:
        raise query_fault("after", exc.message) from exc


OPERATIONS = (export,)
