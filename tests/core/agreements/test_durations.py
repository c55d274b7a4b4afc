from datetime import UTC, datetime

import pytest

from exchange.agreements import LAST_MOMENT, moved_by

START = datetime(2024, 1, 31, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("P1Y", (2025, 1, 31, 12, 30)),
        ("P1M", (2024, 2, 29, 12, 30)),
        ("P13M", (2025, 2, 28, 12, 30)),
        ("P11M", (2024, 12, 31, 12, 30)),
        ("P2W", (2024, 2, 14, 12, 30)),
        ("P1DT30M", (2024, 2, 1, 13, 0)),
        ("PT13H", (2024, 2, 1, 1, 30)),
        ("P1Y2M3DT4H5M", (2025, 4, 3, 16, 35)),
    ],
)
def test_moment_moves_by_the_calendar(duration, expected):
    assert moved_by(START, duration) == datetime(*expected, tzinfo=UTC)


def test_seconds_and_the_way_back():
    assert moved_by(START, "PT1S", back=True) == datetime(2024, 1, 31, 12, 29, 59, tzinfo=UTC)
    assert moved_by(START, "P2M", back=True) == datetime(2023, 11, 30, 12, 30, tzinfo=UTC)


def test_beyond_the_calendar_lies_its_end():
    assert datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC) == LAST_MOMENT
    assert moved_by(START, "P9999Y") == LAST_MOMENT
    assert moved_by(LAST_MOMENT, "PT1S") == LAST_MOMENT
    assert moved_by(START, "P9999Y", back=True) == datetime.min.replace(tzinfo=UTC)


def test_what_is_no_duration_moves_nothing():
    with pytest.raises(ValueError, match="no ISO 8601"):
        moved_by(START, "five years")
