import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import LONGEST_TEXT, fit_text, in_pieces
from exchange.kernel import canonical_bytes

HOSTILE = st.text(st.characters(codec=None), max_size=1500)


@pytest.mark.parametrize(
    ("text", "fit"),
    [
        ("", ""),
        ("GBR/NCSC", "GBR/NCSC"),
        ("a\r\nb\x1b[31m\x7f", "a\r\nb\x1b[31m\x7f"),
        ("a\0b", "a\ufffdb"),
        ("\ud800", "\ufffd"),
        ("\udfff!", "\ufffd!"),
        ("e\u0301", "\u00e9"),
        ("\u212b", "\u00c5"),
        ("😀", "😀"),
    ],
)
def test_text_from_outside_is_made_fit(text, fit):
    assert fit_text(text) == fit


def test_longest_text_is_kept_whole():
    text = "x" * LONGEST_TEXT

    assert fit_text(text) == text


@pytest.mark.parametrize("letter", ["x", "é"])
def test_longer_text_ends_in_its_length_and_digest(letter):
    text = letter * (LONGEST_TEXT + 1)

    digest_hex = hashlib.sha256(text.encode()).hexdigest()
    assert fit_text(text) == f"{letter * 384}… (513 characters, sha256 {digest_hex})"


def test_text_that_shrinks_in_normal_form_is_kept_whole():
    assert fit_text("e\u0301" * LONGEST_TEXT) == "é" * LONGEST_TEXT


@given(HOSTILE)
def test_fit_text_has_a_canonical_form(text):
    fit = fit_text(text)

    assert canonical_bytes(fit)
    assert unicodedata.is_normalized("NFC", fit)
    assert "\0" not in fit
    assert len(fit) <= LONGEST_TEXT


@given(HOSTILE)
def test_fit_text_comes_back_unchanged(text):
    assert fit_text(fit_text(text)) == fit_text(text)


@given(st.text(st.characters(codec="utf-8"), max_size=4 * LONGEST_TEXT))
def test_pieces_of_a_canonical_text_are_kept_whole_and_give_it_back(text):
    canonical = canonical_bytes(unicodedata.normalize("NFC", text)).decode()
    pieces = in_pieces(canonical)

    assert "".join(map(fit_text, pieces)) == canonical


@pytest.mark.parametrize(
    ("length", "lengths"),
    [(0, []), (1, [1]), (511, [511]), (512, [512]), (513, [512, 1]), (1024, [512, 512]), (1025, [512, 512, 1])],
)
def test_text_is_cut_into_as_few_pieces_as_hold_it(length, lengths):
    assert [len(piece) for piece in in_pieces("x" * length)] == lengths
