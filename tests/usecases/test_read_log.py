"""The log itself, read: by whom, what for, and each look an entry; what concerns somebody else is as absent as nothing."""

import asyncio
import os
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from exchange.audit import (
    TreeHead,
    hash_leaf,
    parse_bundle,
    parse_checkpoint,
    parse_note,
    parse_tlog_proof,
    verify_consistency,
)
from exchange.audit.tlog_proof import check_inclusion
from exchange.kernel import ConflictError, ForbiddenError, InvalidError, NotFoundError, UnavailableError, new_id
from exchange.store.rows.log_rows import CosignatureRow, LogState
from exchange.usecases.log import read_log
from exchange.usecases.log.read_log import prove_entry, prove_growth, read_bundle, read_checkpoint, read_tile
from tests.core.audit.signers import W1
from tests.support.lived import IN_ONE_WORLD, MakeLived
from tests.support.placing import place_entries
from tests.support.world import World


async def with_places(world: World) -> None:
    await world.enrol("NOR auditor", "NOR", "auditor")
    await world.enrol("GBR auditor", "GBR", "auditor")
    await place_entries(world)


@pytest.fixture
async def placed(make_lived: MakeLived) -> World:
    return (await make_lived(with_places))[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(share_lived: MakeLived) -> World:
    """The same, for tests after which nothing but the log is another."""
    return (await share_lived(with_places))[0]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(read_log, "_WAIT_SECONDS", 0.0)


def head_in(note: bytes) -> TreeHead:
    return parse_checkpoint(parse_note(note).text).head


async def entry_of(world: World, name: str) -> str:
    """Let a client do something and return the entry's id."""
    report = await world.attempt(prove_growth(world.services, world.call(name), 0, 0))
    return report.entry["id"]


# ── who reads the tree ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["auditor", "NOR auditor"])
@IN_ONE_WORLD
async def test_auditors_read_checkpoint_and_tiles(shared: World, name: str) -> None:
    note = await shared.attempt(read_checkpoint(shared.services, shared.call(name)))
    head = head_in(note.value.value)
    assert (note.entry["type"], note.entry["object"]["type"]) == ("audit.read", "checkpoint")
    assert note.entry["object"]["id"] == str(head.size)

    tile = await shared.attempt(read_tile(shared.services, shared.call(name), f"tile/0/000.p/{head.size}"))
    assert len(tile.value.value) == 32 * head.size
    assert tile.entry["object"] == {"type": "tile", "id": f"tile/0/000.p/{head.size}"}
    assert tile.value.receipt.entry == tile.entry["id"]


@IN_ONE_WORLD
async def test_auditor_of_the_exchange_reads_bundles(shared: World) -> None:
    size = head_in((await read_checkpoint(shared.services, shared.call("auditor"))).value).size

    bundle = await shared.attempt(read_bundle(shared.services, shared.call("auditor"), f"tile/entries/000.p/{size}"))
    hashes = (await read_tile(shared.services, shared.call("auditor"), f"tile/0/000.p/{size}")).value

    assert b"".join(map(hash_leaf, parse_bundle(bundle.value.value, size))) == hashes
    assert bundle.entry["object"]["type"] == "entry-bundle"


async def test_bundle_that_lost_an_entry_says_so_apart_from_a_log_that_is_away(placed: World) -> None:
    if placed.url.startswith("sqlite"):
        for (name,) in placed.sql("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entry'"):
            placed.sql(f"DROP TRIGGER {name}")
    else:
        placed.sql("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
    placed.sql("DELETE FROM audit_entry WHERE id IN (SELECT entry_id FROM log_leaf WHERE position = 1)")

    with pytest.raises(UnavailableError) as fault:
        await read_bundle(placed.services, placed.call("auditor"), "tile/entries/000.p/2")

    assert (fault.value.code, fault.value.told) == ("log-damaged", "the store lacks the entry at position 1")


@IN_ONE_WORLD
async def test_members_auditor_reads_no_bundles(shared: World) -> None:
    attempt = await shared.attempt(read_bundle(shared.services, shared.call("NOR auditor"), "tile/entries/000.p/1"))

    assert isinstance(attempt.error, ForbiddenError)
    assert attempt.error.code == "role-missing"
    assert attempt.entry["decision"] == "refused"
    # What it asked for, as it wrote it: nothing was wrong with that.
    assert attempt.entry["object"] == {"type": "entry-bundle", "id": "tile/entries/000.p/1"}


@pytest.mark.parametrize("name", ["NOR reader", "operator", "GBR contributor"])
@IN_ONE_WORLD
async def test_nobody_else_reads_the_tree(shared: World, name: str) -> None:
    call = shared.call(name)
    for act in (
        read_checkpoint(shared.services, call),
        read_tile(shared.services, call, "tile/0/000.p/1"),
        read_bundle(shared.services, call, "tile/entries/000.p/1"),
    ):
        attempt = await shared.attempt(act)
        assert isinstance(attempt.error, ForbiddenError)
        assert attempt.entry["decision"] == "refused"


@pytest.mark.parametrize(
    "path",
    ["tile/0/001", "tile/0/000", "tile/9/000.p/1", "tile/0/000.p/300", "tile/0/x000/000.p/1", "tile/64/000", "x"],
)
@IN_ONE_WORLD
async def test_what_the_log_is_too_small_for_is_absent(shared: World, path: str) -> None:
    tile = await shared.attempt(read_tile(shared.services, shared.call("auditor"), path))
    assert isinstance(tile.error, NotFoundError)
    assert tile.entry["decision"] == "refused"

    bundle = path.replace("tile/0", "tile/entries")
    assert isinstance(
        (await shared.attempt(read_bundle(shared.services, shared.call("auditor"), bundle))).error, NotFoundError
    )


@IN_ONE_WORLD
async def test_before_the_first_checkpoint_nothing_is_there(unchanged: World) -> None:
    for act in (
        read_checkpoint(unchanged.services, unchanged.call("auditor")),
        read_tile(unchanged.services, unchanged.call("auditor"), "tile/0/000.p/1"),
        prove_growth(unchanged.services, unchanged.call("auditor"), 0, 0),
    ):
        assert isinstance((await unchanged.attempt(act)).error, NotFoundError)


# ── proofs ────────────────────────────────────────────────────────────────────────────────────────────────────────


@IN_ONE_WORLD
async def test_client_proves_its_own_entry(shared: World) -> None:
    recorded = await prove_growth(shared.services, shared.call("NOR reader"), 0, 1)
    await place_entries(shared)

    attempt = await shared.attempt(prove_entry(shared.services, shared.call("NOR reader"), recorded.receipt.entry))
    proof = parse_tlog_proof(attempt.value.value)

    content = await shared.services.store.entry(recorded.receipt.entry)
    assert content is not None
    assert check_inclusion(proof, hash_leaf(content)).size > proof.index
    assert attempt.entry["object"] == {"type": "entry", "id": recorded.receipt.entry}


@IN_ONE_WORLD
async def test_refusal_is_proven_to_whom_it_was_given(shared: World) -> None:
    refused = await shared.attempt(read_checkpoint(shared.services, shared.call("NOR reader")))
    await place_entries(shared)

    proof = await prove_entry(shared.services, shared.call("NOR reader"), refused.entry["id"])

    assert parse_tlog_proof(proof.value).index > 0


async def test_what_a_stranger_was_told_is_proven_once_its_certificate_is_enrolled(placed: World) -> None:
    """Else a receipt from before would look like a log that was cut."""
    told = {name: await entry_of(placed, name) for name in ("late desk", "another")}
    await placed.enrol("late desk", "NOR", "reader")
    await place_entries(placed)

    assert (await prove_entry(placed.services, placed.call("late desk"), told["late desk"])).value
    others = await placed.attempt(prove_entry(placed.services, placed.call("late desk"), told["another"]))
    assert isinstance(others.error, NotFoundError)


@pytest.mark.parametrize("name", ["auditor", "NOR auditor"])
@IN_ONE_WORLD
async def test_auditors_prove_what_is_in_their_slice(shared: World, name: str) -> None:
    entry = await entry_of(shared, "NOR reader")
    await place_entries(shared)

    assert (await prove_entry(shared.services, shared.call(name), entry)).value


@pytest.mark.parametrize("name", ["GBR reader", "GBR auditor", "operator", "NOR signatory"])
@IN_ONE_WORLD
async def test_entry_that_concerns_others_is_as_absent_as_none(shared: World, name: str) -> None:
    entry = await entry_of(shared, "NOR reader")
    await place_entries(shared)
    told = []
    for asked in (entry, new_id(shared.clock.now, os.urandom), "no id", entry.upper()):
        attempt = await shared.attempt(prove_entry(shared.services, shared.call(name), asked))
        assert isinstance(attempt.error, NotFoundError)
        told.append((attempt.error.message, attempt.entry["decision"], attempt.entry["object"]["type"]))

    assert len(set(told)) == 1


@IN_ONE_WORLD
async def test_entry_without_a_place_is_to_be_asked_for_again(shared: World) -> None:
    entry = await entry_of(shared, "NOR reader")

    attempt = await shared.attempt(prove_entry(shared.services, shared.call("NOR reader"), entry))

    assert isinstance(attempt.error, ConflictError)
    assert attempt.error.code == "not-yet-placed"
    assert attempt.entry["decision"] == "refused"


async def test_entry_that_gets_its_place_meanwhile_is_waited_for(placed: World, monkeypatch) -> None:
    monkeypatch.setattr(read_log, "_WAIT_SECONDS", 30.0)
    entry = await entry_of(placed, "NOR reader")

    proof, _ = await asyncio.gather(
        prove_entry(placed.services, placed.call("NOR reader"), entry), place_entries(placed)
    )

    assert parse_tlog_proof(proof.value).checkpoint.size > 0


async def test_proof_in_an_older_tree_needs_its_kept_checkpoint(placed: World) -> None:
    entry = await entry_of(placed, "NOR reader")
    await place_entries(placed)
    placed.clock.advance(timedelta(seconds=60))
    await entry_of(placed, "NOR reader")
    await place_entries(placed)
    sizes = [each.size for each in await placed.services.store.log.checkpoints(1)]
    leaf = await placed.services.store.log.leaf(entry)
    assert leaf is not None
    call = placed.call("NOR reader")

    for size in (each for each in sizes if each > leaf.position):
        proof = parse_tlog_proof((await prove_entry(placed.services, call, entry, size)).value)
        assert proof.checkpoint.size == size
    for size in (leaf.position, 0, sizes[-1] + 1000):
        attempt = await placed.attempt(prove_entry(placed.services, call, entry, size))
        assert isinstance(attempt.error, InvalidError)
        assert attempt.error.faults[0].code == "no-checkpoint"


async def test_cosignatures_stand_under_what_is_shown(placed: World) -> None:
    placed.clock.advance(timedelta(seconds=60))
    await entry_of(placed, "NOR reader")
    await place_entries(placed)
    kept = await placed.services.store.log.kept_checkpoint(1)
    assert kept is not None
    line = W1.sign(parse_note(kept.note).text, 1_800_000_000).line
    await placed.services.store.add_cosignature(CosignatureRow(1, kept.size, W1.name, line, 1))
    ((entry,),) = placed.sql("SELECT entry_id FROM log_leaf WHERE position = 0")

    recorded = await prove_entry(placed.services, placed.call("auditor"), entry, kept.size)

    assert [each.name for each in parse_tlog_proof(recorded.value).note.signatures][2:] == [W1.name]


@IN_ONE_WORLD
async def test_growth_is_proven_to_any_client(shared: World) -> None:
    state = await shared.services.store.log.state()
    assert state is not None
    old = await shared.services.store.log.root(1, 3)

    attempt = await shared.attempt(prove_growth(shared.services, shared.call("NOR reader"), 3, state.size))

    verify_consistency(attempt.value.value.proof, old=old, new=state.head)
    assert attempt.entry["object"] == {"type": "consistency", "id": f"3-{state.size}"}


@pytest.mark.parametrize(("old", "new"), [(2, 1), (0, 10**9)])
@IN_ONE_WORLD
async def test_growth_beyond_the_log_is_refused(shared: World, old: int, new: int) -> None:
    attempt = await shared.attempt(prove_growth(shared.services, shared.call("NOR reader"), old, new))

    assert isinstance(attempt.error, InvalidError)
    assert attempt.entry["decision"] == "refused"


# ── a log that a recovery ended ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def ended(placed: World, monkeypatch: pytest.MonkeyPatch) -> tuple[World, LogState]:
    """The world after another log began, and how the one that ended stands."""
    state = await placed.services.store.log.state()
    assert state is not None
    later = replace(state, log=2, origin=f"{state.origin}/2", size=0)

    async def newest() -> LogState:
        return later

    async def both() -> list[LogState]:
        return [state, later]

    monkeypatch.setattr(placed.services.store.log, "state", newest)
    monkeypatch.setattr(placed.services.store.log, "states", both)
    return placed, state


async def test_log_that_ended_is_shown_to_who_names_it(ended: tuple[World, LogState]) -> None:
    world, state = ended
    name, size = state.origin, state.size
    call = world.call("auditor")

    note = await world.attempt(read_checkpoint(world.services, call, origin=name))
    tile = await world.attempt(read_tile(world.services, call, f"tile/0/000.p/{size}", name))
    bundle = await world.attempt(read_bundle(world.services, call, f"tile/entries/000.p/{size}", name))
    growth = await world.attempt(prove_growth(world.services, call, 3, size, origin=name))

    assert head_in(note.value.value) == state.head
    assert b"".join(map(hash_leaf, parse_bundle(bundle.value.value, size))) == tile.value.value
    verify_consistency(growth.value.value.proof, old=await world.services.store.log.root(1, 3), new=state.head)
    assert [each.entry["object"]["id"] for each in (note, tile, bundle, growth)] == [
        f"{name}/{size}",
        f"{name}/tile/0/000.p/{size}",
        f"{name}/tile/entries/000.p/{size}",
        f"{name}/3-{size}",
    ]


async def test_without_a_name_it_is_the_log_in_use(ended: tuple[World, LogState]) -> None:
    world, _ = ended

    attempt = await world.attempt(read_tile(world.services, world.call("auditor"), "tile/0/000.p/1"))

    assert isinstance(attempt.error, NotFoundError)


async def test_log_of_no_such_name_is_absent(ended: tuple[World, LogState]) -> None:
    world, state = ended
    call = world.call("auditor")
    for act in (
        read_checkpoint(world.services, call, origin=f"{state.origin}/3"),
        read_tile(world.services, call, "tile/0/000.p/1", ""),
        read_bundle(world.services, call, "tile/entries/000.p/1", "x"),
        prove_growth(world.services, call, 0, 0, origin="x"),
    ):
        attempt = await world.attempt(act)
        assert isinstance(attempt.error, NotFoundError)
        assert attempt.entry["decision"] == "refused"


@IN_ONE_WORLD
async def test_stranger_proves_nothing(shared: World) -> None:
    entry = await entry_of(shared, "NOR reader")
    for act in (
        prove_entry(shared.services, shared.call("stranger"), entry),
        prove_growth(shared.services, shared.call("stranger"), 0, 0),
    ):
        attempt = await shared.attempt(act)
        assert attempt.error is not None
        assert attempt.error.code == "not-authenticated"
