import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.audit import (
    CompactRange,
    Tile,
    TilePath,
    TreeHead,
    consistency_proof,
    grow_tiles,
    head_from_tiles,
    inclusion_proof,
    node_reader,
    root_of,
    split_hashes,
    tiles_of_size,
    verify_consistency,
    verify_inclusion,
)
from exchange.kernel import MalformedError
from tests.core.audit import trees

LEAVES = trees.leaves(70_000)
SIZES = [1, 2, 3, 255, 256, 257, 511, 512, 513, 700, 65_535, 65_536, 65_537, 70_000]


class Shelf(dict):
    """Tiles by path, as a log keeps them: what is read and is not there is a fault of who asks."""

    def put(self, tiles):
        self.update({tile.path: tile.content for tile in tiles})
        return self

    def read(self, path):
        return self[path]


def shelf_of(size):
    return Shelf().put(grow_tiles(0, LEAVES[:size], Shelf().read))


WHOLE = shelf_of(70_000)


@pytest.mark.parametrize("size", [0, *SIZES])
def test_tree_grows_into_its_tiles(size):
    shelf = shelf_of(size)

    assert sorted(map(str, shelf)) == sorted(map(str, tiles_of_size(size)))


def test_tile_holds_the_nodes_of_its_level():
    for path, content in WHOLE.items():
        span = 256**path.level
        start = path.index * 256 * span
        hashes = [LEAVES[start + n * span : start + (n + 1) * span] for n in range(path.width)]

        assert content == b"".join(map(root_of, hashes))


def test_tiles_come_from_the_leaves_up_by_index():
    tiles = grow_tiles(0, LEAVES[:70_000], Shelf().read)

    assert [tile.path for tile in tiles] == list(tiles_of_size(70_000))


def test_growing_by_nothing_makes_no_tile():
    assert grow_tiles(300, [], Shelf().read) == []


def test_only_touched_tiles_come_into_being():
    tiles = grow_tiles(300, LEAVES[300:600], shelf_of(300).read)

    assert [tile.path for tile in tiles] == [TilePath(0, 1), TilePath(0, 2, 88), TilePath(1, 0, 2)]
    assert tiles[0].content == b"".join(LEAVES[256:512])
    assert tiles[2] == Tile(TilePath(1, 0, 2), root_of(LEAVES[:256]) + root_of(LEAVES[256:512]))


def test_growing_reads_one_partial_tile_per_touched_level():
    asked = []
    shelf = shelf_of(69_999)

    def read(path):
        asked.append(path)
        return shelf[path]

    grow_tiles(69_888, LEAVES[69_888:69_999], asked.append)
    assert asked == []
    grow_tiles(69_999, LEAVES[69_999:70_000], read)
    assert asked == [TilePath(0, 273, 111)]


@settings(max_examples=40)
@given(st.lists(st.sampled_from([0, 1, 2, 100, 255, 256, 257, 300, 1000, 65_536]), max_size=6))
def test_tree_grown_in_any_batches_has_the_same_tiles(batches):
    size, shelf = 0, Shelf()
    for batch in batches:
        new = LEAVES[size : size + batch]
        shelf.put(grow_tiles(size, new, shelf.read))
        size += len(new)

    wanted = shelf_of(size)
    assert {path: shelf[path] for path in wanted} == wanted


@pytest.mark.parametrize("cut", [-1, 1, 32, -32])
def test_damaged_partial_tile_stops_the_growth(cut):
    shelf = shelf_of(300)
    path = TilePath(0, 1, 44)
    shelf[path] = shelf[path][:cut] if cut < 0 else shelf[path] + bytes(cut)
    with pytest.raises(MalformedError, match=rf"^`tile/0/001.p/44` has {44 * 32 + cut} bytes: it must have 1408$"):
        grow_tiles(300, LEAVES[300:301], shelf.read)


def test_tile_splits_into_its_hashes():
    assert split_hashes(TilePath(0, 0, 3), b"".join(LEAVES[:3])) == LEAVES[:3]


@pytest.mark.parametrize("size", SIZES)
def test_head_comes_from_tiles(size):
    tree = CompactRange()
    tree.extend(LEAVES[:size])

    assert head_from_tiles(size, shelf_of(size).read) == TreeHead(size, tree.root())


def test_empty_tree_has_its_head_without_tiles():
    assert head_from_tiles(0, Shelf().read) == TreeHead(0, trees.root([]))


@pytest.mark.parametrize("size", SIZES)
def test_proofs_come_from_tiles(size):
    head = TreeHead(size, root_of(LEAVES[:size]))
    read_node = node_reader(size, shelf_of(size).read)
    for index in {0, size // 3, size // 2, size - 1}:
        verify_inclusion(inclusion_proof(index, size, read_node), LEAVES[index], index=index, head=head)
    for old in {1, size // 3 + 1, size - size // 300, size}:
        proof = consistency_proof(old, size, read_node)
        verify_consistency(proof, old=TreeHead(old, root_of(LEAVES[:old])), new=head)


def test_every_whole_node_comes_from_tiles():
    read_node = node_reader(70_000, WHOLE.read)
    for level in range(17):
        for index in {0, 1, (70_000 >> level) - 1}:
            if (index + 1) << level <= 70_000:
                assert read_node(level, index) == root_of(LEAVES[index << level : (index + 1) << level])


def test_tile_is_read_once():
    asked = []

    def read(path):
        asked.append(path)
        return WHOLE[path]

    read_node = node_reader(70_000, read)
    for index in (0, 255, 69_999):
        inclusion_proof(index, 70_000, read_node)

    assert sorted(map(str, asked)) == [
        "tile/0/000",
        "tile/0/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]


def test_tile_of_another_length_is_refused():
    with pytest.raises(MalformedError, match=r"^`tile/0/000.p/5` has 128 bytes: it must have 160$"):
        head_from_tiles(5, lambda path: b"".join(LEAVES[:4]))
