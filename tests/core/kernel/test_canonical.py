import json
import unicodedata
from collections import OrderedDict
from enum import IntEnum, StrEnum
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kernel import CanonicalError, ExchangeError, canonical_bytes


class Colour(StrEnum):
    RED = "red"


class Rank(IntEnum):
    FIRST = 1


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, b"null"),
        (True, b"true"),
        (False, b"false"),
        (0, b"0"),
        (-1, b"-1"),
        (2**53 - 1, b"9007199254740991"),
        (1 - 2**53, b"-9007199254740991"),
        ("", b'""'),
        ([], b"[]"),
        ((), b"[]"),
        ({}, b"{}"),
        ([1, "a", None, [True]], b'[1,"a",null,[true]]'),
        (("a", ("b",)), b'["a",["b"]]'),
        ({"b": 1, "a": 2}, b'{"a":2,"b":1}'),
        ({"a": {"d": 1, "c": [{"f": 1, "e": 2}]}}, b'{"a":{"c":[{"e":2,"f":1}],"d":1}}'),
        (OrderedDict([("b", 1), ("a", 2)]), b'{"a":2,"b":1}'),
        (MappingProxyType({"b": 1, "a": 2}), b'{"a":2,"b":1}'),
        ({"": 1, "A": 2, "a": 3, "aa": 4, "B": 5}, b'{"":1,"A":2,"B":5,"a":3,"aa":4}'),
        # RFC 8785 §3.2.2.2: short escapes, \u00xx in lower case for the rest of the controls, nothing else.
        ("\b\t\n\f\r", rb'"\b\t\n\f\r"'),
        ("\x00\x0b\x1f", rb'"\u0000\u000b\u001f"'),
        ('"\\/', rb'"\"\\/"'),
        ("\x7f", b'"\x7f"'),
        ("\u2028\u20ac", '"\u2028\u20ac"'.encode()),
        ("😀", '"😀"'.encode()),
    ],
)
def test_value_has_one_spelling(value, written):
    assert canonical_bytes(value) == written


def test_keys_are_sorted_by_utf16_as_the_rfc_shows():
    # RFC 8785 §3.2.3: U+1F600 sorts before U+FB33, since its first code unit is D83D.
    # The RFC's U+FB33 is replaced by a key that is in normal form C.
    keys = ["\u20ac", "\r", "\ufb01", "1", "😀", "\u0080", "\u00f6"]

    written = canonical_bytes(dict.fromkeys(keys, 0))
    assert list(json.loads(written)) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "😀", "\ufb01"]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (1.0, "$: a float has no canonical form"),
        (float("nan"), "$: a float has no canonical form"),
        (b"x", "$: a bytes has no canonical form"),
        ({1}, "$: a set has no canonical form"),
        (Colour.RED, "$: a Colour has no canonical form"),
        (Rank.FIRST, "$: a Rank has no canonical form"),
        (Text("x"), "$: a Text has no canonical form"),
        (object, "$: a type has no canonical form"),
        (2**53, "$: integer beyond 2**53 - 1: write it as a string"),
        (-(2**53), "$: integer beyond 2**53 - 1: write it as a string"),
        ("\ud800", "$: a lone surrogate: surrogates not allowed"),
        ("e\u0301", "$: not in Unicode normal form C"),
        ({1: "x"}, "$: a key is a int, not a string"),
        ({None: "x"}, "$: a key is a NoneType, not a string"),
        ({True: "x"}, "$: a key is a bool, not a string"),
        ({Colour.RED: 1}, "$: a key is a Colour, not a string"),
        ({"\udfff": 1}, "$: a lone surrogate: surrogates not allowed"),
        ({"e\u0301": 1}, "$: not in Unicode normal form C"),
        ({"a": {1: 1}}, "$.a: a key is a int, not a string"),
        ({"a": [0, {"b": 0.5}]}, "$.a[1].b: a float has no canonical form"),
        ([[], [2**60]], "$[1][0]: integer beyond 2**53 - 1: write it as a string"),
    ],
)
def test_value_without_one_spelling_refuses(value, fault):
    with pytest.raises(CanonicalError) as caught:
        canonical_bytes(value)

    assert str(caught.value) == fault
    assert isinstance(caught.value, ExchangeError)


def test_deep_nesting_refuses():
    value = "x"
    for _ in range(5000):
        value = [value]

    with pytest.raises(CanonicalError, match=r"^\$: nested too deep$"):
        canonical_bytes(value)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(1 - 2**53, 2**53 - 1)
    | st.text(st.characters(codec="utf-8")).map(lambda text: unicodedata.normalize("NFC", text))
)
KEYS = st.text(st.characters(codec="utf-8"), max_size=5).map(lambda text: unicodedata.normalize("NFC", text))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


@given(VALUES)
def test_bytes_read_back_to_the_value_and_to_themselves(value):
    written = canonical_bytes(value)

    assert json.loads(written) == value
    assert canonical_bytes(json.loads(written)) == written


@given(st.dictionaries(KEYS, SCALARS), st.randoms())
def test_order_of_insertion_is_forgotten(value, source):
    items = list(value.items())
    source.shuffle(items)

    assert canonical_bytes(dict(items)) == canonical_bytes(value)


@given(VALUES, VALUES)
def test_different_values_have_different_bytes(one, other):
    # json.dumps tells 1 from True, which == does not.
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (canonical_bytes(one) == canonical_bytes(other)) is same
