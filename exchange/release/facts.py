"""The typed facts that a decision reads; nothing else may influence it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from exchange.agreements import OnwardRelease
from exchange.kernel import canonical_bytes
from exchange.markings import Catalogue, Label
from exchange.members import Role


class Assurance(Enum):
    """How surely the caller is known: by mutual TLS, or by a token (weaker)."""

    MUTUAL_TLS = "mutual-tls"
    TOKEN = "token"  # noqa: S105  the name of a kind of credential, not one


class Use(Enum):
    """What is asked: may it be read, or may it go on to a member that has it by the originator's consent alone."""

    READ = "read"
    ONWARD = "onward"


@dataclass(frozen=True, slots=True)
class ReaderFacts:
    """The reading client at this moment.

    `level` and `compartments` are its clearance's; `clearance_current` was computed with the request's one `now`.
    `agency` names its member too (`NOR/NIS`): another member may have one that is called the same.
    """

    client: str
    version: int
    member: str
    agency: str
    nationality: str
    roles: frozenset[Role]
    is_active: bool
    level: str
    compartments: frozenset[str]
    clearance_current: bool
    assurance: Assurance
    purpose: str
    at_micros: int
    """The request's one `now`, in microseconds since 1970."""


def cleared_reader(
    member: str, catalogue: Catalogue, *, compartments: frozenset[str], purpose: str, at_micros: int = 0
) -> ReaderFacts:
    """Return a reader of `member` that is nobody and lacks nothing else: what it is refused, all of that member are."""
    return ReaderFacts(
        client="",
        version=0,
        member=member,
        agency=f"{member}/",
        nationality=member,
        roles=frozenset({Role.READER}),
        is_active=True,
        level=catalogue.base.levels[-1].name,
        compartments=compartments,
        clearance_current=True,
        assurance=Assurance.MUTUAL_TLS,
        purpose=purpose,
        at_micros=at_micros,
    )


@dataclass(frozen=True, slots=True)
class Consent:
    """The originator's consent for one member; `labels` sorted by their canonical bytes, `purposes` by name.

    No purposes: every purpose that the scope allows. `until_micros` None: until it is revoked.
    """

    member: str
    labels: tuple[Label, ...]
    purposes: tuple[str, ...] = ()
    until_micros: int | None = None

    @classmethod
    def over(
        cls, labels: Iterable[Label], *, member: str, purposes: Iterable[str] = (), until_micros: int | None = None
    ) -> "Consent":
        """Return the consent over these labels in its one spelling."""
        return cls(member, sorted_labels(labels), tuple(sorted(set(purposes))), until_micros)


def sorted_labels(labels: Iterable[Label]) -> tuple[Label, ...]:
    """Return the different ones of `labels`, by their canonical bytes."""
    distinct = set(labels)
    # Mostly there is one, and its place needs no canonical bytes.
    return tuple(distinct) if len(distinct) == 1 else tuple(sorted(distinct, key=_label_order))


def _label_order(label: Label) -> bytes:
    return canonical_bytes(label.as_json())


@dataclass(frozen=True, slots=True)
class CrisisFacts:
    """A crisis that is open in the scope: whom it adds as readers, and its ceiling (None: the scope's own).

    `reaches_older`: the signed text says that it bears on reports from before it too.
    """

    id: str
    readers: frozenset[str]
    ceiling: str | None
    reaches_older: bool = False


@dataclass(frozen=True, slots=True)
class ScopeFacts:
    """The clause under which a report was posted, at this moment.

    `in_force` and the party states were computed with the request's one `now`.

    `active_parties` are the members whose own standing in the agreement is signed (neither suspended nor withdrawn).
    """

    agreement: str
    agreement_version: int
    scope: str
    in_force: bool
    active_parties: frozenset[str]
    readers: frozenset[str]
    topics: tuple[str, ...]
    regions: frozenset[str]
    kinds: frozenset[str]
    purposes: frozenset[str]
    policy: str
    ceiling: str
    compartments: frozenset[str]
    onward_release: OnwardRelease
    ceilings: frozenset[str] = frozenset()
    """Ceilings of earlier texts, which hold besides `ceiling` for reports from their time."""
    crises: tuple[CrisisFacts, ...] = ()
    """Open at this moment, the oldest first."""
    came_back: frozenset[str] = frozenset()
    """Who left since reports of this time came: what it shared then it shares with nobody by having come back."""


@dataclass(frozen=True, slots=True)
class PostedUnder:
    """What stood when a report was posted, and stays with it: the edition of its agreement, and the open crises."""

    edition: int = 1
    crises: tuple[str, ...] = ()


FIRST_TEXT = PostedUnder()
"""The agreement's first text, and no crisis."""


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """A release class: every policy-relevant attribute of a report, and nothing else.

    Two reports with equal ClassFacts cannot be told apart by any rule or guard. `part_labels` are the
    distinct effective labels of its parts, sorted by their canonical bytes; `regions` is sorted.
    """

    agreement: str
    scope: str
    originator: str
    topic: str
    regions: tuple[str, ...]
    kind: str
    label: Label
    part_labels: tuple[Label, ...]
    consents: tuple[Consent, ...] = ()
    """What the originator has consented to for members, sorted; a report of which it has is of another class."""
    edition: int = 1
    """Of the agreement, when the report was posted."""
    crises: tuple[str, ...] = ()
    """Ids of those that were open in the scope when the report was posted, sorted."""

    @property
    def under(self) -> PostedUnder:
        """Return what stood when the report was posted."""
        return PostedUnder(self.edition, self.crises)


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What differs between reports of one class and changes with time, computed with the request's one `now`."""

    is_recalled: bool
    is_expired: bool
