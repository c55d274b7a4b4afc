"""The sequencer: every entry has one place, whoever writes and however many sequence, and time never goes back."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.audit import parse_entry, verify_inclusion
from exchange.kernel import UnavailableError, UnsafeSettingError
from exchange.store.log.last_signed import LastSignedFile
from exchange.store.log.sequencing import Growth, LogMovedError
from exchange.store.rows.log_rows import CosignatureRow, LogState
from exchange.usecases.log import sequence_log, sweep_log
from exchange.usecases.log.guard_log import LogContradictionError, LogGuard
from exchange.usecases.log.sequence_log import Step
from exchange.usecases.log.sweep_log import Index, Sweep
from tests.attacks.test_log_tampering import own
from tests.support.log import ORIGIN, Log, check_log
from tests.support.store import draft, rows_of
from tests.usecases.test_search_swept import begun_while_away, searchable


async def test_empty_tree_is_signed_first(log: Log) -> None:
    sequencer = await log.sequencer()

    assert await sequencer.step() is Step.MORE
    (kept,) = await log.store.log.checkpoints(1)
    assert kept.size == 0
    assert await sequencer.step() is Step.PLACED
    assert await sequencer.step() is Step.IDLE
    assert await log.events() == ["log.begun"]


async def test_entries_get_their_places_in_the_order_of_the_outbox(log: Log) -> None:
    sequencer = await log.sequencer()
    await log.drain(sequencer)
    waiting = await log.append(40)
    order = [row[0] for row in await rows_of(log.store, "SELECT entry_id FROM audit_outbox ORDER BY id")]

    await log.drain(sequencer)

    contents = await log.store.log.contents(1, 1, 41)
    assert [parse_entry(content)["id"] for content in contents] == order
    assert sorted(order) == sorted(waiting)
    await check_log(log)


async def test_tree_is_the_same_however_it_is_cut_into_batches(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_log, "BATCH", 97)
    sequencer = await log.sequencer()
    for count in (1, 255, 1, 300, 150):
        await log.append(count)
        await log.drain(sequencer)

        await check_log(log)


async def test_every_entry_can_be_proved(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_log, "BATCH", 100)
    entries = await log.append(600)
    await log.drain()
    state = await log.store.log.state()
    assert state is not None

    for entry in entries[::37]:
        leaf = await log.store.log.leaf(entry)
        assert leaf is not None
        proof = await log.store.log.inclusion_proof(leaf.log, leaf.position, state.size)
        verify_inclusion(proof, leaf.leaf_hash, index=leaf.position, head=state.head)


async def test_entry_that_commits_late_is_not_left_out(log: Log) -> None:
    sequencer = await log.sequencer()
    await log.drain(sequencer)
    async with log.store.unit_of_work() as unit:
        late = await unit.record(draft())
        if log.url.startswith("postgresql"):
            # It has a lower number in the outbox than these, and commits after they are placed.
            await log.append(5)
            await log.drain(sequencer)
            assert await log.store.log.leaf(late.entry) is None

    await log.append(3)
    await log.drain(sequencer)

    assert await log.store.log.leaf(late.entry) is not None
    await check_log(log)


async def test_two_sequencers_and_many_writers_lose_and_double_nothing(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence_log, "BATCH", 7)
    sequencers = [await log.sequencer(), await log.sequencer()]
    is_writing = True

    async def step(number: int) -> int:
        moved = 0
        while is_writing:
            try:
                await sequencers[number].step()
            except LogMovedError:
                moved += 1
            await asyncio.sleep(0)
        return moved

    async def write() -> None:
        for number in range(10):
            if number % 3:
                await log.append(2)
            else:
                with pytest.raises(RuntimeError):
                    await roll_back(log)

    stepping = [asyncio.create_task(step(number)) for number in range(2)]
    await asyncio.gather(*(write() for _ in range(8)))
    is_writing = False
    await asyncio.gather(*stepping)
    await log.drain(sequencers[0])

    assert (await log.events()).count("report.read") == 8 * 6 * 2
    await check_log(log)


async def test_who_stands_by_leaves_entries_to_the_one_that_is_at_work(log: Log) -> None:
    leader, other = await log.sequencer(), await log.sequencer()
    await log.drain(leader)
    assert await other.step(stands_by=True) is Step.IDLE

    await log.append(1)
    await log.drain(leader)
    await log.append(1)
    assert await other.step(stands_by=True) is Step.ELSEWHERE
    # Nobody was at work since: the leader is gone.
    assert await other.step(stands_by=True) is Step.PLACED

    await log.append(1)
    assert await other.step(stands_by=True) is Step.PLACED, "what it did itself is not another's"
    await check_log(log)


async def test_who_stands_by_still_freezes_a_log_that_it_contradicts(log: Log, tmp_path: Path) -> None:
    mine = LastSignedFile(tmp_path / "mine.json")
    leader, other = await log.sequencer(), await log.sequencer(file=mine)
    await log.append(1)
    await log.drain(other)
    assert await other.step(stands_by=True) is Step.IDLE
    said = mine.read()
    assert said is not None
    forged = replace(said.confirmed, head=replace(said.confirmed.head, root=bytes(32)))
    mine.write(replace(said, confirmed=forged))

    await log.append(1)
    await log.drain(leader)

    assert await other.step(stands_by=True) is Step.FROZEN


async def test_host_whose_commit_came_second_signs_on_and_contradicts_nothing(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await log.desk()
    first, second = sequence_log.Sequencer(desk), await log.sequencer(file=LastSignedFile(tmp_path / "other.json"))
    await log.drain(first)
    await log.drain(second)
    await log.append(1)
    grow = desk.tree.grow

    async def overtaken(growth: Growth) -> None:
        await log.append(1)
        await log.drain(second)
        await grow(growth)

    with monkeypatch.context() as patched:
        patched.setattr(desk.tree, "grow", overtaken)
        with pytest.raises(LogMovedError):
            await first.step()
    said = log.file.read()
    assert said is not None
    assert said.prepared is None
    await log.append(1)

    # Nor does the next process of this host, which knows what the file says and nothing else.
    assert [await log.drain(each) for each in (first, await log.sequencer())] == [Step.IDLE, Step.IDLE]
    await check_log(log)


async def test_log_that_moved_while_it_was_compared_is_not_frozen_for_that(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await log.sequencer(), await log.sequencer(file=LastSignedFile(tmp_path / "other.json"))
    await log.drain(first)
    await log.drain(second)
    await log.append(1)

    check = LogGuard.check_witnesses

    async def behind(guard: LogGuard, state: LogState) -> None:
        if guard is not first._guard:
            return await check(guard, state)
        await log.drain(second)
        raise LogContradictionError("a file was read after the state")

    with monkeypatch.context() as patched:
        patched.setattr(LogGuard, "check_witnesses", behind)
        with pytest.raises(LogMovedError):
            await first.step()

    assert await log.drain(first) is Step.IDLE
    await check_log(log)


async def test_frozen_log_is_told_of_once_whoever_looks_however_often(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    await log.append(1)
    await log.drain()
    said = log.file.read()
    assert said is not None
    forged = replace(said.confirmed, head=replace(said.confirmed.head, root=bytes(32)))
    log.file.write(replace(said, confirmed=forged))
    await log.append(1)
    sequencer = await log.sequencer()
    for _ in range(3):
        assert await sequencer.step() is Step.FROZEN
        await sequencer.look()

    assert (await log.events()).count("log.frozen") == 1
    assert caplog.text.count("the log is frozen") == 1


async def test_last_checkpoint_is_kept_again_where_somebody_deleted_all_that_were_kept(log: Log) -> None:
    await log.append(1)
    await log.drain()
    await own(log, "DELETE FROM log_checkpoint")

    assert await log.drain() is Step.IDLE
    assert [kept.size for kept in await log.store.log.checkpoints(1)] == [2]


async def test_node_with_another_key_and_one_without_a_log_keep_no_checkpoint(log: Log) -> None:
    await (await log.sequencer()).rest()
    assert await log.store.log.state() is None
    sequencer = await log.sequencer()
    await log.append(1)
    await log.drain(sequencer)
    other = _renamed(sequence_log.LogKey(f"{ORIGIN}0", log.key.signers))
    await (await log.sequencer(key=other)).rest()

    assert [kept.size for kept in await log.store.log.checkpoints(1)] == [0]


async def roll_back(log: Log) -> None:
    async with log.store.unit_of_work() as unit:
        await unit.record(draft())
        raise RuntimeError


async def test_time_stands_still_when_the_clock_is_set_back(log: Log) -> None:
    sequencer = await log.sequencer()
    await log.append(3)
    await log.drain(sequencer)
    before = await log.store.log.state()
    log.clock.now -= timedelta(days=3)
    await log.append(3)
    await log.drain(sequencer)
    after = await log.store.log.state()

    assert before is not None
    assert after is not None
    assert after.size > before.size
    assert after.signed_at == before.signed_at
    await check_log(log)


@pytest.mark.parametrize("at_once", [500, 5], ids=["in one pass", "in every pass"])
async def test_searched_entries_do_not_fall_behind_for_ever_while_others_write(
    log: Log, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    # Ten entries a pass, twenty a second, four seconds.
    monkeypatch.setattr(sweep_log, "_INDEXED_IN_A_SECOND", 3)
    monkeypatch.setattr(sweep_log, "_PASSES_IN_A_SECOND", 2)
    monkeypatch.setattr(sweep_log, "_SECONDS_BEHIND", 4)
    monkeypatch.setattr(sweep_log, "_INDEXED_AT_ONCE", at_once)
    index = Index((await log.desk()).tree)
    for _ in range(40):
        await log.append(10)
        await log.drain()
        await index.chunk(is_at_rest=False)

    state = await log.store.log.state()
    assert state is not None
    assert state.size - await log.store.log.searched(1) <= 20 * 5


async def test_entries_are_made_searchable_once_a_second_while_others_write_and_at_once_at_rest(log: Log) -> None:
    index = Index((await log.desk()).tree)
    await log.append(4)
    await log.drain()
    seen = []
    for _ in range(5):
        await index.chunk(is_at_rest=False)
        seen.append(await log.store.log.searched(1))
    state = await log.store.log.state()
    assert state is not None
    assert seen == [0, 0, 0, 0, state.size]

    await log.append(4)
    await log.drain()
    await index.chunk(is_at_rest=False)
    assert await log.store.log.searched(1) == state.size
    await index.chunk()
    assert await log.store.log.searched(1) == state.size + 4


async def test_checkpoints_are_kept_every_ten_seconds_and_at_rest(log: Log) -> None:
    sequencer = await log.sequencer()
    for _ in range(5):
        await log.append(1)
        await log.drain(sequencer)
    assert [kept.size for kept in await log.store.log.checkpoints(1)] == [0]

    log.clock.now += timedelta(seconds=11)
    await log.drain(sequencer)
    assert [kept.size for kept in await log.store.log.checkpoints(1)] == [0, 6]

    await log.append(1)
    await log.drain(sequencer)
    await sequencer.rest()
    assert [kept.size for kept in await log.store.log.checkpoints(1)] == [0, 6, 7]


async def test_checkpoints_are_kept_for_witnesses_while_their_time_stands_still(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """A clock was days ahead, and is right again: what comes now must not go unwitnessed until then."""
    log.clock.now += timedelta(days=3)
    await log.append(1)
    await log.drain()
    log.clock.now -= timedelta(days=3)
    sequencer = await log.sequencer()
    sizes = []
    for _ in range(3):
        for _ in range(2):
            await log.append(1)
            await log.drain(sequencer)
        sizes.append((await log.store.log.checkpoints(1))[-1].size)
        log.clock.now += timedelta(seconds=11)

    assert sizes[0] < sizes[1] < sizes[2]
    assert caplog.text.count("time stands still") == 1
    await check_log(log)


async def test_entry_that_waits_twice_gets_one_place(log: Log) -> None:
    sequencer = await log.sequencer()
    (placed, *_) = await log.append(2)
    await log.drain(sequencer)
    (waiting,) = await log.append(1)
    for entry in (placed, waiting, waiting):
        await rows_of(log.store, f"INSERT INTO audit_outbox (entry_id) VALUES ('{entry}')")

    await log.drain(sequencer)

    await check_log(log)


async def test_batch_of_nothing_new_empties_the_outbox(log: Log) -> None:
    sequencer = await log.sequencer()
    (placed,) = await log.append(1)
    await log.drain(sequencer)
    await rows_of(log.store, f"INSERT INTO audit_outbox (entry_id) VALUES ('{placed}')")

    assert await sequencer.step() is Step.PLACED
    assert await sequencer.step() is Step.IDLE
    await check_log(log)


@pytest.mark.parametrize(
    ("named", "name"), [("'gone'", "gone"), ("x'ff'", "\\xff"), ("CAST(x'67ff' AS TEXT)", "g\\xff")]
)
async def test_entry_deleted_before_it_had_a_place_is_told(log: Log, backend: str, named: str, name: str) -> None:
    sequencer = await log.sequencer()
    await log.drain(sequencer)
    # PostgreSQL keeps no text that is none.
    named, name = (named, name) if backend == "sqlite" else ("'gone'", "gone")
    await rows_of(log.store, f"INSERT INTO audit_outbox (entry_id) VALUES ({named})")

    await log.drain(sequencer)

    told = [entry for entry in map(parse_entry, await log.store.entries(10)) if entry["type"] == "entry.lost"]
    assert [(entry["decision"], entry["detail"]) for entry in told] == [("failed", {"count": 1, "ids": [name]})]
    await check_log(log)


async def test_lost_entry_is_told_of_once_however_often_the_disk_is_full(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequencer = await log.sequencer()
    await log.drain(sequencer)
    await rows_of(log.store, "INSERT INTO audit_outbox (entry_id) VALUES ('gone')")

    def full(*_: object, **__: object) -> None:
        raise UnavailableError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(LastSignedFile, "write", full)
        for _ in range(3):
            with pytest.raises(UnavailableError):
                await sequencer.step()
    await log.drain(sequencer)
    for entry in ("gone", "gone too"):
        await rows_of(log.store, f"INSERT INTO audit_outbox (entry_id) VALUES ('{entry}')")
    await log.drain(sequencer)

    told = [entry for entry in map(parse_entry, await log.store.entries(10)) if entry["type"] == "entry.lost"]
    assert sorted(entry["detail"]["ids"] for entry in told) == [["gone"], ["gone", "gone too"]]
    await check_log(log)


async def test_swept_entry_is_on_the_record_though_the_log_was_away_at_first(log: Log) -> None:
    sequencer = await log.sequencer()
    await log.append(1)
    await rows_of(log.store, "DELETE FROM audit_outbox")
    sweep = await begun_while_away(log, (await log.desk()).tree, Sweep.chunk)
    while await sweep.chunk():
        continue
    log.clock.now += timedelta(minutes=11)
    while await sweep.chunk():
        continue
    await log.drain(sequencer)

    assert (await log.events()).count("entry.swept") == 1
    await check_log(log)


async def test_entry_left_out_of_the_outbox_is_swept_in(log: Log) -> None:
    sequencer = await log.sequencer()
    await log.append(3)
    await rows_of(log.store, "DELETE FROM audit_outbox WHERE id = (SELECT min(id) FROM audit_outbox)")
    await log.drain(sequencer)
    sweep = Sweep((await log.desk()).tree, log.store.append, log.clock, bytes)

    while await sweep.chunk():
        continue
    await log.drain(sequencer)

    assert "entry.swept" in await log.events()
    await check_log(log)


async def test_entry_taken_out_of_the_search_is_found_again_and_a_damaged_one_is_not(log: Log) -> None:
    tree = await searchable(log)
    whole = await rows_of(log.store, "SELECT * FROM audit_search ORDER BY position")
    damaged = "(SELECT entry_id FROM log_leaf WHERE position = 3)"
    await own(
        log,
        "DELETE FROM audit_search WHERE position IN (1, 3)",
        f"UPDATE audit_entry SET content = '' WHERE id = {damaged}",
    )
    # What comes is made searchable by who follows the tree, and is missed by nobody.
    await log.append(1)
    await log.drain()

    sweep = Sweep(tree, log.store.append, log.clock, bytes)
    for _ in range(2):
        while await sweep.chunk():
            continue
        log.clock.now += timedelta(minutes=11)

    found = await rows_of(log.store, "SELECT * FROM audit_search ORDER BY position")
    assert found == [row for row in whole if row[1] != 3]
    (told,) = [parse_entry(each) for each in await log.store.entries(99) if b"entry.swept" in each]
    assert (told["detail"]["count"], told["detail"]["search"]) == (1, "yes")


async def test_many_entries_taken_out_of_the_search_are_found_again_in_one_sweep_a_few_at_a_time(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_CHUNK", "_INDEXED_AT_ONCE"):
        monkeypatch.setattr(sweep_log, name, 2)
    tree = await searchable(log)
    damaged = "(SELECT entry_id FROM log_leaf WHERE position = 1)"
    await own(
        log, "DELETE FROM audit_search WHERE position < 5", f"UPDATE audit_entry SET content = '' WHERE id = {damaged}"
    )
    sweep = Sweep(tree, log.store.append, log.clock, bytes)
    while await sweep.chunk():
        continue

    found = await rows_of(log.store, "SELECT position FROM audit_search WHERE position < 6 ORDER BY position")
    assert [position for (position,) in found] == [0, 2, 3, 4, 5]
    told = [parse_entry(each)["detail"]["count"] for each in await log.store.entries(99) if b"entry.swept" in each]
    assert sorted(told) == [1, 1, 2]


async def test_sweep_rests_for_ten_minutes(log: Log) -> None:
    await log.drain()
    sweep = Sweep((await log.desk()).tree, log.store.append, log.clock, bytes)
    while await sweep.chunk():
        continue

    assert not await sweep.chunk()
    log.clock.now += timedelta(minutes=11)
    assert await sweep.chunk()
    assert "entry.swept" not in await log.events()


async def test_placed_entries_become_searchable_in_order(log: Log) -> None:
    await log.append(700)
    await log.drain()
    index = Index((await log.desk()).tree)

    assert await index.chunk()
    assert await log.store.log.searched(1) == 500
    assert not await index.chunk()
    assert not await index.chunk()
    assert await log.store.log.searched(1) == 701


async def test_node_with_another_key_signs_nothing(log: Log, tmp_path) -> None:
    await log.drain()
    other = sequence_log.LogKey(f"{ORIGIN}0", log.key.signers)

    with pytest.raises(UnsafeSettingError, match="has other keys"):
        await (await log.sequencer(key=_renamed(other))).step()


def _renamed(key: sequence_log.LogKey) -> sequence_log.LogKey:
    from dataclasses import replace

    return sequence_log.LogKey(key.origin, tuple(replace(signer, name=key.origin) for signer in key.signers))


async def test_cosignatures_are_kept_beside_kept_checkpoints(log: Log) -> None:
    await log.drain()
    row = CosignatureRow(1, 0, "witness.example", "— witness.example abc", 5)
    await log.store.add_cosignature(row)
    await log.store.add_cosignature(row)

    assert await log.store.log.cosignatures(1, 0) == [row]
    kept = await log.store.log.cosigned_checkpoint(1)
    assert kept is not None
    assert kept.size == 0


async def test_backlog_tells_how_many_wait_and_since_when(log: Log) -> None:
    assert (await log.store.log.backlog()).count == 0
    await log.append(3)
    backlog = await log.store.log.backlog()

    assert backlog.count == 3
    assert backlog.oldest_at is not None


async def test_tile_that_has_become_text_freezes_the_log(log: Log) -> None:
    sequencer = await log.sequencer()
    await log.append(3)
    await log.drain(sequencer)
    await log.append(1)
    await own(log, "UPDATE log_tile SET hashes = 'text'")

    assert await log.drain(sequencer) is Step.FROZEN


async def test_entry_that_has_become_text_does_not_end_the_sequencer(log: Log) -> None:
    sequencer = await log.sequencer()
    await log.drain(sequencer)
    waiting = await log.append(3)
    await own(log, f"UPDATE audit_entry SET content = 'text' WHERE id = '{waiting[1]}'")

    assert await log.drain(sequencer) is Step.IDLE
    assert await rows_of(log.store, "SELECT id FROM audit_outbox") == []
    assert len(await rows_of(log.store, "SELECT position FROM log_leaf")) == 4
