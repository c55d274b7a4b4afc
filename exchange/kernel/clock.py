"""Time: aware UTC datetimes inside, RFC 3339 at the border, microseconds in the store."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from exchange.kernel.errors import MalformedError

Clock = Callable[[], datetime]

# RFC 3339 §5.6; `fromisoformat` alone also takes week dates, missing seconds, offsets with seconds or of 99 minutes.
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-5][0-9])"
)
# RFC 3339 §5.6 full-date; `date.fromisoformat` also takes week dates and dates without hyphens.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# What `rfc3339` writes: microseconds only where they are not zero.
_CANONICAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.(?!000000)[0-9]{6})?Z")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)
"""Beyond it the calendar has none."""

MICROSECOND = timedelta(microseconds=1)


def system_clock() -> datetime:
    """Return the present moment of this machine, in UTC."""
    return datetime.now(UTC)


def to_micros(moment: datetime) -> int:
    """Return whole microseconds since 1970-01-01T00:00:00Z; `moment` must be aware."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC moment of `micros` microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


def first_moment(day: date) -> datetime:
    """Return the moment at which `day` begins, in UTC."""
    return datetime.combine(day, time(), UTC)


def rfc3339(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC with `Z`, microseconds only where they are not zero."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_day(text: str) -> date:
    """Return the day that `text` names, written YYYY-MM-DD; MalformedError for every other form, and for no day."""
    if _DAY.fullmatch(text) is None:
        raise MalformedError(f"`{text[:40]}` is not a day: write one such as 2026-01-31")
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise MalformedError(f"`{text}` is no day of the calendar: {exc}") from exc


def parse_rfc3339(text: str) -> datetime:
    """Return the UTC moment that `text` names; digits beyond microseconds are cut off.

    Raises MalformedError where it is not a full date and time with an offset (RFC 3339 §5.6), and for the
    second 60, which this calendar does not have.
    """
    if _DATE_TIME.fullmatch(text) is None:
        raise MalformedError(f"`{text[:40]}` is not a time: use RFC 3339, such as 2026-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise MalformedError(f"`{text[:40]}` is no moment of the calendar: {exc}") from exc


def parse_micros(text: str) -> int:
    """Return the moment that `text` names in microseconds since 1970; MalformedError as `parse_rfc3339`."""
    return to_micros(parse_rfc3339(text))


def is_canonical_rfc3339(text: str) -> bool:
    """Return whether `rfc3339` writes some moment as `text`; a third of the time that writing it anew takes."""
    if _CANONICAL.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
