"""Which acts need two persons: a row for each, and nothing about a kind is written anywhere else.

A kind that is not listed cannot be asked for. Which members' people may see and confirm one act stands in the act.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from exchange.members.model import WATCHING_ROLES, Role

PENDING_DAYS: Final = 7
"""Long enough to find a colleague, short enough that what is approved is still what was meant."""

_RELEASING = frozenset({Role.RELEASER})


@dataclass(frozen=True, slots=True)
class ActKind:
    """A kind of act: who may ask for it, who may confirm it, and how long it waits.

    `of_exchange` lets people of the exchange itself act besides those of the act's members; `across_members` demands
    that the two persons are of different members.
    """

    name: str
    asked_by: frozenset[Role]
    confirmed_by: frozenset[Role]
    waits: timedelta = timedelta(days=PENDING_DAYS)
    of_exchange: bool = False
    across_members: bool = False

    @property
    def roles(self) -> frozenset[Role]:
        """Return the roles that have to do with such an act at all."""
        return self.asked_by | self.confirmed_by


ERASE_PERSONAL: Final = ActKind(
    "erase-personal", asked_by=WATCHING_ROLES, confirmed_by=WATCHING_ROLES, of_exchange=True
)

ONWARD_RELEASE: Final = ActKind("onward-release", asked_by=_RELEASING, confirmed_by=_RELEASING)

DERIVED_MARKING: Final = ActKind("derived-marking", asked_by=_RELEASING, confirmed_by=_RELEASING)

DOWNGRADE: Final = ActKind("downgrade", asked_by=_RELEASING, confirmed_by=_RELEASING)

PROXY_POSTING: Final = ActKind("proxy-posting", asked_by=_RELEASING, confirmed_by=_RELEASING)

NATIONAL_CAVEATS: Final = ActKind("national-caveats", asked_by=_RELEASING, confirmed_by=_RELEASING)

_SIGNING = frozenset({Role.SIGNATORY})
_CRISIS_HOURS = 24
"""What nobody confirms within a day is no emergency."""

OPEN_CRISIS: Final = ActKind(
    "open-crisis", asked_by=_SIGNING, confirmed_by=_SIGNING, waits=timedelta(hours=_CRISIS_HOURS), across_members=True
)

ACT_KINDS: Final[Mapping[str, ActKind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            ERASE_PERSONAL,
            NATIONAL_CAVEATS,
            ONWARD_RELEASE,
            DERIVED_MARKING,
            DOWNGRADE,
            PROXY_POSTING,
            OPEN_CRISIS,
        )
    }
)

ACTING_ROLES: Final = frozenset[Role]().union(*(kind.roles for kind in ACT_KINDS.values()))
"""Every role that some kind of act has to do with."""
