import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import (
    LARGEST_NOTE_BYTES,
    TLOG_PROOF_SUFFIX,
    Checkpoint,
    ProofError,
    SignedNote,
    TlogProof,
    TreeHead,
    check_inclusion,
    parse_tlog_proof,
)
from exchange.kernel import MalformedError
from tests.core.audit import trees
from tests.core.audit.signers import LOG, ORIGIN, W1

LEAVES = trees.leaves(8)
CHECKPOINT = Checkpoint(ORIGIN, TreeHead(8, trees.root(LEAVES)))
NOTE = SignedNote(CHECKPOINT.text, (LOG.sign(CHECKPOINT.text, 0), W1.sign(CHECKPOINT.text, 7)))
PROOF = TlogProof(5, tuple(trees.path(5, LEAVES)), NOTE)
HASHES = "".join(f"{base64.b64encode(each).decode()}\n" for each in PROOF.hashes)


def text(*, first="c2sp.org/tlog-proof@v1\n", extra="", index="index 5\n", hashes=HASHES, blank="\n", note=NOTE):
    return f"{first}{extra}{index}{hashes}{blank}".encode() + note.render()


def test_file_name_ends_as_the_spec_says():
    assert TLOG_PROOF_SUFFIX == ".tlog-proof"


def test_proof_is_spelled_as_in_the_spec():
    assert PROOF.render() == text()
    assert parse_tlog_proof(text()) == PROOF


def test_extra_data_stands_before_the_index():
    proof = TlogProof(5, PROOF.hashes, NOTE, b"extra bytes")

    assert proof.render() == text(extra="extra ZXh0cmEgYnl0ZXM=\n")
    assert parse_tlog_proof(proof.render()) == proof


def test_empty_extra_data_is_not_none():
    assert parse_tlog_proof(text(extra="extra \n")).extra == b""
    assert TlogProof(5, PROOF.hashes, NOTE, b"").render() == text(extra="extra \n")


def test_largest_tree_has_proofs_of_so_many_hashes():
    assert len(parse_tlog_proof(text(hashes=HASHES[:45] * 63)).hashes) == 63


def test_first_leaf_alone_needs_no_hash():
    assert parse_tlog_proof(text(index="index 0\n", hashes="")) == TlogProof(0, (), NOTE)


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple),
    st.none() | st.binary(max_size=60),
)
def test_proof_comes_back_from_its_file(index, hashes, extra):
    proof = TlogProof(index, hashes, NOTE, extra)

    assert parse_tlog_proof(proof.render()) == proof


def test_leaf_is_in_the_tree_of_the_checkpoint():
    assert check_inclusion(PROOF, LEAVES[5]) == CHECKPOINT
    assert PROOF.checkpoint == CHECKPOINT


@pytest.mark.parametrize(
    ("proof", "leaf"),
    [
        (PROOF, 4),
        (TlogProof(4, PROOF.hashes, NOTE), 5),
        (TlogProof(8, PROOF.hashes, NOTE), 5),
        (TlogProof(5, PROOF.hashes[:-1], NOTE), 5),
        (TlogProof(5, (*PROOF.hashes, LEAVES[0]), NOTE), 5),
    ],
)
def test_leaf_of_another_place_is_refused(proof, leaf):
    with pytest.raises(ProofError):
        check_inclusion(proof, LEAVES[leaf])


NO_CHECKPOINT = SignedNote("text\n", NOTE.signatures)
NO_LINES = "proof has no ASCII lines with an empty line and a checkpoint after them"
NO_INDEX = "proof has no line `index <number>` where it belongs"
NO_FIRST = "proof does not begin with `c2sp.org/tlog-proof@v1`"
NUMBER = "is no number as it must be written: 0 to 9223372036854775807"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", NO_LINES),
        (b"c2sp.org/tlog-proof@v1\nindex 5\n", NO_LINES),
        (text(extra="extra é\n"), NO_LINES),
        (text(first=""), NO_FIRST),
        (text(first="c2sp.org/tlog-proof@v2\n"), NO_FIRST),
        (text(first="c2sp.org/tlog-proof@v1 \n"), NO_FIRST),
        (text(first="c2sp.org/tlog-proof@v1\r\n"), NO_FIRST),
        (text(first="\nc2sp.org/tlog-proof@v1\n"), NO_FIRST),
        (text(index="", hashes=""), NO_INDEX),
        (text(index=""), NO_INDEX),
        (text(index="Index 5\n"), NO_INDEX),
        (text(index="index\n"), NO_INDEX),
        (text(index=f"{HASHES}index 5\n", hashes=""), NO_INDEX),
        (text(extra="index 5\n", index="extra AAAA\n"), "hash 1: `extra AAAA` is not base64"),
        (text(extra="extra AAAA\nextra AAAA\n"), NO_INDEX),
        (text(extra="extra AAA\n"), "extra data: `AAA` is not base64"),
        (text(extra="extra AAB=\n"), "extra data: `AAB=` is not how base64 spells it"),
        (text(index="index 05\n"), f"index: `05` {NUMBER}"),
        (text(index="index  5\n"), f"index: ` 5` {NUMBER}"),
        (text(index="index 5\r\n"), f"index: `5\r` {NUMBER}"),
        (text(index="index -5\n"), f"index: `-5` {NUMBER}"),
        (text(index="index 9223372036854775808\n"), f"index: `9223372036854775808` {NUMBER}"),
        (text(hashes=HASHES + "AAAA\n"), "hash 4: has 3 bytes: a hash has 32"),
        (text(hashes=HASHES[:45] * 64), "proof has 64 hashes: no tree needs more than 63"),
        (text(hashes=HASHES.replace("\n", "\r\n")), f"hash 1: `{HASHES[:40]}` is not base64"),
        (text(blank="\n\n"), "checkpoint holds an empty line"),
        (text(note=NO_CHECKPOINT), "checkpoint needs three lines: origin, size, root hash"),
        (text()[:-1], "note has no blank line followed by signature lines"),
        (text()[: text().index("—".encode())], "note has no blank line followed by signature lines"),
    ],
)  # fmt: skip
def test_other_form_of_a_proof_is_refused(content, message):
    with pytest.raises(MalformedError) as caught:
        parse_tlog_proof(content)

    assert str(caught.value) == message


def test_proof_has_at_most_so_many_bytes():
    limit = 2 * LARGEST_NOTE_BYTES
    room = limit - len(text(extra="extra \n"))
    filled = text(extra=f"extra {'A' * (room // 4 * 4)}\n", first="c2sp.org/tlog-proof@v1\n")

    assert parse_tlog_proof(filled).extra == bytes(room // 4 * 3)
    for size, message in ((limit, NO_LINES), (limit + 1, f"proof has {limit + 1} bytes: at most {limit} are read")):
        with pytest.raises(MalformedError) as caught:
            parse_tlog_proof(b"x" * size)
        assert str(caught.value) == message


@pytest.mark.parametrize(
    "proof",
    [
        TlogProof(-1, PROOF.hashes, NOTE),
        TlogProof(2**63, PROOF.hashes, NOTE),
        TlogProof(5, (bytes(31),), NOTE),
        TlogProof(5, (bytes(32),) * 64, NOTE),
        TlogProof(5, PROOF.hashes, NO_CHECKPOINT),
        TlogProof(5, PROOF.hashes, SignedNote(CHECKPOINT.text, ())),
    ],
)
def test_proof_that_no_reader_would_take_is_not_written(proof):
    with pytest.raises(MalformedError):
        proof.render()


def test_proof_that_would_be_read_as_another_is_told():
    with pytest.raises(MalformedError, match=r"^the proof would be read as another one$"):
        TlogProof(5, list(PROOF.hashes), NOTE).render()


def test_proof_without_checkpoint_has_none():
    with pytest.raises(MalformedError, match=r"^checkpoint needs three lines"):
        check_inclusion(TlogProof(5, PROOF.hashes, NO_CHECKPOINT), LEAVES[5])
