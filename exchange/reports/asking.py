"""Requests for information: what a member asks others for, until when, and where the request stands for whoever looks.

Promises: a request exists only without a fault, inside its scope, and reads back as it was written; what it is said to
be follows only from answers that the one who looks may know of.
Does not: decide who may read it, encrypt, or look up the answers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from exchange.kernel.clock import parse_rfc3339, rfc3339
from exchange.kernel.counting import counted
from exchange.kernel.errors import Fault, InvalidError, MalformedError
from exchange.markings import Label
from exchange.members import MemberCode
from exchange.reports.header_json import header_as_json, header_from_json
from exchange.reports.model import Header, Precedence, ReportId
from exchange.reports.posting import (
    CONDITIONS_CAVEAT,
    PostedPart,
    PostedReport,
    PostingRules,
    check_report,
    compose_header,
)

_TEXT = PostedPart(None, "text/plain", "request.txt", b"")
_FIELDS = frozenset({"header", "text", "asked", "deadline"})


class RequestState(Enum):
    """Where a request stands. Only `closed` and `withdrawn` are set; the others follow from time and answers."""

    OPEN = "open"
    ANSWERED = "answered"
    OVERDUE = "overdue"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class PostedRequest:
    """A request as sent: nothing in it is checked yet. `asked` empty: every other contributor of the scope."""

    agreement: str
    scope: str
    kind: str
    topic: str
    regions: tuple[str, ...]
    precedence: Precedence
    subject: str | None
    label: Label
    text: str
    deadline: datetime
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InformationRequest:
    """A request: its header is a report's, the asker being the originator; `asked` is sorted."""

    header: Header
    text: str
    asked: tuple[str, ...]
    deadline: datetime


def compose_request(
    posted: PostedRequest, *, request_id: str, asker: MemberCode, now: datetime, rules: PostingRules
) -> InformationRequest:
    """Return the request of `posted`, made at `now`; InvalidError lists every fault, with pointers into its body."""
    contributors = {str(member) for member in rules.scope.contributors if member != asker}
    asked = tuple(sorted(set(posted.asked) or contributors))
    report = _as_report(posted)
    faults = [_in_request(fault) for fault in check_report(report, now=now, rules=rules)]
    faults += _asked_faults(posted, asked, contributors)
    if posted.deadline <= now:
        faults.append(Fault("/deadline", "in-the-past", "lies in the past: name a later moment"))
    if faults:
        raise InvalidError(f"the request has {counted(len(faults), 'fault', 'faults')}", tuple(faults))
    header = compose_header(report, report_id=ReportId(request_id), originator=asker, now=now, rules=rules)
    return InformationRequest(header, posted.text, asked, posted.deadline)


def request_state(ended: RequestState | None, *, has_answer: bool, deadline: datetime, now: datetime) -> RequestState:
    """Return where a request stands for somebody who knows of an answer, or of none."""
    if ended is not None:
        return ended
    if has_answer:
        return RequestState.ANSWERED
    return RequestState.OVERDUE if deadline <= now else RequestState.OPEN


def too_wide_for_answer(labels: Iterable[Label], *, originator: str, asker: str) -> tuple[str, ...]:
    """Return the members, sorted, who could read something under `labels` and are neither originator nor asker."""
    named = {member for label in labels for member in label.releasable_to}
    return tuple(sorted(named - {originator, asker}))


def request_as_json(request: InformationRequest, *, marking: Callable[[Label], str]) -> dict[str, object]:
    """Return the JSON under which a request is sealed; `request_from_json` reads it back unchanged."""
    return {
        "header": header_as_json(request.header, status=None, marking=marking),
        "text": request.text,
        "asked": list(request.asked),
        "deadline": rfc3339(request.deadline),
    }


def request_from_json(value: object) -> InformationRequest:
    """Return the request that `request_as_json` wrote; MalformedError for anything else, nothing is guessed."""
    if not isinstance(value, Mapping) or value.keys() != _FIELDS:
        raise MalformedError(f"a stored request does not have exactly the fields {', '.join(sorted(_FIELDS))}")
    text, asked, deadline = value["text"], value["asked"], value["deadline"]
    if not isinstance(text, str) or not isinstance(deadline, str) or not isinstance(asked, list):
        raise MalformedError("a stored request has no text, no deadline or nobody whom it asks")
    if not all(isinstance(member, str) for member in asked):
        raise MalformedError("a stored request asks somebody who is no member")
    return InformationRequest(header_from_json(value["header"]), text, tuple(asked), parse_rfc3339(deadline))


def _as_report(posted: PostedRequest) -> PostedReport:
    return PostedReport(
        agreement=posted.agreement,
        scope=posted.scope,
        kind=posted.kind,
        topic=posted.topic,
        regions=posted.regions,
        precedence=posted.precedence,
        subject=posted.subject,
        label=posted.label,
        valid_until=None,
        declassify_on=None,
        supersedes=None,
        references=(),
        # A lone surrogate is no UTF-8: the check of contents says so.
        parts=(replace(_TEXT, content=posted.text.encode(errors="surrogatepass")),),
    )


def _in_request(fault: Fault) -> Fault:
    if fault.pointer == "/conditions":
        # A report brings them along; a request has no field for them.
        told = f"`{CONDITIONS_CAVEAT}` needs conditions, and a request holds none: leave it out"
        return replace(fault, pointer="/label/handling", message=told)
    return replace(fault, pointer="/text") if fault.pointer.startswith("/parts/") else fault


def _asked_faults(posted: PostedRequest, asked: tuple[str, ...], contributors: set[str]) -> Iterator[Fault]:
    for index, member in enumerate(posted.asked):
        if member not in contributors:
            yield Fault(f"/asked/{index}", "not-a-party", "is no other contributor of the scope")
    if not asked:
        yield Fault("/asked", "empty", "nobody else contributes to the scope: there is nobody to ask")
    missing = [member for member in asked if member in contributors and member not in posted.label.releasable_to]
    if missing:
        told = f"does not name {', '.join(missing)}: who is asked must be able to read it"
        yield Fault("/label/releasable_to", "not-releasable", told)
