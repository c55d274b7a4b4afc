"""Security policies: a classification scheme with its total order, its categories and where they come from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from exchange.kernel.errors import Fault, InvalidError

# No comma, space or slash, which would break the marking text; what codes exist is for `members` to say.
_MEMBER_CODE = re.compile(r"[A-Z][A-Z0-9-]{1,31}")


class UnknownMarkingError(InvalidError):
    """A policy, level, compartment or caveat that no loaded security policy knows. Nothing is guessed from it."""

    code = "unknown-marking"

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("the label is not known here", faults)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a policy was read, and the first day of the text that was read."""

    citation: str
    in_force: date


@dataclass(frozen=True, slots=True)
class Level:
    """A level of one policy. `name` stands in JSON, `marking` on paper; `rank` counts from 0, the lowest."""

    policy: str
    name: str
    marking: str
    rank: int


@dataclass(frozen=True, slots=True)
class Equivalence:
    """A level of the base policy that protects the same, who says so, and since when."""

    level: str
    source: str
    valid_from: date


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """One classification scheme.

    `levels` run from the lowest to the highest. `equivalents` maps a level's name to its exact equal in the base
    policy; a level without a row has none and is rounded. The base policy has no rows.
    """

    id: str
    title: str
    authority: str
    levels: tuple[Level, ...]
    compartments: frozenset[str]
    caveats: frozenset[str]
    source: Source
    equivalents: Mapping[str, Equivalence]

    def level(self, name: str) -> Level | None:
        """Return the level called exactly `name`, or None."""
        return next((level for level in self.levels if level.name == name), None)


def is_member_code(text: str) -> bool:
    """Return whether `text` has the form of a member code; no more than the form."""
    return _MEMBER_CODE.fullmatch(text) is not None
