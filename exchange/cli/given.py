"""What is given on a command line, as what it means: times, and the fields of what a verb asks for."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final, TypeVar

from pydantic import ValidationError

from exchange.cli import output
from exchange.cli.usage import UsageError
from exchange.kernel import InvalidError, MalformedError, first_moment, is_uuid7, parse_day, rfc3339, system_clock
from exchange.wire import WireModel, faults_of

ModelT = TypeVar("ModelT", bound=WireModel)

_DAY_LENGTH: Final = len("2030-12-31")
_NO_DATE: Final = "is no date: write 2030-12-31 or 2030-12-31T12:00:00Z"
# RFC 3339 §5.6 ends at 59; `fromisoformat` reads 99.
_OFFSET_BEYOND: Final = re.compile(r"[+-]\d\d:?[6-9]\d")


def day_or_moment(text: str | None) -> datetime | None:
    """Return the moment that `text` names: a date (its first instant, UTC) or an RFC 3339 time."""
    if text is None:
        return None
    try:
        return first_moment(parse_day(text))
    except MalformedError:
        pass
    try:
        # Seconds may be left out, and a space stand for the `T`; but the day is written as everywhere.
        parse_day(text[:_DAY_LENGTH])
        moment = datetime.fromisoformat(text)
        is_aware = moment.tzinfo is not None
        # In UTC it may lie beyond the calendar.
        moment = moment.astimezone(UTC) if is_aware else moment
    except (MalformedError, ValueError, OverflowError) as exc:
        raise UsageError(f"`{text[:40]}` {_NO_DATE}") from exc
    if not is_aware:
        raise UsageError(f"`{text[:40]}` has no offset: end it with `Z` for UTC")
    if _OFFSET_BEYOND.search(text, _DAY_LENGTH):
        raise UsageError(f"`{text[:40]}` {_NO_DATE}")
    return moment


def moment_text(text: str | None) -> str | None:
    """Return the moment that `text` names as a query says it, RFC 3339."""
    moment = day_or_moment(text)
    return None if moment is None else rfc3339(moment)


def day_given(text: str | None) -> date | None:
    """Return the day that `text` names, or in which the moment lies that it names, UTC."""
    moment = day_or_moment(text)
    return None if moment is None else moment.date()


def tell_of_wait(since: str | None) -> None:
    """Say on stderr that nothing is to be followed yet where `since` is a time that has not come."""
    moment = day_or_moment(since)
    if moment is not None and moment > system_clock():
        output.note(f"nothing is of {rfc3339(moment)} or later yet: what comes from then on will be printed")


def id_given(text: str | None) -> str | None:
    """Return `text`, and warn where it has not the form of an id: what is asked for by it is as absent as any other.

    Of the text alone: nothing is told of what there is.
    """
    if text is not None and not is_uuid7(text):
        output.warn(f"`{text[:40]}` is no id: copy it whole from a list, such as 01a20000-0000-7000-8000-000000000001")
    return text


def checked(model: type[ModelT], fields: Mapping[str, object], *, else_told: str) -> ModelT:
    """Return `fields` as what is sent; InvalidError says `else_told` and points at every fault."""
    try:
        return model.model_validate(fields)
    except ValidationError as exc:
        raise InvalidError(else_told, faults_of(exc)) from exc
