"""A receipt held against the log: the leaf hash that a member was once given, and the proof shown for it now."""

from collections.abc import Sequence

from exchange.audit.merkle import TreeHead
from exchange.audit.note_keys import NoteError, VerifierKey
from exchange.audit.tlog_proof import TlogProof, check_inclusion, parse_tlog_proof
from exchange.audit.verify.checkpoints import open_checkpoint
from exchange.audit.verify.source import KeptCheckpoint


def prove_receipt(leaf_hash: bytes, content: bytes, keys: Sequence[VerifierKey]) -> TlogProof:
    """Return the proof in `content` (a `.tlog-proof`) once it is shown that it proves `leaf_hash`.

    Raises MalformedError for what is no proof, NoteError where a key of the log has not signed its checkpoint,
    ProofError where the tree holds something else in that place.
    """
    proof = parse_tlog_proof(content)
    # (1) The checkpoint is the log's own; (2) its tree holds the leaf that the member was given.
    signed_head(proof.note.render(), keys)
    check_inclusion(proof, leaf_hash)
    return proof


def signed_head(note: bytes, keys: Sequence[VerifierKey]) -> TreeHead:
    """Return the head in a checkpoint that every one of `keys` signed. Raises MalformedError and NoteError."""
    opened = open_checkpoint(KeptCheckpoint(note), keys)
    if opened.fault is not None:
        raise NoteError(opened.fault)
    return opened.checkpoint.head
