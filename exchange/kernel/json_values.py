"""What JSON may hold: how many values, told before they are made, and no name twice; why a text is none.

A value costs its reader ten times the bytes that it is sent in. Of two readers of a name that stands twice each may
find another value (RFC 8259 §4, RFC 7493 §2.3).

Promises: never fewer values than there are, however the text is written; none is made, and hardly any memory is taken.
Does not: say whether it is JSON at all, count on where there are more than may be.
"""

import json
from collections.abc import Iterator
from typing import Any

_MARKS = (b",", b"[", b"{")
"""Each value stands behind one of these, but for those of objects with a single name, which hold it with theirs."""
_QUOTES_OF_A_MARK = 4
"""Around a name and a text."""
_PIECE_BYTES = 65_536

_WORDS = {
    "Expecting value": 'a value is expected there, such as `"text"`, `1`, `true` or `null`',
    "Expecting property name enclosed in double quotes": "a name in double quotes is expected there",
    "Expecting ':' delimiter": "a colon is expected there, behind the name",
    "Expecting ',' delimiter": "a comma, or the end of its list or object, is expected there",
    "Extra data": "it goes on behind its end",
    "Invalid control character at": "a text holds a control character: write its escape, as `\\n` for a line break",
    "Invalid \\escape": "a text holds a backslash that begins no escape: write two for one",
    "Invalid \\uXXXX escape": "a text holds `\\u` without four hexadecimal digits behind it",
    "Unexpected UTF-8 BOM (decode using utf-8-sig)": "it begins with a byte order mark: send it without",
    "Unterminated string starting at": "a text begins there and does not end",
}
"""What is wrong and what to do, in place of the words of `json`; for others of its words it is written wrong there."""


def values_up_to(content: bytes, most: int) -> int:
    """Return how many values `content` has at most, and any number above `most` where that may be more.

    What stands in the texts of JSON is counted too as long as that is not more.
    """
    marks = 0
    for start in range(0, len(content), _PIECE_BYTES):
        marks += _marks(content[start : start + _PIECE_BYTES])
        if marks > most:
            return _outside_texts(content, most)
    return marks


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object, an `object_pairs_hook` of `json`; ValueError where a name stands twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return members


def json_fault(error: ValueError | RecursionError) -> str:
    """Return why `json` did not read a text, in our words, and where; of another's error what it says."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    return f"line {error.lineno}, column {error.colno}: {_WORDS.get(error.msg, 'it is written wrong there')}"


def _outside_texts(content: bytes, most: int) -> int:
    is_inside = marks = quotes = 0
    for bare in _without_escapes(content):
        pieces = bare.split(b'"')
        marks += _marks(b"".join(pieces[is_inside::2]))
        quotes += len(pieces) - 1
        is_inside ^= (len(pieces) - 1) % 2
        if marks > most or quotes > _QUOTES_OF_A_MARK * (most + 1):
            return most + 1
    return marks


def _without_escapes(content: bytes) -> Iterator[bytes]:
    """Yield `content` in pieces, without the escapes that hold a quote or could be mistaken for one."""
    start = 0
    while start < len(content):
        end = start + _PIECE_BYTES
        # No escape is cut in two.
        end -= (_PIECE_BYTES - len(content[start:end].rstrip(b"\\"))) % 2 if end < len(content) else 0
        yield content[start:end].replace(rb"\\", b"").replace(rb"\"", b"")
        start = end


def _marks(content: bytes) -> int:
    return sum(content.count(mark) for mark in _MARKS)
