"""What a witness decides, and the words in which it is asked (C2SP tlog-witness).

Promises: one decision over what is held and what is shown, in the steps of the specification; nothing is cosigned that
was not signed by the log and proven to have grown from what was cosigned last.
Does not: keep, sign, listen or shout: who runs a witness does (`exchange.client.witness`).
"""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Final

from exchange.audit.checkpoint import Checkpoint, parse_checkpoint
from exchange.audit.merkle import EMPTY_ROOT, TreeHead
from exchange.audit.note import SignedNote, parse_note
from exchange.audit.note_keys import NoteError, VerifierKey, verify_note
from exchange.audit.proofs import ProofError, verify_consistency
from exchange.audit.strict_text import base64_text, parse_decimal, parse_hash
from exchange.kernel import MalformedError

# C2SP tlog-witness: a tree of 2**63 leaves needs no more.
MOST_PROOF_LINES: Final = 63

SIZE_MEDIA_TYPE: Final = "text/x.tlog.size"
"""Of the answer that says how large a tree a witness holds."""

NOTHING_HELD: Final = TreeHead(0, EMPTY_ROOT)
"""What a witness holds of a log of which it never cosigned a checkpoint."""


class Objection(Enum):
    """Why a witness does not cosign; each is one status of the protocol."""

    UNKNOWN_LOG = "unknown-log"
    NOT_SIGNED = "not-signed"
    OLD_SIZE_TOO_LARGE = "old-size-too-large"
    OTHER_OLD_SIZE = "other-old-size"
    INCONSISTENT = "inconsistent"
    OTHER_ROOT = "other-root"


class Finding(Enum):
    """What a signed checkpoint says about the log, or about the witness itself, beside the decision."""

    FORKED = "forked"
    """Two trees of one size, both signed by the log: the two notes are the proof, and no more is needed."""
    UNPROVEN = "unproven"
    """A signed tree that was not shown to have grown from the one held: a fork, or a proof spoilt on its way."""
    ROLLED_BACK = "rolled-back"
    """A signed tree smaller than the one held: an old note, or a log that went back in time."""
    STATE_LOST = "state-lost"
    """This witness has signed a larger tree than it holds: its own folder was restored from a backup."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a witness is asked to cosign: a note, and the proof that its tree grew from one of `old_size`."""

    old_size: int
    proof: tuple[bytes, ...]
    note: SignedNote
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class WitnessedLog:
    """A log that a witness knows: by its origin, and the keys of which one at least must have signed."""

    origin: str
    keys: tuple[VerifierKey, ...]


@dataclass(frozen=True, slots=True)
class Cosign:
    """The tree that may be cosigned once it is kept."""

    head: TreeHead
    finding: Finding | None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Why not, and what is held: a refusal of another old size names it."""

    objection: Objection
    told: str
    held_size: int
    finding: Finding | None


def origin_hash(origin: str) -> str:
    """Return the lower-case hex SHA-256 of a log's origin: its name in paths (C2SP tlog-witness, monitoring)."""
    return sha256(origin.encode()).hexdigest()


def parse_submission(body: bytes) -> Submission:
    """Return what the body of an `add-checkpoint` request asks.

    Raises MalformedError for another form than the specification's.
    """
    head, blank, note_bytes = body.partition(b"\n\n")
    if not blank:
        raise MalformedError("submission has no empty line before the checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as exc:
        raise MalformedError("submission has a line before the checkpoint that is not ASCII") from exc
    word, space, number = first.partition(" ")
    if word != "old" or not space:
        raise MalformedError("submission does not begin with `old <size>`")
    if len(lines) > MOST_PROOF_LINES:
        raise MalformedError(f"submission has {len(lines)} proof lines: at most {MOST_PROOF_LINES} are read")
    proof = tuple(parse_hash(line, f"proof line {place}") for place, line in enumerate(lines, start=1))
    note = parse_note(note_bytes)
    return Submission(parse_decimal(number, "old size"), proof, note, parse_checkpoint(note.text))


def render_submission(old_size: int, proof: tuple[bytes, ...], note: bytes) -> bytes:
    """Return the body of the request that asks for a cosignature on `note`."""
    lines = [f"old {old_size}", *(base64_text(each) for each in proof)]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + note


def parse_size_line(content: bytes) -> int:
    """Return the size in a 409's body of `SIZE_MEDIA_TYPE`. Raises MalformedError."""
    try:
        line = content.decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError("tree size is not ASCII") from exc
    if not line.endswith("\n"):
        raise MalformedError("tree size does not end in a newline")
    return parse_decimal(line[:-1], "tree size")


def judge(
    submission: Submission, held: TreeHead, log: WitnessedLog | None, own_keys: tuple[VerifierKey, ...]
) -> Cosign | Refuse:
    """Decide whether a witness that holds `held` of `log` cosigns; `log` is None for an origin that it does not know.

    The steps are those of C2SP tlog-witness, add-checkpoint, in its order. `own_keys` are the witness's: its own
    cosignature on a tree larger than the one held is how it learns that it has forgotten.
    """
    head = submission.checkpoint.head

    def refuse(objection: Objection, told: str, finding: Finding | None = None) -> Refuse:
        return Refuse(objection, told, held.size, finding)

    # (1) The origin is known.
    if log is None:
        return refuse(Objection.UNKNOWN_LOG, "no such log is known here")
    # (2) One of its keys at least has signed, and none of its keys' signatures is wrong; others are passed over.
    try:
        verify_note(submission.note, log.keys)
    except NoteError as exc:
        return refuse(Objection.NOT_SIGNED, exc.message)
    # From here on the log answers for what it signed, however it is asked.
    finding = _finding(submission, held, own_keys)
    # (3) The old size is not beyond the checkpoint's.
    if submission.old_size > head.size:
        told = f"the old size {submission.old_size} is larger than the checkpoint's, {head.size}"
        return refuse(Objection.OLD_SIZE_TOO_LARGE, told, finding)
    # (4) It is the size that was cosigned last.
    if submission.old_size != held.size:
        told = f"size {held.size} was cosigned last, not {submission.old_size}"
        return refuse(Objection.OTHER_OLD_SIZE, told, finding)
    # (5) A tree of the same size is the same tree; a proof between the two would be (8) one that does not verify.
    # (6) That an empty tree has the one root is (5), or (8), of the one that is held where nothing is.
    if head.size == held.size and head.root != held.root and not submission.proof:
        return refuse(Objection.OTHER_ROOT, f"another root was cosigned for size {held.size}", finding)
    # (7) From the empty tree no proof is needed, nor may one be given; (8) a larger one is proven to have grown from
    # what is held.
    try:
        verify_consistency(submission.proof, old=held, new=head)
    except ProofError as exc:
        return refuse(Objection.INCONSISTENT, exc.message, finding or Finding.UNPROVEN)
    return Cosign(head, finding)


def _finding(submission: Submission, held: TreeHead, own_keys: tuple[VerifierKey, ...]) -> Finding | None:
    head = submission.checkpoint.head
    if head.size < held.size:
        return Finding.ROLLED_BACK
    if head.size == held.size:
        return Finding.FORKED if head.root != held.root else None
    return Finding.STATE_LOST if _is_signed_by(submission.note, own_keys) else None


def _is_signed_by(note: SignedNote, keys: tuple[VerifierKey, ...]) -> bool:
    try:
        verify_note(note, keys)
    except NoteError:
        return False
    return True
