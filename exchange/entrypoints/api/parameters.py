"""Parameters that several operations declare, how long a page is, and how what a query says is read."""

from collections.abc import Sequence
from typing import Any

from exchange.entrypoints.http.routing import Parameter
from exchange.entrypoints.http.visit import query_fault

_PAGE = 100
_LARGEST_PAGE = 500

REPORT_ID = Parameter("id", "path", "The report's id.")
CLIENT_ID = Parameter("id", "path", "The client's id.")
AGREEMENT_ID = Parameter("id", "path", "The agreement's id.")
ENTRY_ID = Parameter("id", "path", "The entry's id.")
REQUEST_ID = Parameter("id", "path", "The request's id.")
PART_NUMBER = Parameter("n", "path", "The part's number, from 1.", {"type": "string", "pattern": "^[1-9][0-9]{0,3}$"})

PURPOSE = Parameter(
    "Exchange-Purpose",
    "header",
    "Why the caller reads; absent, the client's first registered purpose.",
    {"type": "string", "pattern": "^[a-z0-9-]{1,64}$", "example": "defence"},
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "Makes a repeated post one report, for 24 hours. Kept as it comes: make it up at random, and put nothing in it.",
    {"type": "string", "pattern": "^[!-~]{1,128}$"},
)
IF_MATCH = Parameter(
    "If-Match",
    "header",
    'The `version` that the change is meant for, in quotes: `"3"`. A header without one is of version 1.',
    {"type": "string", "pattern": '^(\\*|"[0-9]{1,9}")$'},
)
RANGE = Parameter("Range", "header", "A single range of bytes.", {"type": "string", "example": "bytes=0-1023"})
FLAG: dict[str, Any] = {"type": "string", "enum": ["true", "false"], "default": "false"}
AFTER = Parameter("after", "query", "`next` of an earlier page.")
LIMIT = Parameter(
    "limit",
    "query",
    "How many at most.",
    {"type": "integer", "minimum": 1, "maximum": _LARGEST_PAGE, "default": _PAGE},
)


def page_limit(query: dict[str, str]) -> int:
    """Return how many a page may have: what `limit` says, InvalidError where that is not what LIMIT declares."""
    return whole_number(query, LIMIT.name, least=1, most=_LARGEST_PAGE) if LIMIT.name in query else _PAGE


def whole_number(query: dict[str, str], name: str, *, least: int, most: int) -> int:
    """Return the number that the parameter `name` says; InvalidError where it says none from `least` to `most`."""
    text = query.get(name, "")
    if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise query_fault(name, f"use a whole number from {least} to {most}")


def flag(query: dict[str, str], name: str) -> bool:
    """Return what the parameter `name` says, false where it is absent; InvalidError for another word than FLAG has."""
    given = query.get(name, "false")
    if given not in FLAG["enum"]:
        raise query_fault(name, "use `true` or `false`")
    return given == "true"


def chosen(query: dict[str, str], name: str, offered: Sequence[str]) -> str:
    """Return which of `offered` the parameter `name` says, the first where it is absent; InvalidError for no such."""
    given = query.get(name, offered[0])
    if given not in offered:
        raise query_fault(name, f"use one of {', '.join(offered)}")
    return given
