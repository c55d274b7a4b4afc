"""A log built with the pure code, and every way to tamper with it that the table of attacks names."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from exchange.audit import Actor, EntryDraft, EventName, Outcome, columns_of, seal_entry
from exchange.audit.checkpoint import Checkpoint
from exchange.audit.merkle import CompactRange, TreeHead, hash_leaf
from exchange.audit.note import SignedNote
from exchange.audit.note_keys import NoteSigner, SignatureType
from exchange.audit.tile_paths import BundlePath, TilePath
from exchange.audit.tiles import grow_tiles
from exchange.audit.verify import Expectations, KeptCheckpoint, KnownCheckpoint, StoredEntry, Verification, verify_log
from exchange.crypto import SignatureScheme, SigningKey
from exchange.kernel import new_id, to_micros

ORIGIN = "exchange.test/log/1"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BOOT = "01980000-0000-7000-8000-000000000000"


def signers(seed=1, name=ORIGIN):
    """Both keys of a log."""
    return (
        NoteSigner(name, SignatureType.ED25519, SigningKey.from_seed(SignatureScheme.ED25519, bytes([seed]) * 32)),
        NoteSigner(
            name,
            SignatureType.ML_DSA_44_COSIGNATURE,
            SigningKey.from_seed(SignatureScheme.ML_DSA_44, bytes([seed]) * 32),
        ),
    )


SIGNERS = signers()
KEYS = tuple(signer.verifier for signer in SIGNERS)


def content(number, at=None, **fields):
    """Return the bytes of the entry that number `number` is."""
    at = at or START + number * SECOND
    fields = {"event": EventName.CALLER_DESCRIBED, "outcome": Outcome.PERMITTED, **fields}
    draft = EntryDraft(at=at, actor=Actor("client", id="desk"), request_id=f"r{number}", source="192.0.2.1", **fields)
    return seal_entry(draft, entry_id=new_id(at, number.to_bytes), node="n1", boot=BOOT, node_seq=number).content


def sign(size, root, at, by=SIGNERS, origin=ORIGIN):
    """Return a signed checkpoint."""
    text = Checkpoint(origin, TreeHead(size, root)).text
    return SignedNote(text, tuple(signer.sign(text, int(at.timestamp())) for signer in by)).render()


@dataclass
class World:
    """A log in memory, as a source. Tests change its parts."""

    contents: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    tiles: dict = field(default_factory=dict)
    checkpoints: list = field(default_factory=list)
    waiting: list = field(default_factory=list)
    keys: dict | None = None
    kept: dict | None = None
    current: list | None = None
    has_entries: bool = True
    has_columns: bool = True

    # ── how it comes into being ──

    def append(self, *contents, at=None, by=SIGNERS):
        """Integrate entries and sign a checkpoint."""
        old = len(self.contents)
        leaves = [hash_leaf(each) for each in contents]
        for tile in grow_tiles(old, leaves, self.tile):
            self.tiles[tile.path.level, tile.path.index] = tile.content
        self.contents += contents
        self.rows += [StoredEntry(columns_of(each), leaf) for each, leaf in zip(contents, leaves, strict=True)]
        self.sign(at or START + len(self.contents) * SECOND, by=by)

    def sign(self, at, by=SIGNERS):
        """Sign what stands."""
        tree = CompactRange()
        tree.extend([hash_leaf(each) for each in self.contents])
        self.checkpoints.append(KeptCheckpoint(sign(tree.size, tree.root(), at, by)))

    def rebuild(self, contents, by=SIGNERS, at=None):
        """Write another history, whole."""
        at = at or START + len(self.contents) * SECOND
        self.contents, self.rows, self.tiles, self.checkpoints = [], [], {}, []
        self.append(*contents, at=at, by=by)

    # ── as a source ──

    def newest(self):
        return self.checkpoints[-1]

    def older(self):
        return self.checkpoints[:-1]

    def tile(self, path: TilePath):
        held = self.tiles.get((path.level, path.index))
        if isinstance(held, Exception):
            raise held
        return held if held is None or len(held) % 32 else held[: path.width * 32]

    def entries(self, path: BundlePath):
        held = self.contents[path.start : path.start + path.width]
        if any(isinstance(each, Exception) for each in held):
            raise next(each for each in held if isinstance(each, Exception))
        return held or None

    def stored(self, path: BundlePath):
        rows = self.rows[path.start : path.start + path.width]
        return rows if self.has_columns and rows else None

    def pending(self):
        return self.waiting

    def personal_keys(self):
        return self.keys

    def kept_rows(self, names):
        return None if self.kept is None else {name: self.kept[name] for name in names if name in self.kept}

    def kept_certificates(self):
        return None

    def current_rows(self):
        return self.current

    # ── tried ──

    def verify(self, *known, keys=KEYS, now=None, **more) -> Verification:
        """Verify it as an auditor who kept `known`."""
        seen = tuple(KnownCheckpoint(note, "the auditor's state") for note in known)
        micros = None if now is None else to_micros(now)
        return verify_log(self, Expectations(keys, now_micros=micros, known=seen, **more))


def world(count=600, step=100):
    """Return a log of `count` entries, with a checkpoint every `step`."""
    made = World()
    for start in range(0, count, step):
        made.append(*(content(number) for number in range(start, min(start + step, count))))
    return made


def found(verification):
    """Return the findings as text, for reading."""
    return [str(each) for each in verification.findings]
