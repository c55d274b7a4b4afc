import itertools

import pytest

from exchange.audit import (
    Attestation,
    Checkpoint,
    KnownLog,
    KnownWitness,
    LogPolicy,
    NoteError,
    NoteSignature,
    SignedNote,
    TreeHead,
    WitnessGroup,
)
from exchange.kernel import MalformedError
from tests.core.audit import trees
from tests.core.audit.signers import LOG, LOG_ML_DSA, ORIGIN, OTHER_LOG, W1, W2, W3

CHECKPOINT = Checkpoint(ORIGIN, TreeHead(8, trees.root(trees.leaves(8))))
TEXT = CHECKPOINT.text
NOW = 1_700_000_000
LOGS = (KnownLog(LOG.verifier), KnownLog(LOG_ML_DSA.verifier), KnownLog(OTHER_LOG.verifier))
WITNESSES = (KnownWitness("one", W1.verifier), KnownWitness("two", W2.verifier), KnownWitness("three", W3.verifier))


def policy(quorum, *groups, witnesses=WITNESSES):
    return LogPolicy(LOGS, witnesses, groups, quorum)


def signed(*signers, at=NOW, text=TEXT):
    return SignedNote(text, tuple(signer.sign(text, at) for signer in signers))


def test_standing_tells_who_stands_behind_a_checkpoint():
    standing = policy("one").judge(signed(W3, LOG, W1))

    assert standing.checkpoint == CHECKPOINT
    assert standing.log == (Attestation(LOG.verifier, None),)
    assert list(standing.witnesses.items()) == [
        ("one", Attestation(W1.verifier, NOW)),
        ("three", Attestation(W3.verifier, NOW)),
    ]
    assert standing.has_quorum


def test_log_attests_with_each_of_its_keys():
    assert policy("none").judge(signed(LOG_ML_DSA, LOG)).log == (
        Attestation(LOG_ML_DSA.verifier, NOW),
        Attestation(LOG.verifier, None),
    )


def test_missing_quorum_is_told_and_no_error():
    standing = policy("one").judge(signed(LOG, W2))

    assert list(standing.witnesses) == ["two"]
    assert not standing.has_quorum


def test_no_quorum_asks_for_no_witness():
    standing = policy("none", witnesses=()).judge(signed(LOG, W1))

    assert standing.witnesses == {}
    assert standing.has_quorum
    assert LogPolicy(LOGS, ()) == policy("none", witnesses=())


@pytest.mark.parametrize("at", [0, 5])
def test_latest_cosignature_of_a_witness_counts(at):
    for earlier, later in ((at, 9), (9, at)):
        note = signed(LOG).with_signatures(W1.sign(TEXT, earlier), W1.sign(TEXT, later))

        assert policy("one").judge(note).witnesses == {"one": Attestation(W1.verifier, 9)}


def test_stated_time_counts_before_none():
    note = signed(LOG).with_signatures(W1.sign(TEXT, 1), W1.sign(TEXT, 0))

    assert policy("one").judge(note).witnesses == {"one": Attestation(W1.verifier, 1)}


def test_cosignature_without_a_time_counts():
    standing = policy("two").judge(signed(LOG, W2, at=0))

    assert standing.witnesses == {"two": Attestation(W2.verifier, None)}
    assert standing.has_quorum


def test_checkpoint_that_only_witnesses_signed_is_refused():
    with pytest.raises(NoteError, match=r"^no known log has signed the checkpoint of `exchange\.example/log/1`$"):
        policy("one").judge(signed(W1, W2, W3))


def test_log_signs_for_its_own_origin_only():
    with pytest.raises(NoteError, match=r"^no known log has signed the checkpoint of `exchange\.example/log/1`$"):
        policy("none").judge(signed(OTHER_LOG))

    standing = policy("none").judge(signed(OTHER_LOG, LOG))
    assert standing.log == (Attestation(LOG.verifier, None),)


def test_long_origin_is_quoted_in_brief():
    text = Checkpoint("o" * 81, CHECKPOINT.head).text
    with pytest.raises(NoteError, match=r"`o{80}`$"):
        policy("none").judge(signed(LOG, text=text))


def test_note_of_strangers_is_refused():
    with pytest.raises(NoteError, match=r"^no known key has signed the note$"):
        LogPolicy((KnownLog(OTHER_LOG.verifier),), ()).judge(signed(LOG, W1))


@pytest.mark.parametrize("signer", [LOG, LOG_ML_DSA, OTHER_LOG, W1, W2])
def test_wrong_signature_of_a_known_key_is_refused(signer):
    note = signed(LOG, W1, W3).with_signatures(NoteSignature(signer.name, signer.verifier.key_id, bytes(72)))
    with pytest.raises(
        NoteError, match=rf"^the signature of `{signer.name}` \(key id {signer.verifier.key_id.hex()}\) is wrong: "
    ):
        policy("one").judge(note)


def test_signed_text_that_is_no_checkpoint_is_refused():
    with pytest.raises(MalformedError, match=r"^checkpoint needs three lines"):
        policy("none").judge(signed(LOG, text="any text\n"))


NAMES = ("one", "two", "three")
SUBSETS = [frozenset(each) for size in range(4) for each in itertools.combinations(NAMES, size)]


@pytest.mark.parametrize("threshold", [1, 2, 3])
@pytest.mark.parametrize("standing", SUBSETS, ids=lambda each: "+".join(sorted(each)) or "nobody")
def test_k_of_n_stand(threshold, standing):
    group = WitnessGroup("all", threshold, NAMES)

    assert policy("all", group).is_quorum(dict.fromkeys(standing)) == (len(standing) >= threshold)


@pytest.mark.parametrize("standing", SUBSETS, ids=lambda each: "+".join(sorted(each)) or "nobody")
def test_groups_stand_within_groups(standing):
    pair = WitnessGroup("pair", 1, ("one", "two"))
    both = WitnessGroup("both", 2, ("pair", "three"))

    expected = bool(standing & {"one", "two"}) and "three" in standing
    assert policy("both", pair, both).is_quorum(dict.fromkeys(standing)) == expected


def test_group_within_thousands_of_others_stands_or_does_not():
    chain = [WitnessGroup(f"g{number}", 1, (f"g{number - 1}" if number else "one",)) for number in range(5_000)]

    assert policy("g4999", *chain).is_quorum({"one": None})
    assert not policy("g4999", *chain).is_quorum({"two": None})


@pytest.mark.parametrize("quorum", ["stranger", "", "NONE", "group"])
def test_name_that_nobody_bears_is_no_quorum(quorum):
    assert not policy(quorum).is_quorum({"one": None, quorum: None})


def test_unknown_members_count_nothing():
    group = WitnessGroup("group", 2, ("one", "stranger"))

    assert not policy("group", group).is_quorum({"one": None, "stranger": None})
