"""A header as the JSON of the contract, and back.

`header_from_json(header_as_json(h)) == h`. The markings in it are rendered from the labels and the status follows from
the row and the time: both are written for readers and ignored when read back.
"""

from collections.abc import Callable, Mapping
from datetime import date
from enum import Enum
from typing import TypeVar

from exchange.agreements import AgreementId
from exchange.kernel.clock import parse_rfc3339, rfc3339
from exchange.kernel.errors import MalformedError
from exchange.markings import Label, label_from_json
from exchange.members import MemberCode
from exchange.reports.model import Header, PartHeader, Precedence, Protection, ReportId, ReportStatus

E = TypeVar("E", bound=Enum)

_FIRST_VERSION = 1
_FIELDS = frozenset(
    (
        *("id", "agreement", "scope", "originator", "kind", "topic", "regions", "precedence", "subject", "label"),
        *("posted_at", "valid_until", "declassify_on", "supersedes", "references", "parts"),
    )
)
_PART_FIELDS = frozenset({"number", "label", "media_type", "name", "size_bytes", "protection", "sha256"})
# What may stand beside what must: written for readers, or only from the second version on.
_MAY_STAND = {
    _FIELDS: _FIELDS | {"marking", "status", "version", "conditions"},
    _PART_FIELDS: _PART_FIELDS | {"marking"},
}


def header_as_json(
    header: Header, *, status: ReportStatus | None, marking: Callable[[Label], str]
) -> dict[str, object]:
    """Return the contract's fields, then what was added to them, then the status.

    `status` None leaves the field out: so it is sealed, for the status changes and the sealed header does not.
    `version` stands only from the second on, `conditions` only where there are any.
    """
    written: dict[str, object] = {
        "id": header.id,
        "agreement": header.agreement,
        "scope": header.scope,
        "originator": header.originator,
        "kind": header.kind,
        "topic": header.topic,
        "regions": list(header.regions),
        "precedence": header.precedence.value,
        "subject": header.subject,
        "label": header.label.as_json(),
        "marking": marking(header.label),
        "posted_at": rfc3339(header.posted_at),
        "valid_until": None if header.valid_until is None else rfc3339(header.valid_until),
        "declassify_on": None if header.declassify_on is None else header.declassify_on.isoformat(),
        "supersedes": header.supersedes,
        "references": list(header.references),
        "parts": [part_as_json(part, marking=marking) for part in header.parts],
    }
    if header.version != _FIRST_VERSION:
        written["version"] = header.version
    if header.conditions is not None:
        written["conditions"] = header.conditions
    # INVARIANT: last, where it is also spliced into sealed bytes: its place must not tell which views were narrowed.
    if status is not None:
        written["status"] = status.value
    return written


def part_as_json(part: PartHeader, *, marking: Callable[[Label], str]) -> dict[str, object]:
    """Return one part's fields in the contract's order."""
    return {
        "number": part.number,
        "label": part.label.as_json(),
        "marking": marking(part.label),
        "media_type": part.media_type,
        "name": part.name,
        "size_bytes": part.size_bytes,
        "protection": part.protection.value,
        "sha256": part.sha256,
    }


def header_from_json(value: object) -> Header:
    """Return the header that `header_as_json` wrote; MalformedError for anything else, nothing is guessed."""
    fields = _object(value, _FIELDS)
    return Header(
        id=ReportId(_text(fields, "id")),
        agreement=AgreementId(_text(fields, "agreement")),
        scope=_text(fields, "scope"),
        originator=MemberCode(_text(fields, "originator")),
        kind=_text(fields, "kind"),
        topic=_text(fields, "topic"),
        regions=_texts(fields, "regions"),
        precedence=_choice(fields, "precedence", Precedence),
        subject=_optional(fields, "subject", _text),
        label=label_from_json(fields["label"]),
        posted_at=parse_rfc3339(_text(fields, "posted_at")),
        valid_until=_optional(fields, "valid_until", lambda given, name: parse_rfc3339(_text(given, name))),
        declassify_on=_optional(fields, "declassify_on", _day),
        supersedes=_optional(fields, "supersedes", lambda given, name: ReportId(_text(given, name))),
        references=tuple(ReportId(reference) for reference in _texts(fields, "references")),
        parts=tuple(_part(item) for item in _list(fields, "parts")),
        version=_number({"version": _FIRST_VERSION, **fields}, "version"),
        conditions=_optional({"conditions": None, **fields}, "conditions", _text),
    )


def _part(value: object) -> PartHeader:
    fields = _object(value, _PART_FIELDS)
    return PartHeader(
        number=_number(fields, "number"),
        label=label_from_json(fields["label"]),
        media_type=_text(fields, "media_type"),
        name=_text(fields, "name"),
        size_bytes=_number(fields, "size_bytes"),
        protection=_choice(fields, "protection", Protection),
        sha256=_text(fields, "sha256"),
    )


Fields = Mapping[str, object]
T = TypeVar("T")


def _object(value: object, names: frozenset[str]) -> Fields:
    if isinstance(value, dict) and names <= value.keys() and _MAY_STAND[names].issuperset(value):
        return value
    message = f"a stored object does not have exactly the fields {', '.join(sorted(names))}"
    raise MalformedError(message)


def _text(fields: Fields, name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise _wrong(name, "text")
    return value


def _number(fields: Fields, name: str) -> int:
    value = fields[name]
    if type(value) is not int or value < 0:
        raise _wrong(name, "a count")
    return value


def _list(fields: Fields, name: str) -> list[object]:
    value = fields[name]
    if not isinstance(value, list):
        raise _wrong(name, "a list")
    return value


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    return tuple(_text({name: item}, name) for item in _list(fields, name))


def _optional(fields: Fields, name: str, read: Callable[[Fields, str], T]) -> T | None:
    return None if fields[name] is None else read(fields, name)


def _choice(fields: Fields, name: str, choices: type[E]) -> E:
    text = _text(fields, name)
    for choice in choices:
        if choice.value == text:
            return choice
    raise _wrong(name, f"one of {', '.join(str(choice.value) for choice in choices)}")


def _day(fields: Fields, name: str) -> date:
    try:
        return date.fromisoformat(_text(fields, name))
    except ValueError as exc:
        raise _wrong(name, "a date") from exc


def _wrong(name: str, wanted: str) -> MalformedError:
    return MalformedError(f"`{name}` of a stored header is not {wanted}")
