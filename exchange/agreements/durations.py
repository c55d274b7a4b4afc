"""ISO 8601 durations as agreements write them, added to a moment of the calendar."""

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

from exchange.kernel import LAST_MOMENT

_PARTS = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.ASCII,
)
_MONTHS = 12


def moved_by(moment: datetime, duration: str, *, back: bool = False, times: int = 1) -> datetime:
    """Return `moment` moved on by `duration`, or back: years and months by the calendar, then the rest, or the reverse.

    Whatever lies before a moment moved back lies, moved on again, before that moment. The 31st becomes the last day of
    a shorter month; what recurs is moved `times` from where it began, and is on the 31st again in a longer one. Beyond
    the calendar lies LAST_MOMENT, or the first. ValueError for what is no duration; terms hold only those that are.
    """
    amount = _amount(duration)
    months = (amount["years"] * _MONTHS + amount["months"]) * times
    try:
        rest = times * timedelta(**{name: amount[name] for name in ("weeks", "days", "hours", "minutes", "seconds")})
        return _by_months(moment - rest, -months) if back else _by_months(moment, months) + rest
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC) if back else LAST_MOMENT


def _by_months(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * _MONTHS + moment.month - 1 + months, _MONTHS)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))


@lru_cache(maxsize=256)
def _amount(duration: str) -> Mapping[str, int]:
    # Rhythms are asked of for every report: a text is read once.
    found = _PARTS.fullmatch(duration)
    if found is None:
        message = f"`{duration[:40]}` is no ISO 8601 duration"
        raise ValueError(message)
    return MappingProxyType({name: int(value or 0) for name, value in found.groupdict().items()})
