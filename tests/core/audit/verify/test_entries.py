"""Times of entries and checkpoints, notes, progress: what the table of attacks does not reach."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from exchange.audit.verify import KeptCheckpoint, Limits, Step
from exchange.audit.verify.checkpoints import Mark, check_times
from exchange.audit.verify.entries import entry_id_at
from exchange.audit.verify.findings import Finding, Findings
from exchange.audit.verify.time_windows import TimeWindows
from exchange.kernel import to_micros
from tests.core.audit.verify.worlds import KEYS, SECOND, SIGNERS, START, content, sign, world

PLAIN = SIGNERS[:1]
UNASKED = "no key of a node was given: whether the nodes signed for their entries was not looked at"


def marked(*rows):
    return [
        Mark(size, bytes(32), None if at is None else to_micros(START + at * SECOND), "log", None) for size, at in rows
    ]


def windows(*marks, limits=None):
    return TimeWindows(marked(*marks), limits or Limits(ahead_seconds=10, behind_seconds=100))


def asked(judge, *rows):
    return [judge.fault(position, to_micros(START + at * SECOND)) is None for position, at in rows]


@pytest.mark.parametrize(
    ("position", "at", "fits"),
    [
        (0, 510, True),  # ahead of its checkpoint by as much as clocks may differ
        (0, 511, False),
        (0, -9999, True),  # nothing was signed before
        (4, 510, True),
        (5, 400, True),  # behind the checkpoint before it by the longest upload
        (5, 399, False),
        (5, 610, True),
        (5, 611, False),
        (10, 499, False),  # behind the last checkpoint
        (10, 500, True),
    ],
)
def test_entry_fits_between_two_checkpoints(position, at, fits):
    judge = windows((5, 500), (10, 600))
    before = [(each, 500 if each < 5 else 600) for each in range(position)]

    assert asked(judge, *before, (position, at))[-1] == fits


def test_without_times_entries_are_compared_with_those_before():
    judge = windows((5, None))

    assert asked(judge, (0, 0), (1, 1000), (2, 900), (3, 899), (4, 901)) == [True, True, True, False, True]


def test_what_waited_in_a_log_that_begins_is_compared_with_what_came_before_it():
    judge = windows((1, 9990), (3, 10_000))

    assert asked(judge, (0, 9990), (1, 2000), (2, 1899)) == [True, True, False]


def test_behind_the_last_time_entries_are_compared_with_those_before():
    judge = windows((1, 0))

    assert asked(judge, (0, 0), (1, 5000), (2, 4899)) == [True, True, False]


LATE = [(0, 10), (1, 1000), (2, 2000), (3, 3000), (4, 4000), (5, 9950)]


@pytest.mark.parametrize(
    ("marks", "rows"),
    [
        ([(0, 9990), (2, 10_000), (4, 10_001), (6, 10_002)], LATE),  # a log that begins long after its first entry
        ([(1, 10), (2, 9990), (4, 10_000), (6, 10_001)], LATE),  # no sequencer was at work for hours
        ([(1, 10), (3, 5000), (5, 10_000), (6, 10_001)], LATE),  # twice
        ([(1, 9990), (3, 9990), (6, 9991)], [(0, 9990), *LATE[1:]]),  # recovered: entry 0 says when
    ],
)
def test_what_waited_for_a_sequencer_may_be_older_than_the_checkpoint_before_it(marks, rows):
    assert all(asked(windows(*marks), *rows))


@pytest.mark.parametrize(
    "rows",
    [
        [(2, 3000), (3, 4000), (4, 3899)],  # back behind another that had waited
        [(2, 3000), (3, 4000), (4, 9950), (5, 4000)],  # all that had waited is there already
        [(2, 9999), (3, 9999), (4, 5000)],  # nothing had waited
    ],
)
def test_a_pause_opens_no_door_for_backdated_entries(rows):
    judge = windows((2, 0), (4, 10_000), (5, 10_001), (6, 10_002))

    assert asked(judge, (0, 0), (1, 0), *rows)[-1] is False


def test_slow_clock_is_no_pause():
    judge = windows(*((size, 50 * size) for size in range(1, 8)))

    assert asked(judge, *((position, 0) for position in range(5))) == [True, True, True, False, False]


def test_checkpoints_without_a_time_are_passed_over():
    judge = windows((2, None), (5, 500))

    assert asked(judge, (0, 510), (3, 511)) == [True, False]


def test_keepers_time_counts_where_no_signature_states_one():
    log = world()
    log.checkpoints = [
        KeptCheckpoint(sign(size, log_root, START, by=PLAIN), to_micros(START + size * SECOND))
        for size, log_root in roots(log, 300, 600)
    ]
    log.contents[350] = content(350, at=START + timedelta(days=1))

    verification = log.verify(keys=KEYS[:1])

    assert Step.TIME in {each.step for each in verification.findings}
    assert verification.notes == (UNASKED,)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("said", [-(2**62), -1, "x", 1.5, 2**62])
def test_keepers_time_that_is_no_moment_fits_no_entry(said, place):
    log = world(200)
    log.checkpoints = [
        KeptCheckpoint(sign(size, log_root, START, by=PLAIN), to_micros(START + size * SECOND))
        for size, log_root in roots(log, 100, 200)
    ]
    log.checkpoints[place] = replace(log.checkpoints[place], signed_at_micros=said)

    verification = log.verify(keys=KEYS[:1], now=START + 200 * SECOND)

    assert [each.step for each in verification.findings] == [Step.TIME]


def test_without_any_time_a_note_says_so():
    log = world()
    log.checkpoints = [KeptCheckpoint(sign(600, root, START, by=PLAIN)) for _, root in roots(log, 600)]

    verification = log.verify(keys=KEYS[:1])

    assert verification.is_sound
    assert verification.notes == (UNASKED, "no signature states a time: entries were compared with each other only")


def test_times_of_checkpoints_may_go_back_by_what_two_clocks_differ():
    log = world()
    log.append(content(600), at=START + 540 * SECOND)
    assert log.verify().is_sound

    log.append(content(601), at=START + 539 * SECOND)
    assert [each.step for each in log.verify().findings] == [Step.TIME]


@pytest.mark.parametrize(
    ("rows", "findings"),
    [
        ([(1, 100), (2, 40)], []),  # back by as much as clocks may differ
        ([(1, 100), (2, 39.999999)], [("2", 1)]),
        ([(1, 100), (2, 50), (3, 39)], [("3", 1)]),  # behind the latest of all, not the one before
        ([(1, 100), (2, 200), (3, 139)], [("3", 2)]),
        ([(1, 100), (2, 100), (3, 39)], [("3", 1)]),  # the first that was signed at that time
        ([(1, 100), (2, None), (3, 39)], [("3", 1)]),  # one without a time hides none behind it
        ([(1, None), (2, 100), (3, 39)], [("3", 2)]),
    ],
)
def test_time_of_a_checkpoint_is_held_against_the_latest_before_it(rows, findings):
    check_times(marked(*rows), 60, told := Findings())

    assert [(each.place, each.position) for each in told.found()] == [
        (f"checkpoint of {size} entries", position) for size, position in findings
    ]


def test_entries_behind_a_missing_one_are_looked_at():
    log = world(300, 300)
    log.contents[10] = log.rows[10] = None
    log.rows[11] = replace(log.rows[11], columns=replace(log.rows[11].columns, member="NOR"))

    verification = log.verify()

    assert verification.entries == 299
    assert [(each.step, each.position) for each in verification.findings] == [(Step.TREE, 10), (Step.COLUMNS, 11)]


def test_without_entries_a_note_says_what_was_not_looked_at():
    log = world()
    log.has_entries = False

    verification = log.verify()

    assert verification.is_sound
    assert verification.entries == 0
    assert "not what they say" in verification.notes[0]


def test_progress_counts_up_to_the_whole():
    told = []
    from exchange.audit.verify import Expectations, verify_log

    verify_log(world(), Expectations(KEYS), lambda done, total: told.append((done, total)))

    assert told == [(256, 600), (512, 600), (600, 600)]


def test_leaves_that_are_gone_leave_no_root():
    log = world()
    log.has_entries = False
    del log.tiles[0, 1]

    verification = log.verify()

    assert verification.root is None
    assert verification.counts == {Step.TREE: 2}


@pytest.mark.parametrize(
    ("rows", "contents", "is_told"),
    [(None, None, False), (3, 3, False), (1, 1, False), (2, None, True), (None, 2, True), (3, 2, True)],
)
def test_entry_is_named_by_a_bundle_of_its_width_alone(rows, contents, is_told):
    log = world(3)
    source = SimpleNamespace(
        stored=lambda _: None if rows is None else log.rows[:rows],
        entries=lambda _: None if contents is None else log.contents[:contents],
    )

    assert entry_id_at(source, 1) == (log.rows[1].columns.id if is_told else None)


def test_finding_reads_as_a_sentence():
    assert str(Finding(Step.TREE, "entry 17", "it is missing", 17, "e-1")) == "tree: entry 17 (e-1): it is missing"
    assert str(Finding(Step.TREE, "tile/0/000", "it is missing")) == "tree: tile/0/000: it is missing"


def roots(log, *sizes):
    from exchange.audit.merkle import hash_leaf, root_of

    return [(size, root_of([hash_leaf(each) for each in log.contents[:size]])) for size in sizes]
