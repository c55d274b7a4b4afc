"""Proofs in a file (C2SP tlog-proof): an entry's place, its inclusion proof and the signed checkpoint, in one text.

Whoever holds an entry's leaf hash, such a file and a policy of public keys needs nobody else to check it.
"""

from dataclasses import dataclass
from typing import Final

from exchange.audit.checkpoint import Checkpoint, parse_checkpoint
from exchange.audit.note import LARGEST_NOTE_BYTES, SignedNote, parse_note
from exchange.audit.proofs import verify_inclusion
from exchange.audit.strict_text import base64_text, parse_base64, parse_decimal, parse_hash
from exchange.kernel import MalformedError

# The usual ending of such a file's name.
TLOG_PROOF_SUFFIX: Final = ".tlog-proof"

_FIRST_LINE = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_INDEX = "index "

# No tree of less than 2**63 leaves has a longer path.
_MOST_HASHES = 63

# The lines before the note, extra data included, get as much room as the note.
_LARGEST_PROOF_BYTES = 2 * LARGEST_NOTE_BYTES


@dataclass(frozen=True, slots=True)
class TlogProof:
    """That leaf `index` is in the tree of `note`, a checkpoint as it was signed; nobody signs `extra`.

    INVARIANT: proves nothing before it was verified.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: SignedNote
    extra: bytes | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint in the note. Raises MalformedError where there is none."""
        return parse_checkpoint(self.note.text)

    def render(self) -> bytes:
        """Return the file's bytes. Raises MalformedError for what no reader would take."""
        extra = () if self.extra is None else (f"{_EXTRA}{base64_text(self.extra)}",)
        lines = (_FIRST_LINE, *extra, f"{_INDEX}{self.index}", *map(base64_text, self.hashes), "")
        content = "".join(f"{line}\n" for line in lines).encode() + self.note.render()
        if parse_tlog_proof(content) != self:
            raise MalformedError("the proof would be read as another one")
        return content


def parse_tlog_proof(content: bytes) -> TlogProof:
    """Return the proof that a file spells. Raises MalformedError for any other form. Verifies nothing."""
    # (1) The first empty line parts proof and checkpoint.
    if len(content) > _LARGEST_PROOF_BYTES:
        raise MalformedError(f"proof has {len(content)} bytes: at most {_LARGEST_PROOF_BYTES} are read")
    head, blank, note_bytes = content.partition(b"\n\n")
    if not blank or not head.isascii():
        raise MalformedError("proof has no ASCII lines with an empty line and a checkpoint after them")
    # (2) It says what it is.
    first, *lines = head.decode().split("\n")
    if first != _FIRST_LINE:
        raise MalformedError(f"proof does not begin with `{_FIRST_LINE}`")
    # (3) Extra data, (4) which leaf, (5) and the hashes from its sibling up.
    extra = _taken(lines, _EXTRA)
    index = _taken(lines, _INDEX)
    if index is None:
        raise MalformedError("proof has no line `index <number>` where it belongs")
    # (6) A checkpoint in a signed note.
    note = parse_note(note_bytes)
    parse_checkpoint(note.text)
    return TlogProof(
        index=parse_decimal(index, "index"),
        hashes=_hashes(lines),
        note=note,
        extra=None if extra is None else parse_base64(extra, "extra data"),
    )


def check_inclusion(proof: TlogProof, leaf_hash: bytes) -> Checkpoint:
    """Return the checkpoint whose tree holds `leaf_hash` at the proof's place. Raises ProofError otherwise.

    One step of four: whether the checkpoint is to be believed, `LogPolicy.judge` says.
    """
    checkpoint = proof.checkpoint
    verify_inclusion(proof.hashes, leaf_hash, index=proof.index, head=checkpoint.head)
    return checkpoint


def _taken(lines: list[str], word: str) -> str | None:
    return lines.pop(0).removeprefix(word) if lines and lines[0].startswith(word) else None


def _hashes(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > _MOST_HASHES:
        raise MalformedError(f"proof has {len(lines)} hashes: no tree needs more than {_MOST_HASHES}")
    return tuple(parse_hash(line, f"hash {number}") for number, line in enumerate(lines, start=1))
