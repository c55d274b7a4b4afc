r"""Text from outside, made visible: no character of it can break a line, hide, or turn the direction of reading.

What is escaped: the backslash itself (as `\\`), and every control, format, surrogate, private and unassigned
character, every separator but the space, and what else shows as nothing (as `\u202e`, or `\U000e0041` beyond the basic
plane). The form is reversible: `plain` returns what `visible` was given.
"""

import re
import unicodedata

from exchange.kernel.unseen import UNSEEN

# Cc control, Cf format (bidirectional overrides and zero widths among them), Cs surrogate, Co private, Cn unassigned,
# Zl and Zp end lines for some readers, Zs but the space only look like one.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_ESCAPED = re.compile(r"\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|(\\))")
# What needs no look: printable ASCII but the backslash.
_HARMLESS = re.compile(r"[ -\[\]-~]*")


def visible(text: str) -> str:
    """Return `text` with a backslash escape for what cannot be seen or must not act."""
    if _HARMLESS.fullmatch(text):
        return text
    return "".join(map(_seen, text))


def plain(text: str) -> str:
    """Return the text that `visible` made `text` of."""
    return _ESCAPED.sub(lambda found: found[3] or chr(int(found[1] or found[2], 16)), text)


def escape(letter: str) -> str:
    """Return the escape of one character."""
    number = ord(letter)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004  the basic plane


def _seen(letter: str) -> str:
    if letter == "\\":
        return "\\\\"
    if letter != " " and (unicodedata.category(letter) in _UNSHOWN or UNSEEN.match(letter)):
        return escape(letter)
    return letter
