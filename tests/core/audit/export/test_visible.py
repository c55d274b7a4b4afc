import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit.export.visible import plain, visible

ANY = st.text(st.characters(codec=None))


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", ""),
        ("NOR/NSM [x] {y} ~!", "NOR/NSM [x] {y} ~!"),
        ("Grüße 😀", "Grüße 😀"),
        ("a\\b", "a\\\\b"),
        ("\\u000a", "\\\\u000a"),
        ("a\nb\r\t\0", "a\\u000ab\\u000d\\u0009\\u0000"),
        ("\x1b[31m\x7f\x85", "\\u001b[31m\\u007f\\u0085"),
        ("\u202egnp", "\\u202egnp"),
        ("\u200b\ufeff\u00ad", "\\u200b\\ufeff\\u00ad"),
        ("\u2028\u2029\u00a0\u3000", "\\u2028\\u2029\\u00a0\\u3000"),
        ("\ue000\ud800\uffff", "\\ue000\\ud800\\uffff"),
        ("\U000e0041\U0010ffff", "\\U000e0041\\U0010ffff"),
        ("NOR\u3164\u115f\u1160\uffa0", "NOR\\u3164\\u115f\\u1160\\uffa0"),
        ("a\ufe0f\u034f\u2800\u180b", "a\\ufe0f\\u034f\\u2800\\u180b"),
        ("\u17b4\u17b5\u180d\u180f\ufe00", "\\u17b4\\u17b5\\u180d\\u180f\\ufe00"),
        ("\U000e0100\U000e01ef", "\\U000e0100\\U000e01ef"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text, seen):
    assert visible(text) == seen


@given(ANY)
def test_visible_text_comes_back(text):
    assert plain(visible(text)) == text


@given(ANY)
def test_visible_text_has_nothing_that_acts(text):
    for letter in visible(text):
        assert letter == " " or unicodedata.category(letter)[0] not in "CZ"
