"""What the store keeps of a report that is not whole yet: plain frozen values."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from exchange.kernel import from_micros
from exchange.store.rows.main_rows import NewPart, Sealed
from exchange.store.rows.shapes import id_in, member_in


class UploadEnd(Enum):
    """How an upload ended."""

    COMPLETED = "completed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class NewUpload:
    """An upload to keep; `declaration` is all that was declared, sealed. `due_at`: when it is given up."""

    id: str
    client: str
    originator: str
    agreement: str
    begun_at: datetime
    due_at: datetime
    declaration: Sealed


@dataclass(frozen=True, slots=True)
class ReceivedPart:
    """A part that has come, as the report will keep it, and the digest of its content, sealed."""

    part: NewPart
    digest: Sealed


class UploadRow(NamedTuple):
    """An upload, in column order; its declaration is in `sealed_header`, nothing is there once it has ended."""

    id: str
    client: str
    originator: str
    agreement: str
    begun_at_micros: int
    due_at_micros: int
    revision: int
    ended_name: str | None
    key_id: str
    key_version: int
    header_suite: str
    sealed_header: bytes

    def require_readable(self) -> None:
        """Raise one of `UNREADABLE` where something is altered in it that is told as it stands."""
        member_in(self.originator)
        id_in(self.agreement)
        _ = self.begun_at

    @property
    def begun_at(self) -> datetime:
        """Return when it was begun."""
        return from_micros(self.begun_at_micros)

    @property
    def due_at(self) -> datetime:
        """Return when it is given up, or was."""
        return from_micros(self.due_at_micros)

    @property
    def ended(self) -> UploadEnd | None:
        """Return how it ended, None while it is open."""
        return None if self.ended_name is None else UploadEnd(self.ended_name)


class OpenUploadRow(NamedTuple):
    """An upload that is open, how many of its parts have come, and how many bytes they have together."""

    upload: UploadRow
    parts_received: int
    received_bytes: int


class UploadPartRow(NamedTuple):
    """A received part, in column order without its ciphertext: nobody opens it before the report is whole.

    The fields at the end are what a sealed header has: that is how its digest is sealed.
    """

    number: int
    size_bytes: int
    part_key_id: str
    part_key_version: int
    wrap_suite: str
    wrapped_key: bytes
    suite: str
    location: str | None
    key_id: str
    key_version: int
    header_suite: str
    sealed_header: bytes
