"""Parameters that several operations declare, and the errors that every operation can end in."""

from exchange.entrypoints.http.routing import Parameter

EVERYWHERE = (400, 401, 403, 404, 405, 406, 422, 429, 500, 503)
"""Every operation: malformed query, not enrolled, suspended or without the role, absent, wrong method or media type,
unknown parameter, too many requests, what nobody foresaw, log or custody away."""

WITH_BODY = (408, 413, 415)
"""Operations that read a body: too slow, too large, of another media type."""

REPORT_ID = Parameter("id", "path", "The report's id.", required=True)
CLIENT_ID = Parameter("id", "path", "The client's id.", required=True)
AGREEMENT_ID = Parameter("id", "path", "The agreement's id.", required=True)
ENTRY_ID = Parameter("id", "path", "The entry's id.", required=True)
PART_NUMBER = Parameter(
    "n", "path", "The part's number, from 1.", {"type": "string", "pattern": "^[0-9]+$"}, required=True
)

PURPOSE = Parameter(
    "Exchange-Purpose",
    "header",
    "Why the caller reads; absent, the client's first registered purpose.",
    {"type": "string", "pattern": "^[a-z0-9-]{1,64}$", "example": "defence"},
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "Makes a repeated post one report, for 24 hours.",
    {"type": "string", "pattern": "^[!-~]{1,128}$"},
)
IF_MATCH = Parameter(
    "If-Match",
    "header",
    'The `version` that the change is meant for, in quotes: `"3"`. A header without one is of version 1.',
    {"type": "string", "pattern": '^(\\*|"[0-9]{1,9}")$'},
)
RANGE = Parameter("Range", "header", "A single range of bytes.", {"type": "string", "example": "bytes=0-1023"})
LIMIT = Parameter(
    "limit", "query", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}
)
