"""Where a log is read from: a folder of tiles, an address, a database; the verifier believes none of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.audit.certificates_told import CertificateKept
from exchange.audit.columns import EntryColumns
from exchange.audit.rows_told import RowKept, RowName
from exchange.audit.rows_untold import RowCurrent
from exchange.audit.tile_paths import BundlePath, TilePath


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint as signed, and when its keeper says that it was signed (microseconds since 1970)."""

    note: bytes
    signed_at_micros: int | None = None


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """What a database holds beside an entry's bytes, all of it computed from them once."""

    columns: EntryColumns
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry that is recorded and not yet in the tree."""

    id: str
    at_micros: int


@dataclass(frozen=True, slots=True)
class PersonalKeyState:
    """What a key of personal data is for, and whether it was destroyed."""

    subject: str
    period: str
    is_destroyed: bool


class Source(Protocol):
    """A log as somebody hands it over. A path's width is how much of a tile or bundle the log's size has.

    Each method raises MalformedError for what cannot be read at all; None means that it is not there.
    """

    @property
    def has_entries(self) -> bool:
        """Return whether the entries themselves are there, and not their hashes only."""

    def newest(self) -> KeptCheckpoint:
        """Return the newest checkpoint."""

    def older(self) -> Iterable[KeptCheckpoint]:
        """Return the older checkpoints that were kept."""

    def tile(self, path: TilePath) -> bytes | None:
        """Return the hashes of a tile, 32 bytes each, as many as the path's width."""

    def entries(self, path: BundlePath) -> Sequence[bytes | None] | None:
        """Return the entries of a bundle, None for one that is missing; None where there are no bundles."""

    def stored(self, path: BundlePath) -> Sequence[StoredEntry | None] | None:
        """Return the columns beside the same entries; None where the source has no columns."""

    def pending(self) -> Iterable[PendingEntry]:
        """Return what is recorded and not yet in the tree."""

    def personal_keys(self) -> Mapping[str, PersonalKeyState] | None:
        """Return the keys of personal data by their ids; None where the source does not know of them."""

    def kept_rows(self, names: Collection[RowName]) -> Mapping[RowName, RowKept] | None:
        """Return what is kept under these names now, those of no row left out; None where the source has no rows."""

    def kept_certificates(self) -> Sequence[CertificateKept] | None:
        """Return the certificates in use now; None where the source has no rows, or not all entries of its database."""

    def current_rows(self) -> Sequence[RowCurrent] | None:
        """Return what every version is told of, as it is now; None as for certificates."""
