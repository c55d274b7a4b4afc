"""National caveats as the store knows them: no table class leaves it."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class CaveatSet:
    """One version of a member's caveats, or what is to become one. Empty `guards`: nothing shall hold any more.

    `told` has the id and the reason of each guard. `number` is the version's, None until it is in force; `act_state` is
    where the act of two persons stands that puts it there: `waiting`, `done`, `ended` or `expired`.
    """

    id: str
    member: str
    number: int | None
    guards: str
    examples: str
    told: tuple[tuple[str, str], ...]
    digest: str
    replaces: str | None
    act: str
    proposed_by: str
    proposed_at: datetime
    in_force_at: datetime | None = None
    ended_at: datetime | None = None
    act_state: str = "waiting"


class CaveatsInForce(NamedTuple):
    """Which set is in force, and the digest of the text that stands there; None where none does."""

    id: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class CaveatText:
    """The text of one version, and from when until when (exclusive; None = still) they were in force."""

    id: str
    member: str
    guards: str
    examples: str
    digest: str
    since: datetime
    until: datetime | None
