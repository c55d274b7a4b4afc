"""What was signed before is never contradicted: a log that lost or changed anything is frozen, and mended by hand only."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from exchange import usecases
from exchange.audit import EventName, hash_leaf, parse_entry
from exchange.audit.merkle import TreeHead
from exchange.custody import checkpoint_signed_by, create_log_key, replace_log_key
from exchange.kernel import ConflictError, InvalidError, UnavailableError, to_micros
from exchange.store import migrate
from exchange.store.rows.log_rows import CosignatureRow
from exchange.usecases import Call
from exchange.usecases.log import sequence_log
from exchange.usecases.log.recover_log import next_origin, recover_log, resume_log
from exchange.usecases.log.sequence_log import Step
from exchange.usecases.upkeep.inspect_service import _log as log_figures
from tests.support.log import ORIGIN, Log, Snapshot, check_log
from tests.support.store import NOW, draft, fresh_id, open_store, rows_of

HOST = Call(request_id=fresh_id(), source="host", thumbprint=None, now=NOW)


class Services:
    """As much of the wired services as the log's own verbs use."""

    def __init__(self, log: Log) -> None:
        self.store = log.store


@pytest.fixture
async def restored(log: Log, snapshot: Snapshot) -> Any:
    """A log, and the address of its database as it was before the last entries, as out of yesterday's backup."""
    await log.append(20)
    await log.drain()
    await log.close()
    address = snapshot()
    log.store, log.trees = await open_store(log.url), []
    await log.append(20)
    await log.drain()
    return log, address


async def moved_to(log: Log, url: str) -> None:
    await log.close()
    log.url, log.store, log.trees = url, await open_store(url), []


async def test_restored_older_database_is_frozen(restored: tuple[Log, str]) -> None:
    log, yesterday = restored
    await moved_to(log, yesterday)
    before = await log.store.log.state()
    await log.append(50)

    assert await log.drain() is Step.FROZEN
    after = await log.store.log.state()
    assert before is not None
    assert after is not None
    assert after.head == before.head
    assert after.note == before.note
    assert after.frozen_why == "the database holds 21 entries of the log, this host signed 41"
    assert "log.frozen" in await log.events()


async def test_frozen_log_stays_frozen_for_every_sequencer(restored: tuple[Log, str]) -> None:
    log, yesterday = restored
    await moved_to(log, yesterday)
    await log.drain()
    log.file.path.unlink()

    assert await log.drain() is Step.FROZEN
    assert await log.drain() is Step.FROZEN
    assert (await log.events()).count("log.frozen") == 1


async def test_readiness_tells_of_the_freeze(restored: tuple[Log, str], world_services: Callable[[Log], Any]) -> None:
    log, yesterday = restored
    assert (await usecases.check_readiness(world_services(log))).checks[2].is_working
    await moved_to(log, yesterday)
    await log.drain()
    check = (await usecases.check_readiness(world_services(log))).checks[2]

    assert (check.name, check.is_working) == ("log", False)
    assert "this host signed 41" in check.finding


@pytest.fixture
def world_services() -> Callable[[Log], Any]:
    class Ready(Services):
        custodian = SimpleNamespace(check=AsyncMock(), unwrap=AsyncMock())
        law = SimpleNamespace(digest="")
        cursor_key = bytes(32)

        def __init__(self, log: Log) -> None:
            super().__init__(log)
            self.witnessing = SimpleNamespace(quorum_seconds=None, last_signed=log.file)

    return Ready


async def test_database_older_than_what_this_host_signed_is_not_served_before_a_sequencer_looked(
    restored: tuple[Log, str], world_services: Callable[[Log], Any]
) -> None:
    """Whoever was revoked since is active there: the first start must not serve until the second one is refused."""
    log, yesterday = restored
    await moved_to(log, yesterday)

    async def found() -> str:
        check = (await usecases.check_readiness(world_services(log))).checks[2]
        assert check.name == "log"
        return check.finding

    assert await found() == "the database holds 21 entries of the log, this host signed 41: it is an older one"
    content = json.loads(log.file.path.read_text())
    state = await log.store.log.state()
    assert state is not None
    content["confirmed"]["size"] = state.size
    log.file.path.write_text(json.dumps(content))
    assert await found() == "the database holds another log of 21 entries, this host signed 21: it is an older one"
    # Another node has made it grow since.
    content["confirmed"]["size"] = state.size - 1
    log.file.path.write_text(json.dumps(content))
    assert await found() == "works"
    content["origin"] = "exchange.example/log/an-earlier-one"
    log.file.path.write_text(json.dumps(content))
    assert await found() == "works"
    log.file.path.write_text("{}")
    assert "what was signed last is not known" in await found()
    log.file.path.unlink()
    assert await found() == "works"
    log.file.path.mkdir()
    assert await found() == "works"


async def test_database_without_a_log_is_not_served_where_this_host_signed_one(
    log: Log, world_services: Callable[[Log], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.append(3)
    assert (await usecases.check_readiness(world_services(log))).checks[2].is_working
    await log.drain()
    read = type(log.store.log).state

    async def grown_behind(reader: Any) -> Any:
        monkeypatch.undo()
        state = await read(reader)
        await log.append(1)
        await log.drain()
        return state

    # Meanwhile the sequencer goes on: what it has signed since is nothing that the database lacks.
    monkeypatch.setattr(type(log.store.log), "state", grown_behind)
    assert (await usecases.check_readiness(world_services(log))).checks[2].is_working
    monkeypatch.setattr(type(log.store.log), "state", AsyncMock(return_value=None))

    check = (await usecases.check_readiness(world_services(log))).checks[2]
    assert check.finding == "the database holds 0 entries of the log, this host signed 5: it is an older one"


async def test_resuming_is_refused_while_the_contradiction_stands(restored: tuple[Log, str]) -> None:
    log, yesterday = restored
    await moved_to(log, yesterday)
    await log.drain()

    with pytest.raises(ConflictError, match="stays frozen: the database holds 21"):
        await resume_log(Services(log), HOST, await log.desk())


async def test_log_resumes_when_nothing_contradicts_any_more(log: Log) -> None:
    await log.append(3)
    await log.drain()
    good = log.file.path.read_bytes()
    log.file.path.write_bytes(b"{}")
    assert await log.drain() is Step.FROZEN
    log.file.path.write_bytes(good)

    await resume_log(Services(log), HOST, await log.desk())

    assert await log.drain() is Step.IDLE
    assert "log.resumed" in await log.events()
    await check_log(log)


async def test_log_is_not_resumed_in_place_of_another_that_this_host_signed(log: Log) -> None:
    await log.append(3)
    await log.drain()
    other = log.file.path.read_text().replace(ORIGIN, "exchange.example/log/other")
    log.file.path.write_text(other)
    assert await log.drain() is Step.FROZEN

    with pytest.raises(ConflictError, match=r"stays frozen: this host signed the log `exchange.example/log/other`"):
        await resume_log(Services(log), HOST, await log.desk())

    assert log.file.path.read_text() == other
    assert await log.drain() is Step.FROZEN


async def test_log_resumed_where_this_host_knows_nothing_of_it_says_that_it_was_adopted(
    restored: tuple[Log, str],
) -> None:
    log, yesterday = restored
    await moved_to(log, yesterday)
    await log.drain()
    log.file.path.unlink()

    await resume_log(Services(log), HOST, await log.desk())

    assert {"log.adopted", "log.resumed"} <= set(await log.events())


async def test_log_that_is_not_frozen_is_not_mended(log: Log) -> None:
    await log.drain()

    with pytest.raises(ConflictError, match="not frozen"):
        await resume_log(Services(log), HOST, await log.desk())


async def test_recovery_begins_a_log_whose_entry_0_names_the_old_one(restored: tuple[Log, str]) -> None:
    log, yesterday = restored
    lost = await log.store.log.state()
    assert lost is not None
    await moved_to(log, yesterday)
    await log.append(5)
    await log.drain()
    desk = await log.desk()
    origin = await next_origin(desk.tree.reader)
    log.key = replace_log_key(log.folder / "log.key", origin, os.urandom)

    recovered = await recover_log(Services(log), HOST, desk, key=log.key, witnessed=lost.note)

    assert (recovered.origin, recovered.old.size) == (f"{ORIGIN}/2", 21)
    first = parse_entry((await log.store.log.contents(2, 0, 1))[0])
    assert first["type"] == "log.recovered"
    assert first["detail"]["old_origin"] == ORIGIN
    assert (first["detail"]["database_size"], first["detail"]["signed_size"]) == (21, 41)
    assert (first["detail"]["witnessed_size"], first["detail"]["witnessed_root"]) == (41, lost.root.hex())
    # What waited is in the new log, what had its place keeps it in the old one.
    assert await log.drain() is Step.IDLE
    await check_log(log)
    old = await log.store.log.state_of(1)
    assert old is not None
    assert await log.store.log.root(1, 21) == old.head


async def test_log_that_nobody_sequenced_since_it_is_another_is_frozen_by_its_recovery(
    restored: tuple[Log, str],
) -> None:
    """The service does not start over it, so no sequencer beside it has looked."""
    log, yesterday = restored
    await moved_to(log, yesterday)
    desk = await log.desk()
    log.key = replace_log_key(log.folder / "log.key", await next_origin(desk.tree.reader), os.urandom)

    recovered = await recover_log(Services(log), HOST, desk, key=log.key)

    assert recovered.old.frozen_why == "the database holds 21 entries of the log, this host signed 41"
    assert (await log.events()).count("log.frozen") == 1


async def test_who_knew_the_database_before_a_recovery_begins_anew(restored: tuple[Log, str]) -> None:
    """What was lost is numbered once more: who goes on at a place in a list would pass over it."""
    log, yesterday = restored
    await moved_to(log, yesterday)
    await log.drain()
    await log.store.caller("")
    desk = await log.desk()
    log.key = replace_log_key(log.folder / "log.key", await next_origin(desk.tree.reader), os.urandom)

    await recover_log(Services(log), HOST, desk, key=log.key)

    with pytest.raises(UnavailableError, match="its log recovered"):
        await log.store.caller("")
    assert log.store.lineage.has_ended.is_set()
    again = await open_store(log.url)
    await again.caller("")
    assert again.lineage.number > log.store.lineage.number
    await again.close()


async def test_recovery_takes_only_a_checkpoint_of_the_old_log(restored: tuple[Log, str], tmp_path: Path) -> None:
    log, yesterday = restored
    await moved_to(log, yesterday)
    await log.drain()
    desk = await log.desk()
    with_other_keys = replace_log_key(log.folder / "log.key", ORIGIN, os.urandom)

    with pytest.raises(InvalidError, match="no checkpoint of the log"):
        await recover_log(
            Services(log), HOST, desk, key=log.key, witnessed=with_other_keys.sign(TreeHead(0, bytes(32)), 1)
        )


async def test_other_node_goes_on_in_the_recovered_log(restored: tuple[Log, str]) -> None:
    log, yesterday = restored
    await moved_to(log, yesterday)
    await log.drain()
    others = log.file.path.read_bytes()
    desk = await log.desk()
    log.key = replace_log_key(log.folder / "log.key", await next_origin(desk.tree.reader), os.urandom)
    await recover_log(Services(log), HOST, desk, key=log.key)
    log.file.path.write_bytes(others)

    assert await log.drain() is Step.IDLE
    assert "log.adopted" in await log.events()


async def test_file_of_a_log_unknown_to_the_database_freezes(log: Log) -> None:
    await log.drain()
    said = json.loads(log.file.path.read_text())
    log.file.path.write_text(json.dumps({**said, "origin": "exchange.example/log/other"}))

    assert await log.drain() is Step.FROZEN


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2}', b"\xff", b'{"format": 1, "origin": "x"}'])
async def test_damaged_file_freezes(log: Log, content: bytes) -> None:
    await log.drain()
    log.file.path.write_bytes(content)
    # Whoever only looks takes it for the same.
    await (await log.sequencer()).look()
    state = await log.store.log.state()

    told = f"`{log.file.path}` is damaged: what was signed last is not known: put it aside"
    assert ((state and state.frozen_why) or "").startswith(told)
    assert await log.drain() is Step.FROZEN


async def test_look_begins_a_log_to_be_frozen_where_somebody_lived_and_no_other(log: Log, database_url: str) -> None:
    await log.drain()
    elsewhere = database_url.replace("exchange.db", "empty.db")
    await migrate(elsewhere)
    await moved_to(log, elsewhere)
    await log.store.append(draft(EventName.SCHEMA_MIGRATED))

    await (await log.sequencer()).look()
    assert await log.store.log.state() is None
    await log.store.append(draft(EventName.MEMBER_ADDED))
    await (await log.sequencer()).look()
    state = await log.store.log.state()
    assert (state and state.frozen_why) == "the database holds 0 entries of the log, this host signed 1"


async def test_missing_file_beside_a_log_is_told(log: Log) -> None:
    await log.append(3)
    await log.drain()
    log.file.path.unlink()

    assert await log.drain() is Step.IDLE
    assert "log.adopted" in await log.events()


async def test_empty_database_beside_a_file_freezes(log: Log, database_url: str, tmp_path: Path) -> None:
    await log.append(3)
    await log.drain()

    elsewhere = database_url.replace("exchange.db", "empty.db")
    await migrate(elsewhere)
    await moved_to(log, elsewhere)

    assert await log.drain() is Step.FROZEN


async def unguarded(log: Log, statement: str) -> None:
    """Do what an owner of the database can: the triggers are no hindrance."""
    if log.url.startswith("sqlite"):
        for (name,) in await rows_of(log.store, "SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            await rows_of(log.store, f"DROP TRIGGER {name}")
        await rows_of(log.store, statement)
        return
    async with log.store._engine.begin() as connection:
        await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        await connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE log_tile SET hashes = CAST(substr(hashes, 33, 32) || substr(hashes, 33) AS {blob})",
        "UPDATE log_state SET size = size - 1",
        "UPDATE log_state SET root = CAST(substr(root, 2, 31) || substr(root, 1, 1) AS {blob})",
        "DELETE FROM log_tile",
        "UPDATE log_tile SET width = 2, hashes = substr(hashes, 1, 64)",
    ],
)
async def test_tree_that_somebody_changed_freezes(log: Log, change: str) -> None:
    sequencer = await log.sequencer()
    await log.append(5)
    await log.drain(sequencer)
    await unguarded(log, change.format(blob="BLOB" if log.url.startswith("sqlite") else "bytea"))
    await log.append(1)

    assert await log.drain(sequencer) is Step.FROZEN


@pytest.mark.parametrize("damage", ["", ", note = CAST('x' AS {blob})"], ids=["its time", "its note too"])
@pytest.mark.parametrize("at", [2**62, -(2**62), 32_503_680_000_000_000], ids=["beyond", "before", "year 3000"])
async def test_time_that_no_signature_states_is_never_signed(
    log: Log, world_services: Callable[[Log], Any], at: int, damage: str
) -> None:
    sequencer = await log.sequencer()
    await log.append(5)
    await log.drain(sequencer)
    note = damage.format(blob="BLOB" if log.url.startswith("sqlite") else "bytea")
    await unguarded(log, f"UPDATE log_state SET signed_at = {at}{note}")
    await log.append(1)

    assert await log.drain(sequencer) is Step.FROZEN
    services = world_services(log)
    services.clock = log.clock
    figures = await log_figures(services)
    assert figures is not None
    assert figures.is_frozen
    desk = await log.desk()
    key = replace_log_key(log.folder / "log.key", await next_origin(desk.tree.reader), os.urandom)
    await recover_log(Services(log), HOST, desk, key=key)
    begun = await log.store.log.state()
    assert begun is not None
    assert begun.signed_at == to_micros(NOW)
    ((told,),) = await rows_of(log.store, "SELECT told FROM restore_claim")
    is_lost = damage and at < 0
    assert f"after {'1970-01-01' if is_lost else '2026-03-01'}T" in told


async def test_tree_that_nobody_signed_freezes(log: Log) -> None:
    """The owner of the database lets the tree grow by a forged entry, without the log's keys."""
    sequencer = await log.sequencer()
    await log.drain(sequencer)
    (place,) = await log.store.log.leaf_hashes(1, 0, 1)
    forged = hash_leaf(b"forged")
    from exchange.audit import root_of

    root, hashes = root_of([place, forged]).hex(), (place + forged).hex()
    literal = "X'{}'" if log.url.startswith("sqlite") else r"'\x{}'::bytea"
    await unguarded(log, f"UPDATE log_tile SET width = 2, hashes = {literal.format(hashes)}")
    await unguarded(log, f"UPDATE log_state SET size = 2, root = {literal.format(root)}")

    assert await log.drain(sequencer) is Step.FROZEN


async def test_checkpoint_that_a_witness_holds_freezes_a_smaller_log(log: Log) -> None:
    await log.append(3)

    async def witnessed(origin: str) -> TreeHead:
        assert origin == ORIGIN
        return TreeHead(1000, bytes(32))

    assert await log.drain(await log.sequencer(witnessed=witnessed)) is Step.FROZEN


async def test_checkpoint_that_a_witness_cosigned_freezes_another_log(log: Log) -> None:
    await log.append(3)
    await log.drain()
    state = await log.store.log.state()
    assert state is not None
    literal = "X'{}'" if log.url.startswith("sqlite") else r"'\x{}'::bytea"
    other = literal.format("11" * 32)
    await rows_of(log.store, f"INSERT INTO log_checkpoint VALUES (1, 2, {other}, 1, {other})")
    await log.store.add_cosignature(CosignatureRow(1, 2, "witness.example", "line", 5))
    await log.append(1)

    assert await log.drain() is Step.FROZEN


class StopError(Exception):
    """Ends a step where a test wants it to end."""


async def test_commit_whose_end_is_unknown_is_done_again_with_the_same_signature(log: Log) -> None:
    desk = await log.desk()
    sequencer = sequence_log.Sequencer(desk)
    await log.drain(sequencer)
    await log.append(3)
    database = desk.tree._database
    transact = database.transact

    async def rolled_back(steps: Any) -> Any:
        def all_but_the_commit() -> Any:
            yield from steps
            raise UnavailableError("the database went away")

        return await transact(all_but_the_commit())

    database.transact = rolled_back
    with pytest.raises(UnavailableError):
        await sequencer.step()
    said = log.file.read()
    assert said is not None
    assert said.prepared is not None
    await log.append(4)
    database.transact = transact

    await sequencer.step()
    state = await log.store.log.state()
    assert state is not None
    assert (state.head, state.note) == (said.prepared.signed.head, said.prepared.signed.note)
    await log.drain(sequencer)
    await check_log(log)


async def test_commit_that_came_to_pass_untold_is_found_out(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer = await log.sequencer()
    await log.drain(sequencer)
    await log.append(3)
    with monkeypatch.context() as patch:
        patch.setattr(type(log.file), "confirm", _stop)
        with pytest.raises(StopError):
            await sequencer.step()
    await log.append(3)

    await log.drain()
    said = log.file.read()
    assert said is not None
    assert said.prepared is None
    await check_log(log)


def _stop(*_: object) -> None:
    raise StopError


async def begun_and_killed(log: Log, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return the file of a node that was killed once it had signed three entries, and before it placed them."""
    sequencer = await log.sequencer()
    await log.drain(sequencer)
    await log.append(3)
    prepare = type(log.file).prepare

    def prepared(*given: Any) -> None:
        prepare(*given)
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(type(log.file), "prepare", prepared)
        with pytest.raises(StopError):
            await sequencer.step()
    return log.file.path.read_bytes()


async def test_other_node_may_go_on_from_where_this_one_was_killed(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = await begun_and_killed(log, monkeypatch)
    await log.append(4)
    log.file.path.unlink()  # the other node has a file of its own
    await log.drain()
    log.file.path.write_bytes(ours)
    await log.append(1)

    assert await log.drain() is Step.IDLE
    await check_log(log)


async def test_entries_that_were_signed_and_are_gone_freeze(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    await begun_and_killed(log, monkeypatch)
    await rows_of(log.store, "DELETE FROM audit_outbox WHERE id = (SELECT max(id) FROM audit_outbox)")

    assert await log.drain() is Step.FROZEN


async def test_disk_that_takes_no_file_signs_nothing(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer = await log.sequencer()
    await log.drain(sequencer)
    before = await log.store.log.state()
    await log.append(2)
    with monkeypatch.context() as patch:
        patch.setattr("exchange.store.log.last_signed.os.fsync", _full)
        for _ in range(2):
            with pytest.raises(UnavailableError, match="No space left"):
                await sequencer.step()

    assert await log.store.log.state() == before
    await log.drain(sequencer)
    await check_log(log)


def _full(_: int) -> None:
    raise OSError(28, "No space left on device")


async def test_two_logs_of_one_host_do_not_share_a_file(log: Log) -> None:
    await log.drain()
    state = await log.store.log.state()

    assert state is not None
    assert checkpoint_signed_by(log.key.verifier_keys, state.note).origin == ORIGIN
    with pytest.raises(ConflictError, match="never overwritten"):
        create_log_key(log.folder / "log.key", ORIGIN, os.urandom)
