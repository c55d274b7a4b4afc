"""What a witness decides, as a table; and that no words of a stranger make it decide otherwise."""

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import Checkpoint, SignatureType, SignedNote, TreeHead
from exchange.audit.witness import (
    MOST_PROOF_LINES,
    NOTHING_HELD,
    Cosign,
    Finding,
    Objection,
    Refuse,
    Submission,
    judge,
    origin_hash,
    parse_size_line,
    parse_submission,
    render_submission,
)
from exchange.kernel import MalformedError
from tests.support.shown_log import MadeLog, signer

LOG = MadeLog().grow(20)
FORK = LOG.cut(8).grow(12, "forged")
STRANGER = MadeLog(seed="stranger").grow(20)
OWN = signer("witness.nor.example/w1", SignatureType.ED25519_COSIGNATURE, "own")
KEYS = (OWN.verifier,)
GARBAGE = (b"\x00" * 32,)


def at(size: int) -> TreeHead:
    return LOG.head(size)


def signed(head: TreeHead) -> Submission:
    """A submission from nothing for any head at all, rightly signed."""
    checkpoint = Checkpoint(LOG.origin, head)
    text = checkpoint.text
    note = SignedNote(text, tuple(each.sign(text, 1) for each in LOG.signers))
    return Submission(0, (), note, checkpoint)


def own_line(submission: Submission) -> Submission:
    return replace(submission, note=submission.note.with_signatures(OWN.sign(submission.note.text, 1)))


def broken_line(submission: Submission) -> Submission:
    first, *others = submission.note.signatures
    wrong = replace(first, signature=bytes(len(first.signature)))
    return replace(submission, note=replace(submission.note, signatures=(wrong, *others)))


REFUSED = [
    ("wrongly signed", broken_line(LOG.submission(10)), at(10), Objection.NOT_SIGNED, None),
    ("key swapped", STRANGER.submission(0), NOTHING_HELD, Objection.NOT_SIGNED, None),
    (
        "old size beyond the checkpoint",
        replace(LOG.submission(4, 4), old_size=5),
        NOTHING_HELD,
        Objection.OLD_SIZE_TOO_LARGE,
        None,
    ),
    (
        "rolled back",
        replace(LOG.submission(8, 8), old_size=20),
        at(20),
        Objection.OLD_SIZE_TOO_LARGE,
        Finding.ROLLED_BACK,
    ),
    ("an old note, handed in again", LOG.submission(4, 8), at(20), Objection.OTHER_OLD_SIZE, Finding.ROLLED_BACK),
    ("first question", LOG.submission(0), at(10), Objection.OTHER_OLD_SIZE, None),
    ("witness rolled back", LOG.submission(10), at(4), Objection.OTHER_OLD_SIZE, None),
    ("fork of the same size, from elsewhere", FORK.submission(8), at(20), Objection.OTHER_OLD_SIZE, Finding.FORKED),
    ("fork of the same size", FORK.submission(20), at(20), Objection.OTHER_ROOT, Finding.FORKED),
    (
        "fork of the same size, with a proof",
        replace(FORK.submission(20), proof=GARBAGE),
        at(20),
        Objection.INCONSISTENT,
        Finding.FORKED,
    ),
    ("tail rewritten", FORK.submission(10), at(10), Objection.INCONSISTENT, Finding.UNPROVEN),
    ("no proof", replace(LOG.submission(10), proof=()), at(10), Objection.INCONSISTENT, Finding.UNPROVEN),
    (
        "a hash too many",
        replace(LOG.submission(10), proof=(*LOG.proof(10), *GARBAGE)),
        at(10),
        Objection.INCONSISTENT,
        Finding.UNPROVEN,
    ),
    (
        "a hash too few",
        replace(LOG.submission(10), proof=LOG.proof(10)[:-1]),
        at(10),
        Objection.INCONSISTENT,
        Finding.UNPROVEN,
    ),
    (
        "proof between equal sizes",
        replace(LOG.submission(20), proof=GARBAGE),
        at(20),
        Objection.INCONSISTENT,
        Finding.UNPROVEN,
    ),
    (
        "proof from nothing",
        replace(LOG.submission(0), proof=GARBAGE),
        NOTHING_HELD,
        Objection.INCONSISTENT,
        Finding.UNPROVEN,
    ),
    ("empty tree with a root", signed(TreeHead(0, b"\x01" * 32)), NOTHING_HELD, Objection.OTHER_ROOT, Finding.FORKED),
    ("fork that we cosigned", own_line(FORK.submission(10)), at(10), Objection.INCONSISTENT, Finding.STATE_LOST),
]
COSIGNED = [
    ("first checkpoint", LOG.submission(0), NOTHING_HELD, None),
    ("empty tree", LOG.submission(0, 0), NOTHING_HELD, None),
    ("grown", LOG.submission(10), at(10), None),
    ("grown from a whole subtree", LOG.submission(8), at(8), None),
    ("the same again, after a lost answer", LOG.submission(20), at(20), None),
    ("the same with our line", own_line(LOG.submission(20)), at(20), None),
    ("one key of two", replace(LOG.submission(10), note=replace(LOG.note(), signatures=LOG.note().signatures[:1])), at(10), None),
    ("what we signed and forgot", own_line(LOG.submission(10)), at(10), Finding.STATE_LOST),
]  # fmt: skip


@pytest.mark.parametrize(
    ("submission", "held", "objection", "finding"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refuses(submission, held, objection, finding) -> None:
    decision = judge(submission, held, LOG.known, KEYS)

    assert isinstance(decision, Refuse)
    assert (decision.objection, decision.finding, decision.held_size) == (objection, finding, held.size)
    assert decision.told


@pytest.mark.parametrize(
    ("submission", "held", "finding"), [row[1:] for row in COSIGNED], ids=[row[0] for row in COSIGNED]
)
def test_cosigns(submission, held, finding) -> None:
    assert judge(submission, held, LOG.known, KEYS) == Cosign(submission.checkpoint.head, finding)


def test_unknown_origin_is_refused_before_anything_else() -> None:
    decision = judge(broken_line(LOG.submission(0)), NOTHING_HELD, None, KEYS)

    assert isinstance(decision, Refuse)
    assert decision == Refuse(Objection.UNKNOWN_LOG, "no such log is known here", 0, None)


def test_lines_of_unknown_keys_are_passed_over() -> None:
    submission = LOG.submission(10)
    foreign = STRANGER.signers[0].sign(submission.note.text, 1)

    decision = judge(replace(submission, note=submission.note.with_signatures(foreign)), at(10), LOG.known, KEYS)

    assert decision == Cosign(LOG.head(), None)


def test_a_wrong_line_of_our_own_says_nothing() -> None:
    submission = LOG.submission(10)
    wrong = replace(OWN.sign(submission.note.text, 1), signature=bytes(72))

    decision = judge(replace(submission, note=submission.note.with_signatures(wrong)), at(10), LOG.known, KEYS)

    assert decision == Cosign(LOG.head(), None)


@given(old=st.integers(0, 20), size=st.integers(0, 20), held=st.integers(0, 20), is_fork=st.booleans())
def test_only_growth_of_what_is_held_is_ever_cosigned(old: int, size: int, held: int, is_fork: bool) -> None:
    shown = FORK if is_fork else LOG
    submission = replace(shown.submission(min(old, size), size), old_size=old)

    decision = judge(submission, at(held), LOG.known, KEYS)

    grows = old == held <= size and (not is_fork or held <= 8)
    assert isinstance(decision, Cosign) == (grows and shown.leaves[:held] == LOG.leaves[:held])


@given(old=st.integers(0, 20))
def test_submission_is_read_as_it_was_written(old: int) -> None:
    asked = LOG.submission(old)

    assert parse_submission(render_submission(old, asked.proof, asked.note.render())) == asked


def test_submission_has_the_form_of_the_specification() -> None:
    first, second, *rest = LOG.body(8).decode().split("\n")

    assert first == "old 8"
    assert len(second) == 44
    assert "" in rest


NOTE = LOG.note().render()
MALFORMED = [
    b"",
    b"old 0",
    b"old 0\n" + NOTE,
    b"old\n\n" + NOTE,
    b"new 0\n\n" + NOTE,
    b"old  0\n\n" + NOTE,
    b"old 00\n\n" + NOTE,
    b"old -1\n\n" + NOTE,
    b"old 9223372036854775808\n\n" + NOTE,
    b"old \xd9\xa1\n\n" + NOTE,
    b"old 1\r\n\r\n" + NOTE,
    b"old 1\nAAAA\n\n" + NOTE,
    b"old 1\nnot base64\n\n" + NOTE,
    b"old 1\n" + b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * (MOST_PROOF_LINES + 1) + b"\n" + NOTE,
    b"old 1\n\n" + NOTE.replace(b"\n20\n", b"\n020\n"),
    b"old 1\n\n" + NOTE.replace(b"\n", b"\r\n"),
    b"old 1\n\n" + NOTE.partition(b"\n\n")[0],
]


A_HASH = b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
WHY = [
    (b"old 0\n", "submission has no empty line before the checkpoint"),
    (b"old \xd9\xa1\n\n", "submission has a line before the checkpoint that is not ASCII"),
    (b"new 0\n\n", "submission does not begin with `old <size>`"),
    (b"old\n\n", "submission does not begin with `old <size>`"),
    (b"old x\n\n" + NOTE, "old size: `x` is no number as it must be written: 0 to 9223372036854775807"),
    (b"old 1\n" + A_HASH * 64 + b"\n" + NOTE, "submission has 64 proof lines: at most 63 are read"),
    (b"old 1\n" + A_HASH + b"AAAA\n\n" + NOTE, "proof line 2: has 3 bytes: a hash has 32"),
    (b"old 1\n\n" + NOTE.partition(b"\n\n")[0], "note has no blank line followed by signature lines"),
]


@pytest.mark.parametrize(("body", "why"), WHY)
def test_refusal_says_what_is_wrong_with_the_form(body: bytes, why: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_submission(body)

    assert caught.value.message == why


def test_as_many_proof_lines_are_read_as_the_largest_tree_needs() -> None:
    assert parse_submission(b"old 1\n" + A_HASH * 63 + b"\n" + NOTE).proof == (bytes(32),) * 63


@pytest.mark.parametrize("body", MALFORMED)
def test_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_submission(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parse_submission(body)
    except MalformedError:
        return
    raise AssertionError("no random bytes are a signed note")


@pytest.mark.parametrize(("content", "size"), [(b"0\n", 0), (b"20852014\n", 20852014)])
def test_size_line_is_read(content: bytes, size: int) -> None:
    assert parse_size_line(content) == size


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"1", "tree size does not end in a newline"),
        (b"\xff\n", "tree size is not ASCII"),
        (b"x\n", "tree size: `x` is no number as it must be written: 0 to 9223372036854775807"),
    ],
)
def test_refusal_says_what_is_wrong_with_the_size(content: bytes, why: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_size_line(content)

    assert caught.value.message == why


@pytest.mark.parametrize("content", [b"", b"1", b"01\n", b"-1\n", b"1\n\n", b"\xff\n", b"1 \n"])
def test_another_size_line_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_size_line(content)


def test_log_is_named_in_paths_by_the_lower_case_hash_of_its_origin() -> None:
    # FIPS 180-4's own example, and an origin beyond ASCII: it is hashed as UTF-8.
    assert origin_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert origin_hash("é") == sha256(b"\xc3\xa9").hexdigest()
