"""Reading plain values into typed ones while collecting every fault.

Each method answers something harmless where the value is wrong, so that reading goes on and the
author sees all faults at once; the caller refuses the whole when any was found.
"""

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import TypeVar

from exchange.kernel.errors import Fault, pointer_token
from exchange.members.text import text_problem

E = TypeVar("E", bound=Enum)


class _Missing:
    """The value of a field that is not there; its fault is noted once, at the fields around it."""


MISSING = _Missing()

# More than there are members; what is compared pairwise stays cheap whatever the size of the body.
MOST_ITEMS = 400
# A fault quotes at most this much of what came in.
_LONGEST_QUOTE = 80
_TYPE_NAMES = {type(None): "nothing", bool: "a truth value", int: "a number", float: "a number", str: "text"}


class Reading:
    """The faults found so far, and how to find more."""

    def __init__(self, faults: list[Fault], line_of: Callable[[str], int] | None = None) -> None:
        self.faults = faults
        self._line_of = line_of

    def fault(self, pointer: str, code: str, message: str) -> None:
        """Note one fault, with its line where the input has lines."""
        line = self._line_of(pointer) if self._line_of is not None else None
        self.faults.append(Fault(pointer=pointer, code=code, message=message, line=line))

    def mapping(
        self,
        value: object,
        pointer: str,
        *,
        required: Collection[str] | None = None,
        optional: Collection[str] = (),
    ) -> Mapping[str, object]:
        """Return `value` as named fields, MISSING for each of `required` that is not there.

        With `required` given, no others but `optional` may stand there.
        """
        absent = dict.fromkeys(required or (), MISSING)
        if not isinstance(value, Mapping):
            self._wrong_type(value, pointer, "named fields")
            return absent
        entries = {key: item for key, item in value.items() if isinstance(key, str)}
        if len(entries) != len(value):
            self.fault(pointer, "wrong-type", "a field name is not text")
        if required is not None:
            self._check_fields(entries, pointer, required, optional)
        return {**absent, **entries}

    def _wrong_type(self, value: object, pointer: str, wanted: str) -> None:
        if value is not MISSING:
            self.fault(pointer, "wrong-type", f"is {type_name(value)}: write {wanted}")

    def _check_fields(
        self, entries: Mapping[str, object], pointer: str, required: Collection[str], optional: Collection[str]
    ) -> None:
        known = (*required, *optional)
        for key in entries:
            if key not in known:
                message = f"`{quoted(key)}` is no field here: use {', '.join(known)}"
                self.fault(f"{pointer}/{pointer_token(key)}", "unknown-field", message)
        for key in required:
            if key not in entries:
                self.fault(pointer, "missing-field", f"`{key}` is missing: add it")

    def sequence(self, value: object, pointer: str, *, least: int = 1) -> list[object]:
        """Return `value` as a list with at least `least` items; one that is too long is not looked into."""
        if not isinstance(value, list | tuple):
            self._wrong_type(value, pointer, "a list")
            return []
        if len(value) > MOST_ITEMS:
            self.fault(pointer, "too-large", f"has {len(value)} items: at most {MOST_ITEMS}")
            return []
        if len(value) < least:
            self.fault(pointer, "empty", f"has {len(value)} items: at least {least}")
        return list(value)

    def text(self, value: object, pointer: str) -> str:
        """Return `value` as text; `""` where it is none or empty, and that is a fault."""
        if isinstance(value, str):
            if not value:
                self.fault(pointer, "empty", "is empty: write something")
            return str(value)
        self._wrong_type(value, pointer, "text (in quotes where YAML reads something else)")
        return ""

    def texts(self, value: object, pointer: str, *, least: int = 1) -> tuple[str, ...]:
        """Return `value` as a list of different texts, in its order."""
        found: list[str] = []
        for index, item in enumerate(self.sequence(value, pointer, least=least)):
            word = self.text(item, f"{pointer}/{index}")
            if word and word in found:
                self.fault(f"{pointer}/{index}", "repeated", f"`{quoted(word)}` stands twice: keep one")
            found.append(word)
        return tuple(found)

    def shown(self, value: object, pointer: str, word: str, *, longest: int) -> str:
        """Return `value` as a text for people, the `word` of a fault in it; `""` where it is none."""
        text = self.text(value, pointer)
        if text and (problem := text_problem(text, longest=longest)) is not None:
            self.fault(pointer, "bad-text", f"the {word} {problem}")
        return text

    def choice(self, value: object, pointer: str, choices: type[E]) -> E:
        """Return the member of `choices` that `value` names, the first one where it names none."""
        word = self.text(value, pointer)
        for choice in choices:
            if choice.value == word:
                return choice
        if word:
            names = ", ".join(str(choice.value) for choice in choices)
            self.fault(pointer, "unknown-word", f"`{quoted(word)}` is not one of {names}")
        return next(iter(choices))


def quoted(text: str) -> str:
    """Return `text` fit for a message: short, and with its invisible characters escaped."""
    shown = text[:_LONGEST_QUOTE].encode("unicode_escape").decode() if not text.isprintable() else text[:_LONGEST_QUOTE]
    return shown.replace("`", "'")


def type_name(value: object) -> str:
    """Return what `value` is, in words for its author."""
    if isinstance(value, Mapping):
        return "named fields"
    return _TYPE_NAMES.get(type(value), "a list")
