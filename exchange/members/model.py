"""Who someone is and what they are cleared for: members, agencies, clients, roles, clearances."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NewType

MemberCode = NewType("MemberCode", str)
ClientId = NewType("ClientId", str)

EXCHANGE_MEMBER = MemberCode("EXCHANGE")
"""The member of the exchange's own operators and auditors."""


class Role(Enum):
    """What a client may do; a client holds one or more."""

    CONTRIBUTOR = "contributor"
    READER = "reader"
    RELEASER = "releaser"
    SIGNATORY = "signatory"
    AUDITOR = "auditor"
    OPERATOR = "operator"


# INVARIANT: who runs or watches the exchange never handles reports on the same client (design §2.2).
WATCHING_ROLES = frozenset({Role.OPERATOR, Role.AUDITOR})
REPORT_ROLES = frozenset({Role.READER, Role.CONTRIBUTOR, Role.RELEASER})


class Standing(Enum):
    """Whether a member or client may act now."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Clearance:
    """Level of the exchange's base policy, compartments held, and validity (`until` exclusive; None = no end)."""

    level: str
    compartments: tuple[str, ...]
    since: datetime
    until: datetime | None

    def is_current(self, now: datetime) -> bool:
        """Return whether the clearance holds at `now`."""
        return self.since <= now and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Member:
    """One version of a member: a state (ISO 3166-1 alpha-3) or a registered organisation."""

    code: MemberCode
    version: int
    name: str
    standing: Standing


@dataclass(frozen=True, slots=True)
class Client:
    """One version of an enrolled system or person of an agency."""

    id: ClientId
    version: int
    name: str
    member: MemberCode
    agency: str
    roles: frozenset[Role]
    clearance: Clearance
    nationality: str
    purposes: tuple[str, ...]
    standing: Standing
    member_standing: Standing = Standing.ACTIVE

    @property
    def is_active(self) -> bool:
        """Return whether both the client and its member stand active."""
        return self.standing is Standing.ACTIVE and self.member_standing is Standing.ACTIVE
