"""The checkpoints of a log: who signed them, when, and that none of them tells another history."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from exchange.audit.checkpoint import Checkpoint, parse_checkpoint
from exchange.audit.note import SignedNote, parse_note
from exchange.audit.note_keys import NoteError, VerifierKey, verify_note
from exchange.audit.verify.findings import Finding, Findings, Step
from exchange.audit.verify.source import KeptCheckpoint
from exchange.kernel import LAST_MOMENT, MalformedError, to_micros

_MICROS = 1_000_000
_LAST_MICROS = to_micros(LAST_MOMENT)


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A checkpoint that was read. `fault` says why its signatures are not believed, None where they are.

    `at_micros` is when it was signed: as the log's own timestamped signature states it, else as its keeper does.
    """

    note: SignedNote
    checkpoint: Checkpoint
    at_micros: int | None
    fault: str | None

    @property
    def place(self) -> str:
        """Return what it is called where something is found about it."""
        return f"checkpoint of {self.checkpoint.size} entries"


@dataclass(frozen=True, slots=True)
class Mark:
    """A checkpoint in brief: enough to compare it with the tree. `whence` says who kept it."""

    size: int
    root: bytes
    at_micros: int | None
    whence: str
    fault: str | None


def open_checkpoint(kept: KeptCheckpoint, keys: Sequence[VerifierKey]) -> OpenedCheckpoint:
    """Return a checkpoint and whether every one of `keys` has signed it. Raises MalformedError for what is none."""
    note = parse_note(kept.note)
    checkpoint = parse_checkpoint(note.text)
    fault, at_seconds = _signed(note, checkpoint, keys)
    at_micros = _time_beside(kept) if at_seconds is None else at_seconds * _MICROS
    return OpenedCheckpoint(note, checkpoint, at_micros, fault)


def open_newest(
    read: Callable[[], KeptCheckpoint], keys: Sequence[VerifierKey], findings: Findings, *, place: str
) -> OpenedCheckpoint | None:
    """Return the checkpoint that everything is held against; None where there is none to read, at `place`.

    That is a finding, and so is one that not every one of `keys` has signed.
    """
    try:
        newest = open_checkpoint(read(), keys)
    except MalformedError as exc:
        findings.add(Finding(Step.SIGNATURE, place, exc.message))
        return None
    if newest.fault is not None:
        findings.add(Finding(Step.SIGNATURE, newest.place, newest.fault))
    return newest


def _time_beside(kept: KeptCheckpoint) -> int | None:
    """Return when its keeper says that it was signed; the nearest moment for what is beyond them, the first for none.

    Whoever writes it there finds no entry that it fits.
    """
    at: object = kept.signed_at_micros
    if at is None:
        return None
    return min(max(at, 0), _LAST_MICROS) if type(at) is int else 0


def _signed(note: SignedNote, checkpoint: Checkpoint, keys: Sequence[VerifierKey]) -> tuple[str | None, int | None]:
    # (1) It is of the log whose keys these are, not of another one of the same operator.
    if checkpoint.origin not in {key.name for key in keys}:
        return f"it is of the log `{checkpoint.origin[:80]}`, not of the one whose keys were given", None
    # (2) No known key's signature is wrong; (3) none is missing.
    try:
        attested = verify_note(note, keys)
    except NoteError as exc:
        return exc.message, None
    missing = set(keys) - {each.key for each in attested}
    if missing:
        key = min(missing, key=str)
        return f"`{key.name}` (key id {key.key_id.hex()}) has not signed it", None
    times = [each.at_seconds for each in attested if each.at_seconds is not None]
    return None, max(times, default=None)


def mark_older(
    older: Iterable[tuple[KeptCheckpoint, str]],
    keys: Sequence[VerifierKey],
    findings: Findings,
    watch: Callable[[OpenedCheckpoint], None],
) -> list[Mark]:
    """Return every checkpoint that can be read, by size; one whose signature is wrong is a finding.

    `watch` is shown each of them, for what else its note says.
    """
    marks = []
    for number, (kept, whence) in enumerate(older, 1):
        try:
            opened = open_checkpoint(kept, keys)
        except MalformedError as exc:
            findings.add(Finding(Step.HISTORY, f"checkpoint number {number} from {whence}", exc.message))
            continue
        watch(opened)
        size, root = opened.checkpoint.size, opened.checkpoint.root
        marks.append(Mark(size, root, opened.at_micros, whence, opened.fault))
        if opened.fault is not None:
            findings.add(Finding(Step.HISTORY, f"{opened.place} from {whence}", opened.fault))
    return sorted(marks, key=lambda mark: mark.size)


def compare_marks(marks: Iterable[Mark], size: int, roots: Mapping[int, bytes], findings: Findings) -> None:
    """Compare every older checkpoint with the recomputed tree of `size` entries."""
    agreed = 0
    for mark in marks:
        place = f"checkpoint of {mark.size} entries from {mark.whence}"
        signed = "was signed" if mark.fault is None else "is kept, though not signed"
        if mark.size > size:
            why = f"it {signed}, and the log now ends at {size} entries: its tail was cut"
            findings.add(Finding(Step.HISTORY, place, why, size))
        elif mark.size in roots and roots[mark.size] != mark.root:
            why = f"it {signed}, and entries {agreed} to {mark.size - 1} now have another root: history was rewritten"
            findings.add(Finding(Step.HISTORY, place, why, agreed))
        else:
            agreed = mark.size


def check_times(marks: Sequence[Mark], tolerance_seconds: int, findings: Findings) -> None:
    """Check that the time of checkpoints never goes back, by more than two clocks may differ."""
    latest: tuple[int, int] | None = None
    for mark in marks:
        if mark.at_micros is None:
            continue
        if latest is None or mark.at_micros > latest[0]:
            latest = mark.at_micros, mark.size
        signed_at, size = latest
        back = signed_at - mark.at_micros
        if back > tolerance_seconds * _MICROS:
            why = f"it was signed {back // _MICROS} s before that of {size} entries: a clock was set back"
            findings.add(Finding(Step.TIME, f"checkpoint of {mark.size} entries", why, size))
