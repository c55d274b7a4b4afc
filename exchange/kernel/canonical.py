"""Canonical bytes: one byte string per value (RFC 8785), so that digests and signatures mean one thing.

Narrower than RFC 8785 on purpose: no floats, integers within 2**53, strings in
Unicode normal form C without lone surrogates. What two libraries might write
differently is refused instead.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence

from exchange.kernel.errors import ExchangeError

Canonical = None | bool | int | str | Sequence["Canonical"] | Mapping[str, "Canonical"]

# RFC 8785 §3.2.2.3 renders numbers as IEEE 754 doubles; beyond this, integers lose digits.
LARGEST_INTEGER = 2**53 - 1

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class CanonicalError(ExchangeError, ValueError):
    """The value has no canonical form; the message names the place."""

    code = "not-canonical"


def canonical_bytes(value: Canonical) -> bytes:
    """Return the RFC 8785 bytes of `value`.

    Raises CanonicalError for floats, integers beyond 2**53 - 1, non-string keys,
    lone surrogates, strings that are not in normal form C, any other type, and nesting too deep to write.
    """
    try:
        # Most values are plain: of the exact types, in ASCII, where every order and form is the same one.
        if _is_plain(value) and (text := _ENCODER.encode(value)).isascii():
            return text.encode()
        return json.dumps(_checked(value, "$"), ensure_ascii=False, separators=(",", ":")).encode()
    except RecursionError as exc:
        raise CanonicalError("$: nested too deep") from exc


def _is_plain(value: object) -> bool:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return -LARGEST_INTEGER <= value <= LARGEST_INTEGER  # type: ignore[operator]  # an int, by the line above
    if kind is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())  # type: ignore[attr-defined]  # a dict
    return (kind is list or kind is tuple) and all(map(_is_plain, value))  # type: ignore[call-overload]  # a sequence


def _checked(value: Canonical, place: str) -> object:
    # Type identity, not isinstance: a subclass (an Enum, a bool-like) might serialise unlike its base.
    if value is None or value is True or value is False:
        return value
    if type(value) is str:
        return _checked_text(value, place)
    if type(value) is int:
        if abs(value) > LARGEST_INTEGER:
            message = f"{place}: integer beyond 2**53 - 1: write it as a string"
            raise CanonicalError(message)
        return value
    if isinstance(value, Mapping):
        keys = sorted((_checked_key(key, place) for key in value), key=_utf16)
        return {key: _checked(value[key], f"{place}.{key}") for key in keys}
    if isinstance(value, list | tuple):
        return [_checked(item, f"{place}[{index}]") for index, item in enumerate(value)]
    message = f"{place}: a {type(value).__name__} has no canonical form"
    raise CanonicalError(message)


def _checked_key(key: object, place: str) -> str:
    if type(key) is not str:
        message = f"{place}: a key is a {type(key).__name__}, not a string"
        raise CanonicalError(message)
    return _checked_text(key, place)


def _checked_text(text: str, place: str) -> str:
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        message = f"{place}: a lone surrogate: {exc.reason}"
        raise CanonicalError(message) from exc
    if not unicodedata.is_normalized("NFC", text):
        message = f"{place}: not in Unicode normal form C"
        raise CanonicalError(message)
    return text


def _utf16(key: str) -> bytes:
    # RFC 8785 §3.2.3: keys are sorted by their UTF-16 code units.
    return key.encode("utf-16-be")
