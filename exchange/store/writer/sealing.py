"""Gives each audit entry its id and its number on this node, and signs what this process knows of its entries."""

import threading
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from exchange.audit import (
    BootRecord,
    Deed,
    EntryDraft,
    Evidence,
    Guard,
    NoteSigner,
    SealedEntry,
    SignatureType,
    Unsettled,
    fit_text,
    open_boot,
    seal_entry,
    sign_deed,
    sign_evidence,
)
from exchange.crypto import SEED_BYTES, SigningKey
from exchange.kernel import Clock, UnavailableError, new_id
from exchange.store.database.observing import StoreObserver, Unobserved

MOST_UNSETTLED = 65_536
"""Each costs about 300 bytes. So many entries that may be lost mean a log that cannot be written: nothing is served."""


class Sealer:
    """Seals drafts for one boot. Numbers begin at 1 and leave no gap: one whose entry is lost is voided.

    `identity` is the node's own key; it certifies the key of this boot, which nobody else ever holds.
    """

    def __init__(
        self,
        node: str,
        clock: Clock,
        randomness: Callable[[int], bytes],
        *,
        identity: SigningKey,
        observer: StoreObserver | None = None,
    ) -> None:
        self.observer = observer or Unobserved()
        self._node = fit_text(node)
        self._clock = clock
        self._randomness = randomness
        self._identity = identity
        self.boot = self._new_id()
        self._key, self._opening = open_boot(identity, randomness(SEED_BYTES), node=self._node, boot=self.boot)
        self._record = BootRecord(self.boot)
        self._is_opened = self._is_closed = False
        self._stated = self._signed = 0
        self._lock = threading.Lock()  # the event loop and SQLite's writer thread both seal

    def seal(self, draft: EntryDraft, guard: Guard | None) -> SealedEntry:
        """Return the entry of `draft`, what is personal kept by `guard`; one that cannot be sealed takes no number.

        Raises UnavailableError where too many numbers are unsettled, and once the boot is closed.
        """
        with self._lock:
            self._require_open()
            entry = self._sealed(draft, self._record.last + 1, self._new_id(), guard)
            self._record.give(entry.id, entry.leaf_hash)
            self.observer.recorded(draft)
            return entry

    def seal_evidence(self, draft: EntryDraft, *, is_closing: bool) -> SealedEntry:
        """Return `draft` as signed evidence of all entries settled so far; after closing evidence nothing is sealed."""
        with self._lock:
            self._require_open()
            opening = None if self._is_opened else self._opening
            evidence = Evidence(self._record.upto, self._record.digest(), is_closing, opening)
            stated = replace(draft, detail=evidence.as_detail())
            entry = sign_evidence(self._sealed(stated, self._record.last + 1, self._new_id()), self._key.sign)
            self._record.give(entry.id, entry.leaf_hash)
            self._stated = evidence.upto
            self._is_closed = is_closing
            return entry

    def seal_void(self, draft: EntryDraft, lost: Unsettled) -> SealedEntry:
        """Return the entry that takes the number and the id of one that may be lost."""
        return self._sealed(draft, lost.number, lost.entry)

    def attest(self, deed: Deed) -> bytes:
        """Return `deed` signed by the node's own key: the one whose name stands in its entries."""
        name = quote(self._node, safe="")
        return sign_deed(deed, NoteSigner(name, SignatureType.ED25519, self._identity), int(self._clock().timestamp()))

    def settle(self, entry: SealedEntry) -> None:
        """Take `entry` for durable."""
        with self._lock:
            self._record.settle(entry.node_seq, entry.leaf_hash)

    def settle_as(self, lost: Unsettled, leaf_hash: bytes) -> None:
        """Take the entry with this leaf hash for durable under a number that was doubted."""
        with self._lock:
            self._record.settle(lost.number, leaf_hash)

    def doubt(self, entry: SealedEntry) -> None:
        """Note that the transaction of `entry` has failed, or ended nobody knows how."""
        with self._lock:
            self._record.doubt(entry.node_seq)

    def doubtful(self, *, beats: int) -> list[Unsettled]:
        """Return the numbers that are doubted, or unsettled for more than so many calls."""
        with self._lock:
            return self._record.doubtful(beats=beats)

    def sign_off(self, evidence: SealedEntry) -> None:
        """Take the evidence sealed last for durable: the next one need not carry the boot's key."""
        self._is_opened = True
        # Evidence signs for itself.
        self._signed = max(self._stated, evidence.node_seq if self._stated == evidence.node_seq - 1 else 0)
        self.settle(evidence)

    @property
    def unsigned(self) -> int:
        """How many entries no durable evidence covers."""
        return self._record.last - self._signed

    @property
    def is_opened(self) -> bool:
        """Whether evidence is durable that says the process runs."""
        return self._is_opened

    @property
    def is_closed(self) -> bool:
        """Whether closing evidence was sealed."""
        return self._is_closed

    def _require_open(self) -> None:
        if self._is_closed:
            raise UnavailableError("this process has closed its part of the log")
        if self._record.unsettled >= MOST_UNSETTLED:
            raise UnavailableError("too many entries could not be written")

    def _sealed(self, draft: EntryDraft, number: int, entry_id: str, guard: Guard | None = None) -> SealedEntry:
        place = {"entry_id": entry_id, "node": self._node, "boot": self.boot}
        return seal_entry(draft, **place, node_seq=number, guard=guard)

    def _new_id(self) -> str:
        return new_id(self._clock(), self._randomness)
