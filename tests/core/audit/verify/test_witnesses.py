"""Who stands behind a log: the newest checkpoint with a quorum counts, wrong cosignatures and long waits are found."""

from dataclasses import replace

import pytest

from exchange.audit import KnownWitness, LogPolicy, WitnessGroup, parse_note
from exchange.audit.verify import KeptCheckpoint, Limits, Step
from exchange.kernel import to_micros
from tests.core.audit.signers import W1, W2, W3
from tests.core.audit.verify.worlds import KEYS, SECOND, SIGNERS, START, content, world

TWO_OF_THREE = LogPolicy(
    logs=(),
    witnesses=tuple(KnownWitness(name, signer.verifier) for name, signer in (("one", W1), ("two", W2), ("three", W3))),
    groups=(WitnessGroup("all", 2, ("one", "two", "three")),),
    quorum="all",
)
NOBODY = replace(TWO_OF_THREE, quorum="none")


# When the newest checkpoint of the log under test was signed, and how far a witness's clock may be behind.
SIGNED = START + 600 * SECOND
ALLOWED = 300


def cosigned(log, number, *witnesses, at=None):
    """Let witnesses cosign a checkpoint, the moment it was signed unless they say `at` another."""
    note = parse_note(log.checkpoints[number].note)
    size = int(note.text.splitlines()[1])
    seconds = int((at or START + size * SECOND).timestamp())
    note = note.with_signatures(*(each.sign(note.text, seconds) for each in witnesses))
    log.checkpoints[number] = KeptCheckpoint(note.render())


@pytest.fixture
def log():
    return world()


def test_quorum_behind_the_newest_checkpoint_is_enough(log):
    cosigned(log, -1, W1, W3)

    verification = log.verify(policy=TWO_OF_THREE)

    assert verification.is_sound
    assert verification.witnesses == ("one", "three")


@pytest.mark.parametrize("witnesses", [(), (W1,)])
def test_too_few_witnesses_are_a_finding(log, witnesses):
    if witnesses:
        cosigned(log, -1, *witnesses)

    (finding,) = log.verify(policy=TWO_OF_THREE).findings

    assert finding.step is Step.WITNESS
    assert "stand behind no checkpoint" in finding.why


@pytest.mark.parametrize("policy", [None, NOBODY])
def test_nobody_is_asked_for(log, policy):
    verification = log.verify(policy=policy)

    assert verification.is_sound
    assert verification.witnesses == ()


def test_newest_entries_may_wait_for_their_witnesses(log):
    cosigned(log, 1, W1, W2)
    cosigned(log, 3, W1, W2, W3)

    verification = log.verify(policy=TWO_OF_THREE)

    assert verification.is_sound
    assert verification.witnesses == ("one", "two", "three")
    assert verification.notes[-1] == "witnesses do not stand behind the newest 200 entries yet"


def test_older_checkpoint_does_not_take_the_place_of_a_newer_one(log):
    cosigned(log, 3, W1, W2)
    old = world(200).checkpoints[-1].note
    note = parse_note(old)
    note = note.with_signatures(W1.sign(note.text, 1), W3.sign(note.text, 1))

    assert log.verify(note.render(), policy=TWO_OF_THREE).witnesses == ("one", "two")


def test_of_two_checkpoints_of_one_size_the_newer_one_counts(log):
    log.sign(START + 601 * SECOND)
    cosigned(log, -2, W1, W2)
    cosigned(log, -1, W2, W3)

    assert log.verify(policy=TWO_OF_THREE).witnesses == ("two", "three")


def test_entries_may_wait_for_their_witnesses_until_the_limit(log):
    cosigned(log, 3, W1, W2)

    assert log.verify(policy=TWO_OF_THREE, limits=Limits(witness_lag_seconds=200)).is_sound


def test_entries_that_wait_too_long_are_named(log):
    cosigned(log, 3, W1, W2)

    (finding,) = log.verify(policy=TWO_OF_THREE, limits=Limits(witness_lag_seconds=199)).findings

    assert (finding.step, finding.position) == (Step.WITNESS, 400)
    assert "the first 400 entries only, for 200 s" in finding.why


@pytest.mark.parametrize("kept", [(), (0,), (-1,)])
def test_wait_that_no_time_tells_is_a_note(log, kept):
    plain = SIGNERS[:1]
    log.checkpoints.clear()
    log.sign(START, by=plain)
    cosigned(log, -1, W1, W2)
    log.append(content(600), by=plain)
    # One time alone tells of no wait.
    for number in kept:
        log.checkpoints[number] = replace(log.checkpoints[number], signed_at_micros=to_micros(SIGNED))

    verification = log.verify(keys=KEYS[:1], policy=TWO_OF_THREE, limits=Limits(witness_lag_seconds=0))

    assert verification.is_sound
    assert "newest 1 entries" in verification.notes[-1]


def test_wrong_cosignature_of_a_known_witness_is_named(log):
    cosigned(log, -1, W1, W2)
    note = parse_note(log.checkpoints[-1].note)
    spoilt = replace(note.signatures[2], signature=note.signatures[2].signature[:-1] + b"x")
    log.checkpoints[-1] = KeptCheckpoint(
        replace(note, signatures=(*note.signatures[:2], spoilt, note.signatures[3])).render()
    )

    finding = log.verify(policy=TWO_OF_THREE).findings[0]

    assert (finding.step, finding.place) == (Step.WITNESS, "checkpoint of 600 entries")
    assert f"the signature of `{W1.name}`" in finding.why


def test_cosignatures_under_a_checkpoint_that_the_log_did_not_sign_count_nothing(log):
    log.sign(START + 600 * SECOND, by=SIGNERS[:1])
    cosigned(log, -1, W1, W2)

    steps = [each.step for each in log.verify(policy=TWO_OF_THREE).findings]

    assert steps == [Step.SIGNATURE, Step.WITNESS]


def test_unknown_witnesses_are_passed_over(log):
    cosigned(log, -1, W1, W2)
    alone = LogPolicy((), (KnownWitness("three", W3.verifier),))

    assert log.verify(policy=alone).witnesses == ()


def early(seconds):
    """Return a time so long before the newest checkpoint."""
    return SIGNED - seconds * SECOND


def test_checkpoint_that_a_whole_quorum_saw_before_its_time_was_signed_under_a_clock_set_forward(log):
    cosigned(log, -1, W1, at=early(ALLOWED + 2))
    cosigned(log, -1, W3, at=early(ALLOWED + 1))

    verification = log.verify(policy=TWO_OF_THREE)

    (finding,) = verification.findings
    assert (finding.step, finding.place) == (Step.TIME, "checkpoint of 600 entries")
    assert finding.why == ("one, three cosigned it 301 s before it says that it was signed: a clock was set forward")
    # What they saw they saw: it counts, whatever the time.
    assert verification.witnesses == ("one", "three")


def test_older_checkpoint_is_held_against_its_witnesses_too(log):
    cosigned(log, 1, W1, W2, at=START - 101 * SECOND)
    cosigned(log, -1, W1, W2)

    (finding,) = log.verify(policy=TWO_OF_THREE).findings

    assert (finding.step, finding.place) == (Step.TIME, "checkpoint of 200 entries")


def test_clocks_of_witnesses_may_differ(log):
    cosigned(log, -1, W1, W3, at=early(ALLOWED))

    verification = log.verify(policy=TWO_OF_THREE)

    assert verification.is_sound
    assert not any("clock" in note for note in verification.notes)


@pytest.mark.parametrize("others", [(W2, W3), ()], ids=["against-others", "alone"])
def test_one_witness_with_a_wrong_clock_convicts_nobody(log, others):
    for number, seconds in ((-1, 400), (-2, 500), (-3, 450)):
        cosigned(log, number, W1, at=SIGNED - (100 * (-1 - number) + seconds) * SECOND)
        cosigned(log, number, *others)

    verification = log.verify(policy=TWO_OF_THREE)

    assert Step.TIME not in verification.counts
    assert [note for note in verification.notes if "clock" in note] == [
        "`one` dates its cosignatures up to 500 s before the checkpoints: its clock is behind, or the log's was ahead"
    ]


def test_quorum_with_one_against_it_convicts_nobody(log):
    cosigned(log, -1, W1, W2, at=early(ALLOWED + 1))
    cosigned(log, -1, W3)

    verification = log.verify(policy=TWO_OF_THREE)

    assert verification.is_sound
    assert [note[:5] for note in verification.notes if "clock" in note] == ["`one`", "`two`"]


def test_witness_that_is_early_is_noted_beside_entries_that_wait_for_it(log):
    cosigned(log, 3, W1, W2, W3)
    cosigned(log, 4, W1, at=START)

    notes = log.verify(policy=TWO_OF_THREE).notes

    assert [note[:5] for note in notes[-2:]] == ["`one`", "witne"]


def test_early_witnesses_that_nobody_asked_for_are_a_note(log):
    cosigned(log, -1, W1, W2, at=START)

    verification = log.verify(policy=NOBODY)

    assert verification.is_sound
    assert sum("its clock is behind" in note for note in verification.notes) == 2


def test_cosignature_without_a_time_says_nothing_of_clocks(log):
    """C2SP tlog-cosignature, "ML-DSA-44 signed message": zero makes no statement of time."""
    note = parse_note(log.checkpoints[-1].note)
    note = note.with_signatures(W2.sign(note.text, 0), W3.sign(note.text, int(early(301).timestamp())))
    log.checkpoints[-1] = KeptCheckpoint(note.render())

    verification = log.verify(policy=TWO_OF_THREE)

    assert (verification.is_sound, verification.witnesses) == (True, ("two", "three"))
