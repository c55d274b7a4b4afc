"""A receipt is proven by what the log signed, or it is not proven."""

import pytest

from exchange.audit import NoteError, ProofError, TlogProof, hash_leaf, inclusion_proof, node_reader, parse_note
from exchange.audit.verify import prove_receipt, signed_head
from exchange.kernel import MalformedError
from tests.core.audit.verify.worlds import KEYS, SIGNERS, START, signers, world


@pytest.fixture(scope="module")
def log():
    return world()


def proof_of(log, position, note=None):
    size = len(log.contents)
    hashes = inclusion_proof(position, size, node_reader(size, log.tile))
    return TlogProof(position, hashes, parse_note(note or log.checkpoints[-1].note)).render()


def test_kept_leaf_is_proven(log):
    proof = prove_receipt(hash_leaf(log.contents[317]), proof_of(log, 317), KEYS)

    assert (proof.index, proof.checkpoint.size) == (317, 600)


def test_other_leaf_in_its_place_is_not(log):
    with pytest.raises(ProofError, match="leaf 317 is not in the tree"):
        prove_receipt(hash_leaf(b"what was given"), proof_of(log, 317), KEYS)


def test_proof_under_another_key_is_not(log):
    with pytest.raises(NoteError, match="no known key"):
        prove_receipt(hash_leaf(log.contents[317]), proof_of(log, 317), [each.verifier for each in signers(2)])


def test_proof_that_one_key_of_two_signed_is_not(log):
    half = world(600)
    half.sign(START, by=SIGNERS[:1])

    with pytest.raises(NoteError, match="has not signed it"):
        prove_receipt(hash_leaf(log.contents[317]), proof_of(half, 317), KEYS)


def test_proof_that_several_keys_have_not_signed_is_not_and_one_is_named(log):
    more = [each.verifier for each in signers(2)]

    with pytest.raises(NoteError, match=f"{min(more, key=str).key_id.hex()}.* has not signed it"):
        prove_receipt(hash_leaf(log.contents[317]), proof_of(log, 317), [*more, *KEYS])


def test_text_that_is_no_proof_is_not(log):
    with pytest.raises(MalformedError):
        prove_receipt(hash_leaf(log.contents[317]), b"proof", KEYS)


def test_head_is_what_was_signed(log):
    assert signed_head(log.checkpoints[2].note, KEYS).size == 300
