"""`kill -9` at every step: the next sequencer goes on at once, and nothing that was signed is ever contradicted."""

import asyncio
from time import monotonic

import pytest

from exchange.audit import hash_leaf, root_of
from exchange.custody import checkpoint_signed_by
from exchange.usecases.log.sequence_log import Step
from tests.support.in_turn import InTurn
from tests.support.log import Log, check_log
from tests.support.prepared import run_prepared

POINTS = 60
"""Three batches have fewer."""

SECONDS = 60


@pytest.mark.timeout(300)
async def test_sequencer_killed_at_any_step_is_taken_over(log: Log, in_turn: InTurn) -> None:
    # Behind a statement and before the next the same is done: each database tries one of the two.
    points = in_turn(range(1, POINTS + 1))
    words = ("-m", "tests.support.killed_sequencer", log.url, log.folder, *points)
    done = await asyncio.to_thread(run_prepared, *words)
    assert done.returncode == 0, done.stderr
    killed = int(done.stdout)
    assert killed >= len(points) * 5 // 6, done.stderr

    begun = monotonic()
    assert await log.drain() is Step.IDLE
    assert monotonic() - begun < SECONDS

    await check_log(log)
    events = await log.events()
    assert events.count("report.read") == 3 * len(points)
    assert set(events) == {"report.read", "log.begun"}
    await check_nothing_contradicted(log, more_than=len(points))


async def check_nothing_contradicted(log: Log, *, more_than: int) -> None:
    state = await log.store.log.state()
    assert state is not None
    leaves = [hash_leaf(content) for content in await log.store.log.contents(1, 0, state.size)]
    notes = (log.folder / "signed").read_bytes().split(b"\0")[:-1]
    assert len(notes) > more_than
    for note in notes:
        signed = checkpoint_signed_by(state.keys, note)
        assert signed.root == root_of(leaves[: signed.size])
