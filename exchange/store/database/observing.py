"""Who watches a store work, and how much it has in its hands: for the operator's figures, never for a decision."""

from dataclasses import dataclass
from typing import Protocol

from exchange.audit import EntryDraft

LANES = ("entries", "posts")
"""In which writes share commits. SQLite has one writer: there everything is in the first."""
ENTRIES_LANE, POSTS_LANE = range(len(LANES))


class StoreObserver(Protocol):
    """Is told of what the store does, in the midst of it: it must take no time and raise nothing."""

    def recorded(self, draft: EntryDraft) -> None:
        """Note an entry that was sealed; called for one at a time, in any thread."""

    def committed(self, lane: int, jobs: int, seconds: float, *, failed: bool) -> None:
        """Note one transaction of a lane; called in the event loop."""


class Unobserved:
    """Watches nothing."""

    def recorded(self, draft: EntryDraft) -> None:
        """Do nothing."""

    def committed(self, lane: int, jobs: int, seconds: float, *, failed: bool) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class StoreLoad:
    """What a store has in its hands: its reading connections, reads that wait for one, and writes by lane."""

    busy: int
    idle: int
    limit: int
    reads_waiting: int
    queued: tuple[int, ...]
    queue_limit: int
