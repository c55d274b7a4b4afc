"""This process's part of the log: evidence of what it wrote, and the end of every doubt about what it wrote.

A number is settled when its transaction was seen to commit. Where it failed, or nobody knows how it ended, the entry
is voided under its own id: the database takes an id once, so either the void becomes durable or what was doubted is.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import islice

from exchange.audit import EntryDraft, Receipt, SealedEntry, Unsettled, hash_leaf
from exchange.kernel import ConflictError, ExchangeError
from exchange.store.writer.sealing import Sealer

BEATS_IN_DOUBT = 30
"""After so many heartbeats (seconds) an unsettled entry is doubted. No transaction here runs so long; one that did
would find its id taken, and its caller be told that nothing was done."""

_AT_ONCE = 128

Write = Callable[[SealedEntry], Awaitable[None]]
Read = Callable[[str], Awaitable[bytes | None]]
Draft = Callable[[], EntryDraft]

_log = logging.getLogger("exchange.log")


class NodeRecord:
    """Evidence of one process. `write` makes an entry durable, `read` gives the bytes of one by its id."""

    def __init__(self, sealer: Sealer, write: Write, read: Read) -> None:
        self._sealer = sealer
        self._write = write
        self._read = read
        self._voids: dict[int, SealedEntry] = {}

    @property
    def unsigned(self) -> int:
        """How many entries of this process no evidence covers yet."""
        return self._sealer.unsigned

    @property
    def is_opened(self) -> bool:
        """Whether the log says that this process runs."""
        return self._sealer.is_opened

    @property
    def is_closed(self) -> bool:
        """Whether this process has closed its part of the log."""
        return self._sealer.is_closed

    async def append_evidence(self, draft: EntryDraft, *, is_closing: bool = False) -> Receipt:
        """Make `draft` durable as signed evidence of all entries settled so far; nothing is sealed after closing."""
        entry = self._sealer.seal_evidence(draft, is_closing=is_closing)
        try:
            await self._write(entry)
        except ExchangeError:
            self._sealer.doubt(entry)
            raise
        self._sealer.sign_off(entry)
        return entry.receipt

    async def settle_doubts(self, void: Draft, *, beats: int = BEATS_IN_DOUBT) -> None:
        """Void what was lost, as `void` says, and settle what was not; UnavailableError where the log cannot tell."""
        doubts = iter(self._sealer.doubtful(beats=beats))
        # The first one alone: where the log is still away, the others need not ask.
        size = 1
        while some := list(islice(doubts, size)):
            for failure in await asyncio.gather(*(self._settle(each, void) for each in some), return_exceptions=True):
                if failure is not None:
                    raise failure
            size = _AT_ONCE

    async def _settle(self, lost: Unsettled, void: Draft) -> None:
        # INVARIANT: one void per number, however often it is tried: which of two was written could not be told later.
        entry = self._voids.get(lost.number)
        if entry is None:
            entry = self._voids[lost.number] = self._sealer.seal_void(void(), lost)
        try:
            await self._write(entry)
            found = entry.leaf_hash
        except ConflictError:
            content = await self._read(lost.entry)
            found = b"" if content is None else hash_leaf(content)
        if found not in (lost.leaf_hash, entry.leaf_hash):
            # Neither is ours: nothing of it may be signed for, and the evidence stands still here.
            _log.error("another entry stands where this process wrote one", extra={"entry": lost.entry})
            return
        self._sealer.settle_as(lost, found)
        del self._voids[lost.number]
