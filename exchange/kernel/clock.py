"""Time: aware UTC datetimes inside, RFC 3339 at the border, microseconds in the store."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from exchange.kernel.errors import MalformedError

Clock = Callable[[], datetime]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def system_clock() -> datetime:
    """Return the present moment of this machine, in UTC."""
    return datetime.now(UTC)


def to_micros(moment: datetime) -> int:
    """Return whole microseconds since 1970-01-01T00:00:00Z; `moment` must be aware."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC moment of `micros` microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def rfc3339(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC with `Z`, microseconds only where they are not zero."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """Return the UTC moment that `text` names.

    Raises MalformedError where it is not a full date and time with an offset (RFC 3339 §5.6).
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        message = f"`{text[:40]}` is not a time: use RFC 3339, such as 2026-01-31T12:00:00Z"
        raise MalformedError(message) from exc
    if moment.tzinfo is None or "T" not in text.upper():
        message = f"`{text[:40]}` has no time of day or offset: use RFC 3339, such as 2026-01-31T12:00:00Z"
        raise MalformedError(message)
    return moment.astimezone(UTC)
