import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kernel import (
    MalformedError,
    first_moment,
    from_micros,
    is_canonical_rfc3339,
    parse_day,
    parse_micros,
    parse_rfc3339,
    rfc3339,
    system_clock,
    to_micros,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
# Fixed offsets: a time that a zone's clock shows twice or never equals nothing in another zone, by Python's rules.
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=OFFSETS)  # noqa: DTZ001  hypothesis adds the offset


def test_system_clock_is_aware_and_utc():
    before = datetime.now(UTC)

    assert before <= system_clock() <= datetime.now(UTC)
    assert system_clock().tzinfo is UTC


@pytest.mark.parametrize(
    ("moment", "micros"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC), 1),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 0),
        (NOON, 1_769_860_800_000_000),
    ],
)
def test_micros_count_from_1970(moment, micros):
    assert to_micros(moment) == micros
    assert from_micros(micros) == moment
    assert from_micros(micros).tzinfo is UTC


@given(MOMENTS)
def test_micros_lose_nothing(moment):
    assert from_micros(to_micros(moment)) == moment
    assert parse_micros(rfc3339(moment)) == to_micros(moment)


def test_naive_time_has_no_micros():
    with pytest.raises(TypeError):
        to_micros(datetime(2026, 1, 1))  # noqa: DTZ001  the fault under test


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOON, "2026-01-31T12:00:00Z"),
        (NOON.replace(microsecond=250_000), "2026-01-31T12:00:00.250000Z"),
        (NOON.astimezone(timezone(timedelta(hours=-5))), "2026-01-31T12:00:00Z"),
        (datetime(987, 1, 2, tzinfo=UTC), "0987-01-02T00:00:00Z"),
    ],
)
def test_time_is_written_in_utc(moment, text):
    assert rfc3339(moment) == text


def test_time_is_written_in_utc_wherever_the_machine_stands(monkeypatch):
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    try:
        assert rfc3339(NOON) == "2026-01-31T12:00:00Z"
        assert parse_rfc3339("2026-01-31T12:00:00Z") == NOON
    finally:
        monkeypatch.undo()
        time.tzset()


@given(MOMENTS)
def test_written_time_reads_back(moment):
    assert parse_rfc3339(rfc3339(moment)) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31t12:00:00z", NOON),
        ("2026-01-31T13:00:00+01:00", NOON),
        ("2026-01-31T06:30:00-05:30", NOON),
        ("2026-01-31T12:00:00-00:00", NOON),
        ("2026-01-31T12:00:00.5Z", NOON.replace(microsecond=500_000)),
        ("2026-01-31T12:00:00.000001Z", NOON.replace(microsecond=1)),
        ("2026-01-31T12:00:00.0000019Z", NOON.replace(microsecond=1)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_time_of_the_rfc_is_read(text, moment):
    read = parse_rfc3339(text)

    assert read == moment
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-31",
        "12:00:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00Z",
        "2026-01-31T12Z",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "2026-031T12:00:00Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00+01",
        "2026-01-31T12:00:00+0100",
        "2026-01-31T12:00:00+01:00:30",
        "2026-01-31T12:00:00+00:60",
        "2026-01-31T12:00:00-01:99",
        "2026-01-31T12:00:00Z\n",
        " 2026-01-31T12:00:00Z",
        "٢٠٢٦-01-31T12:00:00Z",
        "+2026-01-31T12:00:00Z",
        "\ud800",
        "2026-01-31T12:00:00Z" * 1000,
    ],
)
def test_other_text_is_no_time(text):
    with pytest.raises(MalformedError) as caught:
        parse_rfc3339(text)

    assert str(caught.value) == f"`{text[:40]}` is not a time: use RFC 3339, such as 2026-01-31T12:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T23:60:00Z",
        "2016-12-31T23:59:60Z",
        "2026-01-31T12:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_moment_outside_the_calendar_refuses(text):
    with pytest.raises(MalformedError, match=f"`{text[:19]}.*` is no moment of the calendar: ") as caught:
        parse_rfc3339(text)
    assert caught.value.__cause__ is not None


def test_long_fraction_is_quoted_in_brief():
    text = f"2026-02-30T00:00:00.{'1' * 50}Z"
    with pytest.raises(MalformedError, match=f"^`{text[:40]}` is no moment"):
        parse_rfc3339(text)


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_time(text):
    with pytest.raises(MalformedError):
        parse_rfc3339(text)


@given(MOMENTS)
def test_written_time_is_canonical(moment):
    assert is_canonical_rfc3339(rfc3339(moment))


@given(
    st.from_regex(r"(0000|2026|2024)-[01][0-3]-[0-3][01589]T[0-2][0-6]:[0-6]0:[0-6]9(\.[0-9]{1,7})?(Z|z|\+00:00)\n?")
)
def test_no_other_form_of_a_time_is_canonical(text):
    try:
        is_as_written = rfc3339(parse_rfc3339(text)) == text
    except MalformedError:
        is_as_written = False

    assert is_canonical_rfc3339(text) == is_as_written


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-01-31", "2026-01-31t12:00:00Z", "2026-01-31T12:00:00z", "2026-01-31T12:00:00+00:00"),
        *("2026-01-31T12:00:00.000000Z", "2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.0000001Z"),
        *("2026-01-31T24:00:00Z", "2026-02-29T00:00:00Z", "2016-12-31T23:59:60Z", "2026-01-31T12:00:00Z\n"),
    ],
)
def test_moment_has_one_canonical_form(text):
    assert not is_canonical_rfc3339(text)


def test_day_begins_at_midnight_utc():
    assert first_moment(date(2026, 6, 1)) == datetime(2026, 6, 1, tzinfo=UTC)


def test_day_is_written_in_one_form():
    assert parse_day("2026-11-28") == date(2026, 11, 28)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        *(
            (each, "is not a day: write one such as")
            for each in ("", "2026-W48-6", "20261128", "2026-11-28\n", "2026-1-2")
        ),
        *((each, "is not a day: write one such as") for each in ("٢٠٢٦-11-28", "2026-11-28T12:00:00Z", "1795824000")),
        ("2026-11-31", "is no day of the calendar"),
    ],
)
def test_day_in_another_form_is_none(text, told):
    with pytest.raises(MalformedError, match=told):
        parse_day(text)
