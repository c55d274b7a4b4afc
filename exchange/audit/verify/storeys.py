"""The tree above its leaves, built again tile by tile, and each tile compared with the one that is kept."""

from dataclasses import dataclass, field

from exchange.audit.merkle import HASH_BYTES, CompactRange, hash_children, hash_level
from exchange.audit.tile_paths import TILE_HEIGHT, TILE_WIDTH, TilePath
from exchange.audit.tiles import split_hashes
from exchange.audit.verify.findings import Finding, Findings, Step
from exchange.audit.verify.source import Source
from exchange.kernel import MalformedError

Rows = list[list[bytes]]
"""The perfect subtrees over the leaves of one tile by height, each row from the left."""


class Storeys:
    """All that is known of a tree once some of its leaves are: at most one unfinished tile per level."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self._unfinished: list[_Storey] = []
        # The same tree with full tiles for leaves.
        self._tiles = CompactRange()

    def root(self, rows: Rows, count: int) -> bytes:
        """Return the root over every full tile taken so far and the first `count` leaves of the tile with `rows`."""
        nodes = [rows[height][(count >> height) - 1] for height in range(TILE_HEIGHT + 1) if count >> height & 1]
        nodes += reversed(self._tiles.peaks)
        root = nodes[0]
        for node in nodes[1:]:
            root = hash_children(node, root)
        return root

    def take(self, tile_root: bytes) -> None:
        """Add a full tile of leaves by its root."""
        self._tiles.append(tile_root)
        self._push(1, tile_root)

    def finish(self) -> None:
        """Compare the partial tiles that are left."""
        for level, storey in enumerate(self._unfinished, 1):
            self._compare(level, storey)

    def _push(self, level: int, node: bytes) -> None:
        if len(self._unfinished) < level:
            self._unfinished.append(_Storey())
        storey = self._unfinished[level - 1]
        storey.hashes.append(node)
        if len(storey.hashes) == TILE_WIDTH:
            self._compare(level, storey)
            self._push(level + 1, rows_over(storey.hashes)[TILE_HEIGHT][0])
            storey.hashes.clear()
            storey.full += 1

    def _compare(self, level: int, storey: "_Storey") -> None:
        if not storey.hashes:
            return
        path = TilePath(level, storey.full, len(storey.hashes))
        kept = kept_hashes(self._source, path, self._findings)
        if kept is None or kept == storey.hashes:
            return
        offset = first_difference(storey.hashes, kept)
        below = TilePath(level - 1, storey.full * TILE_WIDTH + offset)
        why = f"hash {offset} is not the root over {below}"
        self._findings.add(Finding(Step.TREE, str(path), why))


@dataclass(slots=True)
class _Storey:
    """The newest tile of one level above the leaves, and how many full ones were before it."""

    hashes: list[bytes] = field(default_factory=list)
    full: int = 0


def rows_over(hashes: list[bytes]) -> Rows:
    """Return the perfect subtrees over the hashes of one tile; a rest without a sibling is left out."""
    rows = [hashes]
    for _ in range(TILE_HEIGHT):
        rows.append(hash_level(rows[-1]))
    return rows


def kept_hashes(source: Source, path: TilePath, findings: Findings) -> list[bytes] | None:
    """Return the hashes of a tile as it is kept; a tile that is missing or no tile is a finding, and None."""
    try:
        content = source.tile(path)
    except MalformedError as exc:
        content, why = None, exc.message
    else:
        why = "it is missing" if content is None else f"it has {len(content)} bytes: {path.width} hashes were signed"
    if content is None or len(content) != path.width * HASH_BYTES:
        position = path.index * TILE_WIDTH if path.level == 0 else None
        findings.add(Finding(Step.TREE, str(path), why, position))
        return None
    return split_hashes(path, content)


def first_difference(ours: list[bytes], theirs: list[bytes]) -> int:
    """Return the first place where two lists of one length differ."""
    return next(place for place, (mine, other) in enumerate(zip(ours, theirs, strict=True)) if mine != other)
