"""What the store keeps of a report's life: plain frozen values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from exchange.audit import EntryDraft
from exchange.kernel import StalePolicyError
from exchange.reports import ReportStatus
from exchange.store.rows.main_rows import stored_status


class EndCause(Enum):
    """Why a report's keys were destroyed."""

    RECALLED = "recalled"
    RETENTION = "retention"


class NoticeKind(Enum):
    """What a reader of a report is told of it."""

    RECALLED = "recalled"
    AMENDED = "amended"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    DECLASSIFIED = "declassified"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class HeldReport:
    """A report, held to the end of the unit: what an act on it rests on."""

    id: str
    version: int
    class_id: int
    status_name: str

    @property
    def stored_status(self) -> ReportStatus:
        """Return the stored status, OpeningError where it is none."""
        return stored_status(self.status_name)


@dataclass(frozen=True, slots=True)
class FormerVersion:
    """A version that another one replaced."""

    version: int
    digest: str
    replaced_at: datetime
    entry: str


@dataclass(frozen=True, slots=True)
class TombstoneRow:
    """The signed word that a report's keys were destroyed."""

    report: str
    cause: EndCause
    at: datetime
    note: bytes
    entry: str


@dataclass(frozen=True, slots=True)
class GivenTo:
    """A client that was given a report: when first, by which entry."""

    client: str
    member: str
    agency: str
    at: datetime
    entry: str


@dataclass(frozen=True, slots=True)
class DestructionRow:
    """Destruction asked of one client; `note` is its certificate, None until it was returned."""

    report: str
    given: GivenTo
    asked_at: datetime
    due_at: datetime
    returned_at: datetime | None = None
    returned_by: str | None = None
    note: bytes | None = None
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class UnreadDestruction:
    """Destruction asked of a client of `member`, as its row claims, which cannot be read: it was asked all the same."""

    report: str
    client: str
    member: str


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """One thing that a client is to be told; `number` grows in the order of time, None before it is kept."""

    client: str
    member: str
    kind: NoticeKind
    report: str
    version: int
    at: datetime
    entry: str
    number: int | None = None

    @classmethod
    def of(  # noqa: PLR0913  who is told what of which report
        cls, reader: GivenTo, kind: NoticeKind, report: str, *, version: int, at: datetime, entry: str
    ) -> "NoticeRow":
        """Return what whoever was given a report is to be told of it."""
        return cls(reader.client, reader.member, kind, report, version, at, entry)


@dataclass(frozen=True, slots=True)
class Superseding:
    """What goes with a post that has a report stand as superseded: the entry about that one, and whoever was given it.

    A place that is taken once more changes nothing that is told: there is none for that. Unless it `is_owed`: its row
    alone says that it stood so, and nobody was ever told.
    """

    report: str
    version: int
    draft: EntryDraft
    readers: Sequence[GivenTo]
    is_owed: bool = False

    def require_due(self, *, was_current: bool) -> None:
        """Raise StalePolicyError where the report stood as current when it was looked at, and does so no more."""
        # INVARIANT: nobody keeps it from the readers by a row that says so since: the log is asked whether they know.
        if not was_current and not self.is_owed:
            raise StalePolicyError("the report to be superseded has changed since the decision: decide again")

    def notices(self, entry: str) -> list[NoticeRow]:
        """Return what its readers are told, by the entry about it; what took its place is found when they look."""
        kind, version, at = NoticeKind.SUPERSEDED, self.version, self.draft.at
        return [NoticeRow.of(each, kind, self.report, version=version, at=at, entry=entry) for each in self.readers]
