"""A frozen log is mended at the host alone, and what begins in its place says all that is known of it."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from exchange.audit import parse_entry
from exchange.audit.merkle import TreeHead
from exchange.custody import replace_log_key
from exchange.kernel import ConflictError, ForbiddenError, InvalidError
from exchange.store.rows.log_rows import CosignatureRow
from exchange.usecases import Call
from exchange.usecases.log.guard_log import LogGuard
from exchange.usecases.log.recover_log import give_up_keys, log_with_keys, next_origin, recover_log, resume_log
from exchange.usecases.log.sequence_log import Desk, Sequencer, Step
from tests.support.log import ORIGIN, Log, check_log
from tests.support.store import NOW, fresh_id, rows_of
from tests.usecases.test_guard_log import begun_and_killed, unguarded

HOST = Call(request_id=fresh_id(), source="host", thumbprint=None, now=NOW)
CALLER = replace(HOST, source="192.0.2.7", thumbprint="a" * 64)

Act = Callable[[Any, Call, Desk, Log], Awaitable[Any]]
ACTS: dict[str, Act] = {
    "resume": lambda services, call, desk, log: resume_log(services, call, desk),
    "recover": lambda services, call, desk, log: recover_log(services, call, desk, key=log.key),
    "look for its keys": lambda services, call, desk, log: log_with_keys(services, call),
    "give up its keys": lambda services, call, desk, log: give_up_keys(services, call, desk, "they were copied"),
}


def services_of(log: Log) -> Any:
    """Return as much of the wired services as the log's own verbs use."""
    return SimpleNamespace(store=log.store)


async def frozen(log: Log) -> Desk:
    """Freeze the log, for what was signed last is not known any more."""
    await log.append(3)
    await log.drain()
    log.file.path.write_bytes(b"{}")
    assert await log.drain() is Step.FROZEN
    return await log.desk()


async def with_next_key(log: Log, desk: Desk) -> None:
    log.key = replace_log_key(log.folder / "log.key", await next_origin(desk.tree.reader), os.urandom)


async def first_entry(log: Log) -> dict[str, Any]:
    return dict(parse_entry((await log.store.log.contents(2, 0, 1))[0]))


@pytest.mark.parametrize("act", ACTS)
async def test_log_is_mended_at_the_host_alone(log: Log, act: str) -> None:
    desk = await frozen(log)
    before, events = await log.store.log.states(), await log.events()

    with pytest.raises(ForbiddenError, match="mended at the host"):
        await ACTS[act](services_of(log), CALLER, desk, log)
    assert (await log.store.log.states(), await log.events()) == (before, events)


async def test_there_are_no_keys_to_give_up_before_there_is_a_log(log: Log) -> None:
    with pytest.raises(ConflictError, match="there is no log yet"):
        await give_up_keys(services_of(log), HOST, await log.desk(), "they were copied")

    assert await log.events() == []


async def test_giving_up_the_keys_of_a_frozen_log_leaves_it_as_it_is(log: Log) -> None:
    desk = await frozen(log)
    before, events = await log.store.log.state(), await log.events()

    await give_up_keys(services_of(log), HOST, desk, "they were copied")
    assert (await log.store.log.state(), await log.events()) == (before, events)


async def test_recovery_whose_entry_somebody_else_took_begins_no_log(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = await frozen(log)
    before = await log.store.log.states()
    await with_next_key(log, desk)
    monkeypatch.setattr(type(desk.tree), "waiting_entry", AsyncMock(return_value=None))

    with pytest.raises(ConflictError, match="another sequencer took the entry"):
        await recover_log(services_of(log), HOST, desk, key=log.key)
    assert await log.store.log.states() == before
    assert log.file.path.read_bytes() == b"{}"


@pytest.mark.parametrize("is_cosigned", [False, True])
async def test_recovery_where_this_host_knows_nothing_any_more_says_what_a_witness_cosigned(
    log: Log, *, is_cosigned: bool
) -> None:
    desk = await frozen(log)
    state = await log.store.log.state()
    assert state is not None
    if is_cosigned:
        literal = "X'{}'" if log.url.startswith("sqlite") else r"'\x{}'::bytea"
        other = literal.format("11" * 32)
        await rows_of(log.store, f"INSERT INTO log_checkpoint VALUES (1, 1000, {other}, 1, {other})")
        await log.store.add_cosignature(CosignatureRow(1, 1000, "witness.example", "line", 5))
    await with_next_key(log, desk)

    await recover_log(services_of(log), HOST, desk, key=log.key)

    detail = (await first_entry(log))["detail"]
    assert (detail["old_origin"], detail["database_size"]) == (ORIGIN, state.size)
    assert "signed_size" not in detail
    assert detail.get("witnessed_size") == (1000 if is_cosigned else None)
    # What came after it is known to nobody: an operator looks before it is served.
    assert await rows_of(log.store, "SELECT count(*) FROM restore_claim") == [(1,)]
    assert await log.drain() is Step.IDLE
    await check_log(log)


async def test_checkpoint_of_another_log_that_the_same_keys_signed_is_none_of_this_one(log: Log) -> None:
    desk = await frozen(log)
    state = await log.store.log.state()
    assert state is not None
    other = replace(log.key, origin="exchange.example/log/other").sign(TreeHead(1, bytes(32)), 1)

    with pytest.raises(InvalidError, match=r"this is a checkpoint of `exchange.example/log/other`, not of"):
        await recover_log(services_of(log), HOST, desk, key=log.key, witnessed=other)
    assert await log.store.log.state() == state


async def test_log_that_goes_on_otherwise_than_this_node_had_begun_is_signed_further(
    log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An entry that was committed late stood before others for the node that was quicker."""
    ours = await begun_and_killed(log, monkeypatch)
    await rows_of(log.store, "UPDATE audit_outbox SET id = id + 1000 WHERE id = (SELECT min(id) FROM audit_outbox)")
    log.file.path.unlink()  # the other node has a file of its own
    await log.drain()
    log.file.path.write_bytes(ours)
    await log.append(1)

    assert await log.drain() is Step.IDLE
    assert "another node sequenced what this one had begun to" in caplog.text
    said = log.file.read()
    assert said is not None
    assert said.prepared is None
    await check_log(log)


async def test_log_whose_tiles_are_gone_is_frozen_where_this_host_knows_nothing_of_it(log: Log) -> None:
    await log.append(5)
    await log.drain()
    log.file.path.unlink()
    await unguarded(log, "DELETE FROM log_tile")

    assert await log.drain() is Step.FROZEN
    assert not log.file.path.exists()


async def test_guard_remembers_no_more_trees_than_it_may(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.usecases.log.guard_log._HEADS_REMEMBERED", 2)
    heads = []

    async def witnessed(_: str) -> TreeHead:
        return heads[-1]

    desk = await log.desk()
    guard = LogGuard(desk.tree.reader, desk.file, witnessed)
    for _ in range(5):
        await log.append(1)
        await log.drain(Sequencer(desk))
        state = await log.store.log.state()
        assert state is not None
        heads.append(state.head)
        await guard.check_witnesses(state)
        assert state.head in guard._verified
        assert len(guard._verified) <= 2
