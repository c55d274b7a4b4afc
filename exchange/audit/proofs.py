"""Inclusion and consistency proofs (RFC 9162 §2.1.3 and §2.1.4): made from a tree, checked without one.

A proof has exactly the hashes that its sizes call for, in one order: one too many or too few is refused
before anything is hashed.
"""

from collections.abc import Callable, Sequence

from exchange.audit.merkle import EMPTY_ROOT, HASH_BYTES, TreeHead, hash_children
from exchange.kernel import InvalidError

NodeReader = Callable[[int, int], bytes]
"""Gives the hash of node (level, index); asked only for nodes that the tree holds whole."""


class ProofError(InvalidError):
    """A proof does not prove what it should; the message says where it fails."""

    code = "proof-invalid"


def inclusion_proof(index: int, size: int, read_node: NodeReader) -> tuple[bytes, ...]:
    """Return the proof that leaf `index` is in the tree of `size`: siblings from the leaf up.

    Raises ProofError where the tree has no such leaf.
    """
    _check_index(index, size)
    return _path(index, size, level=0, read_node=read_node)


def consistency_proof(old_size: int, new_size: int, read_node: NodeReader) -> tuple[bytes, ...]:
    """Return the proof that the tree of `new_size` begins with that of `old_size`.

    Empty from size 0 and between equal sizes, as C2SP tlog-witness has it. Raises ProofError where the old
    tree is the larger one.
    """
    _check_growth(old_size, new_size)
    if old_size in {0, new_size}:
        return ()
    # The largest perfect subtree that the old tree ends in: everything left of the path is whole in both trees.
    level = _trailing_zeros(old_size)
    path = _path((old_size - 1) >> level, new_size, level=level, read_node=read_node)
    is_perfect = old_size == 1 << level
    return path if is_perfect else (read_node(level, (old_size - 1) >> level), *path)


def root_from_nodes(size: int, read_node: NodeReader) -> bytes:
    """Return the root of the tree of `size` from its perfect subtrees; EMPTY_ROOT for size 0."""
    return EMPTY_ROOT if size == 0 else _root_from(0, size, read_node)


def verify_inclusion(proof: Sequence[bytes], leaf_hash: bytes, *, index: int, head: TreeHead) -> None:
    """Return where `proof` shows that `leaf_hash` is leaf `index` of the tree `head`.

    Raises ProofError otherwise.
    """
    # (1) The tree has such a leaf, (2) and the proof exactly the hashes that its place calls for.
    _check_index(index, head.size)
    inner, border = _shape(index, head.size - 1)
    _check_length(proof, inner + border, f"inclusion proof of leaf {index} in the tree of size {head.size}")
    # (3) The hashes lead from the leaf to the root.
    root = _climb_border(_climb_inner(leaf_hash, proof[:inner], index), proof[inner:])
    if root != head.root:
        raise ProofError(f"leaf {index} is not in the tree of size {head.size}: the proof leads to another root")


def verify_consistency(proof: Sequence[bytes], *, old: TreeHead, new: TreeHead) -> None:
    """Return where `proof` shows that the tree `new` begins with the tree `old`. Raises ProofError otherwise."""
    # (1) The tree did not shrink.
    _check_growth(old.size, new.size)
    # (2) The empty tree has one root, and begins every tree: nothing to prove.
    if old.size == 0:
        _check_length(proof, 0, "consistency proof from the empty tree")
        _check_root(EMPTY_ROOT, old)
    # (3) Trees of one size are one tree.
    if old.size == new.size:
        _check_length(proof, 0, f"consistency proof between two trees of size {old.size}")
        _check_root(old.root, new)
    if old.size not in {0, new.size}:
        _verify_growth(proof, old=old, new=new)


def _verify_growth(proof: Sequence[bytes], *, old: TreeHead, new: TreeHead) -> None:
    # (4) The proof has exactly the hashes that the sizes call for: a path from the subtree that the old tree
    # ends in, begun by that subtree's hash unless it is the whole old tree.
    level = _trailing_zeros(old.size)
    index = (old.size - 1) >> level
    inner, border = _shape(index, (new.size - 1) >> level)
    is_perfect = old.size == 1 << level
    length = inner + border + (0 if is_perfect else 1)
    _check_length(proof, length, f"consistency proof from size {old.size} to size {new.size}")
    seed, path = (old.root, proof) if is_perfect else (proof[0], proof[1:])
    # (5) With the left siblings only, the hashes lead to the old root, (6) with all of them to the new one.
    old_root = _climb_border(_climb_inner(seed, path[:inner], index, left_only=True), path[inner:])
    _check_root(old_root, old)
    _check_root(_climb_border(_climb_inner(seed, path[:inner], index), path[inner:]), new)


def _path(index: int, size: int, *, level: int, read_node: NodeReader) -> tuple[bytes, ...]:
    # `last` is the last node of each level, whole or not; a sibling beyond it is none.
    path, last = [], (size - 1) >> level
    while last > 0:
        sibling = index ^ 1
        if sibling < last:
            path.append(read_node(level, sibling))
        elif sibling == last:
            path.append(_root_from(sibling << level, size, read_node))
        level, index, last = level + 1, index >> 1, last >> 1
    return tuple(path)


def _root_from(start: int, end: int, read_node: NodeReader) -> bytes:
    # The root over leaves start..end, by their perfect subtrees from the right; `start` is a multiple of a
    # power of two that is not below their number, so each lies where a node of the whole tree lies.
    level = _trailing_zeros(end - start)
    root, rest = read_node(level, (end >> level) - 1), end - (1 << level)
    while rest > start:
        level = _trailing_zeros(rest - start)
        root, rest = hash_children(read_node(level, (rest >> level) - 1), root), rest - (1 << level)
    return root


def _shape(index: int, last: int) -> tuple[int, int]:
    # How many siblings lie below where the paths of `index` and of the last node meet (one per level), and how
    # many from there up, on the right border (left ones only).
    inner = (index ^ last).bit_length()
    return inner, (index >> inner).bit_count()


def _climb_inner(node: bytes, siblings: Sequence[bytes], index: int, *, left_only: bool = False) -> bytes:
    for level, sibling in enumerate(siblings):
        if index >> level & 1:
            node = hash_children(sibling, node)
        elif not left_only:
            node = hash_children(node, sibling)
    return node


def _climb_border(node: bytes, siblings: Sequence[bytes]) -> bytes:
    for sibling in siblings:
        node = hash_children(sibling, node)
    return node


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1


def _check_index(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise ProofError(f"a tree of size {size} has no leaf {index}")


def _check_growth(old_size: int, new_size: int) -> None:
    if not 0 <= old_size <= new_size:
        raise ProofError(f"a tree of size {new_size} cannot have grown from size {old_size}")


def _check_length(proof: Sequence[bytes], length: int, name: str) -> None:
    if len(proof) != length:
        raise ProofError(f"{name} has {len(proof)} hashes: it must have {length}")
    for number, each in enumerate(proof, start=1):
        if len(each) != HASH_BYTES:
            raise ProofError(f"{name}: hash {number} has {len(each)} bytes: it must have {HASH_BYTES}")


def _check_root(root: bytes, head: TreeHead) -> None:
    if root != head.root:
        raise ProofError(f"another root belongs to the tree of size {head.size}")
