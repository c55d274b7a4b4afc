"""ISO 8601 durations as agreements write them, added to a moment of the calendar."""

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

_PARTS = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.ASCII,
)
_MONTHS = 12
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)
"""What lies beyond the calendar is taken for its end."""


def moved_by(moment: datetime, duration: str, *, back: bool = False) -> datetime:
    """Return `moment` moved on by `duration`, or back: years and months by the calendar, then the rest.

    The 31st becomes the last day of a shorter month. Beyond the calendar lies LAST_MOMENT, or the first.
    ValueError for what is no duration; terms hold only those that are.
    """
    amount = _amount(duration)
    sign = -1 if back else 1
    months = moment.year * _MONTHS + moment.month - 1 + sign * (amount["years"] * _MONTHS + amount["months"])
    year, month = divmod(months, _MONTHS)
    rest = timedelta(**{name: amount[name] for name in ("weeks", "days", "hours", "minutes", "seconds")})
    try:
        day = min(moment.day, monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day) + sign * rest
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC) if back else LAST_MOMENT


@lru_cache(maxsize=256)
def _amount(duration: str) -> Mapping[str, int]:
    # Rhythms are asked of for every report: a text is read once.
    found = _PARTS.fullmatch(duration)
    if found is None:
        message = f"`{duration[:40]}` is no ISO 8601 duration"
        raise ValueError(message)
    return MappingProxyType({name: int(value or 0) for name, value in found.groupdict().items()})
