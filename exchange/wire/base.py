"""What every JSON model of the border shares: strictness, times, and faults with their pointers."""

import codecs
import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, from_json

from exchange.kernel import (
    NOT_AN_ID,
    Fault,
    InvalidError,
    MalformedError,
    TooLargeError,
    faults_told,
    json_fault,
    parse_day,
    parse_rfc3339,
    pointer_token,
    rfc3339,
    unique_members,
    values_up_to,
)
from exchange.kernel.errors import MOST_FAULTS_TOLD

ModelT = TypeVar("ModelT", bound="WireModel")

_LONGEST_STEP = 256
"""Of a place in a body: no name of ours is longer, and one of megabytes would be in the answer."""
_MOST_DIGITS = 100
"""Of a whole number, the largest of ours has 16: to make one takes the square of them, and a body holds four thousand
of four thousand digits."""
_UNREAD = "the body is not JSON that the exchange reads"

MOST_VALUES = 20_000
"""In one body, as in an agreement's YAML: a hundred parts with a label for forty members each have 5,000. Fifteen
megabytes of the smallest ones take gigabytes and a minute, in which nobody else is answered."""

_CODES = {
    "extra_forbidden": "unknown-field",
    "missing": "missing-field",
    "string_too_long": "too-long",
    "too_long": "too-long",
    "string_too_short": "too-short",
    "too_short": "too-short",
    "enum": "unknown-value",
    "literal_error": "unknown-value",
}
"""pydantic's words for faults -> ours, which are stable; every other fault is `invalid-value`."""

ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
DIGEST_PATTERN = r"^[0-9a-f]{64}$"

_SHAPES = {
    ID_PATTERN: NOT_AN_ID,
    DIGEST_PATTERN: "is no digest: copy it whole, 64 digits from 0 to f",
}
"""What somebody who mistyped one is told in place of the pattern."""

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "there is no such field here: leave it out, or look at how it is written",
    "string_type": "is no text: write it in quotes",
    "string_unicode": "is not text in UTF-8",
    "int_type": "is no whole number",
    "int_from_float": "is no whole number",
    "float_type": "is no number",
    "bool_type": "is neither `true` nor `false`",
    "list_type": "is no list: write it in brackets",
    "tuple_type": "is no list: write it in brackets",
    "model_type": "is no object: write it in braces",
    "model_attributes_type": "is no object: write it in braces",
    "dict_type": "is no object: write it in braces",
    "datetime_type": "is not a time: use RFC 3339, such as 2026-01-31T12:00:00Z",
    "date_type": "is not a day: write one such as 2026-01-31",
    "date_parsing": "is not a day: write one such as 2026-01-31",
    "date_from_datetime_parsing": "is not a day: write one such as 2026-01-31",
    "too_short": "has too few entries: give {min_length} or more",
    "too_long": "has too many entries: give {max_length} at most",
    "string_too_short": "is too short: write {min_length} characters or more",
    "string_too_long": "is too long: write {max_length} characters at most",
    "greater_than_equal": "is too small: {ge} is the least",
    "less_than_equal": "is too large: {le} is the most",
    "enum": "is not known here: use {expected}",
    "literal_error": "is not known here: use {expected}",
}
"""What is wrong and what to do, in place of pydantic's own sentence; kinds that are not here have that one."""


class WireModel(BaseModel):
    """A JSON object of the border: no unknown fields, no conversions, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class BareAct(WireModel):
    """An act of which the path says all: nothing more is to be said."""


class AnswerModel(WireModel):
    """What the exchange answers: a client ignores fields that a later exchange adds."""

    model_config = ConfigDict(extra="ignore")


def _read_by(parse: Callable[[str], object]) -> BeforeValidator:
    """Return what reads a text by `parse` alone; what is no text is left to the model."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse(value)
        except MalformedError as exc:
            # pydantic collects ValueErrors as faults; anything else would escape the parse.
            raise ValueError(exc.message) from exc

    return BeforeValidator(read)


Instant = Annotated[
    datetime,
    _read_by(parse_rfc3339),
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]}),
]
"""RFC 3339 with an offset in, UTC with `Z` out."""

# Else pydantic takes the digits of a number for seconds since 1970 where they come to a whole day.
Day = Annotated[
    date,
    _read_by(parse_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2030-12-31"]}),
]
"""Written YYYY-MM-DD, and in no other form."""


def parse_body(model: type[ModelT], body: bytes) -> ModelT:
    """Return `body` as `model`.

    Raises MalformedError where it is no JSON, InvalidError with a JSON pointer for every fault where it is,
    TooLargeError where it has more values than any body needs.
    """
    _require_few_values(body)
    if not isinstance(_read_unique(body), dict):
        read_json(body)
        message = "the body is not a JSON object"
        raise InvalidError(message, (Fault("", "invalid-value", message),))
    try:
        # Refuses all that `read_json` does: read a third time, a large body would only take longer.
        return model.model_validate_json(body)
    except ValidationError as exc:
        if (reason := _no_json(exc)) is not None:
            raise MalformedError(f"{_UNREAD}: {reason}") from exc
        raise InvalidError("the body has faults", faults_of(exc)) from exc


def read_sent(body: bytes) -> object:
    """Return the JSON value of a body that somebody sent, as `read_json`.

    Raises TooLargeError where it has more values than any body needs, before they are made.
    """
    _require_few_values(body)
    return read_json(body)


def read_json(body: bytes) -> object:
    """Return the JSON value of `body` (RFC 8259): UTF-8, no NaN, no name twice in one object.

    Raises MalformedError.
    """
    value = _read_unique(body)
    try:
        # Limits the depth, which the standard library does not; refuses half a character.
        from_json(body, allow_inf_nan=False)
    except ValueError as exc:
        raise MalformedError(f"{_UNREAD}: {_second_reason(str(exc))}") from exc
    return value


def _read_unique(body: bytes) -> object:
    """Return the JSON value of `body`, where no name stands twice in one object and no number is none."""
    try:
        # Two readers of one body may pick different values of a repeated name; neither gets to.
        return _DECODER.decode(body.decode())
    except (ValueError, RecursionError) as exc:
        raise MalformedError(f"{_UNREAD}: {_beginning(body) or _first_reason(exc)}") from exc


def _require_few_values(body: bytes) -> None:
    if values_up_to(body, MOST_VALUES) > MOST_VALUES:
        raise TooLargeError(f"the body has more than {MOST_VALUES} values")


def faults_of(error: ValidationError) -> tuple[Fault, ...]:
    """Return every fault pydantic found, with a JSON pointer and without a word of the input."""
    found = error.errors(include_url=False, include_input=False)
    faults = [
        Fault(pointer_to(fault["loc"]), _CODES.get(fault["type"], "invalid-value"), _message(fault))
        for fault in found[: MOST_FAULTS_TOLD + 1]
    ]
    return faults_told(faults, len(found))


def pointer_to(place: tuple[str | int, ...]) -> str:
    """Return the JSON Pointer (RFC 6901) of a place in a value."""
    return "".join("/" + pointer_token(str(step)[:_LONGEST_STEP]) for step in place)


def _no_json(error: ValidationError) -> str | None:
    """Return why what was validated is no JSON, None where it is."""
    found = error.errors(include_url=False, include_input=False)[0] if error.error_count() == 1 else None
    return _second_reason(found["ctx"]["error"]) if found is not None and found["type"] == "json_invalid" else None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _whole_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number has more than {_MOST_DIGITS} digits")
    return int(digits)


_DECODER = json.JSONDecoder(object_pairs_hook=unique_members, parse_constant=_no_constant, parse_int=_whole_number)


def _beginning(body: bytes) -> str | None:
    """Return what is wrong with how `body` begins, where a parser only says that it expects something."""
    if body.startswith(codecs.BOM_UTF8):
        return "it begins with a byte order mark: send it without"
    return None if body.strip() else "it is empty"


def _first_reason(error: ValueError | RecursionError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else json_fault(error)


def _second_reason(told: str) -> str:
    """Return why a text that `json` read is none all the same: there are two reasons, and pydantic's words for them."""
    if told.startswith("recursion limit"):
        return "it is nested too deeply"
    return "an escape from `\\ud800` to `\\udfff` stands without its other half"


def _message(fault: ErrorDetails) -> str:
    limits = fault.get("ctx", {})
    shape = _SHAPES.get(limits.get("pattern", ""))
    if shape is not None:
        return shape
    if fault["type"] == "string_too_short" and limits["min_length"] == 1:
        return "is empty"
    if fault["type"] in _WORDS:
        return _WORDS[fault["type"]].format_map(limits)
    text = fault["msg"].removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
