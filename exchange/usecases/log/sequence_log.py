"""The sequencer: gives entries their places in the tree and signs what came of it.

One step: (1) look at the log, begin it where there is none; (2) compare it with what was signed before: a
contradiction freezes it; (3) take a batch from the outbox in its order, or again the batch whose end is not known;
(4) hash leaves, tiles and root; (5) sign, and make all of it durable in one transaction; (6) say so in the file
outside the database. Several processes may step at once: the database lets one of them through.

INVARIANT: entries are taken from the outbox, never by an id greater than the last: commits do not come in the order
of ids, and what came late would be left out for ever.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum

from exchange.audit import Detail, EntryDraft, EventName, Outcome, Receipt, Subject
from exchange.audit.merkle import EMPTY_ROOT, TreeHead, hash_leaf
from exchange.audit.tile_paths import TilePath
from exchange.audit.tiles import Tile, grow_tiles, head_from_tiles
from exchange.custody import LogKey
from exchange.kernel import MICROSECOND, Clock, UnsafeSettingError, from_micros, rfc3339, to_micros
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.last_signed import LastSigned, LastSignedFile, Signed
from exchange.store.log.log_reader import edge_of
from exchange.store.log.sequencing import Growth, LogMovedError, LogTree, SignedHead, Waiting
from exchange.store.rows.log_rows import KeptCheckpoint, LogState
from exchange.usecases.log.guard_log import LogContradictionError, LogGuard, Witnessed, nothing_witnessed
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.whole_entries import whole_entry

BATCH = 2048
"""Entries in one transaction: at 64 KB each they fit in memory, and on SQLite nobody waits long."""

KEPT_EVERY = timedelta(seconds=10)
"""How far apart checkpoints are that are kept for ever: each has 3.5 KB, which is more than an entry."""

_LATE = timedelta(seconds=1)
"""A clock that fell back by more is worth a line in the log, one in `_TOLD_EVERY`."""

_TOLD_EVERY = timedelta(minutes=1)

_ENTRIES_NAMED = 100

_OF_MAKING = frozenset({EventName.SCHEMA_MIGRATED.value, EventName.NODE_HEARTBEAT.value})

_log = logging.getLogger("exchange.sequencer")


class Step(Enum):
    """What one step came to."""

    IDLE = "nothing waits"
    PLACED = "entries have their places"
    MORE = "entries have their places, and more wait"
    FROZEN = "the log may not sign"
    ELSEWHERE = "another sequencer is at work"


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one transaction takes from the outbox: rows, and the entries to place with their leaf hashes."""

    numbers: list[int] = field(default_factory=list)
    leaves: list[tuple[str, bytes]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the sequencer works with. `record` makes an entry durable; it will have its place in the log too."""

    tree: LogTree
    key: LogKey
    file: LastSignedFile
    record: Callable[[EntryDraft], Awaitable[Receipt]]
    clock: Clock
    randomness: Callable[[int], bytes]
    witnessed: Witnessed = nothing_witnessed


class Sequencer:
    """Steps through the outbox. Whatever ends it, the next one goes on from where it was."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tree = desk.tree
        self._guard = LogGuard(desk.tree.reader, desk.file, desk.witnessed)
        self._said: LastSigned | None = None
        self._kept: Signed | None = None
        self._kept_at: int | None = None
        self._told_behind_at: int | None = None
        self._told_frozen: str | None = None
        self._told_lost: frozenset[str] = frozenset()
        self._seen: tuple[int, int] | None = None

    async def step(self, *, stands_by: bool = False) -> Step:
        """Do one batch; UnavailableError where the database or the disk does not answer, LogMovedError to go again.

        Standing by, only look where the log grew by another sequencer since this one last did: that one will go on.
        """
        with self._desk.file.locked():
            return await self._step(stands_by=stands_by)

    async def look(self) -> None:
        """Freeze a log that is not the one that was signed before; place and sign nothing. Raises as `step`.

        Nothing is done where nothing was signed here, nor in a database that was only made: whoever named another one
        by mistake would find a log there, of this node's keys.
        """
        with self._desk.file.locked():
            if not self._desk.file.path.exists() or await self._is_only_made():
                return
            # A database without a log gets one to be frozen.
            state = await self._state()
            if state.frozen_why is not None:
                return
            try:
                await self._checked(state)
            except LogContradictionError as exc:
                await self._freeze(state, exc.message)

    async def _step(self, *, stands_by: bool) -> Step:
        # (1) the log as it stands
        state = await self._state()
        is_elsewhere = stands_by and self._has_moved(state)
        if state.frozen_why is not None:
            return self._frozen(state.frozen_why)
        try:
            # (2) is the one that was signed before
            said = self._said = await self._checked(state)
            # (3) and this comes next
            again = said.prepared is not None
            if is_elsewhere and not again:
                return Step.ELSEWHERE
            # Before anything else the empty tree: what every witness can begin with.
            rows = await self._rows(said) if state.note else []
            if not rows and not again and state.note:
                await self._keep_resting(state)
                return Step.IDLE
            await self._guard.check_witnesses(state)
            await self._place(state, said, _batch(rows))
        except LogContradictionError as exc:
            await self._freeze(state, exc.message)
            return Step.FROZEN
        return Step.MORE if again or not state.note or len(rows) >= BATCH else Step.PLACED

    def _has_moved(self, state: LogState) -> bool:
        seen, self._seen = self._seen, (state.log, state.size)
        return seen is not None and seen != self._seen

    async def rest(self) -> None:
        """Keep the last checkpoint, as the sequencer's last deed."""
        state = await self._tree.reader.state()
        if state is not None and state.note and state.keys == self._desk.key.verifier_keys:
            await self._tree.keep(_kept(state))

    async def _state(self) -> LogState:
        state, key = await self._tree.reader.state(), self._desk.key
        if state is None:
            return await self._begin()
        if state.keys != key.verifier_keys:
            raise UnsafeSettingError(
                f"the log `{state.origin}` of this database has other keys than this node's `{key.origin}`: "
                "copy the log's key file from the node that has it; where `exchange audit recover` was stopped here, "
                "run it again"
            )
        return state

    async def _is_only_made(self) -> bool:
        """Return whether the database has no log, and no entry but that its schema was made."""
        if await self._tree.reader.state() is not None:
            return False
        entries = [whole_entry(row.content) for row in await self._tree.waiting(BATCH)]
        return all(entry is not None and entry["type"] in _OF_MAKING for entry in entries)

    async def _begin(self) -> LogState:
        key, now = self._desk.key, self._desk.clock()
        state = LogState(1, key.origin, key.verifier_keys, 0, EMPTY_ROOT, 0, b"", None)
        await self._tree.begin(state, at=to_micros(now))
        ids = [signer.verifier.key_id.hex() for signer in key.signers]
        await _record(self._desk, EventName.LOG_BEGUN, key.origin, {"key_ids": ids})
        return state

    async def _checked(self, state: LogState) -> LastSigned:
        said = self._said
        if said is None or said.prepared is not None or said.confirmed.head != state.head:
            try:
                said = self._desk.file.read()
            except UnsafeSettingError as exc:
                raise LogContradictionError(exc.message) from exc
        return await check_or_adopt(self._desk, self._guard, state, said)

    async def _rows(self, said: LastSigned) -> list[Waiting]:
        if said.prepared is not None:
            # The same rows as before the commit whose end is not known: they must make the same tree.
            return await self._tree.waiting_these(said.prepared.numbers)
        return await self._tree.waiting(BATCH)

    async def _place(self, state: LogState, said: LastSigned, batch: _Batch) -> None:
        if said.prepared is None:
            await self._tell_lost(state, batch.lost)
        # (4) the tree with the batch in it
        tiles, head = await self._grown(state, [leaf for _, leaf in batch.leaves])
        if said.prepared is not None and said.prepared.signed.head != head:
            raise LogContradictionError("entries that this host signed are not in the database any more")
        # (5) signed and, with the same rows, in the database: all of it or nothing
        signed = self._signed(state, said, head)
        await self._commit(said, Growth(state, batch.numbers, batch.leaves, tiles, signed))
        # (6) what came to pass
        self._told_lost = frozenset()
        self._said = self._desk.file.confirm(said, Signed(signed.head, signed.signed_at, signed.note))
        self._seen = (state.log, head.size)
        if signed.is_kept:
            self._note_kept(Signed(signed.head, signed.signed_at, signed.note), to_micros(self._desk.clock()))

    async def _tell_lost(self, state: LogState, ids: Sequence[str]) -> None:
        """Record which entries were deleted on their way, once, however often what follows fails."""
        new = [entry_id for entry_id in ids if entry_id not in self._told_lost]
        if new:
            lost: Detail = {"count": len(new), "ids": new[:_ENTRIES_NAMED]}
            await _record(self._desk, EventName.ENTRY_LOST, state.origin, lost, Outcome.FAILED)
            self._told_lost = self._told_lost.union(new)
            _log.critical("entries were deleted before they had a place in the log")

    async def _commit(self, said: LastSigned, growth: Growth) -> None:
        before = said
        if said.prepared is None:
            said = self._desk.file.prepare(said, growth.signed, growth.numbers)
        self._said = said
        try:
            await self._tree.grow(growth)
        except LogMovedError:
            # Another node was quicker: what this one signed did not come to pass, and never will.
            self._said = replace(before, prepared=None)
            self._desk.file.write(self._said)
            raise

    async def _grown(self, state: LogState, leaf_hashes: Sequence[bytes]) -> tuple[list[Tile], TreeHead]:
        try:
            edge = await self._tree.reader.tiles(state.log, edge_of(state.size))
        except LogDamagedError as exc:
            raise LogContradictionError(exc.message) from exc
        if head_from_tiles(state.size, edge.__getitem__) != state.head:
            raise LogContradictionError("the tiles in the database are not the tree that was signed")
        tiles = grow_tiles(state.size, leaf_hashes, edge.__getitem__)
        known: dict[TilePath, bytes] = {**edge, **{tile.path: tile.content for tile in tiles}}
        return tiles, head_from_tiles(state.size + len(leaf_hashes), known.__getitem__)

    def _signed(self, state: LogState, said: LastSigned, head: TreeHead) -> SignedHead:
        """Sign; what was signed before for these rows stays as it is."""
        if said.prepared is not None:
            before = said.prepared.signed
            return SignedHead(head, before.note, before.signed_at, is_kept=self._is_due())
        signed_at = self._time(state, said)
        note = self._desk.key.sign(head, signed_at // 1_000_000)
        return SignedHead(head, note, signed_at, is_kept=head.size == 0 or self._is_due())

    def _time(self, state: LogState, said: LastSigned) -> int:
        """Return the time to sign: the clock's, but never before what was signed already."""
        now, latest = to_micros(self._desk.clock()), max(state.signed_at, said.signed_at)
        if latest - now > _micros(_LATE):
            self._tell_behind(now, latest)
        return max(now, latest)

    def _tell_behind(self, now: int, latest: int) -> None:
        # Of each checkpoint it would be five lines a second, for as long as another clock was ahead.
        if self._told_behind_at is None or abs(now - self._told_behind_at) >= _micros(_TOLD_EVERY):
            self._told_behind_at = now
            _log.error(
                "the clock is at %s, and the log's last checkpoint was signed at %s, by this or another node's: its "
                "time stands still until then; set the clock that is wrong",
                rfc3339(from_micros(now)),
                rfc3339(from_micros(latest)),
            )

    def _is_due(self) -> bool:
        # By the clock and not by what is signed: that stands still for as long as another clock was ahead, and what is
        # not kept is shown to no witness.
        now = to_micros(self._desk.clock())
        return self._kept_at is None or abs(now - self._kept_at) >= _micros(KEPT_EVERY)

    def _note_kept(self, kept: Signed, at: int) -> None:
        self._kept, self._kept_at = kept, at

    async def _keep_resting(self, state: LogState) -> None:
        """Keep the last checkpoint once nothing comes any more: witnesses are asked about kept ones."""
        if self._kept is None:
            kept = await self._tree.reader.kept_checkpoint(state.log)
            if kept is not None:
                self._note_kept(Signed(TreeHead(kept.size, kept.root), kept.signed_at, kept.note), kept.signed_at)
        is_kept = self._kept is not None and self._kept.head == state.head
        if not is_kept and self._is_due():
            await self._tree.keep(_kept(state))
            self._note_kept(Signed(state.head, state.signed_at, state.note), to_micros(self._desk.clock()))

    async def _freeze(self, state: LogState, why: str) -> None:
        self._said = None
        now = await self._tree.reader.state()
        if now is None or (now.head, now.frozen_why) != (state.head, state.frozen_why):
            # The file was read after the state, and another process of this host was at work in between.
            raise LogMovedError("another sequencer was at work")
        # First what keeps every sequencer from signing, then what tells of it.
        await self._tree.freeze(state.log, at=to_micros(self._desk.clock()), why=why)
        self._frozen(why)
        await _record(self._desk, EventName.LOG_FROZEN, state.origin, {"why": why, "size": state.size}, Outcome.FAILED)

    def _frozen(self, why: str) -> Step:
        if self._told_frozen != why:
            self._told_frozen = why
            _log.critical("the log is frozen, nothing is signed: %s", why)
        return Step.FROZEN


async def check_or_adopt(desk: Desk, guard: LogGuard, state: LogState, said: LastSigned | None) -> LastSigned:
    """Hold the log against what this host `said` it signed last, or begin to say it; raises LogContradictionError."""
    if said is not None and said.origin == state.origin:
        return await guard.check(state, said)
    if said is not None and not await _is_earlier(desk, said.origin, state):
        raise LogContradictionError(f"this host signed the log `{said.origin}`, which the database does not know")
    if said is not None or state.size > 0:
        # Not silently: whoever takes the file away and puts an older database in place is found out so.
        await _record(desk, EventName.LOG_ADOPTED, state.origin, {"size": state.size})
    return await guard.adopt(state)


async def _is_earlier(desk: Desk, origin: str, state: LogState) -> bool:
    return any(each.origin == origin and each.log < state.log for each in await desk.tree.reader.states())


async def _record(
    desk: Desk,
    event: EventName,
    origin: str,
    detail: Detail,
    outcome: Outcome = Outcome.PERMITTED,
) -> None:
    await desk.record(service_draft(desk, event, outcome, subject=Subject("log", origin), detail=detail))


def _batch(rows: Sequence[Waiting]) -> _Batch:
    batch, seen = _Batch(), set()
    for row in rows:
        batch.numbers.append(row.number)
        if row.content is None:
            batch.lost.append(row.entry_id)
        elif row.position is None and row.entry_id not in seen:
            # Swept while it was on its way, an entry waits twice and has one place.
            seen.add(row.entry_id)
            batch.leaves.append((row.entry_id, hash_leaf(row.content)))
    return batch


def _kept(state: LogState) -> KeptCheckpoint:
    return KeptCheckpoint(state.log, state.size, state.root, state.signed_at, state.note)


def _micros(span: timedelta) -> int:
    return span // MICROSECOND
