"""Working hours: their edges, over midnight, over a change of the clock."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from exchange.audit.alerts import Hours, WorkingHours

NIGHT = Hours(ZoneInfo("UTC"), frozenset({4}), time(22), time(6))
SUNDAY_NIGHT = Hours(ZoneInfo("UTC"), frozenset({6}), time(22), time(6))
OSLO = Hours(ZoneInfo("Europe/Oslo"), frozenset(range(7)), time(8), time(16))


@pytest.mark.parametrize(
    ("day", "hour", "is_open"),
    [(6, 21, False), (6, 22, True), (7, 5, True), (7, 6, False), (6, 5, False), (7, 22, False)],
)
def test_hours_over_midnight_belong_to_the_day_on_which_they_began(day, hour, is_open):
    # 6 March 2026 is a Friday.
    assert NIGHT.is_open(datetime(2026, 3, day, hour, tzinfo=UTC)) is is_open


@pytest.mark.parametrize(
    ("day", "hour", "is_open"),
    [(8, 5, False), (8, 22, True), (9, 5, True), (9, 6, False), (9, 22, False)],
)
def test_night_of_a_sunday_ends_on_monday(day, hour, is_open):
    assert SUNDAY_NIGHT.is_open(datetime(2026, 3, day, hour, tzinfo=UTC)) is is_open


@pytest.mark.parametrize(("month", "hour", "is_open"), [(1, 7, True), (1, 6, False), (7, 6, True), (7, 14, False)])
def test_zone_keeps_its_own_summer(month, hour, is_open):
    assert OSLO.is_open(datetime(2026, month, 5, hour, tzinfo=UTC)) is is_open


def test_member_without_hours_of_its_own_has_the_usual_ones():
    hours = WorkingHours(NIGHT, {"NOR": OSLO})
    noon = datetime(2026, 3, 6, 12, tzinfo=UTC)

    assert [hours.is_open(member, noon) for member in ("NOR", "GBR", None)] == [True, False, False]
