"""The tree again, from what lies at its bottom: leaf hashes of the stored bytes, every tile, every root asked for.

One pass in constant memory. Where an entry and a tile disagree, what is signed above them says which of the two was
changed; the pass goes on with the other one, so that one change is one finding.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from exchange.audit.merkle import EMPTY_ROOT, HASH_BYTES, hash_leaf
from exchange.audit.tile_paths import TILE_HEIGHT, BundlePath, bundles_of_size, tile_in
from exchange.audit.verify.findings import Finding, Findings, Step
from exchange.audit.verify.source import Source
from exchange.audit.verify.storeys import Storeys, first_difference, kept_hashes, rows_over
from exchange.kernel import MalformedError

Contents = Sequence[bytes | None]
"""Entries in their order; None for one that is missing."""


@dataclass(frozen=True, slots=True)
class Leaves:
    """One bundle's worth of the tree. `contents` are the stored bytes, None where the bundle is not there.

    `hashes` are the leaf hashes of these bytes, and those in the tile for what is missing.
    """

    path: BundlePath
    contents: Contents | None
    hashes: Sequence[bytes]


class Recomputation:
    """The pass over one tree of `size` entries, of which `claimed` is the signed root.

    After `leaves` is exhausted, `roots` holds the recomputed root for each of `sizes` and for `size`; not for those
    behind a place where neither entries nor tile are left.
    """

    def __init__(self, source: Source, size: int, claimed: bytes | None, sizes: Iterable[int] = ()) -> None:
        self._source = source
        self._size = size
        self._claimed = claimed
        self._asked = sorted({each for each in (*sizes, size) if 0 < each <= size}, reverse=True)
        self.roots: dict[int, bytes] = {0: EMPTY_ROOT}

    def leaves(self, findings: Findings) -> Iterator[Leaves]:
        """Yield the leaves bundle by bundle, in order; what does not fit goes to `findings`."""
        storeys = Storeys(self._source, findings)
        for path in bundles_of_size(self._size):
            contents = self._contents(path, findings)
            computed = None if contents is None else _leaf_hashes(contents)
            settled = self._settled(path, computed, storeys, findings)
            if settled is None:
                return
            yield Leaves(path, contents, settled if computed is None else _filled(computed, settled))
            self._take(path, settled, storeys)
        storeys.finish()

    def _contents(self, path: BundlePath, findings: Findings) -> Contents | None:
        if not self._source.has_entries:
            return None
        try:
            contents = self._source.entries(path)
        except MalformedError as exc:
            findings.add(Finding(Step.TREE, str(path), exc.message, path.start))
            return None
        if contents is None or len(contents) != path.width:
            why = "it is missing" if contents is None else f"it holds {len(contents)} entries: {path.width} were signed"
            findings.add(Finding(Step.TREE, str(path), why, path.start))
            return None
        for position, content in enumerate(contents, path.start):
            if content is None:
                why = "it is missing: its leaf hash is in the tree"
                findings.add(Finding(Step.TREE, f"entry {position}", why, position))
        return contents

    def _settled(
        self, path: BundlePath, computed: list[bytes | None] | None, storeys: Storeys, findings: Findings
    ) -> list[bytes] | None:
        """Return the leaf hashes to go on with; None where nothing is left to go on with."""
        tile = kept_hashes(self._source, tile_in(self._size, 0, path.index), findings)
        if computed is None:
            return tile
        if tile is None:
            whole = [each for each in computed if each is not None]
            return whole if len(whole) == path.width else None
        ours = _filled(computed, tile)
        return ours if ours == tile else self._judged(path, ours, tile, (storeys, findings))

    def _judged(
        self, path: BundlePath, ours: list[bytes], tile: list[bytes], built: tuple[Storeys, Findings]
    ) -> list[bytes]:
        """Say which of the two was changed, and return the other."""
        storeys, findings = built
        offset = first_difference(ours, tile)
        position = path.start + offset
        above = self._above(path)
        place, trusted = f"entry {position}", ours
        if _root_over(tile, path, storeys) == above:
            why, trusted = "its bytes were changed: their leaf hash is not the one that was signed", tile
            if ours[offset] in tile:
                why = f"it holds what was signed as entry {path.start + tile.index(ours[offset])}"
        elif _root_over(ours, path, storeys) == above:
            place, why = str(tile_in(self._size, 0, path.index)), f"hash {offset} was changed: it fits nothing signed"
        else:
            why = "its bytes do not fit the tile, and neither of the two fits what was signed above"
        findings.add(Finding(Step.TREE, place, why, position))
        return trusted

    def _above(self, path: BundlePath) -> bytes | None:
        """Return what the tree says of these leaves one storey up: the hash in the tile above, or the signed root."""
        if not path.is_full:
            return self._claimed
        parent, offset = divmod(path.index, 1 << TILE_HEIGHT)
        try:
            tile = self._source.tile(tile_in(self._size, 1, parent))
        except MalformedError:
            return None
        return None if tile is None else tile[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]

    def _take(self, path: BundlePath, hashes: list[bytes], storeys: Storeys) -> None:
        rows = rows_over(hashes)
        while self._asked and self._asked[-1] <= path.start + path.width:
            size = self._asked.pop()
            self.roots[size] = storeys.root(rows, size - path.start)
        if path.is_full:
            storeys.take(rows[TILE_HEIGHT][0])


def _leaf_hashes(contents: Contents) -> list[bytes | None]:
    return [None if content is None else hash_leaf(content) for content in contents]


def _filled(computed: list[bytes | None], tile: list[bytes]) -> list[bytes]:
    return [mine or signed for mine, signed in zip(computed, tile, strict=True)]


def _root_over(hashes: list[bytes], path: BundlePath, storeys: Storeys) -> bytes:
    rows = rows_over(hashes)
    return rows[TILE_HEIGHT][0] if path.is_full else storeys.root(rows, path.width)
