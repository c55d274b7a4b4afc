import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import (
    EMPTY_ROOT,
    ProofError,
    TreeHead,
    consistency_proof,
    hash_leaf,
    inclusion_proof,
    root_from_nodes,
    verify_consistency,
    verify_inclusion,
)
from tests.core.audit import trees
from tests.core.audit.rfc_tree import ENTRIES, LEAF_HASHES, ROOTS, VECTORS

LEAVES = trees.leaves(70)
HEADS = [TreeHead(size, trees.root(LEAVES[:size])) for size in range(71)]


@pytest.mark.parametrize("vector", VECTORS["inclusion"], ids=lambda each: f"{each['index']}-of-{each['size']}")
def test_published_inclusion_proofs(vector):
    index, size = vector["index"], vector["size"]
    proof = tuple(bytes.fromhex(each) for each in vector["proof"])

    assert inclusion_proof(index, size, trees.nodes(LEAF_HASHES)) == proof
    verify_inclusion(proof, hash_leaf(ENTRIES[index]), index=index, head=TreeHead(size, ROOTS[size]))


@pytest.mark.parametrize("vector", VECTORS["consistency"], ids=lambda each: f"{each['old']}-to-{each['new']}")
def test_published_consistency_proofs(vector):
    old, new = vector["old"], vector["new"]
    proof = tuple(bytes.fromhex(each) for each in vector["proof"])

    assert consistency_proof(old, new, trees.nodes(LEAF_HASHES)) == proof
    verify_consistency(proof, old=TreeHead(old, ROOTS[old]), new=TreeHead(new, ROOTS[new]))


@pytest.mark.parametrize("size", [*range(1, 36), 63, 64, 65])
def test_every_leaf_has_the_proof_of_the_definition(size):
    for index in range(size):
        proof = inclusion_proof(index, size, trees.nodes(LEAVES[:size]))

        assert list(proof) == trees.path(index, LEAVES[:size])
        verify_inclusion(proof, LEAVES[index], index=index, head=HEADS[size])


@pytest.mark.parametrize("new", [*range(1, 36), 63, 64, 65])
def test_every_older_tree_has_the_proof_of_the_definition(new):
    for old in range(1, new + 1):
        proof = consistency_proof(old, new, trees.nodes(LEAVES[:new]))

        assert list(proof) == trees.subproof(old, LEAVES[:new])
        verify_consistency(proof, old=HEADS[old], new=HEADS[new])


@pytest.mark.parametrize("size", range(66))
def test_root_comes_from_whole_nodes(size):
    assert root_from_nodes(size, trees.nodes(LEAVES[:size])) == HEADS[size].root


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 5), (5, 5), (6, 5), (0, -1)])
def test_leaf_outside_the_tree_has_no_proof(index, size):
    with pytest.raises(ProofError, match=f"^a tree of size {size} has no leaf {index}$"):
        inclusion_proof(index, size, trees.nodes(LEAVES))
    with pytest.raises(ProofError, match=f"^a tree of size {size} has no leaf {index}$"):
        verify_inclusion((), LEAVES[0], index=index, head=TreeHead(size, LEAVES[0]))


@pytest.mark.parametrize(("old", "new"), [(1, 0), (6, 5), (-1, 5), (-1, -1), (0, -1)])
def test_tree_never_shrinks(old, new):
    with pytest.raises(ProofError, match=f"^a tree of size {new} cannot have grown from size {old}$"):
        consistency_proof(old, new, trees.nodes(LEAVES))
    with pytest.raises(ProofError, match=f"^a tree of size {new} cannot have grown from size {old}$"):
        verify_consistency((), old=TreeHead(old, EMPTY_ROOT), new=TreeHead(new, EMPTY_ROOT))


@pytest.mark.parametrize("size", [0, 1, 7])
def test_empty_tree_begins_every_tree_without_proof(size):
    assert consistency_proof(0, size, trees.nodes(LEAVES)) == ()
    verify_consistency((), old=HEADS[0], new=HEADS[size])


@pytest.mark.parametrize("size", [0, 1, 7])
def test_hashes_from_the_empty_tree_are_refused(size):
    with pytest.raises(ProofError, match=r"^consistency proof from the empty tree has 1 hashes: it must have 0$"):
        verify_consistency((LEAVES[0],), old=HEADS[0], new=HEADS[size])


def test_empty_tree_has_one_root():
    with pytest.raises(ProofError, match=r"^another root belongs to the tree of size 0$"):
        verify_consistency((), old=TreeHead(0, LEAVES[0]), new=HEADS[3])
    with pytest.raises(ProofError, match=r"^another root belongs to the tree of size 0$"):
        verify_consistency((), old=HEADS[0], new=TreeHead(0, LEAVES[0]))


def test_two_histories_of_one_size_are_refused():
    with pytest.raises(ProofError, match=r"^another root belongs to the tree of size 7$"):
        verify_consistency((), old=HEADS[7], new=TreeHead(7, LEAVES[0]))
    with pytest.raises(
        ProofError, match=r"^consistency proof between two trees of size 7 has 1 hashes: it must have 0$"
    ):
        verify_consistency((LEAVES[0],), old=HEADS[7], new=HEADS[7])


def damaged(proof):
    """Every proof that differs from this one in one place or one hash."""
    for place, each in enumerate(proof):
        yield (*proof[:place], bytes([each[0] ^ 1]) + each[1:], *proof[place + 1 :])
        yield proof[:place] + proof[place + 1 :]
    for place in range(len(proof) + 1):
        yield (*proof[:place], LEAVES[69], *proof[place:])
        yield (*proof[:place], *proof[place : place + 1], *proof[place:])
    for place in range(len(proof) - 1):
        yield (*proof[:place], proof[place + 1], proof[place], *proof[place + 2 :])


@pytest.mark.parametrize("size", range(1, 20))
def test_damaged_inclusion_proof_is_refused(size):
    for index in range(size):
        proof = tuple(trees.path(index, LEAVES[:size]))
        for wrong in damaged(proof):
            if wrong != proof:
                with pytest.raises(ProofError):
                    verify_inclusion(wrong, LEAVES[index], index=index, head=HEADS[size])


@pytest.mark.parametrize("new", range(2, 20))
def test_damaged_consistency_proof_is_refused(new):
    for old in range(1, new):
        proof = tuple(trees.subproof(old, LEAVES[:new]))
        for wrong in damaged(proof):
            if wrong != proof:
                with pytest.raises(ProofError):
                    verify_consistency(wrong, old=HEADS[old], new=HEADS[new])


@pytest.mark.parametrize(("index", "size", "length"), [(0, 1, 0), (0, 8, 3), (4, 5, 1), (6, 7, 2), (16, 17, 1)])
def test_inclusion_proof_has_so_many_hashes_and_no_other(index, size, length):
    for count in set(range(length + 3)) - {length}:
        with pytest.raises(ProofError) as caught:
            verify_inclusion(LEAVES[:count], LEAVES[index], index=index, head=HEADS[size])

        place = f"inclusion proof of leaf {index} in the tree of size {size}"
        assert str(caught.value) == f"{place} has {count} hashes: it must have {length}"
        assert caught.value.code == "proof-invalid"


@pytest.mark.parametrize(("old", "new", "length"), [(1, 2, 1), (3, 7, 4), (4, 7, 1), (6, 8, 3), (7, 8, 4), (8, 9, 1)])
def test_consistency_proof_has_so_many_hashes_and_no_other(old, new, length):
    for count in set(range(length + 3)) - {length}:
        with pytest.raises(ProofError) as caught:
            verify_consistency(LEAVES[:count], old=HEADS[old], new=HEADS[new])

        place = f"consistency proof from size {old} to size {new}"
        assert str(caught.value) == f"{place} has {count} hashes: it must have {length}"


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_hash_of_another_length_is_refused(length):
    proof = trees.path(3, LEAVES[:8])
    with pytest.raises(ProofError, match=f": hash 2 has {length} bytes: it must have 32$"):
        verify_inclusion([proof[0], bytes(length), proof[2]], LEAVES[3], index=3, head=HEADS[8])


@given(st.integers(1, 65), st.data())
def test_proof_of_one_place_proves_no_other(size, data):
    index, other = (data.draw(st.integers(0, size - 1)) for _ in range(2))
    proof = trees.path(index, LEAVES[:size])
    if other != index:
        with pytest.raises(ProofError):
            verify_inclusion(proof, LEAVES[index], index=other, head=HEADS[size])
        with pytest.raises(ProofError):
            verify_inclusion(proof, LEAVES[other], index=index, head=HEADS[size])


@given(st.integers(1, 64), st.data())
def test_proof_proves_nothing_of_another_tree(size, data):
    index = data.draw(st.integers(0, size - 1))
    with pytest.raises(ProofError):
        verify_inclusion(
            trees.path(index, LEAVES[:size]), LEAVES[index], index=index, head=TreeHead(size, HEADS[size + 1].root)
        )


def test_other_root_is_named():
    with pytest.raises(ProofError, match=r"^leaf 3 is not in the tree of size 8: the proof leads to another root$"):
        verify_inclusion(trees.path(3, LEAVES[:8]), LEAVES[3], index=3, head=TreeHead(8, LEAVES[0]))


@given(st.integers(1, 64), st.data())
def test_rewritten_history_is_refused(new, data):
    old = data.draw(st.integers(1, new))
    changed = data.draw(st.integers(0, old - 1))
    rewritten = [*LEAVES[:changed], LEAVES[69], *LEAVES[changed + 1 : new]]
    fork = TreeHead(new, trees.root(rewritten))
    for proof in (trees.subproof(old, rewritten), trees.subproof(old, LEAVES[:new])):
        with pytest.raises(ProofError):
            verify_consistency(proof, old=HEADS[old], new=fork)


def test_root_that_does_not_belong_is_named():
    proof = trees.subproof(3, LEAVES[:7])
    with pytest.raises(ProofError, match=r"^another root belongs to the tree of size 3$"):
        verify_consistency(proof, old=TreeHead(3, LEAVES[0]), new=HEADS[7])
    with pytest.raises(ProofError, match=r"^another root belongs to the tree of size 7$"):
        verify_consistency(proof, old=HEADS[3], new=TreeHead(7, LEAVES[0]))
