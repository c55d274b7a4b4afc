"""Gives each audit entry its id and its number on this node."""

import threading
from collections.abc import Callable

from exchange.audit import EntryDraft, Guard, SealedEntry, seal_entry
from exchange.kernel import Clock, new_id

_ID_RANDOMNESS_BYTES = 10


class Sealer:
    """Seals drafts for one process start. Numbers begin at 1 and leave no gap except where a transaction rolls back."""

    def __init__(self, node: str, clock: Clock, randomness: Callable[[int], bytes]) -> None:
        self._node = node
        self._clock = clock
        self._randomness = randomness
        self.boot = self._new_id()
        self._last = 0
        self._lock = threading.Lock()  # the event loop and SQLite's writer thread both seal

    def seal(self, draft: EntryDraft, guard: Guard | None) -> SealedEntry:
        """Return the entry of `draft`, what is personal kept by `guard`; one that cannot be sealed takes no number."""
        with self._lock:
            number = self._last + 1
            entry = seal_entry(
                draft, entry_id=self._new_id(), node=self._node, boot=self.boot, node_seq=number, guard=guard
            )
            self._last = number
            return entry

    def _new_id(self) -> str:
        return new_id(self._clock(), self._randomness(_ID_RANDOMNESS_BYTES))
