"""The filters by which auditors narrow what they are shown of the log: the same wherever it is read."""

import re
from ipaddress import ip_address

from exchange.audit import Criteria
from exchange.entrypoints.http.routing import Parameter
from exchange.entrypoints.http.visit import moment_in, query_fault
from exchange.kernel import NOT_AN_ID, is_uuid7
from exchange.usecases import Services, search_tokens

_MOMENT = {"type": "string", "format": "date-time"}
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
    "crisis": "Only what was released because of the crisis with this id, and would not have been without it.",
}
_PERSONAL = {
    "source": "Only requests from this network address.",
    "thumbprint": "Only requests with the certificate of this SHA-256 thumbprint, in hex.",
}
_THUMBPRINT = re.compile("[0-9a-f]{64}")
FILTERS = (
    Parameter("since", "query", "Only entries of this time or later.", _MOMENT),
    Parameter("until", "query", "Only entries before this time.", _MOMENT),
    *(Parameter(name, "query", told) for name, told in (_WORDS | _PERSONAL).items()),
)


def criteria_in(services: Services, query: dict[str, str]) -> Criteria:
    """Return the filters in a query; raises InvalidError for those that cannot be read.

    Address and thumbprint go no further than this: entries are searched for their tokens.
    """
    words = {name: query.get(name) for name in _WORDS if name != "report"}
    if "report" in query:
        if "subject" in query:
            raise query_fault("subject", "give `report` or `subject`: they are one filter")
        if not is_uuid7(query["report"]):
            raise query_fault("report", NOT_AN_ID)
        words["subject"] = query["report"]
    tokens = _tokens(services, query) if query.keys() & _PERSONAL.keys() else {}
    return Criteria(since=moment_in(query, "since"), until=moment_in(query, "until"), **words, **tokens)


def _tokens(services: Services, query: dict[str, str]) -> dict[str, str]:
    tokens, found = search_tokens(services), {}
    if "source" in query:
        found["source"] = tokens.of_address(_address(query["source"]))
    if "thumbprint" in query:
        # As `openssl x509 -fingerprint` writes it, too.
        thumbprint = query["thumbprint"].replace(":", "").lower()
        if not _THUMBPRINT.fullmatch(thumbprint):
            raise query_fault("thumbprint", "use the 64 hexadecimal digits of a certificate's SHA-256")
        found["thumbprint"] = tokens.of_thumbprint(thumbprint)
    return found


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError as exc:
        raise query_fault("source", "use an address such as 192.0.2.7 or 2001:db8::7") from exc
