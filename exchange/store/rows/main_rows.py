"""What goes into the store and what comes out: plain frozen values, never table rows."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

import orjson

from exchange.audit import Receipt, SealedEntry
from exchange.crypto import OpeningError
from exchange.kernel import from_micros
from exchange.members import Client
from exchange.release import ClassFacts, class_from_json
from exchange.reports import Precedence, ReportStatus


class Parts(Enum):
    """Which parts of a report to load; one part is asked for by its number.

    `FIRST` are the few that a report mostly has, if they are small: what a caller may turn out to be refused must not
    weigh more than what is absent.
    """

    NONE = "none"
    FIRST = "first"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What is in force now. Equal states mean that no cached decision or class has become stale between them."""

    policy_version: int
    class_version: int
    policy_digest: str


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A release class; immutable. `version` is the class version at which it came into being."""

    id: int
    version: int
    digest: str
    facts: ClassFacts


class StoredClass(NamedTuple):
    """A release class as its row has it, unread: what was altered is no `ClassRow`."""

    id: int
    digest: str
    facts_json: str

    def read_facts(self) -> ClassFacts:
        """Return the facts in the row; MalformedError or ValueError where they cannot be read."""
        return class_from_json(orjson.loads(self.facts_json))


class ReportRow(NamedTuple):
    """A report without its parts, in column order; what its class or its sealed header says is not repeated.

    A tuple and not a dataclass: a page makes hundreds of them, and a tuple costs a tenth. `sealed_header` is the
    encrypted header, `valid_until_micros` in microseconds since 1970.
    """

    seq: int
    id: str
    class_id: int
    version: int
    valid_until_micros: int | None
    status_name: str
    key_id: str
    key_version: int
    header_suite: str
    sealed_header: bytes

    @property
    def valid_until(self) -> datetime | None:
        """Return when it expires, or None; OpeningError where the row was altered to what is no moment."""
        if self.valid_until_micros is None:
            return None
        try:
            return from_micros(self.valid_until_micros)
        except (OverflowError, TypeError) as exc:
            raise OpeningError("the end of validity on the row is no moment") from exc

    @property
    def status(self) -> ReportStatus:
        """Return the stored status, OpeningError where it is none; `valid_until` says whether it has expired."""
        return stored_status(self.status_name)


LIVING: Final = (ReportStatus.CURRENT.value, ReportStatus.SUPERSEDED.value)
"""As rows have them, the statuses of reports whose keys are not destroyed."""


def stored_status(name: str) -> ReportStatus:
    """Return the status of that name; OpeningError where the row was altered to what is none."""
    try:
        return ReportStatus(name)
    except ValueError as exc:
        raise OpeningError("the status on the row is none") from exc


class PartRow(NamedTuple):
    """One part. `label_index` points into the `part_labels` of the report's class; `size_bytes` is of the plaintext.

    `ciphertext` is empty where `location` names the blob that holds it.
    """

    number: int
    label_index: int
    size_bytes: int
    key_id: str
    key_version: int
    wrap_suite: str
    wrapped_key: bytes
    suite: str
    ciphertext: bytes
    location: str | None = None


@dataclass(frozen=True, slots=True)
class CallerRow:
    """Who a certificate belongs to (None = nobody enrolled), and what is in force."""

    state: PolicyState
    client: Client | None


@dataclass(frozen=True, slots=True)
class PullRow:
    """Caller, policy state and one report, read as of one moment."""

    state: PolicyState
    client: Client | None
    report: ReportRow | None
    parts: tuple[PartRow, ...]


@dataclass(frozen=True, slots=True)
class PageRow:
    """Caller, policy state and one page, read as of one moment; `position` is what to pass as `after` next time."""

    state: PolicyState
    client: Client | None
    rows: tuple[ReportRow, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """What custody sealed, a header or a data key, and with which key."""

    key_id: str
    key_version: int
    suite: str
    blob: bytes


@dataclass(frozen=True, slots=True)
class NewPart:
    """A part to keep; `label_index` points into `facts.part_labels` of its report.

    `ciphertext` is empty where `location` names the blob that holds it.
    """

    number: int
    label_index: int
    size_bytes: int
    key: Sealed
    suite: str
    ciphertext: bytes
    location: str | None = None


@dataclass(frozen=True, slots=True)
class NewReport:
    """A report to keep; `digest` is the `class_digest` of its facts.

    `supersedes` is marked superseded in the same transaction, where nothing else has taken its place; the caller has
    checked whose it is, and held the new one against its version `superseded_version`.
    """

    id: str
    version: int
    facts: ClassFacts
    digest: str
    precedence: Precedence
    posted_at: datetime
    valid_until: datetime | None
    supersedes: str | None
    header: Sealed
    parts: tuple[NewPart, ...]
    declassify_on: datetime | None = None
    superseded_version: int | None = None


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The key a client sent with a post, and the digest of what it posted."""

    client_id: str
    key: str
    request_digest: str


@dataclass(frozen=True, slots=True)
class PostedRow:
    """A report that is now durable, and its audit entries: that of the post is the first."""

    report_id: str
    seq: int
    class_id: int
    entries: tuple[SealedEntry, ...]

    @property
    def receipt(self) -> Receipt:
        """Return the receipt of the post's entry."""
        return self.entries[0].receipt


@dataclass(frozen=True, slots=True)
class IdempotentReplay:
    """The same request was posted before as `report_id`, then; nothing was written now, no entry either."""

    report_id: str
    posted_at_micros: int

    @property
    def posted_at(self) -> datetime:
        """Return when it was posted; OpeningError where the row was altered to what is no moment."""
        try:
            return from_micros(self.posted_at_micros)
        except (OverflowError, TypeError) as exc:
            raise OpeningError("when a post with an idempotency key was made is no moment") from exc
