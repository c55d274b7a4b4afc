"""YAML 1.2 read strictly, with the line of every value.

Promises: the core schema of YAML 1.2 (so `NO` is Norway's text, `010` no octal, dates stay text), every
fault with its line, bounded size, depth and count.
Does not: follow anchors, aliases, merge keys, tags or directives; each is refused. What two readers could
understand differently has no place in a text that states sign.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from exchange.agreements.reading import quoted
from exchange.kernel.errors import Fault, pointer_token

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

# A treaty with fifty scopes is about 30 KiB; the parser needs about 1 s for the limit.
LARGEST_TEXT = 256 * 1024
# An agreement nests 4 deep, a flow mapping in it 5.
DEEPEST = 12
MOST_VALUES = 20_000
# The JSON Pointer of a value, which is kept for each: one name of 100 KB around 20,000 values would be gigabytes.
LONGEST_PLACE = 512
_LONGEST_STAND_IN = 80

# YAML 1.2.2 §10.3.2: what the core schema resolves plain scalars to.
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# YAML 1.1 (the parser's) breaks lines at these, YAML 1.2 does not; at a bare carriage return both do, and a terminal
# writes what follows over what stands there.
_UNLIKE_BREAKS = re.compile("[\x85\u2028\u2029]|\r(?!\n)")
# Reorder a line or do not show: with them, also in a comment, a text reads otherwise than it is signed. All that
# Unicode calls Default_Ignorable_Code_Point, the empty cell of Braille, notes between lines; a byte order mark is one
# where it comes first.
_DECEIVING = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    "|(?s:(?<=.))\ufeff"
)
# A surrogate, which only an escape can write: it is no text, and nothing that repeats it could be sent or kept.
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Document:
    """A text as read: plain values, the line of each JSON Pointer, and what was wrong."""

    value: Plain = None
    lines: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line_of(self, pointer: str) -> int:
        """Return the line of `pointer`, or of the nearest value around it."""
        while pointer not in self.lines and pointer:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer, 1)


class _StopReadingError(Exception):
    """The text cannot be read further."""

    def __init__(self, line: int, code: str, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(pointer="", code=code, message=message, line=line)


def read_yaml(text: str) -> Document:
    """Return the one document of `text`; its faults are in the answer, nothing is raised."""
    document = Document()
    try:
        _refuse_unreadable(text)
        document.value = _Reader(document, text).read()
    except _StopReadingError as exc:
        document.faults.append(exc.fault)
    except yaml.YAMLError as exc:
        document.faults.append(_syntax_fault(exc))
    return document


def _refuse_unreadable(text: str) -> None:
    if len(text) > LARGEST_TEXT:
        raise _StopReadingError(1, "too-large", f"the text has {len(text)} characters: at most {LARGEST_TEXT}")
    for characters, wrong in (
        (_UNLIKE_BREAKS, "breaks lines for some readers only"),
        (_DECEIVING, "does not show, or shows the line in another order"),
    ):
        if (found := characters.search(text)) is not None:
            line = text.count("\n", 0, found.start()) + 1
            raise _StopReadingError(line, "not-yaml", f"the character U+{ord(found[0]):04X} {wrong}: leave it out")


def _syntax_fault(error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    line = mark.line + 1 if mark is not None else 1
    return Fault(pointer="", code="not-yaml", message=f"not YAML: {problem}", line=line)


class _Reader:
    """Builds plain values from the parser's events."""

    def __init__(self, document: Document, text: str) -> None:
        self._document = document
        self._text = text
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._count = 0

    def read(self) -> Plain:
        """Return the value of the only document."""
        next(self._events)  # the start of the stream
        start = next(self._events)
        if not isinstance(start, yaml.DocumentStartEvent):
            raise _StopReadingError(1, "not-yaml", "the text is empty")
        self._refuse_directives(start)
        value = self._value(next(self._events), "", 1)
        next(self._events)  # the end of the document
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            raise _StopReadingError(_line(after), "not-yaml", "a second document: write one only")
        return value

    def _refuse_directives(self, start: yaml.DocumentStartEvent) -> None:
        # The parser passes over those that it does not know, without an event.
        end = 0 if start.end_mark is None else start.end_mark.index
        lines = self._text[:end].removeprefix("\ufeff").split("\n")
        named = {line.split()[0] for line in lines if line.startswith("%")}
        if named - {"%YAML"} or start.version not in {None, (1, 2)}:
            raise _StopReadingError(1, "not-yaml", "a directive other than `%YAML 1.2`: leave it out")

    def _value(self, event: yaml.Event, pointer: str, depth: int) -> Plain:
        self._count += 1
        if depth > DEEPEST or self._count > MOST_VALUES:
            message = f"more than {DEEPEST} levels or {MOST_VALUES} values"
            raise _StopReadingError(_line(event), "too-large", message)
        if len(pointer) > LONGEST_PLACE:
            message = f"the field names around a value have more than {LONGEST_PLACE} characters"
            raise _StopReadingError(_line(event), "too-large", message)
        self._document.lines.setdefault(pointer, _line(event))
        self._refuse_sharing(event, pointer)
        match event:
            case yaml.MappingStartEvent():
                return self._mapping(pointer, depth)
            case yaml.SequenceStartEvent():
                return self._sequence(pointer, depth)
            case yaml.ScalarEvent():
                return _scalar(event)
            case _:
                # An alias: noted above; it has no value of its own.
                return None

    def _refuse_sharing(self, event: yaml.Event, pointer: str) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._fault(event, pointer, "not-plain", "an alias: write the value out")
        elif getattr(event, "anchor", None) is not None:
            self._fault(event, pointer, "not-plain", "an anchor: leave it out")
        if getattr(event, "tag", None) is not None:
            self._fault(event, pointer, "not-plain", "a tag: leave it out")

    def _sequence(self, pointer: str, depth: int) -> Plain:
        items: list[Plain] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, f"{pointer}/{len(items)}", depth + 1))
        return items

    def _mapping(self, pointer: str, depth: int) -> Plain:
        entries: dict[str, Plain] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, pointer, depth)
            place = f"{pointer}/{pointer_token(key)}"
            if key in entries:
                self._fault(event, place, "repeated-field", f"`{quoted(key)}` stands twice: keep one")
            self._document.lines.setdefault(place, _line(event))
            entries[key] = self._value(next(self._events), place, depth + 1)
        return entries

    def _key(self, event: yaml.Event, pointer: str, depth: int) -> str:
        key = self._value(event, pointer, depth + 1)
        if not isinstance(key, str) or key == "<<":
            self._fault(event, pointer, "not-plain", "a field name is not plain text: write a name")
            # What stands in for it: a name within a name within a name is escaped anew each time.
            return f"{key}"[:_LONGEST_STAND_IN]
        return key

    def _fault(self, event: yaml.Event, pointer: str, code: str, message: str) -> None:
        self._document.faults.append(Fault(pointer=pointer, code=code, message=message, line=_line(event)))


def _line(event: yaml.Event) -> int:
    return 1 if event.start_mark is None else int(event.start_mark.line) + 1


def _scalar(event: yaml.ScalarEvent) -> Plain:
    text = str(event.value)
    if (half := _HALF.search(text)) is not None:
        message = f"`\\u{ord(half[0]):04x}` is half a character: write the character itself, or leave it out"
        raise _StopReadingError(_line(event), "not-yaml", message)
    if event.style is not None:
        return text
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        # The core schema knows no octal but `0o`: a leading zero stays decimal.
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
