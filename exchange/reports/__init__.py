"""Reports: header, parts, versions, redaction to a tear-line, status.

Promises: a header exists only for a post without a fault; a part never exceeds its report; a tear-line tells nothing
of what it withholds; a header reads back as it was written.
Does not: decide who may see what, encrypt, or look up other reports.
"""

from exchange.reports.asking import (
    InformationRequest,
    PostedRequest,
    RequestState,
    compose_request,
    request_as_json,
    request_from_json,
    request_state,
    too_wide_for_answer,
)
from exchange.reports.contents import Reading, content_fault, is_read_whole, media_type_fault, name_fault
from exchange.reports.header_json import header_as_json, header_from_json, part_as_json
from exchange.reports.life import (
    Downgrade,
    PlaceTakenError,
    ReportAct,
    amended,
    declassified,
    downgraded,
    may_be_done,
    require_act,
    require_place,
    version_digest,
)
from exchange.reports.model import Header, PartHeader, Precedence, Protection, ReportId, ReportStatus
from exchange.reports.posting import (
    Awaited,
    PostedPart,
    PostedReport,
    PostingRules,
    check_report,
    compose_header,
    whole_contents,
)
from exchange.reports.showing import status_of, tear_line, visible_header
from exchange.reports.uploads import ArrivingContent, as_posted, with_received

__all__ = [
    "ArrivingContent",
    "Awaited",
    "Downgrade",
    "Header",
    "InformationRequest",
    "PartHeader",
    "PlaceTakenError",
    "PostedPart",
    "PostedReport",
    "PostedRequest",
    "PostingRules",
    "Precedence",
    "Protection",
    "Reading",
    "ReportAct",
    "ReportId",
    "ReportStatus",
    "RequestState",
    "amended",
    "as_posted",
    "check_report",
    "compose_header",
    "compose_request",
    "content_fault",
    "declassified",
    "downgraded",
    "header_as_json",
    "header_from_json",
    "is_read_whole",
    "may_be_done",
    "media_type_fault",
    "name_fault",
    "part_as_json",
    "request_as_json",
    "request_from_json",
    "request_state",
    "require_act",
    "require_place",
    "status_of",
    "tear_line",
    "too_wide_for_answer",
    "version_digest",
    "visible_header",
    "whole_contents",
    "with_received",
]
