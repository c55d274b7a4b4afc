"""What may name a member, an agency or a client, and what a client may be given.

Promises: each check answers the one accepted form or raises InvalidError naming the fault and the mend; nothing is
folded, trimmed or guessed (attack 26).
Does not: know levels, compartments or purposes; the caller passes the known ones.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from exchange.kernel.errors import Fault, InvalidError
from exchange.members.codes import ASSIGNED_ALPHA3, ORGANISATIONS
from exchange.members.model import REPORT_ROLES, WATCHING_ROLES, Clearance, MemberCode, Role
from exchange.members.text import name_problem

_LONGEST_NAME = 120
_LONGEST_AGENCY = 64
_CODE = re.compile(r"[A-Z][A-Z0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class ClearanceWords:
    """The levels and compartments of the base policy that a clearance may name."""

    levels: Collection[str]
    compartments: Collection[str]


def is_member_code(text: str) -> bool:
    """Return whether `text` has the form of a member's code; whether anybody has it is not asked."""
    return _CODE.fullmatch(text) is not None


def check_member_code(text: str, *, pointer: str = "/code") -> MemberCode:
    """Return `text` as a member's code: an assigned ISO 3166-1 alpha-3 code or a registered organisation's."""
    if text in ASSIGNED_ALPHA3 or text in ORGANISATIONS:
        return MemberCode(text)
    shown = _quoted(text)
    if not is_member_code(text):
        raise _refused(
            pointer, "bad-code", f"`{shown}` is no member code: use upper-case letters, such as GBR or EUROPOL"
        )
    message = (
        f"`{shown}` is neither an assigned ISO 3166-1 alpha-3 code nor a registered organisation: "
        f"use a state's code or one of {', '.join(ORGANISATIONS)}"
    )
    raise _refused(pointer, "unknown-code", message)


def check_nationality(text: str) -> str:
    """Return `text` as a nationality: an assigned ISO 3166-1 alpha-3 code.

    A registered organisation's code is taken too: it stands for its staff whose nationality was not given.
    """
    if text in ASSIGNED_ALPHA3 or text in ORGANISATIONS:
        return text
    told = f"`{_quoted(text)}` is no assigned ISO 3166-1 alpha-3 code, such as NOR"
    raise _refused("/nationality", "unknown-code", told)


def check_name(text: str) -> str:
    """Return `text` as the name of a member or a client."""
    if (problem := name_problem(text, longest=_LONGEST_NAME)) is not None:
        raise _refused("/name", "bad-name", f"the name {problem}")
    return text


def check_agency(text: str) -> str:
    """Return `text` as an agency's name within its member; `/` parts the two where both are shown."""
    problem = name_problem(text, longest=_LONGEST_AGENCY)
    if problem is None and "/" in text:
        problem = "contains `/`: give the agency alone, without its member"
    if problem is not None:
        raise _refused("/agency", "bad-agency", f"the agency {problem}")
    return text


def check_roles(roles: Iterable[str]) -> frozenset[Role]:
    """Return the roles of one client: at least one, and none that handles reports beside one that watches."""
    given = tuple(roles)
    known = {role.value: role for role in Role}
    faults = [
        Fault(f"/roles/{index}", "unknown-role", f"`{_quoted(name)}` is no role: use one of {', '.join(known)}")
        for index, name in enumerate(given)
        if name not in known
    ]
    if not given:
        faults.append(Fault("/roles", "empty", f"no role: give at least one of {', '.join(known)}"))
    held = frozenset(known[name] for name in given if name in known)
    if (watching := held & WATCHING_ROLES) and (handling := held & REPORT_ROLES):
        message = f"{_names(watching)} beside {_names(handling)}: enrol a second client"
        faults.append(Fault("/roles", "roles-apart", message))
    _raise_any("the roles are not valid", faults)
    return held


def check_purposes(purposes: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return a client's purposes in their order; for none, the first of `known`, which is the default."""
    words = tuple(known)
    given = tuple(purposes) or words[:1]
    faults = [
        Fault(
            f"/purposes/{index}", "unknown-purpose", f"`{_quoted(word)}` is no purpose: use one of {', '.join(words)}"
        )
        for index, word in enumerate(given)
        if word not in words
    ]
    faults += [
        Fault(f"/purposes/{index}", "repeated", f"`{_quoted(word)}` stands twice: keep one")
        for index, word in enumerate(given)
        if word in given[:index]
    ]
    _raise_any("the purposes are not valid", faults)
    return given


def grant_clearance(
    level: str, compartments: Iterable[str], *, since: datetime, until: datetime | None, words: ClearanceWords
) -> Clearance:
    """Return the clearance; `until` (exclusive) may lie in the past: such a clearance was, and is over."""
    held = tuple(sorted(set(compartments)))
    faults = [
        Fault("/clearance/compartments", "unknown-compartment", f"`{_quoted(name)}` is no compartment known here")
        for name in held
        if name not in words.compartments
    ]
    if level not in words.levels:
        message = f"`{_quoted(level)}` is no level: use one of {', '.join(words.levels)}"
        faults.append(Fault("/clearance/level", "unknown-level", message))
    _raise_any("the clearance is not valid", faults)
    return Clearance(level=level, compartments=held, since=since, until=until)


def _names(roles: Iterable[Role]) -> str:
    return " and ".join(sorted(role.value for role in roles))


def _quoted(text: str) -> str:
    # `ascii` escapes what a terminal would hide or reorder; the quotes it adds go.
    return ascii(text[:40])[1:-1].replace("`", "'")


def _refused(pointer: str, code: str, message: str) -> InvalidError:
    return InvalidError(message, (Fault(pointer=pointer, code=code, message=message),))


def _raise_any(message: str, faults: list[Fault]) -> None:
    if faults:
        raise InvalidError(message, tuple(faults))
