"""When a message that was put off is tried again."""

from typing import Any, Final

from sqlalchemy import ColumnElement, or_

_TRIED: Final = range(1000)
"""As often as anything was ever tried, and far beyond."""

PUT_OFF_AT_MOST_MICROS: Final = 86_400_000_000
"""Nothing is tried again later than that: what says so was written by a clock that was ahead, and is due."""


def is_due(next_at: Any, now: Any, latest: Any) -> ColumnElement[bool]:
    """Return whether what is to be tried at `next_at` is due; `latest` is the last moment that it may be put off to."""
    return or_(next_at <= now, next_at > latest)


def one_more(tries: object) -> int:
    """Return how often something was tried with this once more.

    On SQLite anything may stand there: what cannot be counted on from was tried often enough.
    """
    return tries + 1 if isinstance(tries, int) and tries in _TRIED else _TRIED.stop
