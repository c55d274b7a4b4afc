import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kernel import from_micros, is_uuid7, micros_in, new_id, to_micros

NOW = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
MOMENTS = st.integers(0, to_micros(datetime(9999, 12, 31, tzinfo=UTC))).map(from_micros)
RANDOM = st.binary(min_size=8, max_size=8).map(lambda drawn: lambda _: drawn)


def test_id_carries_the_milliseconds_of_the_rfcs_example():
    # RFC 9562 appendix A.6: this moment is 017F22E2-79B0.
    assert new_id(NOW, bytes) == "017f22e2-79b0-7000-8000-000000000000"


@pytest.mark.parametrize(("micros", "digits"), [(0, "7000"), (1, "7004"), (500, "7800"), (999, "7ffb"), (1000, "7000")])
def test_id_carries_the_fraction_of_the_millisecond(micros, digits):
    assert new_id(NOW + timedelta(microseconds=micros), bytes).split("-")[2] == digits


def test_id_carries_62_random_bits():
    assert new_id(NOW, lambda size: b"\xff" * size)[19:] == "bfff-ffffffffffff"
    assert new_id(NOW, (1).to_bytes)[19:] == "8000-000000000001"


@given(MOMENTS, RANDOM)
def test_id_is_a_uuid_of_version_7(moment, randomness):
    text = new_id(moment, randomness)
    parsed = uuid.UUID(text)

    assert is_uuid7(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == to_micros(moment) // 1000
    assert micros_in(text) == to_micros(moment) // 1000 * 1000


@given(MOMENTS, MOMENTS, RANDOM, RANDOM)
def test_later_ids_sort_later(one, other, randomness, more):
    first, second = sorted([one, other])

    assert first == second or new_id(first, randomness) < new_id(second, more)


def test_time_before_1970_refuses():
    assert new_id(datetime(1970, 1, 1, tzinfo=UTC), bytes).startswith("00000000-0000-7")
    with pytest.raises(ValueError, match="is before 1970: a UUIDv7 cannot hold it"):
        new_id(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), bytes)


GOOD = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.upper(),
        GOOD.replace("-", ""),
        "{" + GOOD + "}",
        "urn:uuid:" + GOOD,
        GOOD + "\n",
        " " + GOOD,
        GOOD[:-1],
        GOOD + "0",
        GOOD.replace("-7cc3", "-4cc3"),
        GOOD.replace("-98c4", "-18c4"),
        GOOD.replace("-98c4", "-c8c4"),
        GOOD[:-1] + "g",
        GOOD[:-1] + "٣",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "\0" * 36,
    ],
)
def test_other_spelling_or_version_is_no_id(text):
    assert is_uuid7(GOOD)
    assert not is_uuid7(text)
    assert micros_in(text) is None


@pytest.mark.parametrize("variant", "89ab")
def test_every_variant_of_the_rfc_is_an_id(variant):
    assert is_uuid7(GOOD.replace("-98c4", f"-{variant}8c4"))
