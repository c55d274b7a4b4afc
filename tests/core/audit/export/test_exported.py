import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit.export import Place, parse_place
from exchange.kernel import MalformedError

NUMBER = st.integers(min_value=0, max_value=10**18 - 1)


@given(NUMBER.filter(bool), NUMBER)
def test_place_comes_back(log, position):
    assert parse_place(str(Place(log, position))) == (log, position)


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
        "1." + "9" * 19,
    ],
)
def test_other_text_is_no_place(text):
    with pytest.raises(MalformedError, match=r"LOG\.POSITION"):
        parse_place(text)


def test_places_are_in_the_order_of_logs_then_positions():
    assert Place(1, 9) < Place(2, 0) < Place(2, 1)
