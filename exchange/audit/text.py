"""Text from outside, made fit for the record: whatever a caller sends, the entry about it can be written."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping

import orjson

# One text: at six bytes per escaped character, every text of an entry together stays below LARGEST_ENTRY_BYTES.
LONGEST_TEXT = 512

# What is kept of a longer text, so that what is kept plus the note on the rest is a fitting text again.
_KEPT = 384

_ENCRYPTED = "pii"

# Half of an entry: that of an alert holds the label of the one it is about, and says more besides.
_LARGEST_LABEL_BYTES = 32 * 1024

# Lone surrogates have no UTF-8; PostgreSQL has no NUL in text.
_UNWRITABLE = re.compile("[\ud800-\udfff\0]")


def in_pieces(text: str) -> list[str]:
    """Return `text` cut so that each piece is kept whole: joined, they are the text again."""
    return [text[start : start + LONGEST_TEXT] for start in range(0, len(text), LONGEST_TEXT)]


def fit_text(text: str) -> str:
    """Return `text` in Unicode normal form C, with surrogates and NUL replaced by U+FFFD, at most 512 characters.

    A longer text keeps its beginning and ends in its length and SHA-256, so that the whole can still be
    matched. Idempotent: fit text comes back unchanged.
    """
    if len(text) <= LONGEST_TEXT and text.isascii() and "\0" not in text:
        return text
    fit = unicodedata.normalize("NFC", _UNWRITABLE.sub("\ufffd", text))
    if len(fit) <= LONGEST_TEXT:
        return fit
    digest_hex = hashlib.sha256(fit.encode()).hexdigest()
    return f"{fit[:_KEPT]}… ({len(fit)} characters, sha256 {digest_hex})"


def are_fit(fields: Mapping[str, object]) -> bool:
    """Return whether no text in these fields of an entry is longer than a fit one or holds NUL, and the label is small.

    What is encrypted is passed over: it is as long as it is.
    """
    is_small = len(orjson.dumps(fields.get("label"))) <= _LARGEST_LABEL_BYTES
    return is_small and all(_is_fit(value) for name, value in fields.items() if name != _ENCRYPTED)


def _is_fit(value: object) -> bool:
    match value:
        case str():
            return len(value) <= LONGEST_TEXT and "\0" not in value
        case list():
            return all(map(_is_fit, value))
        case dict():
            return all(map(_is_fit, value.values()))
        case _:
            return True
