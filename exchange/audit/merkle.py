"""The Merkle tree of RFC 9162 §2.1 (that of RFC 6962) with SHA-256: hashes, roots, and a tree that only grows.

Level 0 holds the leaf hashes; node `index` of level `level` is the root over leaves `index << level` up to
`(index + 1) << level`, and exists once all of them do. Whole levels are hashed at a time: that is what makes
a million leaves a second of work, or less.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32

# RFC 9162 §2.1.1: the root of a tree without leaves is the hash of nothing.
EMPTY_ROOT: Final = sha256(b"").digest()

# RFC 9162 §2.1.1: the two prefixes keep a leaf from passing for a node.
_LEAF = b"\x00"
_NODE = b"\x01"


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A tree by its number of leaves and its root hash (32 bytes)."""

    size: int
    root: bytes


def hash_leaf(content: bytes) -> bytes:
    """Return the leaf hash of an entry's bytes."""
    return sha256(_LEAF + content).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node over two others."""
    return sha256(_NODE + left + right).digest()


def hash_level(hashes: Iterable[bytes]) -> list[bytes]:
    """Return the next level: the hashes of the nodes over each two. A last one without a sibling is left out."""
    each = iter(hashes)
    return [sha256(_NODE + left + right).digest() for left, right in zip(each, each, strict=False)]


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes in their order; EMPTY_ROOT over none."""
    tree = CompactRange()
    tree.extend(leaf_hashes)
    return tree.root()


class CompactRange:
    """A growing tree, kept as the roots of its perfect subtrees: one per binary digit 1 of its size.

    `peaks` are these roots, the largest subtree first: with `size` they are all that appending needs, at most
    64 hashes for any tree. INVARIANT: a range made from another's size and peaks goes on as that one would.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """Take up a tree where it stands. Raises ValueError where these are not the peaks of a tree of `size`."""
        if size < 0 or len(peaks) != size.bit_count() or any(len(peak) != HASH_BYTES for peak in peaks):
            raise ValueError(f"{len(peaks)} hashes are not the peaks of a tree of size {size}")
        self._size = size
        self._peaks = list(peaks)

    @property
    def size(self) -> int:
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        return tuple(self._peaks)

    def append(self, leaf_hash: bytes) -> None:
        """Add one leaf."""
        self.extend((leaf_hash,))

    def extend(self, leaf_hashes: Sequence[bytes]) -> None:
        """Add leaves in their order."""
        level, rising = 0, list(leaf_hashes)
        new_size = self._size + len(rising)
        high: list[bytes] = []
        while rising:
            # A peak waits at this level: it is the left sibling of the first that comes.
            if self._size >> level & 1:
                rising.insert(0, self._peaks.pop())
            if len(rising) & 1:
                high.append(rising[-1])
            rising = hash_level(rising)
            level += 1
        # What rose last may have landed below peaks that nothing touched.
        self._peaks += reversed(high)
        self._size = new_size

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = hash_children(peak, root)
        return root

    def head(self) -> TreeHead:
        """Return size and root of the tree as it stands."""
        return TreeHead(self._size, self.root())
