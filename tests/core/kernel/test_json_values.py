import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kernel import json_values, unique_members, values_up_to

JSON = st.recursive(
    st.none() | st.integers(0, 9) | st.text('\\",[{a', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('\\",[{a', max_size=4), inner, max_size=4),
)


def marks_of(value) -> int:
    """Count commas and opening brackets outside of texts."""
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(0, len(value) - 1) + sum(map(marks_of, inner))
    return 0


@given(value=JSON, piece_bytes=st.integers(2, 9))
def test_number_is_close_where_it_matters_and_never_too_low(value, piece_bytes) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_values, "_PIECE_BYTES", piece_bytes)
        content, marks = json.dumps(value).encode(), marks_of(value)

        assert values_up_to(content, marks) == marks
        assert not marks or values_up_to(content, marks - 1) > marks - 1


@pytest.mark.parametrize("piece_bytes", [4, 65_536])
def test_more_texts_than_values_may_have_is_more_values(monkeypatch, piece_bytes: int) -> None:
    """No value has more than four quotes: what has three in a text and no mark beside it has none, or too many."""
    monkeypatch.setattr(json_values, "_PIECE_BYTES", piece_bytes)
    most, marks_in_a_text = 2, b'",,,'

    assert values_up_to(marks_in_a_text + b'"' * 11, most) == 0
    assert values_up_to(marks_in_a_text + b'"' * 12, most) > most


def test_what_is_within_the_bound_is_not_looked_at_closely() -> None:
    assert values_up_to(b'","', 1) == 1


def test_name_that_stands_twice_is_refused_at_any_depth():
    assert json.loads('{"a": {"b": 1}, "b": 1}', object_pairs_hook=unique_members) == {"a": {"b": 1}, "b": 1}
    with pytest.raises(ValueError, match="a name stands twice in one object"):
        json.loads('{"a": [{"b": 1, "b": 1}]}', object_pairs_hook=unique_members)
