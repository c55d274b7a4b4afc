"""What the store tells of the log."""

from dataclasses import dataclass
from typing import NamedTuple

from exchange.audit.merkle import TreeHead


@dataclass(frozen=True, slots=True)
class LogState:
    """A log as it stands. `note` is the signed checkpoint of exactly this tree, empty before the first one.

    `log` counts the logs of this database from 1; `keys` are its verifier keys, one per line; `frozen_why` is None
    while it may sign.
    """

    log: int
    origin: str
    keys: str
    size: int
    root: bytes
    signed_at: int
    note: bytes
    frozen_why: str | None

    @property
    def head(self) -> TreeHead:
        """Return size and root of the tree."""
        return TreeHead(self.size, self.root)


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint that is kept for ever; `signed_at` is in microseconds since 1970."""

    log: int
    size: int
    root: bytes
    signed_at: int
    note: bytes


@dataclass(frozen=True, slots=True)
class LeafRow:
    """The place of an entry in its log."""

    log: int
    position: int
    leaf_hash: bytes


class FoundBy(NamedTuple):
    """Some of what an entry is found by: whose it may be, as far as nobody wrote to the search."""

    actor_kind: str
    actor_id: str | None
    thumbprint: str | None
    member: str | None
    owner: str | None
    subject_id: str | None
    level: str | None


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """What the database has of an entry: bytes (None: they left it), leaf hash (None: no place), what finds it."""

    content: bytes | None
    leaf_hash: bytes | None
    is_waiting: bool
    found_by: FoundBy | None


class Placed(NamedTuple):
    """An entry in its place, both hash and bytes as they are stored."""

    position: int
    leaf_hash: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class CosignatureRow:
    """A witness's line under a kept checkpoint; `received_at` is in microseconds since 1970."""

    log: int
    size: int
    witness: str
    line: str
    received_at: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for its place: how many entries (counted up to a limit), and the time of the one that waits longest.

    `oldest_at` is in microseconds since 1970, None where none waits.
    """

    count: int
    oldest_at: int | None
