from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.agreements import moved_by
from exchange.kernel import LAST_MOMENT

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


def test_way_back_takes_the_rest_off_first():
    # Posted on the last but one of March and kept for a month and a day: until noon of the first of May.
    posted = datetime(2026, 3, 30, 12, tzinfo=UTC)
    assert moved_by(posted, "P1M1D") == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert moved_by(datetime(2026, 5, 1, 11, tzinfo=UTC), "P1M1D", back=True) < posted
    assert moved_by(datetime(2026, 5, 1, 12, tzinfo=UTC), "P1M1D", back=True) == posted


@given(
    moment=st.timedeltas(timedelta(0), timedelta(days=2000)).map(START.__add__),
    before=st.timedeltas(timedelta(microseconds=1), timedelta(days=40)),
    duration=st.sampled_from(["P1M", "P1M1D", "P1M3D", "P2M28D", "P1Y1DT5H", "P1Y", "P13MT23H", "P30D", "PT1S"]),
)
def test_what_lies_before_a_moment_moved_back_is_over_before_that_moment(moment, before, duration):
    assert moved_by(moved_by(moment, duration, back=True) - before, duration) < moment


def test_beyond_the_calendar_lies_its_end():
    assert datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC) == LAST_MOMENT
    assert moved_by(START, "P9999Y") == LAST_MOMENT
    assert moved_by(LAST_MOMENT, "PT1S") == LAST_MOMENT
    assert moved_by(START, "P9999Y", back=True) == datetime.min.replace(tzinfo=UTC)


def test_what_is_no_duration_moves_nothing():
    with pytest.raises(ValueError, match="no ISO 8601"):
        moved_by(START, "five years")
