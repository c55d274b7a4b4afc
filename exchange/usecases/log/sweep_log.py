"""What the sequencer does when nothing waits: looks for entries that were left out, and makes placed ones searchable.

An entry and its row in the outbox become durable together, so nothing is ever left out, unless somebody or something
changed the database: a row of the outbox deleted, a table restored alone. What is found so goes back into the outbox,
and that it was found is an entry. So it is of a placed one that was taken out of the search.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from exchange.audit import Detail, EntryDraft, EventName, Outcome, Subject, columns_of
from exchange.kernel import Clock, MalformedError
from exchange.store.log.sequencing import LogTree
from exchange.store.rows.log_rows import LogState
from exchange.usecases.steps.service_entries import service_draft

SWEPT_EVERY = timedelta(minutes=10)

_CHUNK = 5000
"""Entries looked at in one go: some 20 ms, while nobody waits for anything."""

_COUNTED_AT_ONCE = 50_000
"""Rows of the search counted in one go, along its key: some milliseconds."""

_INDEXED_AT_ONCE = 500
"""Entries made searchable in one go: 30 ms, in which on SQLite whoever writes waits."""

_INDEXED_IN_A_SECOND = 250
"""While entries come: at least so many, in one go, which writes half of the pages that five of fifty would."""

_SECONDS_BEHIND = 10
"""However fast entries come: what is searched is so far behind at most."""

_PASSES_IN_A_SECOND = 5

_ENTRIES_NAMED = 100
_FIRST_ID = ""

_log = logging.getLogger("exchange.sequencer")


class Sweep:
    """Goes over all entries by id, in chunks, once at the start and then every ten minutes."""

    def __init__(
        self,
        tree: LogTree,
        record: Callable[[EntryDraft], Awaitable[object]],
        clock: Clock,
        randomness: Callable[[int], bytes],
    ) -> None:
        self._tree = tree
        self._record = record
        self.clock = clock
        self.randomness = randomness
        self._after: str | None = _FIRST_ID
        self._begun = clock()
        self._to_count: list[tuple[int, range]] = []
        self._in_the_way: set[str] = set()
        """What was told of, and could not be put back: it is told of once."""

    async def chunk(self) -> bool:
        """Look at the next entries; return whether there are more to look at now."""
        if self._to_count:
            await self._make_found(*self._to_count.pop())
            return bool(self._to_count)
        if self._after is None:
            now = self.clock()
            # A clock that was set back must not keep it from sweeping.
            if timedelta(0) <= now - self._begun < SWEPT_EVERY:
                return False
            self._after, self._begun = _FIRST_ID, now
        self._after, unplaced = await self._tree.unplaced(self._after, _CHUNK)
        if unplaced and (missing := await self._tree.missing(unplaced)):
            await self._put_back(missing)
        if self._after is None:
            self._to_count = [each async for each in self._searched()]
        return self._after is not None or bool(self._to_count)

    async def _put_back(self, missing: Sequence[str]) -> None:
        _log.critical("entries were neither in the log nor on their way to it: they are put back")
        # First the entry: once they are back nothing tells that they were not there.
        await self._tell(missing, {})
        await self._tree.put_back(missing)

    async def _searched(self) -> AsyncIterator[tuple[int, range]]:
        """Yield the places that the search has passed, stretch by stretch: what lies behind them is to come."""
        for state in await self._tree.reader.states():
            searched = await self._tree.reader.searched(state.log)
            for start in range(0, searched, _COUNTED_AT_ONCE):
                yield state.log, range(start, min(searched, start + _COUNTED_AT_ONCE))

    async def _make_found(self, log: int, places: range) -> None:
        """Make searchable what the search lacks of these: somebody took it out, or it was damaged when it came."""
        reader, whole = self._tree.reader, dict[int, tuple[str, bytes]]()
        lacking = await self._tree.unsearched(log, places.start, places.stop)
        if len(lacking) > _INDEXED_AT_ONCE:
            # Read one by one, for any of them may be damaged: what waits for its place meanwhile comes first.
            self._to_count.append((log, range(lacking[_INDEXED_AT_ONCE], places.stop)))
        lacking = lacking[:_INDEXED_AT_ONCE]
        contents = [(await reader.contents_there_are(log, at, at + 1))[0] for at in lacking]
        for position, content in zip(lacking, contents, strict=True):
            # What is damaged still is not found; nor is what has no entry's form.
            with suppress(MalformedError):
                whole |= {} if content is None else {position: (columns_of(content).id, content)}
        if gone := [entry for entry, _ in whole.values() if entry not in self._in_the_way]:
            _log.critical("entries were taken out of the search: they are put back")
            # First the entry, as for the others.
            await self._tell(gone, {"search": "yes"})
        for position, (_, content) in whole.items():
            with suppress(MalformedError):
                await self._tree.make_searchable(log, position, [content])
        await self._note_in_the_way(log, {position: entry for position, (entry, _) in whole.items()})

    async def _note_in_the_way(self, log: int, put: Mapping[int, str]) -> None:
        """Note which of these are found no more than before: what somebody wrote is in the way of each, and stays."""
        left = await self._tree.unsearched(log, min(put), max(put) + 1) if put else []
        self._in_the_way = (self._in_the_way - set(put.values())) | {put[each] for each in left if each in put}
        if any(each in put for each in left):
            _log.critical("entries are found by no search: what somebody wrote into `audit_search` is in the way")

    async def _tell(self, entries: Sequence[str], told: Mapping[str, str]) -> None:
        state = await self._tree.reader.state()
        detail: Detail = {"count": len(entries), "ids": list(entries[:_ENTRIES_NAMED])}
        origin = "" if state is None else state.origin
        event, subject = EventName.ENTRY_SWEPT, Subject("log", origin)
        await self._record(service_draft(self, event, Outcome.FAILED, subject=subject, detail={**detail, **told}))


class Index:
    """Makes entries searchable in the order of their places, a moment behind the tree."""

    def __init__(self, tree: LogTree) -> None:
        self._tree = tree
        self._done: dict[int, int] = {}
        self._passed = 0

    async def chunk(self, *, is_at_rest: bool = True) -> bool:
        """Make the next entries searchable, fewer while others write; return whether more have their place already."""
        self._passed = 0 if is_at_rest else self._passed + 1
        for each in await self._tree.reader.states():
            state = await self._as_placed(each)
            if await self._is_behind(state):
                behind = state.size - self._done[state.log]
                await self._advance(state, _INDEXED_AT_ONCE if is_at_rest else self._in_passing(behind))
                return self._done[state.log] < state.size
        return False

    def _in_passing(self, behind: int) -> int:
        """Return how many of those that wait are made searchable in this pass: a second's in one of them, or shared."""
        share = max(_INDEXED_IN_A_SECOND, behind // _SECONDS_BEHIND)
        if share > _INDEXED_AT_ONCE:
            return share // _PASSES_IN_A_SECOND
        return 0 if self._passed % _PASSES_IN_A_SECOND else share

    async def _as_placed(self, state: LogState) -> LogState:
        """Return the log as far as it has places: a size that was set ahead of them must not be walked up to."""
        if self._done.get(state.log) == state.size:
            return state
        return replace(state, size=min(state.size, await self._tree.reader.places(state.log)))

    async def _is_behind(self, state: LogState) -> bool:
        if self._done.get(state.log) != state.size:
            # Asked anew each time: a database put in the place of another one may be behind it.
            self._done[state.log] = await self._tree.reader.searched(state.log)
        return self._done[state.log] < state.size

    async def _advance(self, state: LogState, at_once: int) -> None:
        if not at_once:
            return
        first, is_any_found = self._done[state.log], False
        # Where all of them are damaged, none tells the next pass that they were looked at: on, to one that does.
        while first < state.size and not is_any_found:
            stop = min(state.size, first + at_once)
            is_any_found = await self._make_searchable(state, first, stop)
            first = stop
        self._done[state.log] = first

    async def _make_searchable(self, state: LogState, first: int, stop: int) -> bool:
        """Make what is between the two searchable; return whether any of it is whole."""
        contents = await self._tree.reader.contents_there_are(state.log, first, stop)
        if await self._put(state, first, contents):
            return True
        _log.critical("an entry in the log is damaged: `exchange audit verify` tells which")
        # What is damaged or gone stays out of the search, and fails the verification.
        put = [await self._put(state, position, [content]) for position, content in enumerate(contents, first)]
        return any(put)

    async def _put(self, state: LogState, first: int, contents: Sequence[bytes | None]) -> bool:
        """Make these searchable, all or none of them; return whether they are."""
        there = [content for content in contents if content is not None]
        if len(there) < len(contents):
            return False
        try:
            await self._tree.make_searchable(state.log, first, there)
        except MalformedError:
            return False
        return True
