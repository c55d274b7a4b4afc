import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kernel import json_fault, json_values, unique_members, values_up_to

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


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{'a': 1}", "line 1, column 2: a name in double quotes is expected there"),
        ('{"a": 1,}', "line 1, column 9: a name in double quotes is expected there"),
        ('{\n"a": True}', 'line 2, column 6: a value is expected there, such as `"text"`, `1`, `true` or `null`'),
        ('{"a" 1}', "line 1, column 6: a colon is expected there, behind the name"),
        ("[1 2]", "line 1, column 4: a comma, or the end of its list or object, is expected there"),
        ("{}{}", "line 1, column 3: it goes on behind its end"),
        (
            '"a\n"',
            r"line 1, column 3: a text holds a control character: write its escape, as `\n` for a line break",
        ),
        (r'"a\x"', "line 1, column 3: a text holds a backslash that begins no escape: write two for one"),
        (r'"\u00"', r"line 1, column 3: a text holds `\u` without four hexadecimal digits behind it"),
        ('["a]', "line 1, column 2: a text begins there and does not end"),
        ("\ufeff1", "line 1, column 1: it begins with a byte order mark: send it without"),
        ("[" * 100_000, "it is nested too deeply"),
    ],
)
def test_text_that_is_no_json_is_told_where_and_what_to_do(text: str, why: str) -> None:
    with pytest.raises((ValueError, RecursionError)) as raised:
        json.loads(text)

    assert json_fault(raised.value) == why


def test_what_json_may_say_one_day_is_told_by_its_place() -> None:
    assert json_fault(json.JSONDecodeError("Whatever", "[\n 1", 3)) == "line 2, column 2: it is written wrong there"


def test_words_of_ours_stay_as_they_are() -> None:
    assert json_fault(ValueError("a name stands twice in one object")) == "a name stands twice in one object"
