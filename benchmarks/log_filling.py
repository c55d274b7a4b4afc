"""Entries for the log's figures, and many of them at once: rows, leaves and tiles without a sequencer's detour."""

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.pooling import in_order, kept
from benchmarks.progress import Progress
from exchange.audit import (
    Actor,
    EntryDraft,
    EventName,
    Outcome,
    Subject,
    grow_tiles,
    hash_leaf,
    head_from_tiles,
    seal_entry,
)
from exchange.kernel import new_id, to_micros
from exchange.store.database.dialect import Sql
from exchange.store.log.last_signed import LastSigned, Signed
from exchange.store.log.log_reader import edge_of
from exchange.store.log.sequencing import Growth, SignedHead
from exchange.store.log.tree_database import LogSteps
from exchange.store.rows.log_rows import LogState
from exchange.store.writer.batch import Put
from exchange.usecases.log.sequence_log import Desk, Sequencer

Made = tuple[str, bytes, bytes]
"""Id, bytes and leaf hash of an entry."""

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


async def fill_log(desk: Desk, count: int, folder: Path, *, title: str) -> None:
    """Let the log hold at least `count` entries; they are kept in `folder` for the log of another database."""
    await Sequencer(desk).step()
    state = await desk.tree.reader.state()
    assert state is not None
    with Progress(title, count) as progress:
        chunks = in_order(partial(_made, folder), range(-(-(count - state.size) // _AT_ONCE)))
        for chunk in chunks:
            await _add(desk, state, chunk[: count - state.size])
            progress.advance(len(chunk))
            state = await desk.tree.reader.state()
            assert state is not None


def _made(folder: Path, number: int) -> list[Made]:
    """Return the entries of one chunk with their leaf hashes."""
    return kept(folder / f"{number}.pickle", lambda: [_sealed(number * _AT_ONCE + index) for index in range(_AT_ONCE)])


async def _add(desk: Desk, state: LogState, made: list[Made]) -> None:
    leaves = [(entry, leaf) for entry, _, leaf in made]
    edge = await desk.tree.reader.tiles(state.log, edge_of(state.size))
    tiles = grow_tiles(state.size, [leaf for _, leaf in leaves], edge.__getitem__)
    known = {**edge, **{tile.path: tile.content for tile in tiles}}
    head = head_from_tiles(state.size + len(made), known.__getitem__)
    signed_at = max(state.signed_at, to_micros(desk.clock()))
    signed = SignedHead(head, desk.key.sign(head, signed_at // 1_000_000), signed_at, is_kept=False)

    def steps() -> LogSteps[None]:
        sql = Sql(is_sqlite="Sqlite" in type(desk.tree._database).__name__)
        yield Put(sql.insert("audit_entry", ("id", "content")), [(entry, content) for entry, content, _ in made])
        yield from desk.tree._grow(Growth(state, [], leaves, tiles, signed))

    await desk.tree._database.transact(steps())
    desk.file.write(LastSigned(state.origin, Signed(head, signed_at, signed.note)))


def _sealed(number: int) -> Made:
    entry_id = new_id(datetime.now(UTC), os.urandom)
    sealed = seal_entry(draft(), entry_id=entry_id, node="benchmark", boot=entry_id, node_seq=number + 1)
    return sealed.id, sealed.content, hash_leaf(sealed.content)
