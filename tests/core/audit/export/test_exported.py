import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit.export import ExportedEntry, Place, parse_place
from exchange.kernel import MalformedError

NUMBER = st.integers(min_value=0, max_value=10**18 - 1)


@given(NUMBER.filter(bool), NUMBER)
def test_place_comes_back(log, position):
    assert parse_place(str(Place(log, position))) == (log, position)


@pytest.mark.parametrize("place", [Place(1, 0), Place(1, 10**18 - 1), Place(10**18 - 1, 0)])
def test_first_and_last_place_come_back(place):
    assert parse_place(str(place)) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.",
        ".1",
        "0.1",
        "1.01",
        "01.1",
        "1.-1",
        "+1.1",
        " 1.1",
        "1.1 ",
        "1.1.1",
        "1,1",
        "1.\u0661",
        f"1.{10**18}",
        f"{10**18}.1",
    ],
)
def test_other_text_is_no_place(text):
    with pytest.raises(MalformedError, match=r"LOG\.POSITION"):
        parse_place(text)


def test_places_are_in_the_order_of_logs_then_positions():
    assert Place(1, 9) < Place(2, 0) < Place(2, 1)


@pytest.mark.parametrize(
    ("personal", "shown"),
    [
        ({}, ("token-1", "token-2")),
        ({"thumbprint": "erased", "source": "erased"}, ("erased", "erased")),
        ({"thumbprint": "ab" * 32, "source": "192.0.2.1"}, ("ab" * 32, "192.0.2.1")),
    ],
)
def test_token_stands_where_no_thumbprint_or_address_is_revealed(personal, shown):
    entry = {"actor": {"kind": "client", "thumbprint": "token-1"}, "source": "token-2"}
    exported = ExportedEntry(Place(1, 0), bytes(32), entry, b"{}", personal=personal)

    assert (exported.thumbprint, exported.source) == shown
