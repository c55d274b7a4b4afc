"""The table of attacks, a row a test: each on a real log with real signatures, each noticed, each named."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.audit import EventName, Outcome
from exchange.audit.verify import KeptCheckpoint, PendingEntry, Step
from tests.core.audit.verify.worlds import KEYS, SECOND, SIGNERS, START, World, content, found, sign, signers, world

DAY = timedelta(days=1)


def steps(verification):
    return {each.step for each in verification.findings}


@pytest.fixture
def log():
    return world()


@pytest.fixture
def seen(log):
    """What a witness, or the auditor's own file, holds of it."""
    return log.checkpoints[-1].note


def test_untouched_log_is_sound(log, seen):
    verification = log.verify(seen, now=START + 700 * SECOND)

    assert verification.is_sound
    assert (verification.size, verification.entries, verification.older) == (600, 600, 6)
    assert verification.checkpoint == seen


# ── the rows of the table ─────────────────────────────────────────────────────────────────────────────────────────


def test_edited_bytes_are_named(log):
    log.contents[317] = content(317, purpose="other")

    verification = log.verify()

    assert steps(verification) == {Step.TREE, Step.COLUMNS}
    first = verification.findings[0]
    assert (first.place, first.position) == ("entry 317", 317)
    assert first.entry == log.rows[317].columns.id
    assert "bytes were changed" in first.why


def test_edited_bytes_and_columns_are_named(log):
    edited = content(317, purpose="other")
    log.contents[317] = edited
    log.rows[317] = replace(log.rows[317], columns=replace(log.rows[317].columns, purpose="other"))

    assert [each.place for each in log.verify().findings] == ["entry 317", "entry 317"]


def test_edited_column_is_named_with_its_name(log):
    log.rows[317] = replace(log.rows[317], columns=replace(log.rows[317].columns, member="NOR"))

    (finding,) = log.verify().findings

    assert (finding.step, finding.position) == (Step.COLUMNS, 317)
    assert "column `member` was changed" in finding.why


def test_edited_leaf_hash_beside_an_entry_is_named(log):
    log.rows[317] = replace(log.rows[317], leaf_hash=bytes(32))

    (finding,) = log.verify().findings

    assert (finding.step, finding.position) == (Step.COLUMNS, 317)


def test_entry_whose_columns_are_gone_is_named(log):
    log.rows[317] = None

    (finding,) = log.verify().findings

    assert (finding.step, finding.position) == (Step.COLUMNS, 317)
    assert "columns are gone" in finding.why


def test_newest_entries_may_be_without_columns(log):
    log.rows[590:] = [None] * 10

    assert log.verify().is_sound


@pytest.mark.parametrize(("seconds", "is_noted"), [(900, False), (901, True)])
def test_newest_entries_that_stay_without_columns_are_noted(seconds, is_noted):
    """Who takes the columns of all newest entries away hides them from every search, and changes nothing signed."""
    log = world(20, 20)
    log.append(content(20), at=START + (20 + seconds) * SECOND)
    log.rows[20:] = [None]

    verification = log.verify()

    assert verification.is_sound
    assert any("entries from 20 on are without columns" in each for each in verification.notes) is is_noted


def test_checkpoint_of_full_tiles_alone_is_a_beginning_of_the_log():
    verification = world(512, 256).verify()

    assert (verification.is_sound, verification.older) == (True, 1)


def test_how_long_columns_are_missing_is_not_said_where_no_signature_states_a_time():
    log = World()
    log.append(content(0), content(1), by=SIGNERS[:1])
    log.rows[1:] = [None]

    verification = log.verify(keys=KEYS[:1])

    assert verification.is_sound
    assert not any("without columns" in each for each in verification.notes)


def test_without_columns_at_all_nothing_is_said_of_them():
    log = world(20, 20)
    log.append(content(20), at=START + 921 * SECOND)
    log.has_columns = False

    assert not any("without columns" in each for each in log.verify().notes)


def test_deleted_refusal_is_named(log):
    log.contents[317] = None
    log.rows[317] = None

    (finding,) = log.verify().findings

    assert (finding.step, finding.place) == (Step.TREE, "entry 317")
    assert "missing" in finding.why


def test_deleted_refusal_in_a_tree_rebuilt_with_the_real_key_is_named_by_who_kept_a_checkpoint(log, seen):
    without = [each for number, each in enumerate(log.contents) if number != 317]
    log.rebuild([*without, content(600)])

    (finding,) = log.verify(seen).findings

    assert finding.step is Step.HISTORY
    assert finding.place == "checkpoint of 600 entries from the auditor's state"
    assert "history was rewritten" in finding.why


def test_rewriting_is_narrowed_to_between_two_checkpoints(log):
    kept = [each.note for each in log.checkpoints]
    log.rebuild([content(317, purpose="other") if number == 317 else each for number, each in enumerate(log.contents)])

    (finding,) = log.verify(*kept).findings

    assert "entries 300 to 399 now have another root" in finding.why


def test_tail_cut_to_an_old_signed_checkpoint_is_named_by_who_kept_a_newer_one(log, seen):
    del log.contents[500:], log.rows[500:], log.checkpoints[5:]

    verification = log.verify()
    assert verification.is_sound, "nobody outside kept a newer one"

    (finding,) = log.verify(seen).findings
    assert finding.step is Step.HISTORY
    assert "ends at 500 entries: its tail was cut" in finding.why


def test_backup_restored_and_gone_on_with_is_named(log, seen):
    del log.contents[500:], log.rows[500:], log.checkpoints[5:]
    log.append(*(content(number, purpose="again") for number in range(500, 650)))

    (finding,) = log.verify(seen).findings

    assert (finding.step, finding.position) == (Step.HISTORY, 500)
    assert "another root" in finding.why


def test_swapped_leaves_are_named(log):
    log.contents[10], log.contents[11] = log.contents[11], log.contents[10]
    log.rows[10], log.rows[11] = log.rows[11], log.rows[10]

    finding = log.verify().findings[0]

    assert (finding.step, finding.place) == (Step.TREE, "entry 10")
    assert finding.why == "it holds what was signed as entry 11"


@pytest.mark.parametrize(("at", "name"), [((0, 1), "tile/0/001"), ((0, 2), "tile/0/002.p/88")])
def test_flipped_bit_in_a_tile_of_leaves_is_named(log, at, name):
    held = bytearray(log.tiles[at])
    held[40] ^= 4
    log.tiles[at] = bytes(held)

    (finding,) = log.verify().findings

    assert (finding.step, finding.place) == (Step.TREE, name)
    assert "hash 1 was changed" in finding.why


def test_flipped_bit_in_a_higher_tile_is_named(log):
    held = bytearray(log.tiles[1, 0])
    held[40] ^= 4
    log.tiles[1, 0] = bytes(held)

    (finding,) = log.verify().findings

    assert (finding.step, finding.place) == (Step.TREE, "tile/1/000.p/2")
    assert finding.why == "hash 1 is not the root over tile/0/001"


def test_rewritten_history_under_a_new_key_is_named(log, seen):
    log.rebuild(log.contents[:100], by=signers(2))

    verification = log.verify(seen)

    assert steps(verification) == {Step.SIGNATURE, Step.HISTORY}
    assert "no known key" in verification.findings[0].why


def test_two_histories_of_one_size_are_named(log, seen):
    log.rebuild([*log.contents[:599], content(599, purpose="other")])

    (finding,) = log.verify(seen).findings

    assert "another root: history was rewritten" in finding.why


def micros(moment):
    return int(moment.timestamp()) * 1_000_000


def test_entry_never_integrated_is_named(log):
    log.waiting = [PendingEntry("e-1", 0), PendingEntry("e-2", 0)]

    (finding,) = log.verify(now=START + 700 * SECOND).findings

    assert (finding.step, finding.entry) == (Step.PENDING, "e-1")


@pytest.mark.parametrize(("waits", "is_sound"), [(60, True), (61, False)])
def test_entry_that_others_overtook_may_wait_a_minute(log, waits, is_sound):
    signed = START + 600 * SECOND
    log.waiting = [PendingEntry("e-1", micros(signed - waits * SECOND))]

    assert log.verify(now=signed).is_sound is is_sound
    assert log.verify().is_sound


@pytest.mark.parametrize(("waits", "is_owed"), [(60, False), (61, True)])
def test_log_whose_time_lies_ahead_overtakes_no_entry_of_now(log, waits, is_owed):
    """Another node's clock was ahead once: the log's time stands still there."""
    now = START + 601 * SECOND
    log.append(content(600), at=now + timedelta(hours=5))
    log.waiting = [PendingEntry("e-1", micros(now - waits * SECOND))]

    assert (Step.PENDING in steps(log.verify(now=now))) is is_owed


@pytest.mark.parametrize(("waits", "is_sound"), [(61, True), (3660, True), (3661, False)])
def test_entry_that_waits_for_a_sequencer_is_a_note_for_an_hour(log, waits, is_sound):
    now = START + timedelta(days=1)
    log.waiting = [PendingEntry("e-1", micros(now - waits * SECOND)), PendingEntry("e-2", micros(now - 60 * SECOND))]

    verification = log.verify(now=now)

    assert verification.is_sound is is_sound
    assert any(note.startswith("1 entry waits for its place") for note in verification.notes) is is_sound


def test_without_a_time_of_signing_an_entry_may_wait_as_long_as_for_a_sequencer(log):
    log.checkpoints.clear()
    log.sign(START, by=SIGNERS[:1])
    log.waiting = [PendingEntry("e-1", micros(START))]

    assert log.verify(keys=[SIGNERS[0].verifier], now=START + 3000 * SECOND).is_sound


def test_clock_set_back_is_named(log):
    log.append(content(600, at=START - 3 * DAY), at=START - 3 * DAY)

    verification = log.verify()

    assert steps(verification) == {Step.TIME}
    assert "a clock was set back" in verification.findings[0].why
    assert "checkpoint of 601" in verification.findings[0].place


def test_entry_backdated_is_named(log):
    log.append(content(600, at=START - 3 * DAY))

    (finding,) = log.verify().findings

    assert (finding.step, finding.position) == (Step.TIME, 600)
    assert "backdated" in finding.why


def test_clock_set_forward_is_named(log):
    log.append(content(600, at=START + DAY))

    (finding,) = log.verify().findings

    assert (finding.step, finding.position) == (Step.TIME, 600)
    assert "a clock was set forward" in finding.why


def test_clock_set_forward_with_the_signers_and_back_again_is_named(log):
    log.append(content(600, at=START + DAY), at=START + DAY)
    log.append(content(601), at=START + 700 * SECOND)

    verification = log.verify()

    assert steps(verification) == {Step.TIME}
    assert verification.findings[0].position == 601


@pytest.mark.parametrize(("ahead", "is_sound"), [(300, True), (301, False)])
def test_checkpoint_from_the_future_is_named(log, ahead, is_sound):
    """The log's last word is signed at a time that has not come, and so are the entries that it covers."""
    now = START + 700 * SECOND
    later = now + ahead * SECOND
    log.append(content(600, at=later), at=later)

    told = found(log.verify(now=now))

    assert told == (
        []
        if is_sound
        else [
            "time: checkpoint of 601 entries: it says that it was signed 301 s from now: a clock was set forward, there or here"
        ]
    )


def test_fake_redaction_is_named(log):
    log.contents[317] = b'{"redacted":true}'

    assert steps(log.verify()) == {Step.TREE, Step.FORM}


def test_old_checkpoint_replayed_is_named_by_who_kept_a_newer_one(log, seen):
    log.checkpoints = log.checkpoints[:3]

    (finding,) = log.verify(seen).findings

    assert (finding.step, finding.position) == (Step.HISTORY, 300)


# ── more to try ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_entry_edited_in_a_tree_recomputed_without_the_key_is_narrowed(log):
    signed = log.checkpoints[:]
    log.rebuild([content(317, purpose="other") if number == 317 else each for number, each in enumerate(log.contents)])
    log.checkpoints = signed

    verification = log.verify()

    assert steps(verification) == {Step.TREE, Step.HISTORY}
    assert "another root than the one that was signed" in verification.findings[0].why
    assert "entries 300 to 399" in verification.findings[1].why


def test_forged_checkpoint_is_named(log):
    note = log.checkpoints[-1].note
    log.checkpoints[-1] = KeptCheckpoint(note.replace(b"\n600\n", b"\n599\n"))

    verification = log.verify()

    assert Step.SIGNATURE in steps(verification)
    assert "is wrong" in verification.findings[0].why


def test_checkpoint_that_one_key_of_two_has_signed_is_refused(log):
    log.sign(START + 600 * SECOND, by=SIGNERS[:1])

    (finding,) = log.verify().findings

    assert finding.step is Step.SIGNATURE
    assert "has not signed it" in finding.why


def test_checkpoint_of_another_log_is_refused(log):
    note = sign(600, bytes(32), START, signers(name="exchange.test/log/2"), origin="exchange.test/log/2")
    log.checkpoints.append(KeptCheckpoint(note))

    verification = log.verify()

    assert "is of the log `exchange.test/log/2`" in verification.findings[0].why


def test_unreadable_checkpoint_is_a_finding_of_its_own(log):
    log.checkpoints.append(KeptCheckpoint(b"no note"))

    verification = log.verify()

    assert found(verification) == ["signature: newest checkpoint: note has no blank line followed by signature lines"]
    assert verification.checkpoint is None


def test_unreadable_older_checkpoint_is_named_by_its_number(log):
    log.checkpoints[2] = KeptCheckpoint(b"no note")

    (finding,) = log.verify().findings

    assert finding.place == "checkpoint number 3 from the log itself"


def test_older_checkpoint_with_a_wrong_signature_is_named(log):
    log.checkpoints[2] = KeptCheckpoint(sign(300, bytes(32), START + 300 * SECOND, by=signers(2)))

    verification = log.verify()

    assert verification.counts == {Step.HISTORY: 2}
    assert verification.findings[0].place == "checkpoint of 300 entries from the log itself"


def test_first_finding_of_a_step_is_kept_and_all_are_counted(log):
    for position in (5, 300, 599):
        log.contents[position] = content(position, purpose="other")

    verification = log.verify()

    assert [each.position for each in verification.findings] == [5, 5]
    assert verification.counts == {Step.TREE: 3, Step.COLUMNS: 3}


def test_refusal_that_was_signed_is_read_like_any_other_entry(log):
    log.append(content(600, event=EventName.REPORT_READ, outcome=Outcome.REFUSED))

    assert log.verify().is_sound


def test_empty_log_is_sound():
    empty = world(0)
    empty.sign(START)

    assert empty.verify().is_sound
