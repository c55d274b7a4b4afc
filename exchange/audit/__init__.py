"""Audit: what happened, as bytes that can be proved.

Promises: event names are a closed list; every draft becomes one canonical byte string, whatever a caller
sent; the columns are computed from those bytes alone, so that a verifier can compare them. The entries form
a Merkle tree (RFC 9162), published as C2SP tiles and signed checkpoints; proofs need nothing but public keys.
Does not: store, number or order entries (the store does), or decide what must be recorded (use cases do).
"""

from exchange.audit.boot_record import BootRecord, Unsettled
from exchange.audit.bundles import parse_bundle, render_bundle
from exchange.audit.checkpoint import Checkpoint, checkpoint_in, parse_checkpoint
from exchange.audit.columns import EntryColumns
from exchange.audit.criteria import CRISIS_POLICY, Criteria, matches
from exchange.audit.deeds import Deed, DeedKind, deed_digest, read_deed, says_as, sign_deed, unverified_deed
from exchange.audit.draft import Actor, Detail, EntryDraft, Subject
from exchange.audit.entry import LARGEST_RESULT_IDS_BYTES, SealedEntry, columns_of, parse_entry, seal_entry
from exchange.audit.events import EventName, Outcome
from exchange.audit.log_policy import NO_QUORUM, KnownLog, KnownWitness, LogPolicy, Standing, WitnessGroup
from exchange.audit.log_policy_text import parse_log_policy, render_log_policy
from exchange.audit.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    CompactRange,
    TreeHead,
    hash_children,
    hash_leaf,
    hash_level,
    root_of,
)
from exchange.audit.node_evidence import Evidence, open_boot, sign_evidence
from exchange.audit.note import LARGEST_NOTE_BYTES, NoteSignature, SignedNote, parse_note, parse_signature_line
from exchange.audit.note_keys import (
    Attestation,
    NoteError,
    NoteSigner,
    SignatureType,
    VerifierKey,
    parse_verifier_key,
    verify_note,
)
from exchange.audit.personal import (
    LOCAL_SOURCES,
    STRANGER,
    Guard,
    PersonalData,
    Unrevealed,
    is_period,
    key_subject,
    open_personal,
    period_of,
)
from exchange.audit.proofs import (
    ProofError,
    consistency_proof,
    inclusion_proof,
    root_from_nodes,
    verify_consistency,
    verify_inclusion,
)
from exchange.audit.receipt import Receipt
from exchange.audit.shape import LARGEST_ENTRY_BYTES, Entry
from exchange.audit.slice import (
    OF_TEAR_LINE,
    TOLD_REASONS,
    Auditor,
    EntryView,
    Extent,
    reports_named,
    view_of,
    without_hidden,
)
from exchange.audit.text import LONGEST_TEXT, are_fit, fit_text, in_pieces
from exchange.audit.tile_paths import (
    TILE_HEIGHT,
    TILE_WIDTH,
    BundlePath,
    TilePath,
    bundles_of_size,
    parse_bundle_path,
    parse_tile_path,
    tiles_of_size,
)
from exchange.audit.tiles import Tile, grow_tiles, head_from_tiles, node_reader, split_hashes
from exchange.audit.tlog_proof import TLOG_PROOF_SUFFIX, TlogProof, check_inclusion, parse_tlog_proof

__all__ = [
    "CRISIS_POLICY",
    "EMPTY_ROOT",
    "HASH_BYTES",
    "LARGEST_ENTRY_BYTES",
    "LARGEST_NOTE_BYTES",
    "LARGEST_RESULT_IDS_BYTES",
    "LOCAL_SOURCES",
    "LONGEST_TEXT",
    "NO_QUORUM",
    "OF_TEAR_LINE",
    "STRANGER",
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "TLOG_PROOF_SUFFIX",
    "TOLD_REASONS",
    "Actor",
    "Attestation",
    "Auditor",
    "BootRecord",
    "BundlePath",
    "Checkpoint",
    "CompactRange",
    "Criteria",
    "Deed",
    "DeedKind",
    "Detail",
    "Entry",
    "EntryColumns",
    "EntryDraft",
    "EntryView",
    "EventName",
    "Evidence",
    "Extent",
    "Guard",
    "KnownLog",
    "KnownWitness",
    "LogPolicy",
    "NoteError",
    "NoteSignature",
    "NoteSigner",
    "Outcome",
    "PersonalData",
    "ProofError",
    "Receipt",
    "SealedEntry",
    "SignatureType",
    "SignedNote",
    "Standing",
    "Subject",
    "Tile",
    "TilePath",
    "TlogProof",
    "TreeHead",
    "Unrevealed",
    "Unsettled",
    "VerifierKey",
    "WitnessGroup",
    "are_fit",
    "bundles_of_size",
    "check_inclusion",
    "checkpoint_in",
    "columns_of",
    "consistency_proof",
    "deed_digest",
    "fit_text",
    "grow_tiles",
    "hash_children",
    "hash_leaf",
    "hash_level",
    "head_from_tiles",
    "in_pieces",
    "inclusion_proof",
    "is_period",
    "key_subject",
    "matches",
    "node_reader",
    "open_boot",
    "open_personal",
    "parse_bundle",
    "parse_bundle_path",
    "parse_checkpoint",
    "parse_entry",
    "parse_log_policy",
    "parse_note",
    "parse_signature_line",
    "parse_tile_path",
    "parse_tlog_proof",
    "parse_verifier_key",
    "period_of",
    "read_deed",
    "render_bundle",
    "render_log_policy",
    "reports_named",
    "root_from_nodes",
    "root_of",
    "says_as",
    "seal_entry",
    "sign_deed",
    "sign_evidence",
    "split_hashes",
    "tiles_of_size",
    "unverified_deed",
    "verify_consistency",
    "verify_inclusion",
    "verify_note",
    "view_of",
    "without_hidden",
]
