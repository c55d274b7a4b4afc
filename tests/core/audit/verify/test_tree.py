"""The tree again from its leaves: every root of every size, every tile compared, whatever is missing named."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.audit.merkle import EMPTY_ROOT, hash_children, hash_leaf
from exchange.audit.tile_paths import TilePath, tiles_of_size
from exchange.audit.tiles import grow_tiles
from exchange.audit.verify.findings import Findings, Step
from exchange.audit.verify.storeys import Storeys
from exchange.audit.verify.tree import Recomputation
from exchange.kernel import MalformedError
from tests.core.audit.verify.worlds import World, content, world


def root_by_definition(hashes):
    """RFC 9162 §2.1.1, as it is written."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return hash_children(root_by_definition(hashes[:split]), root_by_definition(hashes[split:]))


def unsigned(count):
    """A tree of entries that are their numbers."""
    made = World(has_columns=False)
    made.contents = [str(number).encode() for number in range(count)]
    for tile in grow_tiles(0, [hash_leaf(each) for each in made.contents], made.tile):
        made.tiles[tile.path.level, tile.path.index] = tile.content
    return made


def recomputed(made, size=None, claimed=None, sizes=()):
    findings = Findings()
    tree = Recomputation(made, len(made.contents) if size is None else size, claimed, sizes)
    leaves = list(tree.leaves(findings))
    return tree.roots, leaves, findings.found()


@settings(max_examples=25)
@given(st.integers(1, 1100), st.data())
def test_every_root_asked_for_is_that_of_the_definition(count, data):
    made = unsigned(count)
    hashes = [hash_leaf(each) for each in made.contents]
    sizes = data.draw(st.lists(st.integers(0, count), max_size=8))

    roots, leaves, findings = recomputed(made, sizes=sizes)

    assert findings == ()
    assert roots == {size: root_by_definition(hashes[:size]) for size in {0, count, *sizes}}
    assert [each for leaf in leaves for each in leaf.hashes] == hashes


def test_tile_of_the_second_level_is_compared_when_it_is_full():
    made = unsigned(256 * 256 + 3)
    assert recomputed(made)[2] == ()
    made.tiles[1, 0] = made.tiles[1, 0][:-1] + b"x"
    made.tiles[2, 0] = bytes(32)

    _, _, findings = recomputed(made)

    assert [(each.place, each.why) for each in findings] == [("tile/1/000", "hash 255 is not the root over tile/0/255")]


@dataclass
class Asked(World):
    """Remembers which tiles it was asked for."""

    asked: set = field(default_factory=set)

    def tile(self, path):
        self.asked.add(path)
        return super().tile(path)


def test_entry_behind_the_first_full_tile_of_roots_is_judged_by_the_second():
    made = unsigned(256 * 257)
    made = Asked(contents=made.contents, tiles=made.tiles)
    assert recomputed(made)[2] == ()
    made.contents[65_546] = b"other"

    _, _, findings = recomputed(made)

    assert [(each.place, each.position) for each in findings] == [("entry 65546", 65_546)]
    assert findings[0].why == "its bytes were changed: their leaf hash is not the one that was signed"
    assert made.asked == set(tiles_of_size(256 * 257))


def test_third_tile_of_roots_is_compared_as_the_third():
    # The storeys above 514 full tiles and nothing else: a tree of so many entries takes seconds.
    roots = [hash_leaf(str(number).encode()) for number in range(514)]
    made = Asked()
    for tile in grow_tiles(0, roots, made.tile):
        made.tiles[tile.path.level + 1, tile.path.index] = tile.content
    made.tiles[1, 2] = made.tiles[1, 2][:-1] + b"x"
    made.asked.clear()

    storeys = Storeys(made, findings := Findings())
    for root in roots:
        storeys.take(root)
    storeys.finish()

    assert made.asked == {TilePath(1, 0), TilePath(1, 1), TilePath(1, 2, 2), TilePath(2, 0, 2)}
    assert [str(each) for each in findings.found()] == ["tree: tile/1/002.p/2: hash 1 is not the root over tile/0/513"]


def test_higher_tile_is_at_no_entrys_place():
    made = unsigned(600)
    del made.tiles[1, 0]

    _, _, findings = recomputed(made)

    assert [(each.place, each.position) for each in findings] == [("tile/1/000.p/2", None)]


def test_sizes_beyond_the_tree_are_not_answered():
    roots, _, _ = recomputed(unsigned(3), sizes=(2, 4))

    assert sorted(roots) == [0, 2, 3]


def test_without_entries_the_tiles_are_the_leaves():
    made = unsigned(300)
    whole, _, _ = recomputed(made)
    made.has_entries = False
    made.contents = []

    roots, leaves, findings = recomputed(made, 300)

    assert (roots, findings) == (whole, ())
    assert {leaf.contents for leaf in leaves} == {None}


def test_missing_tile_is_named_and_the_entries_go_on_without_it():
    made = unsigned(600)
    whole, _, _ = recomputed(made)
    del made.tiles[0, 1]

    roots, _, findings = recomputed(made)

    assert roots == whole
    assert [(each.place, each.why, each.position) for each in findings] == [("tile/0/001", "it is missing", 256)]


def test_missing_bundle_is_named_and_its_tile_goes_on_without_it():
    made = unsigned(600)
    whole, _, _ = recomputed(made)
    made.contents[256:512] = [MalformedError("bundle ends within entry 3 of 256")] * 256

    roots, leaves, findings = recomputed(made)

    assert roots == whole
    why = "bundle ends within entry 3 of 256"
    assert [(each.place, each.why, each.position) for each in findings] == [("tile/entries/001", why, 256)]
    assert leaves[1].contents is None


def test_bundle_that_is_not_there_at_all_is_named():
    made = unsigned(600)
    del made.contents[512:]

    _, _, findings = recomputed(made, 600)

    named = [(each.place, each.why, each.position) for each in findings]
    assert named == [("tile/entries/002.p/88", "it is missing", 512)]


def test_bundle_with_fewer_entries_than_were_signed_is_named():
    made = unsigned(600)
    del made.contents[590:]

    _, _, findings = recomputed(made, 600)

    assert [(each.why, each.position) for each in findings] == [("it holds 78 entries: 88 were signed", 512)]


def test_pass_ends_where_neither_entries_nor_tile_are_left():
    made = unsigned(600)
    made.contents[300] = None
    del made.tiles[0, 1]

    roots, leaves, _ = recomputed(made)

    assert sorted(roots) == [0]
    assert len(leaves) == 1


def test_pass_without_entries_ends_at_a_missing_tile():
    made = unsigned(600)
    made.has_entries = False
    del made.tiles[0, 2]

    roots, leaves, findings = recomputed(made)

    assert sorted(roots) == [0]
    assert (len(leaves), [each.place for each in findings]) == (2, ["tile/0/002.p/88"])


@pytest.mark.parametrize(
    ("held", "why"),
    [(b"x" * 31, "it has 31 bytes: 256 hashes were signed"), (MalformedError("too large"), "too large")],
)
def test_tile_that_is_none_is_named(held, why):
    made = unsigned(600)
    made.tiles[0, 1] = held

    _, _, findings = recomputed(made)

    assert [(each.place, each.why) for each in findings] == [("tile/0/001", why)]


@pytest.mark.parametrize("above", [None, MalformedError("unreadable")])
def test_entry_and_tile_that_fit_nothing_are_named_together(above):
    made = unsigned(600)
    made.contents[300] = b"other"
    made.tiles[1, 0] = above

    _, _, findings = recomputed(made)

    assert findings[0].place == "entry 300"
    assert "neither of the two fits" in findings[0].why


def test_changed_entry_in_the_last_tile_is_judged_by_the_signed_root():
    made = unsigned(600)
    whole, _, _ = recomputed(made)
    made.contents[599] = b"other"

    roots, leaves, findings = recomputed(made, claimed=whole[600])

    assert (findings[0].place, roots) == ("entry 599", whole)
    # What its bytes hash to is what the entry's own checks are told.
    assert leaves[-1].hashes[-1] == hash_leaf(b"other")


def test_finding_names_the_entry_by_its_row_where_its_bytes_are_no_entry():
    made = world()
    made.contents[317] = b"{}"

    finding = made.verify().findings[0]

    assert (finding.step, finding.entry) == (Step.TREE, made.rows[317].columns.id)


def test_finding_has_no_id_where_none_can_be_read():
    made = world()
    made.has_columns = False
    made.contents[317] = b"{}"

    assert made.verify().findings[0].entry is None


def test_finding_names_the_entry_by_its_bytes_where_there_are_no_rows():
    made = world()
    made.has_columns = False
    made.contents[317] = content(317, purpose="other")

    assert made.verify().findings[0].entry == made.rows[317].columns.id
