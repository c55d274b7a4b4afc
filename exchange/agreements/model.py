"""What was promised, by whom, until when: agreements, scopes, obligations, parties."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import NewType

from exchange.agreements.treaty import TextSignature
from exchange.members import MemberCode
from exchange.members.text import identity_key

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


class AmendmentState(Enum):
    """Where a proposed text stands; how it moves is data in `editions`."""

    PROPOSED = "proposed"
    IN_FORCE = "in_force"
    OVERTAKEN = "overtaken"


class OnwardRelease(Enum):
    """Whether a scope lets its readers pass a report on."""

    NEVER = "never"
    ORIGINATOR_CONSENT = "originator-consent"
    PARTIES = "parties"


class AnswersTo(Enum):
    """Who may be told of the answers to a request for information: who asked, or whoever was asked as well."""

    ASKER = "asker"
    ASKED = "asked"


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
    answers: AnswersTo = AnswersTo.ASKER


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
class NamedSignatory:
    """A person whom the text names: the name under which its member enrolled it."""

    member: MemberCode
    name: str


@dataclass(frozen=True, slots=True)
class CrisisClause:
    """What two of `signatories`, of different members, may open: more `readers`, or `ceiling`, in one scope for a time.

    `ceiling` None is the scope's own. `at_most` is an ISO 8601 duration in hours.
    """

    name: str
    scope: str
    ceiling: str | None
    readers: tuple[MemberCode, ...]
    at_most: str
    signatories: tuple[NamedSignatory, ...]
    older_reports: OlderReports = OlderReports.EXCLUDED

    @property
    def reaches_older(self) -> bool:
        """Return whether what it opens reaches reports from before it too."""
        return self.older_reports is OlderReports.INCLUDED

    def names(self, member: str, name: str) -> bool:
        """Return whether the person that `member` enrolled as `name` is among the signatories, however it is spelt."""
        key = identity_key(name)
        return any(each.member == member and identity_key(each.name) == key for each in self.signatories)


@dataclass(frozen=True, slots=True)
class Crisis:
    """One use of a crisis clause, of the text that `edition` counts; what it opens, the text says.

    `until` is exclusive. `ended_at` is None unless somebody ended it before that.
    """

    id: str
    clause: str
    edition: int
    reason: str
    opened_at: datetime
    until: datetime
    opened_by: tuple[str, ...] = ()
    ended_at: datetime | None = None


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
    crisis: tuple[CrisisClause, ...] = ()

    def crisis_clause(self, name: str) -> CrisisClause | None:
        """Return the crisis clause called `name`, or None."""
        return next((clause for clause in self.crisis if clause.name == name), None)

    def scope(self, name: str) -> Scope | None:
        """Return the scope called `name`, or None."""
        return next((scope for scope in self.scopes if scope.name == name), None)


@dataclass(frozen=True, slots=True)
class Party:
    """A member's standing in one agreement; `signed_at` is None until it signed, `signature` is under the text.

    A party that has given notice stays what it is until `leaves_at`, and has then withdrawn.
    """

    member: MemberCode
    state: PartyState
    signed_at: datetime | None = None
    signature: TextSignature | None = None
    leaves_at: datetime | None = None

    def standing(self, now: datetime) -> PartyState:
        """Return where the party stands at `now`."""
        has_left = self.leaves_at is not None and self.leaves_at <= now
        return PartyState.WITHDRAWN if has_left else self.state


@dataclass(frozen=True, slots=True)
class Absence:
    """That `member` left by its notice at `left_at`, and acceded anew at `back_at`, by the text of this edition."""

    member: str
    left_at: datetime
    back_at: datetime
    edition: int

    def holds(self, moment: datetime) -> bool:
        """Return whether the member was away at `moment`."""
        return self.left_at <= moment < self.back_at


@dataclass(frozen=True, slots=True)
class Departure:
    """That `member` had left by its notice when the text of this edition was concluded, which names it no more."""

    member: str
    edition: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """One version of an agreement: its terms and where its parties stand.

    `edition` counts its texts from 1, `previous` is the digest of the text before, `earlier` are the terms before.
    `crises` are the uses of its crisis clauses that were loaded, the oldest first; `absences` of which of its parties
    there were any; `departures` of whom the others went on without.
    """

    id: AgreementId
    version: int
    terms: Terms
    parties: tuple[Party, ...]
    edition: int = 1
    previous: str | None = None
    earlier: tuple[Terms, ...] = ()
    crises: tuple[Crisis, ...] = ()
    absences: tuple[Absence, ...] = ()
    departures: tuple[Departure, ...] = ()

    @property
    def texts(self) -> tuple[Terms, ...]:
        """Return the terms of every edition, the first one first; those before this one where they were loaded."""
        return (*self.earlier, self.terms)

    @property
    def is_proven(self) -> bool:
        """Return whether each party that the text names has signed it; as `proven` gives it, by what verifies."""
        signed = {each.member for each in self.parties if each.signed_at and each.state is not PartyState.PENDING}
        return bool(signed) and signed == set(self.terms.parties)

    def editions_of(self, member: str) -> tuple[int, ...]:
        """Return the numbers of the texts that name `member` as a party; of those before this one where loaded."""
        return tuple(number for number, terms in enumerate(self.texts, start=1) if member in terms.parties)

    def bound(self, member: str) -> tuple[int, ...]:
        """Return the numbers of the texts that `member` was bound by: those that name it, and that it signed to leave.

        What the others concluded once it had left by its notice is none of them.
        """
        went = {each.edition for each in self.departures if each.member == member}
        named = self.editions_of(member)
        left_by = {number + 1 for number in named if number < len(self.texts)} - went
        return tuple(sorted({*named, *left_by}))

    def was_away(self, member: str, moment: datetime) -> bool:
        """Return whether `member` had left at `moment`, and had not yet acceded anew."""
        return any(each.member == member and each.holds(moment) for each in self.absences)

    def party(self, member: str) -> Party | None:
        """Return the party `member`, or None where it is none."""
        return next((party for party in self.parties if party.member == member), None)
