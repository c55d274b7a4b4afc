import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import EMPTY_ROOT, HASH_BYTES, CompactRange, TreeHead, hash_children, hash_leaf, hash_level, root_of
from tests.core.audit import trees
from tests.core.audit.rfc_tree import LEAF_HASHES, ROOTS


def test_hashes_are_those_of_the_rfc():
    assert hash_leaf(b"entry") == hashlib.sha256(b"\x00entry").digest()
    assert hash_children(b"l" * 32, b"r" * 32) == hashlib.sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()
    assert hashlib.sha256().digest() == EMPTY_ROOT
    assert HASH_BYTES == 32


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size):
    assert root_of(LEAF_HASHES[:size]) == ROOTS[size]


def test_level_leaves_out_a_last_node_without_sibling():
    a, b, c = trees.leaves(3)

    assert hash_level([]) == []
    assert hash_level([a]) == []
    assert hash_level([a, b]) == [hash_children(a, b)]
    assert hash_level((a, b, c)) == [hash_children(a, b)]


@pytest.mark.parametrize("size", [*range(70), 255, 256, 257, 1023, 1024, 1025])
def test_root_is_the_one_of_the_definition(size):
    hashes = trees.leaves(size)

    assert root_of(hashes) == trees.root(hashes)


@given(st.lists(st.integers(0, 40), max_size=8))
def test_tree_grown_in_any_batches_is_one_tree(batches):
    hashes, grown, size = trees.leaves(sum(batches)), CompactRange(), 0
    for batch in batches:
        grown.extend(hashes[size : size + batch])
        size += batch

        assert grown.head() == TreeHead(size, trees.root(hashes[:size]))
        assert len(grown.peaks) == size.bit_count()


def test_tree_grows_leaf_by_leaf():
    grown, hashes = CompactRange(), trees.leaves(33)
    for size, leaf_hash in enumerate(hashes, start=1):
        grown.append(leaf_hash)

        assert (grown.size, grown.root()) == (size, trees.root(hashes[:size]))


def test_peaks_are_the_perfect_subtrees_the_largest_first():
    hashes, grown = trees.leaves(13), CompactRange()
    grown.extend(hashes)

    assert grown.peaks == (trees.root(hashes[:8]), trees.root(hashes[8:12]), hashes[12])


@given(st.integers(0, 70), st.integers(0, 70))
def test_tree_goes_on_from_its_peaks(old, more):
    hashes, before = trees.leaves(old + more), CompactRange()
    before.extend(hashes[:old])

    after = CompactRange(before.size, before.peaks)
    after.extend(hashes[old:])

    assert after.head() == TreeHead(old + more, trees.root(hashes))
    assert before.size == old


@pytest.mark.parametrize(
    ("size", "peaks"),
    [
        (-1, [bytes(32)]),
        (0, [bytes(32)]),
        (1, []),
        (3, [bytes(32)]),
        (3, [bytes(32)] * 3),
        (1, [bytes(31)]),
        (3, [bytes(32), bytes(33)]),
    ],
)
def test_other_hashes_than_the_peaks_are_refused(size, peaks):
    with pytest.raises(ValueError, match=rf"^{len(peaks)} hashes are not the peaks of a tree of size {size}$"):
        CompactRange(size, peaks)
