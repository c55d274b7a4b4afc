"""The archiver: moves whole bundles of old entries into the archive. The tree and its checkpoints stay where they are.

One step: (1) the next bundles whose newest entry is old enough; (2) each is what is in the tree, is written to the
archive and read back from it; (3) an entry that says so is durable; (4) one transaction says where they are and lets
their entries go. Whatever ends it in between, the next step does the same again: an archive never holds two
things under one name, and an entry is in the database until it is known to be in the archive.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from exchange.audit import Detail, EntryDraft, EventName, Receipt, Subject
from exchange.audit.bundles import parse_bundle, render_bundle
from exchange.audit.merkle import hash_leaf
from exchange.audit.tile_paths import TILE_WIDTH, BundlePath, TilePath
from exchange.kernel import Clock, ConflictError, MalformedError, UnavailableError, micros_in, to_micros
from exchange.store.log.archive import BundleArchive
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.archiving import LogArchiving, Moved
from exchange.store.rows.log_rows import LogState
from exchange.usecases.steps.service_entries import service_draft

BUNDLES_AT_ONCE = 8
"""What one transaction deletes: 2048 entries, as many as the sequencer places in one."""


@dataclass(frozen=True, slots=True)
class Due:
    """Bundles of one log, side by side, that are old enough: from index `first` to `stop` (exclusive)."""

    log: int
    origin: str
    first: int
    stop: int

    @property
    def entries(self) -> int:
        """How many entries they hold."""
        return (self.stop - self.first) * TILE_WIDTH


@dataclass(frozen=True, slots=True)
class Archiver:
    """Moves what is older than `older_than`, but for while `is_held` says that a legal hold is on.

    `record` makes an entry durable.
    """

    log: LogArchiving
    archive: BundleArchive
    record: Callable[[EntryDraft], Awaitable[Receipt]]
    clock: Clock
    randomness: Callable[[int], bytes]
    older_than: timedelta
    is_held: Callable[[], Awaitable[bool]]

    async def due(self, limit: int | None = None) -> list[Due]:
        """Return what is old enough in each log, at most `limit` bundles of it; nothing of one that is frozen."""
        found = []
        for state in await self.log.reader.states():
            whole = state.size // TILE_WIDTH
            first = await self.log.next_index(state.log, whole)
            whole = whole if state.note and state.frozen_why is None else first
            stop = await self._stop(state, first, whole if limit is None else min(whole, first + limit))
            if stop > first:
                found.append(Due(state.log, state.origin, first, stop))
        return found

    async def step(self) -> int:
        """Move the next bundles and return how many entries that were, 0 where nothing is old enough.

        Raises ConflictError under a legal hold, LogDamagedError for what is not in the tree as it lies there, and
        UnavailableError where archive or database do not answer.
        """
        if await self.is_held():
            message = "a legal hold is on, or may be: nothing leaves the database (`exchange doctor` tells why)"
            raise ConflictError(message, code="legal-hold")
        # (1) what comes next
        due = next(iter(await self.due(BUNDLES_AT_ONCE)), None)
        if due is None:
            return 0
        # (2) into the archive, and back
        await self._require_those_before(due)
        written = [await self._written(due, index) for index in range(due.first, due.stop)]
        # (3) on the record
        receipt = await self._recorded(due, written)
        # (4) out of the database
        now = to_micros(self.clock())
        try:
            await self.log.let_go(
                [
                    Moved(due.log, index, location, digest, now, receipt.entry)
                    for index, (location, digest) in enumerate(written, due.first)
                ]
            )
        except ConflictError:
            if await self.log.next_index(due.log, due.stop) <= due.first:
                raise
            # Another archiver did the same: the archive holds the one thing that both of them wrote.
        return due.entries

    async def _stop(self, state: LogState, first: int, stop: int) -> int:
        before = to_micros(self.clock() - self.older_than)
        for index in range(first, stop):
            newest = await self.log.newest_id(state.log, index)
            made = micros_in(newest)
            # What has no time stays.
            if made is None or made >= before:
                return index
        return stop

    async def _require_those_before(self, due: Due) -> None:
        """Raise UnavailableError where what was moved last is not in the archive here: it may be another node's own."""
        if due.first == 0:
            return
        location = f"{due.origin}/{BundlePath(due.first - 1)}"
        if not await self.archive.holds(location):
            raise UnavailableError(
                f"the archive {self.archive.url} lacks `{location}`, which was moved before, so nothing more is moved: "
                "see that `audit_archive_url` is the same on every node, and one place"
            )

    async def _written(self, due: Due, index: int) -> tuple[str, bytes]:
        """Return location and digest of a bundle that is in the archive as it is in the tree."""
        path = BundlePath(index)
        placed = await self.log.reader.placed(due.log, path.start, path.start + path.width)
        leaves = [each.leaf_hash for each in placed]
        for position, leaf, content in placed:
            if hash_leaf(content) != leaf:
                raise LogDamagedError(f"entry {position} is not what is in the tree: nothing is archived from there on")
        if await self.log.reader.tile(due.log, TilePath(0, index)) != b"".join(leaves):
            raise LogDamagedError(f"`{path}` is not what is in the tree: nothing is archived from there on")
        location = f"{due.origin}/{path}"
        await self.archive.add(location, render_bundle(each.content for each in placed))
        held = await self.archive.read(location)
        if _leaves_of(held) != leaves:
            raise LogDamagedError(f"the archive {self.archive.url} holds something else at `{location}`")
        return location, hashlib.sha256(held).digest()

    async def _recorded(self, due: Due, written: list[tuple[str, bytes]]) -> Receipt:
        detail: Detail = {
            "first": due.first * TILE_WIDTH,
            "count": due.entries,
            "archive": self.archive.url,
            "bundles": [f"{location} {digest.hex()}" for location, digest in written],
        }
        subject = Subject("log", due.origin)
        return await self.record(service_draft(self, EventName.TILES_ARCHIVED, subject=subject, detail=detail))


def _leaves_of(bundle: bytes) -> list[bytes] | None:
    try:
        return [hash_leaf(content) for content in parse_bundle(bundle, TILE_WIDTH)]
    except MalformedError:
        return None
