"""Reports: pull, list, post, one part, why. The hot paths: bytes in, bytes out."""

import re
from typing import assert_never
from urllib.parse import quote

import orjson
from starlette.responses import Response, StreamingResponse

from exchange.audit import EventName
from exchange.audit.strict_text import base64_text
from exchange.entrypoints.api.parameters import (
    IDEMPOTENCY_KEY,
    LIMIT,
    PART_NUMBER,
    PURPOSE,
    RANGE,
    REPORT_ID,
    page_limit,
)
from exchange.entrypoints.api.uploads import begun_answer, part_number
from exchange.entrypoints.http.ranges import requested_range
from exchange.entrypoints.http.receipts import receipt_headers
from exchange.entrypoints.http.routing import Operation, Parameter, answered, read_as, read_model
from exchange.entrypoints.http.visit import Visit, moment_in, single_header
from exchange.kernel import MalformedError, rfc3339
from exchange.members import Role
from exchange.release import Decision, Explanation, Permit, Refusal, RuleOutcome, View
from exchange.usecases import (
    ListQuery,
    PulledReport,
    ReadPart,
    WantedOctets,
    authenticated_row,
    begin_upload,
    explain_report,
    list_reports,
    post_report,
    pull_report,
    read_part,
    receive_report,
)
from exchange.wire import (
    BareAct,
    DecisionName,
    ExplanationBody,
    HeaderBody,
    PulledReportBody,
    ReceiptBody,
    ReportBody,
    ReportListBody,
    RuleBody,
    UploadBody,
)

_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,128}")
_JSON_MEDIA = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json")


@Operation(
    method="GET",
    path="/v1/reports/{id}",
    action="report.pull",
    answer=PulledReportBody,
    parameters=(REPORT_ID, PURPOSE),
)
async def pull(visit: Visit) -> Response:
    """Read a report: its header and the parts permitted to this client."""
    visit.read_query()
    recorded = await pull_report(visit.services, visit.call, visit.path["id"], is_shown=not visit.is_head)
    return answered(recorded, with_contents(recorded.value))


@Operation(
    method="GET",
    path="/v1/reports",
    action="report.list",
    answer=ReportListBody,
    parameters=(
        Parameter(
            "after",
            "query",
            "`next` of an earlier page. What a change of rights opened since lies before it: list without to see that.",
        ),
        LIMIT,
        Parameter("agreement", "query", "Only reports under this agreement."),
        Parameter("topic", "query", "Only this topic and those below it."),
        Parameter("kind", "query", "Only this kind."),
        Parameter("precedence", "query", "Only this precedence."),
        Parameter(
            "since", "query", "Only reports posted at or after this time.", {"type": "string", "format": "date-time"}
        ),
        PURPOSE,
    ),
)
async def list_(visit: Visit) -> Response:
    """List the headers that this client may see, oldest first."""
    query = visit.read_query()
    asked = ListQuery(
        cursor=query.get("after"),
        limit=page_limit(query),
        agreement=query.get("agreement"),
        topic=query.get("topic"),
        kind=query.get("kind"),
        precedence=query.get("precedence"),
        since=moment_in(query, "since"),
    )
    recorded = await list_reports(visit.services, visit.call, asked)
    page = recorded.value
    answer = b'{"items":[%b],"next":%b}' % (b",".join(page.items), orjson.dumps(page.next))
    if page.unopened:
        told = orjson.dumps([{"id": each.id} for each in page.unopened])
        answer = b'%b,"unopened":%b}' % (answer[:-1], told)
    return answered(recorded, answer)


@Operation(
    method="POST",
    path="/v1/reports",
    action="report.post",
    body=ReportBody,
    answer=HeaderBody,
    status=201,
    other_answers=((202, UploadBody),),
    parameters=(IDEMPOTENCY_KEY, PURPOSE),
    errors=(409,),
    answer_headers=("Location", "Idempotency-Replayed"),
    example={
        "agreement": "01980000-0000-7000-8000-000000000001",
        "scope": "cyber-threats",
        "kind": "intrep",
        "topic": "cyber.apt",
        "regions": ["EUR"],
        "precedence": "ROUTINE",
        "subject": "Infrastructure of a known group",
        "label": {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]},
        "parts": [{"media_type": "text/plain", "name": "note.txt", "content": "Seen again.", "encoding": "utf-8"}],
    },
)
async def post(visit: Visit) -> Response:
    """Post a report; with `complete` false, begin one whose parts are sent later."""
    _, seen = await authenticated_row(visit.services, visit.call, Role.CONTRIBUTOR, event=EventName.REPORT_POSTED)
    visit.read_query()
    key = single_header(visit.request, "Idempotency-Key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise MalformedError("`Idempotency-Key` has 1 to 128 visible ASCII characters")
    body = await read_model(visit, ReportBody)
    posted = body.to_posted()
    if not body.complete:
        begun = await begin_upload(visit.services, visit.call, posted, idempotency_key=key, seen=seen)
        return begun_answer(begun)
    recorded = await post_report(visit.services, visit.call, posted, idempotency_key=key, seen=seen)
    answer = recorded.value
    replayed = {"idempotency_replayed": "true"} if answer.is_replayed else {}
    location = f"/v1/reports/{answer.report_id}"
    return answered(recorded, answer.header_json, status=201, location=location, **replayed)


@Operation(
    method="GET",
    path="/v1/reports/{id}/parts/{n}",
    action="report.read-part",
    answer_media="*/*",
    parameters=(REPORT_ID, PART_NUMBER, PURPOSE, RANGE),
    errors=(416,),
    answer_headers=("Content-Disposition", "Accept-Ranges", "Link"),
)
async def part(visit: Visit) -> Response:
    """Read the bytes of one part, or a range of them."""
    visit.read_query()
    recorded = await read_part(visit.services, visit.call, visit.path["id"], part_number(visit), _wanted(visit))
    read = recorded.value
    headers = {
        **receipt_headers(recorded.receipt),
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(read.part.name, safe='')}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Type": read.part.media_type,
    }
    if read.has_terms:
        # Conditions in many letters are more than proxies take as a header: it says where they stand.
        headers["Link"] = f'</v1/reports/{visit.path["id"]}>; rel="license"'
    size = read.part.size_bytes
    start, stop = read.span or (0, size)
    if read.span is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return _octets(visit, read, (start, stop), status=200 if read.span is None else 206, headers=headers)


def _wanted(visit: Visit) -> WantedOctets:
    # No validator is given out, so an `If-Range` matches nothing and the whole is the answer (RFC 9110 §13.1.5); a
    # range is for GET alone (§14.2): whoever asks for the head learns the size.
    is_whole = visit.is_head or "if-range" in visit.request.headers
    header = None if is_whole else visit.request.headers.get("range")
    return WantedOctets(lambda size: requested_range(header, size), is_shown=not visit.is_head)


def _octets(visit: Visit, read: ReadPart, span: tuple[int, int], *, status: int, headers: dict[str, str]) -> Response:
    start, stop = span
    if read.content is not None:
        return Response(read.content[start:stop], status_code=status, headers=headers)
    headers["Content-Length"] = str(stop - start)
    if read.pieces is None or visit.is_head:
        return Response(status_code=status, headers=headers)
    return StreamingResponse(read.pieces(start, stop), status_code=status, headers=headers)


@Operation(
    method="GET",
    path="/v1/reports/{id}/explanation",
    action="report.explain",
    answer=ExplanationBody,
    parameters=(REPORT_ID, PURPOSE),
)
async def explanation(visit: Visit) -> Response:
    """Why this client may see a report, in reasons it may know."""
    visit.read_query()
    report_id = visit.path["id"]
    recorded = await explain_report(visit.services, visit.call, report_id)
    return answered(recorded, explanation_body(report_id, recorded.value))


@Operation(
    method="POST",
    path="/v1/reports/{id}/receipts",
    action="report.receive",
    body=BareAct,
    answer=ReceiptBody,
    status=201,
    parameters=(REPORT_ID, PURPOSE),
    errors=(409,),
)
async def receipt(visit: Visit) -> Response:
    """Acknowledge the receipt of a report; said again, the first acknowledgement is the answer."""
    await read_as(visit, BareAct, Role.READER, event=EventName.REPORT_RECEIVED)
    recorded = await receive_report(visit.services, visit.call, visit.path["id"])
    kept = recorded.value
    body = ReceiptBody(report=kept.report, client=kept.client, received_at=kept.at, entry=kept.entry)
    return answered(recorded, body, status=201)


def explanation_body(report_id: str, told: Explanation) -> ExplanationBody:
    """Return an explanation as JSON shows it."""
    return ExplanationBody(
        id=report_id,
        decision=decision_name(told.decision),
        reasons=[reason.value for reason in told.reasons],
        rules=[_rule(rule) for rule in told.rules],
    )


def with_contents(pulled: PulledReport) -> bytes:
    """Return the header with each part's content in it, or null in place of contents too large to stand in JSON."""
    header = orjson.loads(pulled.header_json)
    contents = dict(pulled.parts)
    for shown in header["parts"]:
        content = contents.get(shown["number"])
        shown["content"], shown["encoding"] = (
            (None, None) if content is None else _encoded(content, shown["media_type"])
        )
    if pulled.released_under:
        header["released_under"] = [
            {"conditions": terms.conditions, "purposes": terms.purposes, "until": terms.until and rfc3339(terms.until)}
            for terms in pulled.released_under
        ]
    return orjson.dumps(header)


def _encoded(content: bytes, media_type: str) -> tuple[str, str]:
    media = media_type.partition(";")[0].strip().lower()
    if media.startswith("text/") or _JSON_MEDIA.fullmatch(media):
        try:
            return content.decode(), "utf-8"
        except UnicodeDecodeError:
            pass  # declared as text and is none: the bytes go out as they are
    return base64_text(content), "base64"


def _rule(rule: RuleOutcome) -> RuleBody:
    told = {
        "number": rule.number,
        "name": rule.name,
        "outcome": rule.outcome.value,
        "sentence": rule.sentence,
        "reason": None if rule.reason is None else rule.reason.value,
        "label": None if rule.label is None else rule.label.as_json(),
    }
    return RuleBody.model_validate(told)


def decision_name(decision: Decision | None) -> DecisionName | None:
    """Return what was decided in a word; None where nothing was."""
    match decision:
        case None:
            return None
        case Permit(view=View.FULL):
            return "permit"
        case Permit():
            return "tear-line"
        case Refusal():
            return "refuse"
        case other:
            assert_never(other)


OPERATIONS = (pull, list_, post, part, explanation, receipt)
