"""What was promised, by whom, until when: agreements, scopes, obligations, parties."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import NewType

from exchange.agreements.treaty import TextSignature
from exchange.members import MemberCode

AgreementId = NewType("AgreementId", str)


class AgreementState(Enum):
    """Where an agreement stands; how it moves is data in `lifecycle`."""

    DRAFT = "draft"
    SIGNED = "signed"
    IN_FORCE = "in_force"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class PartyState(Enum):
    """Where one party of an agreement stands."""

    PENDING = "pending"
    SIGNED = "signed"
    SUSPENDED = "suspended"
    WITHDRAWN = "withdrawn"


class OnwardRelease(Enum):
    """Whether a scope lets its readers pass a report on."""

    NEVER = "never"
    ORIGINATOR_CONSENT = "originator-consent"
    PARTIES = "parties"


class SharedReports(Enum):
    """What happens to reports already shared when an agreement ends."""

    RECALLED = "recalled"
    KEPT = "kept"


class OlderReports(Enum):
    """Whether what an amended text or an opened crisis allows reaches reports that were there before."""

    EXCLUDED = "excluded"
    INCLUDED = "included"


@dataclass(frozen=True, slots=True)
class Validity:
    """First and last day of force (UTC, both inclusive); `review_every` an ISO 8601 duration or None."""

    first_day: date
    last_day: date
    review_every: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """One clause: who may post what to whom, up to which level. Tuples are in the file's order."""

    name: str
    topics: tuple[str, ...]
    regions: tuple[str, ...]
    kinds: tuple[str, ...]
    purposes: tuple[str, ...]
    ceiling: str
    compartments: tuple[str, ...]
    contributors: tuple[MemberCode, ...]
    readers: tuple[MemberCode, ...]
    onward_release: OnwardRelease
    retention: str


@dataclass(frozen=True, slots=True)
class Obligation:
    """What one party (`all` = each) owes in one scope: a rhythm of reports, or acknowledgement times by precedence."""

    party: str
    scope: str
    report_every: str | None
    acknowledge: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Termination:
    """Notice (ISO 8601 duration) and the fate of reports already shared."""

    notice: str
    shared_reports: SharedReports


@dataclass(frozen=True, slots=True)
class Terms:
    """The text of an agreement as parsed: everything the parties sign."""

    title: str
    parties: tuple[MemberCode, ...]
    policy: str
    validity: Validity
    scopes: tuple[Scope, ...]
    obligations: tuple[Obligation, ...]
    termination: Termination
    older_reports: OlderReports = OlderReports.EXCLUDED

    def scope(self, name: str) -> Scope | None:
        """Return the scope called `name`, or None."""
        return next((scope for scope in self.scopes if scope.name == name), None)


@dataclass(frozen=True, slots=True)
class Party:
    """A member's standing in one agreement; `signed_at` is None until it signed, `signature` is under the text."""

    member: MemberCode
    state: PartyState
    signed_at: datetime | None = None
    signature: TextSignature | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """One version of an agreement: its terms and where its parties stand.

    `edition` counts its texts from 1, `previous` is the digest of the text before, `earlier` are the terms before.
    """

    id: AgreementId
    version: int
    terms: Terms
    parties: tuple[Party, ...]
    edition: int = 1
    previous: str | None = None
    earlier: tuple[Terms, ...] = ()

    @property
    def texts(self) -> tuple[Terms, ...]:
        """Return the terms of every edition, the first one first; those before this one where they were loaded."""
        return (*self.earlier, self.terms)

    def party(self, member: str) -> Party | None:
        """Return the party `member`, or None where it is none."""
        return next((party for party in self.parties if party.member == member), None)
