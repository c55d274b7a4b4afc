"""Class 34 on real databases: their owner changes what lies there; public keys alone name what was changed."""

import asyncio
import itertools
import os
from datetime import datetime, timedelta

import orjson
import pytest

from exchange.audit import Actor, EventName, Outcome, parse_entry
from exchange.audit.verify import Step, Verification
from exchange.usecases.log import sweep_log
from exchange.usecases.log.sequence_log import BATCH
from exchange.usecases.log.sweep_log import Index
from tests.support.log import Log
from tests.support.store import NOW, draft, rows_of
from tests.support.verified_log import verified

ENTRIES = 300


@pytest.fixture
async def kept(log: Log) -> Log:
    """A log with two checkpoints and every entry searchable, its node's evidence at the beginning and the end."""
    sequencer = await log.sequencer()
    await beat(log, EventName.SERVICE_STARTED)
    await log.append(ENTRIES // 2)
    await log.drain(sequencer)
    log.clock.now += timedelta(seconds=20)
    await log.append(ENTRIES // 2)
    await beat(log)
    await log.drain(sequencer)
    index = Index(log.trees[0])
    while await index.chunk():
        continue
    return log


async def beat(log: Log, event: EventName = EventName.NODE_HEARTBEAT, at: datetime = NOW) -> None:
    """Let the node sign for what it wrote."""
    await log.store.node.append_evidence(draft(event, at=at, actor=Actor("service"), source="local"), is_closing=False)


async def rebuild(log: Log, *statements: str, order: str = "l.position") -> None:
    """Do something to the entries, and write the whole log anew over them, with its real key and no memory of before."""
    again = (
        "INSERT INTO audit_outbox (entry_id) SELECT l.entry_id FROM log_leaf l"
        f" JOIN audit_entry e ON e.id = l.entry_id ORDER BY {order}"
    )
    tree = ("log_cosignature", "log_checkpoint", "log_tile", "log_leaf", "log_state", "audit_search")
    await own(log, "DELETE FROM audit_outbox", *statements, again, *(f"DELETE FROM {name}" for name in tree))
    log.file.path.unlink()
    await log.drain(await log.sequencer())
    index = Index(log.trees[-1])
    while await index.chunk():
        continue


async def note_of(log: Log) -> bytes:
    state = await log.store.log.state()
    assert state is not None
    return state.note


async def own(log: Log, *statements: str) -> None:
    """Do as the database's owner can: drop the guards, then whatever one likes."""
    if log.url.startswith("sqlite"):
        names = await rows_of(log.store, "SELECT name FROM sqlite_master WHERE type = 'trigger'")
        guards = [f"DROP TRIGGER {name}" for (name,) in names]
    else:
        guards = ["SET session_replication_role = replica"]
    async with log.store._engine.begin() as connection:
        for statement in (*guards, *statements):
            await connection.exec_driver_sql(statement)


async def position_of(log: Log, position: int) -> str:
    ((entry,),) = await rows_of(log.store, f"SELECT entry_id FROM log_leaf WHERE position = {position}")
    return str(entry)


def steps(verification: Verification) -> set[Step]:
    return {finding.step for finding in verification.findings}


async def test_34_untouched_database_is_sound(kept: Log) -> None:
    verification = await verified(kept)

    assert verification.is_sound, verification.findings
    assert verification.size == verification.entries >= ENTRIES
    assert verification.older >= 1


async def test_34_log_that_goes_on_while_it_is_looked_at_is_sound(log: Log) -> None:
    sequencer = await log.sequencer()
    await beat(log, EventName.SERVICE_STARTED)
    await log.append(ENTRIES)
    await log.drain(sequencer)
    index, looks = Index(log.trees[0]), itertools.count()

    async def goes_on() -> None:
        log.clock.now += timedelta(seconds=20)
        await log.append(1)
        await log.drain(sequencer)
        # What has its place becomes searchable between the reading of its first bundle and of the next one.
        while next(looks) and await index.chunk():
            continue

    assert (await verified(log, meanwhile=goes_on)).findings == ()
    assert (await verified(log, meanwhile=goes_on)).findings == ()


async def test_34_log_that_begins_a_day_after_its_first_entry_is_sound(log: Log) -> None:
    await beat(log, EventName.SERVICE_STARTED)
    log.clock.now += timedelta(days=1)
    await log.drain()

    assert (await verified(log)).findings == ()


async def test_34_log_that_waited_for_its_sequencer_for_hours_is_sound(kept: Log) -> None:
    for _ in range(9):
        kept.clock.now += timedelta(minutes=20)
        waiting = [draft(outcome=Outcome.REFUSED, at=kept.clock.now) for _ in range(BATCH // 6)]
        await asyncio.gather(*map(kept.store.append, waiting))
    await beat(kept, at=kept.clock.now)
    await kept.drain()

    assert (await verified(kept)).findings == ()


async def test_34_edited_entry_is_named(kept: Log) -> None:
    entry = await position_of(kept, 17)
    edited = "replace(CAST(content AS text), 'req-1', 'req-2')"
    if kept.url.startswith("postgresql"):
        edited = "convert_to(replace(convert_from(content, 'UTF8'), 'req-1', 'req-2'), 'UTF8')"
    await own(kept, f"UPDATE audit_entry SET content = CAST({edited} AS {'BLOB' if 'sqlite' in kept.url else 'bytea'}) WHERE id = '{entry}'")  # fmt: skip

    verification = await verified(kept)

    assert steps(verification) == {Step.TREE, Step.COLUMNS, Step.HEARTBEATS}
    assert {(each.position, each.entry) for each in verification.findings if each.step is not Step.HEARTBEATS} == {
        (17, entry)
    }


async def test_34_edited_column_is_named(kept: Log) -> None:
    await own(kept, "UPDATE audit_search SET member = 'NOR' WHERE position = 17")

    (finding,) = (await verified(kept)).findings

    assert (finding.step, finding.position) == (Step.COLUMNS, 17)
    assert "`member`" in finding.why


async def test_34_deleted_entry_is_named(kept: Log) -> None:
    entry = await position_of(kept, 17)
    await own(kept, f"DELETE FROM audit_entry WHERE id = '{entry}'")

    verification = await verified(kept)

    assert (verification.findings[0].place, verification.findings[0].entry) == ("entry 17", entry)


async def test_34_deleted_search_row_is_named(kept: Log) -> None:
    await own(kept, "DELETE FROM audit_search WHERE position = 17")

    (finding,) = (await verified(kept)).findings

    assert (finding.step, finding.position) == (Step.COLUMNS, 17)


@pytest.mark.parametrize("change", ["UPDATE audit_entry SET content = CAST('x' AS {bytes})", "DELETE FROM audit_entry"])
@pytest.mark.parametrize(("start", "stop"), [(0, 1), (2, 3), (0, 4), (3, 9), (1, 14), (13, 20)])
async def test_34_entries_behind_damaged_ones_are_found(
    log: Log, monkeypatch: pytest.MonkeyPatch, change: str, start: int, stop: int
) -> None:
    monkeypatch.setattr(sweep_log, "_INDEXED_AT_ONCE", 4)
    await log.append(19)
    await log.drain()
    damaged = f"id IN (SELECT entry_id FROM log_leaf WHERE position >= {start} AND position < {stop})"
    kind = "BLOB" if log.url.startswith("sqlite") else "bytea"
    await own(log, f"{change.format(bytes=kind)} WHERE {damaged}")
    index = Index(log.trees[-1])
    goes = itertools.count()
    while await index.chunk():
        assert next(goes) < 20, "the same ones again and again"

    found = await rows_of(log.store, "SELECT position FROM audit_search ORDER BY position")
    assert [row[0] for row in found] == [*range(start), *range(stop, 20)]


async def test_34_size_that_was_set_far_ahead_is_not_walked_up_to(log: Log) -> None:
    sequencer = await log.sequencer()
    await log.append(4)
    await log.drain(sequencer)
    index = Index(log.trees[-1])
    # As of an older log, which recovery has left, or in the moment before the sequencer freezes this one.
    await own(log, f"UPDATE log_state SET size = {2**60}")
    async with asyncio.timeout(20):
        while await index.chunk():
            continue
        assert not await index.chunk()

    assert len(await rows_of(log.store, "SELECT position FROM audit_search")) == 5
    await own(log, "UPDATE log_state SET size = 5")
    await log.append(1)
    await log.drain(sequencer)
    while await index.chunk():
        continue
    assert len(await rows_of(log.store, "SELECT position FROM audit_search")) == 6


@pytest.mark.parametrize("member", ["GB\0R", os.urandom(6000).hex()], ids=["nul", "long"])
async def test_34_entries_behind_one_that_nobody_sealed_so_are_found(log: Log, member: str) -> None:
    sequencer = await log.sequencer()
    await log.append(4)
    await log.drain(sequencer)
    entry = await position_of(log, 2)
    content = await log.store.entry(entry)
    assert content is not None
    # It has an entry's form, and holds what no database keeps, or none under an index.
    forged = orjson.dumps({**parse_entry(content), "member": member}, option=orjson.OPT_SORT_KEYS)
    literal = f"X'{forged.hex()}'" if log.url.startswith("sqlite") else f"decode('{forged.hex()}', 'hex')"
    await own(log, f"UPDATE audit_entry SET content = {literal} WHERE id = '{entry}'")
    index = Index(log.trees[-1])
    while await index.chunk():
        continue

    found = {row[0] for row in await rows_of(log.store, "SELECT position FROM audit_search")}
    assert found >= {0, 1, 3, 4}
    assert parse_entry(forged)


async def test_34_swapped_entries_are_named(kept: Log) -> None:
    one, other = await position_of(kept, 17), await position_of(kept, 18)
    await own(
        kept,
        "DELETE FROM audit_search",
        "UPDATE log_leaf SET entry_id = 'x' WHERE position = 17",
        f"UPDATE log_leaf SET entry_id = '{one}' WHERE position = 18",
        f"UPDATE log_leaf SET entry_id = '{other}' WHERE position = 17",
    )

    finding = (await verified(kept)).findings[0]

    assert (finding.place, finding.why) == ("entry 17", "it holds what was signed as entry 18")


async def test_34_flipped_tile_is_named(kept: Log) -> None:
    zeros = "zeroblob(8192)" if "sqlite" in kept.url else "decode(repeat('00', 8192), 'hex')"
    await own(kept, f"UPDATE log_tile SET hashes = {zeros} WHERE level = 0 AND idx = 0")

    (finding,) = (await verified(kept)).findings

    assert (finding.step, finding.place) == (Step.TREE, "tile/0/000")


async def test_34_tail_cut_to_a_signed_checkpoint_is_noticed_by_a_witness(kept: Log) -> None:
    newest = await note_of(kept)
    ((size,),) = await rows_of(
        kept.store, "SELECT max(size) FROM log_checkpoint WHERE size < (SELECT size FROM log_state)"
    )
    await own(
        kept,
        f"DELETE FROM audit_entry WHERE id IN (SELECT entry_id FROM log_leaf WHERE position >= {size})",
        f"DELETE FROM log_leaf WHERE position >= {size}",
        f"DELETE FROM audit_search WHERE position >= {size}",
        f"DELETE FROM log_checkpoint WHERE size > {size}",
        f"UPDATE log_state SET size = {size}, root = (SELECT root FROM log_checkpoint WHERE size = {size}),"
        f" note = (SELECT note FROM log_checkpoint WHERE size = {size})",
    )

    assert (await verified(kept)).is_sound
    (finding,) = (await verified(kept, newest)).findings
    assert finding.step is Step.HISTORY
    assert "its tail was cut" in finding.why


async def test_34_entry_kept_out_of_the_tree_is_noticed(kept: Log) -> None:
    (entry,) = await kept.append(1)
    await own(kept, f"DELETE FROM audit_outbox WHERE entry_id = '{entry}'")
    kept.clock.now += timedelta(days=400)

    findings = (await verified(kept)).findings

    assert [(each.step, each.entry) for each in findings] == [(Step.PENDING, entry)]


@pytest.mark.parametrize(("log_number", "position"), [(1, 10**6), (9, 0), (1, -5)])
async def test_34_entry_with_a_place_outside_what_was_signed_is_noticed(
    kept: Log, log_number: int, position: int
) -> None:
    (entry,) = await kept.append(1)
    await own(
        kept,
        f"INSERT INTO log_leaf SELECT {log_number}, {position}, '{entry}', leaf_hash FROM log_leaf WHERE position = 0",
        "UPDATE log_state SET size = 2000000",
    )
    kept.clock.now += timedelta(days=400)

    findings = (await verified(kept)).findings

    assert [(each.step, each.entry) for each in findings] == [(Step.PENDING, entry)]


@pytest.mark.parametrize(
    ("change", "step", "place"),
    [
        ("audit_entry SET content = 'x' WHERE id = :17", Step.TREE, "entry 17"),
        ("log_leaf SET leaf_hash = 'x' WHERE position = 17", Step.COLUMNS, "entry 17"),
        ("log_tile SET hashes = 'x' WHERE level = 0 AND idx = 0", Step.TREE, "tile/0/000"),
        ("log_state SET note = 'x'", Step.SIGNATURE, "newest checkpoint"),
        ("log_checkpoint SET note = 'x' WHERE size = 0", Step.HISTORY, "checkpoint number 1 from the log itself"),
    ],
)
async def test_34_text_in_the_place_of_bytes_is_named(kept: Log, change: str, step: Step, place: str) -> None:
    await own(kept, f"UPDATE {change.replace(':17', repr(await position_of(kept, 17)))}")

    finding = (await verified(kept)).findings[0]

    assert (finding.step, finding.place) == (step, place)


async def test_34_clock_set_back_is_noticed(kept: Log) -> None:
    kept.clock.now -= timedelta(days=3)
    await kept.store.append(draft(EventName.REPORT_READ, outcome=Outcome.REFUSED, at=kept.clock.now))
    await kept.drain()

    assert steps(await verified(kept)) == {Step.TIME}


@pytest.mark.parametrize("leap", [timedelta(days=-3), timedelta(days=1)], ids=["back", "forward"])
async def test_34_clock_that_one_entry_was_written_by_is_noticed(kept: Log, leap: timedelta) -> None:
    kept.clock.now += leap
    await kept.store.append(draft(EventName.REPORT_READ, outcome=Outcome.REFUSED, at=kept.clock.now))
    kept.clock.now -= leap
    await kept.drain()

    # The checkpoints know the time: what one entry says of it is all that is wrong.
    assert steps(await verified(kept)) == {Step.TIME}


async def test_34_row_forged_into_the_tree_is_noticed(kept: Log) -> None:
    last = ENTRIES - 1
    await own(kept, f"UPDATE log_leaf SET entry_id = '{await position_of(kept, 3)}-copy' WHERE position = {last}")

    assert Step.TREE in steps(await verified(kept))


async def test_34_refusal_deleted_and_the_tree_signed_anew_is_noticed_by_its_node_and_by_a_witness(kept: Log) -> None:
    witnessed, entry = await note_of(kept), await position_of(kept, 17)

    await rebuild(kept, f"DELETE FROM audit_entry WHERE id = '{entry}'")

    assert steps(await verified(kept)) == {Step.COUNTERS}
    assert steps(await verified(kept, witnessed)) == {Step.COUNTERS, Step.HISTORY}


async def test_34_refusal_edited_and_the_tree_signed_anew_is_noticed_by_its_node(kept: Log) -> None:
    entry = await position_of(kept, 17)
    edited = "CAST(replace(CAST(content AS text), 'req-1', 'req-2') AS BLOB)"
    if kept.url.startswith("postgresql"):
        edited = "convert_to(replace(convert_from(content, 'UTF8'), 'req-1', 'req-2'), 'UTF8')"

    await rebuild(kept, f"UPDATE audit_entry SET content = {edited} WHERE id = '{entry}'")

    assert steps(await verified(kept)) == {Step.HEARTBEATS}


async def test_34_entries_reordered_and_the_tree_signed_anew_are_noticed_by_a_witness(kept: Log) -> None:
    witnessed = await note_of(kept)

    await rebuild(kept, order="CASE WHEN l.position = 17 THEN 18.5 ELSE l.position END")

    assert (await verified(kept)).is_sound, "entries of one second have no order that a node signed"
    assert steps(await verified(kept, witnessed)) == {Step.HISTORY}


async def test_34_entry_deleted_before_it_had_a_place_is_noticed_by_its_node(kept: Log) -> None:
    (entry,) = await kept.append(1)
    await beat(kept)
    await own(
        kept, f"DELETE FROM audit_outbox WHERE entry_id = '{entry}'", f"DELETE FROM audit_entry WHERE id = '{entry}'"
    )
    await kept.drain()

    assert steps(await verified(kept)) == {Step.COUNTERS}


async def test_34_row_forged_under_a_number_of_the_node_is_noticed(kept: Log) -> None:
    # The same number again, in an entry of the forger's own making, goes into the log like any other.
    entry, forged_id = await position_of(kept, 17), "01a00000-0000-7000-8000-000000000000"
    copied = f"CAST(replace(CAST(content AS text), '{entry}', '{forged_id}') AS BLOB)"
    if kept.url.startswith("postgresql"):
        copied = f"convert_to(replace(convert_from(content, 'UTF8'), '{entry}', '{forged_id}'), 'UTF8')"
    await own(
        kept,
        f"INSERT INTO audit_entry (id, content) SELECT '{forged_id}', {copied} FROM audit_entry WHERE id = '{entry}'",
        f"INSERT INTO audit_outbox (entry_id) VALUES ('{forged_id}')",
    )
    await kept.drain()

    (finding,) = (await verified(kept)).findings

    assert (finding.step, finding.entry) == (Step.COUNTERS, forged_id)
