"""Tiles (C2SP tlog-tiles): the tree as files of up to 256 hashes, written once and read one at a time.

A tile of level `l` holds nodes of the tree's level `8 * l`. Full tiles never change; the last tile of a level
is partial until it is full, and its hashes are the beginning of every wider one.
Does not: keep tiles, or check that they belong to a signed tree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exchange.audit.merkle import HASH_BYTES, TreeHead, hash_level
from exchange.audit.proofs import NodeReader, root_from_nodes
from exchange.audit.tile_paths import TILE_HEIGHT, TILE_WIDTH, TilePath, tile_in
from exchange.kernel import MalformedError

TileReader = Callable[[TilePath], bytes]
"""Gives the hashes of a tile, one after the other, exactly as many as the path's width."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile and its hashes, one after the other."""

    path: TilePath
    content: bytes


def grow_tiles(old_size: int, leaf_hashes: Sequence[bytes], read_tile: TileReader) -> list[Tile]:
    """Return the tiles that come into being when a tree of `old_size` gets these leaves, from level 0 up.

    Reads the old tree's partial tiles on the way, at most one per level; what comes back replaces them.
    Raises MalformedError where such a tile has another length than it must.
    """
    tiles: list[Tile] = []
    level, count, hashes = 0, old_size, list(leaf_hashes)
    while hashes:
        index, held = divmod(count, TILE_WIDTH)
        if held:
            old = TilePath(level, index, held)
            hashes = split_hashes(old, read_tile(old)) + hashes
        tiles += _tiles_of(level, index, hashes)
        hashes = _roots_of_full(hashes)
        level, count = level + 1, index
    return tiles


def split_hashes(path: TilePath, content: bytes) -> list[bytes]:
    """Return the hashes of a tile. Raises MalformedError where they are more or fewer than its width."""
    if len(content) != path.width * HASH_BYTES:
        raise MalformedError(f"`{path}` has {len(content)} bytes: it must have {path.width * HASH_BYTES}")
    return [content[start : start + HASH_BYTES] for start in range(0, len(content), HASH_BYTES)]


def node_reader(size: int, read_tile: TileReader) -> NodeReader:
    """Return a reader of any node of the tree of `size`, for proofs.

    Keeps what it read and made: make one for a proof, or for as many as memory allows. Raises MalformedError
    where a tile has another length than it must.
    """
    return _TiledNodes(size, read_tile).read


def head_from_tiles(size: int, read_tile: TileReader) -> TreeHead:
    """Return the head of the tree of `size`, from the last tile of each level."""
    return TreeHead(size, root_from_nodes(size, node_reader(size, read_tile)))


def _tiles_of(level: int, first: int, hashes: Sequence[bytes]) -> list[Tile]:
    tiles = []
    for number, start in enumerate(range(0, len(hashes), TILE_WIDTH)):
        held = hashes[start : start + TILE_WIDTH]
        tiles.append(Tile(TilePath(level, first + number, len(held)), b"".join(held)))
    return tiles


def _roots_of_full(hashes: Sequence[bytes]) -> list[bytes]:
    # A partial tile is never hashed into the level above.
    level = list(hashes[: len(hashes) // TILE_WIDTH * TILE_WIDTH])
    for _ in range(TILE_HEIGHT):
        level = hash_level(level)
    return level


class _TiledNodes:
    __slots__ = ("_nodes", "_read_tile", "_size", "_tiles")

    def __init__(self, size: int, read_tile: TileReader) -> None:
        self._size = size
        self._read_tile = read_tile
        self._tiles: dict[tuple[int, int], list[bytes]] = {}
        self._nodes: dict[tuple[int, int], bytes] = {}

    def read(self, level: int, index: int) -> bytes:
        node = self._nodes.get((level, index))
        if node is None:
            tile_level, height = divmod(level, TILE_HEIGHT)
            tile_index, start = divmod(index << height, TILE_WIDTH)
            hashes = self._hashes(tile_level, tile_index)
            node = self._nodes[level, index] = _node_over(hashes[start : start + (1 << height)])
        return node

    def _hashes(self, level: int, index: int) -> list[bytes]:
        hashes = self._tiles.get((level, index))
        if hashes is None:
            path = tile_in(self._size, level, index)
            hashes = self._tiles[level, index] = split_hashes(path, self._read_tile(path))
        return hashes


def _node_over(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = hash_level(hashes)
    return hashes[0]
