"""What the sequencer does to the database: takes entries from the outbox, and puts them into the tree.

One transaction holds leaves, tiles, head and checkpoint, and empties the outbox of what it placed: either all of it
came to pass or nothing. It begins with the lock on the log's row and ends where the tree is not the one it was
worked out for: of two sequencers, one does the work and the other begins again.
Does not: sign, decide whether anything may be signed, or choose what comes next (the use case does).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from exchange.audit.merkle import TreeHead
from exchange.audit.tiles import Tile
from exchange.kernel import ConflictError, ExchangeError, MalformedError, UnavailableError
from exchange.store.database.dialect import Sql, Value, as_bytes, as_text
from exchange.store.database.faults import is_of_one_row
from exchange.store.log.archive import BundleArchive
from exchange.store.log.log_statements import LogWrites
from exchange.store.log.search_rows import search_row
from exchange.store.log.tree_database import LogSteps, OpenedLog, TreeDatabase
from exchange.store.rows.log_rows import KeptCheckpoint, LogState
from exchange.store.writer.batch import Ask, Put


class LogMovedError(ExchangeError):
    """Another sequencer was quicker: nothing was done, begin again."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the outbox. `content` is None where its entry is gone, `position` None where it has no place yet."""

    number: int
    entry_id: str
    content: bytes | None
    position: int | None


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head with its signed checkpoint; `signed_at` is in microseconds since 1970. `is_kept` keeps it for ever."""

    head: TreeHead
    note: bytes
    signed_at: int
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Growth:
    """What a transaction will do to the log that is at `base`.

    `numbers` are the rows of the outbox it takes, `leaves` the entries it places with their hashes; `signed` is what
    the log will then be.
    """

    base: LogState
    numbers: Sequence[int]
    leaves: Sequence[tuple[str, bytes]]
    tiles: Sequence[Tile]
    signed: SignedHead


class LogTree(OpenedLog):
    """The log as its sequencer sees it."""

    def __init__(self, database: TreeDatabase, sql: Sql, archive: BundleArchive | None = None) -> None:
        super().__init__(database, sql, archive)
        self._writes = sql.once(LogWrites.compiled)

    async def begin(self, state: LogState, *, at: int, first: Growth | None = None) -> None:
        """Make a log, with its first entries where `first` names them; LogMovedError where another one made it."""
        try:
            await self._database.transact(self._begin(state, at, first))
        except ConflictError as exc:
            raise LogMovedError("another sequencer began the log") from exc

    async def waiting(self, limit: int) -> list[Waiting]:
        """Return the first rows of the outbox, in its order."""
        return [_waiting(*row) for row in await self._database.fetch(self._writes.waiting, {"limit": limit})]

    async def waiting_these(self, numbers: Sequence[int]) -> list[Waiting]:
        """Return these rows of the outbox, in its order, as many as there are."""
        rows = await self._database.fetch(self._writes.waiting_these, {"ids": list(numbers)})
        return [_waiting(*row) for row in rows]

    async def waiting_entry(self, entry_id: str) -> Waiting | None:
        """Return the row of the outbox in which an entry waits."""
        rows = await self._database.fetch(self._writes.waiting_entry, {"entry_id": entry_id})
        return _waiting(*rows[0]) if rows else None

    async def grow(self, growth: Growth) -> None:
        """Do what `growth` says, in one transaction; LogMovedError where the log is not at its base any more."""
        await self._database.transact(self._grow(growth))

    async def keep(self, checkpoint: KeptCheckpoint) -> None:
        """Keep a checkpoint for ever."""
        await self._database.transact(self._keep(checkpoint))

    async def freeze(self, log: int, *, at: int | None, why: str | None) -> None:
        """Say that the log may not sign and why, for every sequencer and for readiness; None lifts it."""
        which = {"log": log, "to_frozen_at": at, "to_frozen_why": why}
        await self._database.transact(_one(Ask(self._writes.freeze, which)))

    async def unplaced(self, after: str, limit: int) -> tuple[str | None, list[str]]:
        """Return the last of the next entries by id, None where there are none, and those of them without a place."""
        found = await self._database.fetch(self._writes.unplaced_after, {"after": after, "limit": limit})
        # On SQLite anything may stand there: what is no text is no entry's id, and keeps no other from being looked at.
        rows = [row for row in found if isinstance(row[0], str)]
        last = rows[-1][0] if rows else None
        return last, [row[0] for row in rows if row[1] is None]

    async def missing(self, entry_ids: Sequence[str]) -> list[str]:
        """Return those of these entries that neither have a place nor wait for one."""
        rows = await self._database.fetch(self._writes.missing_of, {"ids": list(entry_ids)})
        return [row[0] for row in rows]

    async def put_back(self, entry_ids: Sequence[str]) -> None:
        """Let these entries wait for a place."""
        await self._database.transact(_one(Put(self._writes.outbox, [(entry_id,) for entry_id in entry_ids])))

    async def unsearched(self, log: int, start: int, stop: int) -> list[int]:
        """Return the positions from `start` to `stop` (exclusive) of which no search finds the entry, in order."""
        which: dict[str, Value] = {"log": log, "start": start, "stop": stop}
        if await self.reader.searched_among(log, start, stop) == stop - start:
            return []
        found = {row[0] for row in await self._database.fetch(self._writes.searched_positions, which)}
        return [position for position in range(start, stop) if position not in found]

    async def make_searchable(self, log: int, first: int, contents: Sequence[bytes]) -> None:
        """Let the entries from position `first` on be found; MalformedError for bytes that no entry has.

        So it is for what has an entry's form and holds what nobody sealed: the database takes no row of it.
        """
        rows = [search_row(log, position, content) for position, content in enumerate(contents, first)]
        try:
            # Computed from the entries, and again where the power took it: nobody waits for the disk.
            await self._database.transact(_one(Put(self._writes.search, rows)), is_durable=False)
        except UnavailableError as exc:
            if exc.__cause__ is None or not is_of_one_row(exc.__cause__):
                raise
            raise MalformedError("an entry holds what no entry has") from exc

    def _begin(self, state: LogState, at: int, first: Growth | None) -> LogSteps[None]:
        row: dict[str, Value] = {"log": state.log, "origin": state.origin, "keys": state.keys, "began_at": at}
        row |= {"size": state.size, "root": state.root, "signed_at": state.signed_at, "note": state.note}
        yield Ask(self._writes.begin, row)
        if first is not None:
            yield from self._grow(first)

    def _grow(self, growth: Growth) -> LogSteps[None]:
        writes, base, signed = self._writes, growth.base, growth.signed
        # (1) one at a time, and from where it was worked out
        rows = yield Ask(writes.lock, {"log": base.log})
        if not rows or (rows[0][3], bytes(rows[0][4]), rows[0][7]) != (base.size, base.root, base.frozen_why):
            raise LogMovedError("another sequencer was quicker")
        # (2) each row of the outbox once
        if growth.numbers:
            taken = yield Ask(writes.take, {"ids": list(growth.numbers)})
            if len(taken) != len(growth.numbers):
                raise LogMovedError("another sequencer took some of these entries")
        # (3) places and tiles
        if growth.leaves:
            placed = enumerate(growth.leaves, base.size)
            yield Put(writes.leaf, [(base.log, place, entry_id, leaf) for place, (entry_id, leaf) in placed])
            tiles = [(each.path, each.content) for each in growth.tiles]
            yield Put(writes.tile, [(base.log, path.level, path.index, path.width, each) for path, each in tiles])
        # (4) the head and its checkpoint
        advanced: dict[str, Value] = {"to_size": signed.head.size, "to_root": signed.head.root}
        advanced |= {"to_signed_at": signed.signed_at, "to_note": signed.note}
        yield Ask(writes.advance, {"log": base.log, **advanced})
        if signed.is_kept:
            yield from self._keep(
                KeptCheckpoint(base.log, signed.head.size, signed.head.root, signed.signed_at, signed.note)
            )

    def _keep(self, kept: KeptCheckpoint) -> LogSteps[None]:
        yield Put(self._writes.keep, [(kept.log, kept.size, kept.root, kept.signed_at, kept.note)])


def _one(step: Ask | Put) -> LogSteps[None]:
    yield step


def _waiting(number: int, entry_id: object, content: object, position: int | None) -> Waiting:
    return Waiting(number, as_text(entry_id), None if content is None else as_bytes(content), position)
