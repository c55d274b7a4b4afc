"""Guard files as text: what may stand in one. Every fault is reported, with the file and the policy."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import cedarpy

from exchange.kernel import Fault, InvalidError, pointer_token
from exchange.members import is_member_code

# A guard is asked at every decision: a file larger than this is a mistake, and 64 KiB hold some 300 guards.
MAX_GUARD_FILE_BYTES = 65_536

_OWN_FILE = re.compile(r"[a-z][a-z0-9-]{0,62}")
_GUARD_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}[a-z0-9]")
_RESERVED_ID = "permit-all"
_AGENCY_OF_CLIENT = {".": {"left": {"Var": "principal"}, "attr": "agency"}}
_MAX_REASON_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Guard:
    """One forbid policy. `member` is whose national caveat it is, None for the exchange's own; `reason` says why."""

    id: str
    reason: str
    member: str | None
    policy_json: str


def read_guards(files: Mapping[str, str], schema: str) -> tuple[Guard, ...]:
    """Return the guards of `files`, sorted by id; raise InvalidError listing every fault."""
    faults = list(_schema_faults(schema))
    # Against a schema that cannot be read nothing is checked; a fault in one file hides none in the next.
    usable = None if faults else schema
    guards: list[Guard] = []
    for name in sorted(files):
        found, wrong = _read_file(name, files[name], usable)
        guards += found
        faults += wrong
    counts = Counter(guard.id for guard in guards)
    faults += [
        Fault("", "repeated-id", f'`@id("{guard_id}")` stands on {count} guards: give each its own')
        for guard_id, count in sorted(counts.items())
        if count > 1
    ]
    if faults:
        raise InvalidError("the guards cannot be used", tuple(faults))
    return tuple(sorted(guards, key=lambda guard: guard.id))


def _schema_faults(schema: str) -> Iterator[Fault]:
    try:
        cedarpy.Schema.from_str(schema)
    except ValueError as exc:
        yield Fault("/exchange.cedarschema", "bad-schema", f"the schema cannot be read: {exc}")


def _read_file(name: str, text: str, schema: str | None) -> tuple[list[Guard], list[Fault]]:
    pointer = f"/{pointer_token(name)}"
    stem = PurePosixPath(name).stem
    is_national = is_member_code(stem)
    if not is_national and _OWN_FILE.fullmatch(stem) is None:
        message = "a guard file is named after a member (`NOR.cedar`) or in lower case (`exchange.cedar`)"
        return [], [Fault(pointer, "bad-name", message)]
    if len(text.encode()) > MAX_GUARD_FILE_BYTES:
        return [], [Fault(pointer, "too-large", f"more than {MAX_GUARD_FILE_BYTES} bytes: split the file")]
    try:
        document = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as exc:
        return [], [Fault(pointer, "malformed", f"not Cedar: {exc}")]
    return _read_policies(document, pointer, stem if is_national else None, _schema_errors(text, schema))


def _schema_errors(text: str, schema: str | None) -> list[str]:
    if schema is None:
        return []
    return [str(error) for error in cedarpy.validate_policies(text, schema).errors]


def _read_policies(
    document: Mapping[str, Mapping[str, Mapping[str, object]]], pointer: str, member: str | None, errors: list[str]
) -> tuple[list[Guard], list[Fault]]:
    faults = [Fault(pointer, "against-schema", error) for error in errors]
    if document["templates"]:
        faults.append(Fault(pointer, "template", "a guard has no slots (`?principal`): write out what it is about"))
    if not document["staticPolicies"]:
        # A truncated file must not read as "nothing is forbidden".
        faults.append(Fault(pointer, "empty", "no guard in this file: remove it, or mend it"))
    guards = []
    for place, policy in document["staticPolicies"].items():
        wrong = [Fault(pointer, code, f"{place}: {message}") for code, message in _policy_faults(policy)]
        faults += wrong
        if not wrong:
            notes = _annotations(policy)
            guards.append(Guard(notes["id"], notes["reason"], member, json.dumps(policy, sort_keys=True)))
    return guards, faults


def _annotations(policy: Mapping[str, object]) -> dict[str, str]:
    notes = policy.get("annotations")
    return {str(key): str(value or "") for key, value in notes.items()} if isinstance(notes, dict) else {}


def _policy_faults(policy: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    notes = _annotations(policy)
    if policy["effect"] != "forbid":
        yield "permit", "a guard forbids: `permit` would be a way around the base rules"
    if _GUARD_ID.fullmatch(notes.get("id", "")) is None or notes["id"] == _RESERVED_ID:
        yield "bad-id", 'give it `@id("...")`: lower-case letters, digits, `.` and `-`, 2 to 64 characters'
    reason = notes.get("reason", "")
    if not reason.strip() or len(reason) > _MAX_REASON_CHARACTERS or not reason.isprintable():
        yield "bad-reason", f'give it `@reason("...")`: one line, at most {_MAX_REASON_CHARACTERS} characters'
    if notes.keys() - {"id", "reason"}:
        yield "unknown-annotation", "a guard carries `@id` and `@reason` and no other annotation"
    if _names_a_report(policy):
        # A decision is made for a class of reports: single ones have no identity in it.
        yield "names-a-report", "a guard cannot name one report: say which attributes it is about"
    yield from _agency_faults(policy)


def _names_a_report(value: object) -> bool:
    if isinstance(value, dict):
        is_report = value.get("type") == "Report" and "id" in value
        return is_report or any(_names_a_report(item) for item in value.values())
    return isinstance(value, list) and any(_names_a_report(item) for item in value)


def _agency_faults(policy: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield why what is asked about an agency might stop nobody, or everybody, without anybody seeing it.

    INVARIANT: an agency is held against texts that can be one, and is asked about in no other way.
    """
    nodes = list(records(policy))
    asked = sum(isinstance(access := node.get("."), dict) and access.get("attr") == "agency" for node in nodes)
    named = [found for node in nodes for each in node.items() if (found := _agencies_named(*each)) is not None]
    for text in sorted({text for texts in named for text in texts}):
        yield "bare-agency", f"`{text}` is no agency: write its member and a `/` before it, as `NOR/NIS` or `*/NIS`"
    if asked > len(named):
        yield "agency-use", 'ask about an agency by `==`, `!=`, `like` or `["NOR/NIS"].contains(...)`, with texts alone'


def _agencies_named(operator: str, operands: object) -> list[str] | None:
    """Return what a client's agency is held against here and cannot be one; None where it is held against no text."""
    if not isinstance(operands, dict):
        return None
    left, right = operands.get("left"), operands.get("right")
    if operator == "like" and left == _AGENCY_OF_CLIENT:
        pattern = pattern_text(operands) or ""
        member, slash, _ = pattern.partition("/")
        is_open = pattern.startswith("*") or (bool(slash) and "*" in member)
        return [] if is_open or _is_agency(pattern) else [pattern]
    if operator in {"==", "!="} and _AGENCY_OF_CLIENT in (left, right):
        others: object = [right if left == _AGENCY_OF_CLIENT else left]
    elif operator == "contains" and right == _AGENCY_OF_CLIENT and isinstance(left, dict):
        others = left.get("Set")
    else:
        return None
    texts = [each.get("Value") for each in others if isinstance(each, dict)] if isinstance(others, list) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        return None
    return [str(text) for text in texts if not _is_agency(str(text))]


def _is_agency(text: str) -> bool:
    member, _, name = text.partition("/")
    return bool(name) and is_member_code(member)


def pattern_text(record: Mapping[str, object]) -> str | None:
    """Return the pattern of a `like`, or None where the record is none."""
    pattern = record.get("pattern")
    if not isinstance(pattern, list):
        return None
    return "".join(sign["Literal"] if isinstance(sign, dict) else "*" for sign in pattern)


def records(tree: object) -> Iterator[Mapping[str, object]]:
    """Yield every object of the JSON of a policy, however deep it lies."""
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
