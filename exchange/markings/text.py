"""Marking text: the one line on paper and screen for a label, and back.

    marking  = level *( "//" group )
    group    = compartments | controls
    control  = caveat | "REL TO " CODE *( ", " CODE )

A label has one text, given its originator, and only that text is read: nothing is trimmed, folded or reordered.
"""

from exchange.kernel.errors import Fault, InvalidError
from exchange.markings.catalogue import Catalogue
from exchange.markings.label import Label
from exchange.markings.policy import Level, SecurityPolicy, UnknownMarkingError, is_member_code
from exchange.markings.quoting import quoted

_RELEASABLE = "REL TO "


class MarkingFormatError(InvalidError):
    """A marking text or a label in XML that is not written as it must be; the message says how."""

    code = "bad-marking"

    def __init__(self, message: str) -> None:
        super().__init__("the marking cannot be read", (Fault("", self.code, message),))


def render_marking(label: Label, catalogue: Catalogue, *, originator: str | None = None) -> str:
    """Return the marking text of `label`; members by code, but `originator` first where it is one of them.

    Raises UnknownMarkingError where the catalogue does not know the label whole.
    """
    faults = catalogue.check(label)
    level = None if faults else catalogue.policies[label.policy].level(label.classification)
    if level is None:
        raise UnknownMarkingError(faults)
    controls = list(label.handling)
    if label.releasable_to:
        members = sorted(label.releasable_to, key=lambda code: (code != originator, code))
        controls.append(_RELEASABLE + ", ".join(members))
    groups = ("/".join(label.compartments), "/".join(controls))
    return "//".join([level.marking, *(group for group in groups if group)])


def parse_marking(text: str, catalogue: Catalogue, *, policy: str | None = None) -> Label:
    """Return the label written as `text`.

    `policy` is needed for the few national markings that read like another policy's level (`SECRET` of FRA).
    The first member may be any, since it may be the originator; the others stand by code.
    Raises MarkingFormatError for everything that `render_marking` would not write.
    """
    # (1) The level, exactly as one policy writes it.
    marking, *groups = text.split("//")
    level = _read_level(marking, catalogue, policy)
    # (2) Each compartment and control, known to that policy.
    compartments, handling, members = _read_groups(groups, catalogue.policies[level.policy])
    label = Label(
        policy=level.policy,
        classification=level.name,
        compartments=tuple(sorted(set(compartments))),
        releasable_to=tuple(sorted(set(members))),
        handling=tuple(sorted(set(handling))),
    )
    # (3) INVARIANT: read means written so. Order, repeats and spelling are checked by writing the label again.
    expected = render_marking(label, catalogue, originator=members[0] if members else None)
    if expected != text:
        raise MarkingFormatError(f"{quoted(text)} is out of order or repeats itself: write `{expected}`")
    return label


def _read_level(marking: str, catalogue: Catalogue, policy: str | None) -> Level:
    if policy is not None and policy not in catalogue.policies:
        raise UnknownMarkingError(catalogue.check(Label(policy, marking)))
    asked = [catalogue.policies[policy]] if policy is not None else list(catalogue.policies.values())
    found = [level for scheme in asked for level in scheme.levels if level.marking == marking]
    # A marking that another policy's level is called by, in any case of letters, says nothing without its policy.
    if len(found) == 1 and (policy is not None or not _namesakes(found[0].policy, marking, catalogue)):
        return found[0]
    raise MarkingFormatError(_level_hint(marking, catalogue, asked))


def _namesakes(policy_id: str, marking: str, catalogue: Catalogue) -> list[Level]:
    """Return the levels of other policies whose name or marking reads like `marking`."""
    spoken = marking.casefold()
    return [
        level
        for scheme in catalogue.policies.values()
        if scheme.id != policy_id
        for level in scheme.levels
        if spoken in {level.name.casefold(), level.marking.casefold()}
    ]


def _level_hint(marking: str, catalogue: Catalogue, asked: list[SecurityPolicy]) -> str:
    read = " ".join(marking.split())
    alike = [level for level in _namesakes("", read, catalogue) if catalogue.policies[level.policy] in asked]
    if len(alike) == 1:
        return f"{quoted(marking)} is no level marking: write {quoted(alike[0].marking)}"
    if alike:
        alike.sort(key=lambda level: level.policy != catalogue.base.id)
        choice = " or ".join(f"{quoted(level.marking)} of {level.policy}" for level in alike)
        return f"{quoted(marking)} does not say whose level it is: write {choice}, and name the policy if that is all"
    mend = next((each for level in _levels_begun(marking, asked) if (each := _apart(marking, level, catalogue))), None)
    if mend is not None:
        return f"{quoted(marking)} does not part the level from what follows: write {quoted(mend)}"
    scheme = asked[0] if len(asked) == 1 else catalogue.base
    choice = ", ".join(quoted(level.marking) for level in reversed(scheme.levels))
    return f"{quoted(marking)} is no level marking: begin with one such as {choice}"


def _levels_begun(marking: str, asked: list[SecurityPolicy]) -> list[Level]:
    """Return the levels with whose marking `marking` begins, and goes on without `//`; the longest first."""
    levels = [level for scheme in asked for level in scheme.levels]
    begun = [level for level in levels if marking.startswith((f"{level.marking} ", f"{level.marking}/"))]
    return sorted(begun, key=lambda level: len(level.marking), reverse=True)


def _apart(marking: str, level: Level, catalogue: Catalogue) -> str | None:
    """Return `marking` as it is written with this level, None where it could not be read then either."""
    rest = marking.removeprefix(level.marking).lstrip(" /")
    try:
        # Its policy is not named: a level that several policies write so is no mend.
        parse_marking(f"{level.marking}//{rest}", catalogue)
    except MarkingFormatError:
        return None
    return f"{level.marking}//{rest}"


def _read_groups(groups: list[str], policy: SecurityPolicy) -> tuple[list[str], list[str], list[str]]:
    compartments: list[str] = []
    handling: list[str] = []
    members: list[str] = []
    for name in (name for group in groups for name in group.split("/")):
        if name in policy.compartments:
            compartments.append(name)
        elif name in policy.caveats:
            handling.append(name)
        elif name.startswith(_RELEASABLE):
            members.extend(_read_members(name))
        elif name == "":
            raise MarkingFormatError("a group or a name in it is empty: separate groups by `//`, names by `/`")
        else:
            raise MarkingFormatError(f"{quoted(name)} is no compartment, caveat or `REL TO` list of {policy.id}")
    return compartments, handling, members


def _read_members(control: str) -> list[str]:
    members = control.removeprefix(_RELEASABLE).split(", ")
    for code in members:
        if not is_member_code(code):
            raise MarkingFormatError(f"{quoted(code)} is no member code: write `REL TO GBR, NOR`")
    return members
