"""Entries for the log's figures, and many of them at once: rows, leaves and tiles without a sequencer's detour."""

import os
from datetime import UTC, datetime

from exchange.audit import (
    Actor,
    EntryDraft,
    EventName,
    Outcome,
    SealedEntry,
    Subject,
    grow_tiles,
    hash_leaf,
    head_from_tiles,
    seal_entry,
)
from exchange.kernel import new_id, to_micros
from exchange.store.batch import Put
from exchange.store.dialect import Sql
from exchange.store.last_signed import LastSigned, Signed
from exchange.store.log_reader import edge_of
from exchange.store.log_rows import LogState
from exchange.store.sequencing import Growth, SignedHead
from exchange.store.tree_database import LogSteps
from exchange.usecases.sequence_log import Desk, Sequencer

_AT_ONCE = 20_000
_ACTOR = Actor(
    kind="client",
    id="01a2145e-7d52-7c8f-9623-ac78af8bae83",
    member="GBR",
    agency="GBR/NCSC",
    thumbprint="c2hhLTI1NiB0aHVtYnByaW50IG9mIGEgY2VydGlmaWNhdGU",
    level="SECRET",
    compartments=("ATOMAL",),
)


def draft() -> EntryDraft:
    """Return the entry of a read, as a service writes it."""
    return EntryDraft(
        event=EventName.REPORT_READ,
        outcome=Outcome.PERMITTED,
        at=datetime.now(UTC),
        actor=_ACTOR,
        request_id="01a2145e-7d52-7c8f-9623-ac78af8bae84",
        source="192.0.2.1",
        subject=Subject("report", "01a2145e-7d52-7c8f-9623-ac78af8bae85", 1),
        owner="NOR",
        agreement="01a2145e-7d52-7c8f-9623-ac78af8bae86",
        scope="cyber-threats",
        purpose="defence",
        label={"policy": "NATO", "level": "SECRET"},
    )


async def fill_log(desk: Desk, count: int) -> None:
    """Let the log hold at least `count` entries."""
    sequencer = Sequencer(desk)
    await sequencer.step()
    while (state := await desk.tree.reader.state()) is not None and state.size < count:
        await _add(desk, state, min(_AT_ONCE, count - state.size))


async def _add(desk: Desk, state: LogState, count: int) -> None:
    sealed = [_sealed(number) for number in range(count)]
    leaves = [(entry.id, hash_leaf(entry.content)) for entry in sealed]
    edge = await desk.tree.reader.tiles(state.log, edge_of(state.size))
    tiles = grow_tiles(state.size, [leaf for _, leaf in leaves], edge.__getitem__)
    known = {**edge, **{tile.path: tile.content for tile in tiles}}
    head = head_from_tiles(state.size + count, known.__getitem__)
    signed_at = max(state.signed_at, to_micros(desk.clock()))
    signed = SignedHead(head, desk.key.sign(head, signed_at // 1_000_000), signed_at, is_kept=False)

    def steps() -> LogSteps[None]:
        sql = Sql(is_sqlite="Sqlite" in type(desk.tree._database).__name__)
        yield Put(sql.insert("audit_entry", ("id", "content")), [(entry.id, entry.content) for entry in sealed])
        yield from desk.tree._grow(Growth(state, [], leaves, tiles, signed))

    await desk.tree._database.transact(steps())
    desk.file.write(LastSigned(state.origin, Signed(head, signed_at, signed.note)))


def _sealed(number: int) -> SealedEntry:
    entry_id = new_id(datetime.now(UTC), os.urandom(10))
    return seal_entry(draft(), entry_id=entry_id, node="benchmark", boot=entry_id, node_seq=number + 1)
