"""What an auditor is told, to the word: of each kind of finding the step, the place and the reason, and every note."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.audit import hash_leaf, root_of
from exchange.audit.verify import KeptCheckpoint, PendingEntry, Step
from exchange.audit.verify.checkpoints import compare_marks, mark_older
from exchange.audit.verify.findings import Findings
from exchange.kernel import MalformedError, to_micros
from tests.core.audit.verify.worlds import KEYS, ORIGIN, SECOND, SIGNERS, START, content, found, sign, signers, world

DAY = timedelta(days=1)
WHOLE = world()
UNASKED = "no key of a node was given: whether the nodes signed for their entries was not looked at"
TIMELESS = "no signature states a time: entries were compared with each other only"


@pytest.fixture
def log():
    """The same log for every test, to be spoilt."""
    return replace(
        WHOLE,
        contents=list(WHOLE.contents),
        rows=list(WHOLE.rows),
        tiles=dict(WHOLE.tiles),
        checkpoints=list(WHOLE.checkpoints),
        waiting=[],
    )


def entry_id(position):
    return WHOLE.rows[position].columns.id


def told(log, *known, **more):
    verification = log.verify(*known, **more)
    return found(verification), verification.notes


def rewritten(log):
    """Another history under the real key."""
    log.rebuild([content(317, purpose="other") if at == 317 else each for at, each in enumerate(log.contents)])


def test_sound_log_is_told_by_what_was_recomputed_and_looked_at(log):
    verification = log.verify()

    assert (verification.origin, verification.size) == (ORIGIN, 600)
    assert verification.root == root_of([hash_leaf(each) for each in log.contents])
    assert verification.checkpoint == log.checkpoints[-1].note
    assert (verification.entries, verification.older, verification.witnesses) == (600, 5, ())
    assert (verification.findings, verification.counts, verification.notes) == ((), {}, (UNASKED,))


def test_log_that_cannot_be_read_is_told_by_nothing_else(log):
    log.checkpoints.append(KeptCheckpoint(b"no note"))

    verification = log.verify()

    assert (verification.origin, verification.size, verification.root) == (None, 0, None)
    assert (verification.checkpoint, verification.entries, verification.older) == (None, 0, 0)
    assert (verification.witnesses, verification.notes) == ((), ())
    assert (verification.is_sound, verification.counts) == (False, {Step.SIGNATURE: 1})


def test_checkpoint_that_was_changed_is_told_with_whose_signature_is_wrong(log):
    log.checkpoints[-1] = KeptCheckpoint(log.checkpoints[-1].note.replace(b"\n600\n", b"\n599\n"))

    assert told(log) == (
        [
            (
                f"signature: checkpoint of 599 entries: the signature of `{ORIGIN}` (key id 3a4a7a4f) is wrong: "
                "the signature is not of this `ed25519` key over this message"
            ),
            "tree: checkpoint of 599 entries: entries and tiles have another root than the one that was signed",
        ],
        (UNASKED, TIMELESS),
    )


def test_checkpoint_that_a_key_has_not_signed_is_told_with_the_key(log):
    log.sign(START + 600 * SECOND, by=SIGNERS[:1])

    assert told(log) == (
        [f"signature: checkpoint of 600 entries: `{ORIGIN}` (key id b247db5f) has not signed it"],
        (UNASKED, TIMELESS),
    )


def test_checkpoint_of_another_log_is_told_with_its_name(log):
    name = "exchange.test/log/2"
    log.checkpoints.append(KeptCheckpoint(sign(600, bytes(32), START, signers(name=name), origin=name)))

    assert told(log)[0][0] == (
        f"signature: checkpoint of 600 entries: it is of the log `{name}`, not of the one whose keys were given"
    )


def test_leaves_that_are_gone_are_told_with_what_follows(log):
    log.has_entries = False
    del log.tiles[0, 1]

    verification = log.verify()

    assert found(verification) == ["tree: tile/0/001: it is missing"]
    assert verification.counts == {Step.TREE: 2}
    assert verification.notes == ("there are no entries here: their hashes were verified, not what they say",)


def test_root_that_cannot_be_recomputed_is_a_finding_of_its_own(log):
    log.contents[300] = None
    log.rows[300] = None
    log.tiles[0, 1] = None

    assert log.verify().counts == {Step.TREE: 3}
    assert log.verify().root is None


def test_history_that_was_rewritten_is_told_with_the_first_checkpoint_that_differs(log):
    signed = list(log.checkpoints)
    rewritten(log)
    log.checkpoints = signed

    verification = log.verify()

    assert found(verification) == [
        "tree: checkpoint of 600 entries: entries and tiles have another root than the one that was signed",
        (
            "history: checkpoint of 400 entries from the log itself: it was signed, and entries 300 to 399 now have "
            "another root: history was rewritten"
        ),
    ]
    assert verification.counts == {Step.TREE: 1, Step.HISTORY: 2}
    assert [each.position for each in verification.findings] == [None, 300]


def test_tail_that_was_cut_is_told_with_who_kept_it(log):
    del log.contents[500:], log.rows[500:], log.checkpoints[5:]

    assert told(log, WHOLE.checkpoints[-1].note)[0] == [
        (
            "history: checkpoint of 600 entries from the auditor's state: it was signed, and the log now ends at 500 "
            "entries: its tail was cut"
        )
    ]


def test_kept_checkpoint_that_nobody_signed_is_told_to_be_unsigned(log):
    forged = sign(300, bytes(32), START + 300 * SECOND, by=signers(2))
    longer = sign(700, bytes(32), START + 300 * SECOND, by=signers(2))
    log.checkpoints[2] = KeptCheckpoint(forged)
    assert told(log)[0] == ["history: checkpoint of 300 entries from the log itself: no known key has signed the note"]

    verification = log.verify(longer)

    assert verification.counts == {Step.HISTORY: 4}
    rewritten(log)
    log.checkpoints = [KeptCheckpoint(forged), log.checkpoints[-1]]
    assert found(log.verify()) == [
        "history: checkpoint of 300 entries from the log itself: no known key has signed the note"
    ]


def test_cut_and_rewriting_are_told_of_what_is_kept_though_nobody_signed_it():
    forged = sign(700, bytes(32), START + 700 * SECOND, by=signers(2))
    other = sign(300, bytes(32), START + 300 * SECOND, by=signers(2))
    findings = Findings()
    marks = mark_older([(KeptCheckpoint(each), "a friend") for each in (other, forged)], KEYS, findings, lambda _: None)

    compare_marks(marks, 600, {300: b"root"}, told_of := Findings())

    assert findings.counts() == {Step.HISTORY: 2}
    assert told_of.found()[0].why == (
        "it is kept, though not signed, and entries 0 to 299 now have another root: history was rewritten"
    )
    compare_marks(marks[1:], 600, {}, told_of := Findings())
    assert told_of.found()[0].why == (
        "it is kept, though not signed, and the log now ends at 600 entries: its tail was cut"
    )


def test_kept_checkpoints_are_compared_by_size_in_whatever_order_they_come():
    notes = [sign(size, bytes(32), START + size * SECOND) for size in (700, 300, 500)]
    marks = mark_older([(KeptCheckpoint(each), "a friend") for each in notes], KEYS, Findings(), lambda _: None)

    assert [mark.size for mark in marks] == [300, 500, 700]


def test_unreadable_kept_checkpoint_is_told_with_its_number_and_the_others_are_read(log):
    log.checkpoints[2] = KeptCheckpoint(b"no note")

    verification = log.verify(b"none either")

    assert found(verification) == [
        "history: checkpoint number 3 from the log itself: note has no blank line followed by signature lines"
    ]
    assert (verification.counts, verification.older) == ({Step.HISTORY: 2}, 4)


def test_older_checkpoints_that_cannot_be_read_on_are_told_and_the_rest_is_verified(log):
    def older():
        yield log.checkpoints[0]
        raise MalformedError("the disk is damaged")

    log.older = older
    log.contents[20] = content(20, purpose="other")

    verification = log.verify()

    assert verification.older == 1
    assert "history: older checkpoints: the disk is damaged" in found(verification)
    assert verification.findings[0].position == 20


def test_clock_that_was_set_back_is_told_with_by_how_much(log):
    log.append(content(600, at=START - 3 * DAY), at=START - 3 * DAY)

    verification = log.verify()

    assert found(verification) == [
        "time: checkpoint of 601 entries: it was signed 259800 s before that of 600 entries: a clock was set back"
    ]
    assert verification.findings[0].position == 600


def test_backdated_entry_is_told_with_both_times(log):
    log.append(content(600, at=START - 3 * DAY))

    assert told(log)[0] == [
        (
            f"time: entry 600 ({log.rows[600].columns.id}): it says 2025-12-29T12:00:00Z, after entries of "
            "2026-01-01T12:10:00Z were signed: backdated, or a clock set"
        )
    ]


def test_entry_from_after_its_signature_is_told_with_both_times(log):
    log.append(content(600, at=START + DAY))

    assert told(log)[0] == [
        (
            f"time: entry 600 ({log.rows[600].columns.id}): it says 2026-01-02T12:00:00Z, and was signed before that, at "
            "2026-01-01T12:10:01Z: a clock was set forward"
        )
    ]


def test_deleted_entry_is_told(log):
    log.contents[317] = log.rows[317] = None

    assert told(log)[0] == ["tree: entry 317: it is missing: its leaf hash is in the tree"]


def test_entry_that_is_none_is_told_in_each_of_its_steps(log):
    log.contents[317] = b'{"redacted":true}'

    verification = log.verify()

    assert found(verification) == [
        f"tree: entry 317 ({entry_id(317)}): its bytes were changed: their leaf hash is not the one that was signed",
        f"form: entry 317 ({entry_id(317)}): entry has no `actor`",
    ]
    assert [each.position for each in verification.findings] == [317, 317]
    assert verification.entries == 600


def test_swapped_entries_are_told_with_where_they_belong(log):
    log.contents[10], log.contents[11] = log.contents[11], log.contents[10]

    assert told(log)[0] == [
        f"tree: entry 10 ({entry_id(11)}): it holds what was signed as entry 11",
        f"columns: entry 10 ({entry_id(11)}): column `id` was changed: the entry's bytes say something else",
    ]


def test_entry_and_tile_that_nothing_joins_are_told(log):
    log.contents[300] = content(300, purpose="other")
    log.rows[300] = replace(log.rows[300], columns=replace(log.rows[300].columns, purpose="other"))
    del log.tiles[1, 0]

    assert told(log)[0][0] == (
        f"tree: entry 300 ({entry_id(300)}): its bytes do not fit the tile, and neither of the two fits what was "
        "signed above"
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda row: None, "its columns are gone: nobody would find it"),
        (lambda row: replace(row, leaf_hash=bytes(32)), "the leaf hash beside it is not that of its bytes"),
        (
            lambda row: replace(row, columns=replace(row.columns, member="NOR"), leaf_hash=bytes(32)),
            "column `member` was changed: the entry's bytes say something else",
        ),
    ],
)
def test_row_beside_an_entry_is_told(log, change, why):
    log.rows[317] = change(log.rows[317])

    verification = log.verify()

    assert found(verification) == [f"columns: entry 317 ({entry_id(317)}): {why}"]
    assert (verification.findings[0].position, verification.counts) == (317, {Step.COLUMNS: 1})


def test_rows_that_are_gone_in_two_places_are_told_by_the_first_of_each(log):
    log.rows[317] = log.rows[318] = log.rows[400] = None

    verification = log.verify()

    assert (verification.findings[0].position, verification.counts) == (317, {Step.COLUMNS: 2})


@pytest.mark.parametrize(
    ("at", "held", "told_as"),
    [
        ((1, 0), bytes(64), "tile/1/000.p/2: hash 0 is not the root over tile/0/000"),
        ((0, 1), bytes(31), "tile/0/001: it has 31 bytes: 256 hashes were signed"),
        ((0, 2), bytes(31), "tile/0/002.p/88: it has 31 bytes: 88 hashes were signed"),
        ((0, 1), None, "tile/0/001: it is missing"),
        ((0, 1), b"".join(map(hash_leaf, WHOLE.contents[256:511])) + bytes(32), None),
    ],
)
def test_tile_is_told_by_its_path(log, at, held, told_as):
    log.tiles[at] = held

    assert told(log)[0] == ["tree: " + (told_as or "tile/0/001: hash 255 was changed: it fits nothing signed")]


def test_entry_that_waits_is_told_with_for_how_long(log):
    log.waiting = [PendingEntry("e-1", to_micros(START)), PendingEntry("e-2", to_micros(START + 10 * SECOND))]

    verification = log.verify(now=START + 700 * SECOND)

    assert found(verification) == [
        "pending: entry without a place (e-1): it is recorded and has waited 700 s for its place in the tree"
    ]
    assert (verification.counts, verification.notes) == ({Step.PENDING: 2}, (UNASKED,))


@pytest.mark.parametrize(("size", "is_owed"), [(1, False), (2, True)])
def test_entry_that_a_recovery_signs_alone_overtakes_none_that_waited(size, is_owed):
    log = world(size, size)
    log.sign(START + 700 * SECOND)
    log.waiting = [PendingEntry("e-1", to_micros(START))]

    assert (Step.PENDING in log.verify(now=START + 700 * SECOND).counts) is is_owed


def test_entries_that_no_sequencer_took_yet_are_told_in_a_note(log):
    now = START + DAY
    waits = [61, 61, 60, 0]
    log.waiting = [PendingEntry(f"e-{number}", to_micros(now - wait * SECOND)) for number, wait in enumerate(waits)]

    assert told(log, now=now) == (
        [],
        (UNASKED, "2 entries wait for their place: no sequencer has run since"),
    )
