"""Columns that are shown as they stand: one that holds what was never written there is found where its row is read."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from exchange.kernel import LARGEST_INTEGER, MalformedError, is_uuid7
from exchange.markings import Label
from exchange.members import is_member_code

T = TypeVar("T")

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST_WORD = 128
# Which a JSON text of a row can escape: nothing that repeats it could be sent.
_HALF = re.compile("[\ud800-\udfff]")


def id_in(column: object) -> str:
    """Return an id; MalformedError for what is none."""
    if not isinstance(column, str) or not is_uuid7(column):
        raise MalformedError("a row holds something else where an id was")
    return column


def member_in(column: object) -> str:
    """Return a member's code; MalformedError for what cannot be one."""
    if not isinstance(column, str) or not is_member_code(column):
        raise MalformedError("a row holds something else where a member's code was")
    return column


def digest_in(column: object) -> str:
    """Return a SHA-256 in 64 lower-case hex digits; MalformedError for what is none."""
    if not isinstance(column, str) or _DIGEST.fullmatch(column) is None:
        raise MalformedError("a row holds something else where a digest was")
    return column


def number_in(column: object) -> int:
    """Return a whole number from one on that an entry can hold; MalformedError for anything else."""
    if not isinstance(column, int) or not 1 <= column <= LARGEST_INTEGER:
        raise MalformedError("a row holds something else where a number was")
    return column


def text_in(column: object) -> str:
    """Return text; MalformedError for anything else, half a character in it too."""
    if not isinstance(column, str) or not (column.isascii() or _HALF.search(column) is None):
        raise MalformedError("a row holds something else where text was")
    return column


def bytes_in(column: object) -> bytes:
    """Return bytes; MalformedError for anything else, and for none at all."""
    if not isinstance(column, bytes) or not column:
        raise MalformedError("a row holds something else where bytes were")
    return column


def each_in(read: Callable[[object], T], column: object) -> tuple[T, ...]:
    """Return what `read` makes of each of a list; MalformedError for what is no list."""
    if not isinstance(column, list):
        raise MalformedError("a row holds something else where a list was")
    return tuple(map(read, column))


def none_or(read: Callable[[Any], T], column: object) -> T | None:
    """Return what `read` makes of a column, None where that is empty."""
    return None if column is None else read(column)


def label_in(kept: Any) -> Label:
    """Return a label from its JSON; MalformedError, KeyError or TypeError for what is none."""
    return Label(
        _word_in(kept["policy"]),
        _word_in(kept["classification"]),
        each_in(_word_in, kept["compartments"]),
        each_in(member_in, kept["releasable_to"]),
        each_in(_word_in, kept["handling"]),
    )


def _word_in(column: object) -> str:
    if not 0 < len(text_in(column)) <= _LONGEST_WORD:
        raise MalformedError("a row holds something else where a word was")
    return text_in(column)
