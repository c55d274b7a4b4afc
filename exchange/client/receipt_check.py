"""Kept receipts held against the log: every one must be proven, under checkpoints that tell one history.

Steps: (1) the log proves each receipt's leaf under a checkpoint that all its keys signed, and no entry was given for
two answers, for it tells of one alone (of a refused flood one tells of all); (2) of two checkpoints the smaller tree is
the beginning of the larger one, those included that were kept before or that others hold; (3) the log is no smaller
than what was kept. What fails is what the log has lost, changed, or tells somebody else differently.

Kept proofs are not the log: one that is missing among them, or is older than a checkpoint, says nothing of it.

After a recovery there are two logs with keys of their own, and a receipt is proven in its own. Each says under its name
how its checkpoints follow from each other; an exchange of a version before that says it of the log in use alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from exchange.audit import (
    NoteError,
    ProofError,
    TreeHead,
    VerifierKey,
    parse_checkpoint,
    parse_note,
    verify_consistency,
)
from exchange.audit.tlog_proof import TLOG_PROOF_SUFFIX, parse_tlog_proof
from exchange.audit.verify import KeptCheckpoint, KnownCheckpoint, prove_receipt
from exchange.audit.verify.checkpoints import open_checkpoint
from exchange.client.errors import ProblemError
from exchange.client.log_reads import is_unnamed
from exchange.client.receipts import KeptReceipt
from exchange.kernel import MICROSECOND, ExchangeError, MalformedError, parse_rfc3339, to_micros

_LARGEST_PROOF_BYTES = 1024 * 1024

_NOT_KEPT = "no proof of it is kept here: whether the log holds it, the log itself must show"

# An entry has its place within a second: what others got theirs before, a minute later, was passed over.
_LONGEST_WAIT = timedelta(seconds=60)

# A host may be down for a repair, and nothing is signed then; a log that rests for longer is no log.
_LONGEST_REST = timedelta(seconds=3600)


class ProofDesk(Protocol):
    """Where proofs are to be had."""

    def proof(self, entry_id: str) -> bytes:
        """Return the `.tlog-proof` of an entry; ProblemError (404, 409) where there is none (yet)."""

    def consistency(self, old_size: int, new_size: int, origin: str | None = None) -> tuple[bytes, ...] | None:
        """Return a consistency proof of the log of this name, or of the one in use; None where none can be had here."""


class ProofFolder:
    """Proofs that were kept as files: for a check without the exchange."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def proof(self, entry_id: str) -> bytes:
        """Return a kept proof."""
        try:
            with proof_file(self._folder, entry_id).open("rb") as file:
                return file.read(_LARGEST_PROOF_BYTES)
        except OSError as exc:
            status, detail = HTTPStatus.NOT_FOUND, "no proof of it is kept here"
            raise ProblemError(status=status, code="not-found", detail=detail) from exc

    def consistency(self, old_size: int, new_size: int, origin: str | None = None) -> tuple[bytes, ...] | None:  # noqa: ARG002
        """Return None: consistency is asked of the log itself."""
        return None


def proof_file(folder: Path, entry_id: str) -> Path:
    """Return the file of an entry's proof."""
    return folder / f"{entry_id}{TLOG_PROOF_SUFFIX}"


@dataclass(frozen=True, slots=True)
class ReceiptFinding:
    """What the log owes: a receipt it does not prove, or (None) a checkpoint that does not fit."""

    receipt: KeptReceipt | None
    why: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """A checkpoint that the log of this origin signed, when, and from where it came."""

    origin: str
    head: TreeHead
    note: bytes
    whence: str
    at_micros: int | None


class ReceiptCheck:
    """One check. `findings` grow with each step; `newest` is the newest checkpoint seen, None where none was.

    `waiting` counts receipts whose entries have no place in the tree yet, `unlinked` pairs of checkpoints between which
    no proof was to be had.
    """

    def __init__(self, desk: ProofDesk, keys: Sequence[VerifierKey], now: datetime) -> None:
        self._desk = desk
        self._keys = tuple(keys)
        self._now = now
        self._seen: dict[bytes, _Seen] = {}
        self._unplaced: list[KeptReceipt] = []
        self._given: dict[str, KeptReceipt] = {}
        self.findings: list[ReceiptFinding] = []
        self.proven = self.waiting = self.unlinked = 0

    @property
    def newest(self) -> bytes | None:
        """Return the newest checkpoint seen, of the log in use where one was."""
        if not self._seen:
            return None
        return max(self._seen.values(), key=lambda each: (each.origin == self._keys[-1].name, each.head.size)).note

    def prove(self, receipt: KeptReceipt) -> bytes | None:
        """Ask for the proof of one receipt, and return it where it holds.

        Raises ConnectionFailedError, and ProblemError for a refusal that says nothing of the log.
        """
        # (1) It was given for this answer alone, and what is shown proves it.
        first = self._given.setdefault(receipt.entry, receipt)
        if first != receipt and (first.is_of_success or receipt.is_of_success):
            self._owe(receipt, f"its entry was given for {first.request} at {first.at} too, and tells of one alone")
            return None
        content = self._asked(receipt)
        if content is None:
            return None
        try:
            proof = prove_receipt(receipt.leaf_hash, content, self._keys_of(parse_tlog_proof(content).note.text))
        except ExchangeError as exc:
            self._owe(receipt, f"what the log shows for it does not prove it: {exc.message}")
            return None
        self.proven += 1
        note = proof.note.render()
        if note not in self._seen:
            self._seen[note] = self._signed(note, "the log")
        return content

    def compare(self, known: Iterable[KnownCheckpoint]) -> None:
        """Compare the checkpoints seen with each other and with those that others, or an earlier check, kept."""
        shown = list(self._seen.values())
        self._judge_waiting(shown)
        for each in known:
            try:
                self._seen[each.note] = self._signed(each.note, each.whence)
            except ExchangeError as exc:
                self._owe(None, f"the checkpoint from {each.whence} cannot be used: {exc.message}")
        for origin in dict.fromkeys(each.origin for each in self._seen.values()):
            self._compare(origin, max((each.head.size for each in shown if each.origin == origin), default=0))

    def _compare(self, origin: str, shown: int) -> None:
        in_order = sorted(
            (each for each in self._seen.values() if each.origin == origin), key=lambda each: each.head.size
        )
        # (3) The log is no smaller than it was.
        if in_order[-1].head.size > shown and self._is_cut(in_order[-1], shown):
            last = in_order[-1]
            self._owe(None, f"{last.whence} holds a checkpoint of {last.head.size} entries, the log shows fewer: cut")
            in_order = [each for each in in_order if each.head.size <= shown]
        # (2) Each is the beginning of the next.
        for old, new in pairwise(in_order):
            self._link(old, new)

    def _signed(self, note: bytes, whence: str) -> _Seen:
        opened = open_checkpoint(KeptCheckpoint(note), self._keys_of(parse_note(note).text))
        if opened.fault is not None:
            raise NoteError(opened.fault)
        return _Seen(opened.checkpoint.origin, opened.checkpoint.head, note, whence, opened.at_micros)

    def _keys_of(self, text: str) -> tuple[VerifierKey, ...]:
        """Return the keys of the log that this checkpoint is of, or all of them: then none fits, and that is said."""
        origin = parse_checkpoint(text).origin
        return tuple(key for key in self._keys if key.name == origin) or self._keys

    def _asked(self, receipt: KeptReceipt) -> bytes | None:
        try:
            return self._desk.proof(receipt.entry)
        except ProblemError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                self._owe(receipt, _NOT_KEPT if self._is_offline else "the log no longer holds it: the log was cut")
            elif exc.status != HTTPStatus.CONFLICT:
                raise
            else:
                self._unplaced.append(receipt)
            return None

    @property
    def _is_offline(self) -> bool:
        return isinstance(self._desk, ProofFolder)

    def _judge_waiting(self, shown: Sequence[_Seen]) -> None:
        """Say which wait too long: others got their places since, or nobody did for longer than a repair takes."""
        latest = max((each.at_micros for each in shown if each.at_micros is not None), default=None)
        for receipt in self._unplaced:
            at = parse_rfc3339(receipt.at)
            # What was signed with a time that has not come overtakes nothing of now.
            signed = None if latest is None else min(latest, to_micros(self._now))
            is_overtaken = signed is not None and signed - to_micros(at) > _LONGEST_WAIT // MICROSECOND
            if is_overtaken or self._now - at > _LONGEST_REST + _LONGEST_WAIT:
                self._owe(receipt, "it was recorded and never got its place in the tree")
            else:
                self.waiting += 1
        self._unplaced = []

    def _is_cut(self, kept: _Seen, shown: int) -> bool:
        if self._is_offline:
            return False  # what was kept is as old as it is: how large the log is, the log says
        if shown > 0:
            return True
        # Nothing was proven that would show how large the log is: a log that has this size can say so.
        try:
            self._consistency(kept, kept)
        except ProblemError:
            return True
        return False

    def _link(self, old: _Seen, new: _Seen) -> None:
        places = f"{old.whence} ({old.head.size} entries) and {new.whence} ({new.head.size} entries)"
        try:
            proof = () if old.head.size == new.head.size else self._consistency(old, new)
            if proof is None:
                self.unlinked += 1
                return
            verify_consistency(proof, old=old.head, new=new.head)
        except ProblemError as exc:
            self._owe(None, f"the log gives no proof that joins the checkpoints from {places}: {exc.detail}")
        except (ProofError, MalformedError) as exc:
            self._owe(None, f"two histories: the checkpoints from {places} do not fit: {exc.message}")

    def _consistency(self, old: _Seen, new: _Seen) -> tuple[bytes, ...] | None:
        """Ask by the name of the log: the one in use at the exchange may be another than the newest one known here."""
        sizes = old.head.size, new.head.size
        try:
            return self._desk.consistency(*sizes, new.origin)
        except ProblemError as exc:
            if not is_unnamed(exc):
                raise
        return self._desk.consistency(*sizes) if new.origin == self._keys[-1].name else None

    def _owe(self, receipt: KeptReceipt | None, why: str) -> None:
        self.findings.append(ReceiptFinding(receipt, why))
