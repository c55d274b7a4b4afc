"""The shape of an entry, version 1: which fields there are, of what type, and which are always there.

The names are those that every entry carries for ever: a field is added, never renamed or reused.
"""

from collections.abc import Callable, Mapping
from typing import NotRequired, TypedDict, cast

from exchange.audit.events import Outcome
from exchange.kernel import MalformedError, is_canonical_rfc3339

ENTRY_VERSION = 1

# C2SP tlog-tiles, entry bundles: the length of an entry is a 16-bit number.
LARGEST_ENTRY_BYTES = 65_535

ALWAYS_SHOWN = ("v", "id", "ts", "type", "decision", "actor")
"""What nobody who sees an entry at all is denied."""


class ActorFields(TypedDict):
    """Who acted."""

    kind: str
    id: NotRequired[str]
    thumbprint: NotRequired[str]


class ClearanceFields(TypedDict):
    """What the actor was cleared for at `as_of`."""

    level: str
    compartments: list[str]
    as_of: str


class ObjectFields(TypedDict):
    """What was acted on."""

    type: str
    id: str
    version: NotRequired[int]


class PersonalFields(TypedDict):
    """Personal data under the key `kid`: base64 of an AES-256-GCM ciphertext."""

    kid: str
    ciphertext: str


class Entry(TypedDict):
    """One entry, as its JSON holds it. `source` and the actor's `thumbprint` are search tokens where they are personal.

    Once the key of `pii` is destroyed, the bytes stay as they are and nobody reads them.
    """

    v: int
    id: str
    ts: str
    node: str
    boot: str
    node_seq: int
    type: str
    decision: str
    actor: ActorFields
    request_id: str
    source: str
    member: NotRequired[str]
    agency: NotRequired[str]
    clearance: NotRequired[ClearanceFields]
    object: NotRequired[ObjectFields]
    owner: NotRequired[str]
    label: NotRequired[dict[str, str | list[str]]]
    agreement: NotRequired[str]
    scope: NotRequired[str]
    policies: NotRequired[list[str]]
    reasons: NotRequired[list[str]]
    purpose: NotRequired[str]
    bytes: NotRequired[int]
    result_count: NotRequired[int]
    result_ids: NotRequired[list[str]]
    result_ids_sha256: NotRequired[str]
    detail: NotRequired[dict[str, str | int | list[str]]]
    pii: NotRequired[PersonalFields]


def checked_entry(value: object) -> Entry:
    """Return `value` as an Entry.

    Raises MalformedError for a missing or unknown field and for a value of the wrong type. Event names are
    not compared with today's list: an auditor's older tool must still read a newer log.
    """
    _ENTRY.check(value)
    return cast("Entry", value)


def checked_view(value: object) -> Entry:
    """Return `value` as what a reader may see of an entry: fields of one, at least those that every view has.

    The type promises more than a view holds: take what is not in `ALWAYS_SHOWN` by `get`. Raises MalformedError as
    `checked_entry` does.
    """
    _VIEW.check(value)
    return cast("Entry", value)


_Check = Callable[[object], bool]


class _Fields:
    """The fields of an object: what each holds, and which are always there. Made once, asked for every entry."""

    def __init__(self, place: str, required: Mapping[str, _Check], optional: Mapping[str, _Check]) -> None:
        self._place = place
        self._required = required.keys()
        self._known = {**required, **optional}

    def check(self, value: object) -> bool:
        """Return True; MalformedError for what has not these fields."""
        if not isinstance(value, dict):
            raise MalformedError(f"{self._place} is not an object")
        if not value.keys() >= self._required:
            raise MalformedError(f"{self._place} has no `{min(self._required - value.keys())}`")
        for name, item in value.items():
            check = self._known.get(name)
            if check is None:
                raise MalformedError(f"{self._place} has a field that version {ENTRY_VERSION} does not know: `{name}`")
            if not check(item):
                raise MalformedError(f"{self._place} has a wrong `{name}`")
        return True


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_count(value: object) -> bool:
    # Type identity: True is an int to isinstance.
    return type(value) is int and value >= 0


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and set(map(type, value)) <= _TEXT


def _is_version(value: object) -> bool:
    return type(value) is int and value == ENTRY_VERSION


def _is_time(value: object) -> bool:
    # One form per moment: what `rfc3339` would not write, nobody sealed.
    return type(value) is str and is_canonical_rfc3339(value)


def _is_outcome(value: object) -> bool:
    return type(value) is str and value in _OUTCOMES


def _is_label(value: object) -> bool:
    return (
        isinstance(value, dict)
        and all(_is_text(item) or _is_texts(item) for item in value.values())
        and all(_is_text(value.get(name, "")) for name in ("policy", "classification"))
    )


def _is_detail(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str | int) or _is_texts(item) for item in value.values())


_TEXT = frozenset({str})
_OUTCOMES = frozenset(outcome.value for outcome in Outcome)

_ACTOR = _Fields("entry's `actor`", {"kind": _is_text}, {"id": _is_text, "thumbprint": _is_text})
_CLEARANCE = _Fields("entry's `clearance`", {"level": _is_text, "compartments": _is_texts, "as_of": _is_time}, {})
_OBJECT = _Fields("entry's `object`", {"type": _is_text, "id": _is_text}, {"version": _is_count})
_PERSONAL = _Fields("entry's `pii`", {"kid": _is_text, "ciphertext": _is_text}, {})

_REQUIRED: Mapping[str, _Check] = {
    "v": _is_version,
    "id": _is_text,
    "ts": _is_time,
    "node": _is_text,
    "boot": _is_text,
    "node_seq": _is_count,
    "type": _is_text,
    "decision": _is_outcome,
    "actor": _ACTOR.check,
    "request_id": _is_text,
    "source": _is_text,
}

_OPTIONAL: Mapping[str, _Check] = {
    "member": _is_text,
    "agency": _is_text,
    "clearance": _CLEARANCE.check,
    "object": _OBJECT.check,
    "owner": _is_text,
    "label": _is_label,
    "agreement": _is_text,
    "scope": _is_text,
    "policies": _is_texts,
    "reasons": _is_texts,
    "purpose": _is_text,
    "bytes": _is_count,
    "result_count": _is_count,
    "result_ids": _is_texts,
    "result_ids_sha256": _is_text,
    "detail": _is_detail,
    "pii": _PERSONAL.check,
}

_ENTRY = _Fields("entry", _REQUIRED, _OPTIONAL)
_VIEW = _Fields("entry", {name: _REQUIRED[name] for name in ALWAYS_SHOWN}, {**_REQUIRED, **_OPTIONAL})
