"""The way through the log: a stretch at a time, each entry through the slice, at the end how far it is complete.

Positions never move and nothing comes in between, so an export that broke off is gone on with behind its last entry. A
stretch is read when the one before was taken: a slow reader costs its own connection, no memory and no transaction. Who
is revoked meanwhile reads no further. With filters, only what the index of the search names is read (`narrowing`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import cast

from exchange.audit import Criteria, Entry, EntryView, EventName, Extent, PersonalData, hash_leaf, matches
from exchange.audit.export import ExportedEntry, FormatName, Place, Statement
from exchange.audit.export.ndjson import whole_line
from exchange.kernel import UnavailableError, rfc3339
from exchange.store import LogState, Placed
from exchange.usecases.auditors.auditing import Gaze, admit_auditor, views_of
from exchange.usecases.auditors.narrowing import ANYWHERE, Candidates, candidates
from exchange.usecases.auditors.personal import Revealed, personal_as_json, reveal_personal
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.whole_entries import whole_entry

_STRETCH = 500
"""Entries at a time: half a megabyte as they mostly are, 32 at most, and some milliseconds in which others wait."""

_FOLLOW_SECONDS = 0.5
"""How often a followed log is looked at: half of what an entry may wait for its place."""

_SIGN_OF_LIFE = timedelta(seconds=5)
"""So often at least a follower hears that there is nothing new."""

_STILL_ADMITTED = timedelta(seconds=1)
"""So old at most is what is known of the caller."""

_FIRST_LOG = 1
_PERSONAL = tuple(field.name for field in fields(PersonalData))


@dataclass(frozen=True, slots=True)
class ExportQuery:
    """What an auditor asks for. `follow` goes on when all is said, with what is new; `proofs` puts one to each."""

    format: FormatName = FormatName.NDJSON
    after: Place | None = None
    criteria: Criteria = field(default_factory=Criteria)
    follow: bool = False
    proofs: bool = False


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Entries of one log, of which the tree has `size`."""

    log: int
    size: int
    placed: Sequence[Placed]


@dataclass(frozen=True, slots=True)
class _Seen:
    """An entry that the auditor may see."""

    place: Place
    leaf: bytes
    content: bytes
    entry: Entry
    view: EntryView


class SliceWalk:
    """One auditor's export on its way."""

    def __init__(self, services: Services, call: Call, query: ExportQuery, gaze: Gaze) -> None:
        self._services = services
        self._call = call
        self._query = query
        self._gaze = gaze
        self._admitted_at = call.now

    async def items(self, logs: Sequence[LogState]) -> AsyncIterator[Sequence[ExportedEntry] | Statement]:
        """Yield entries in the order of the log, then the statement; and so on, where the log is followed.

        One item for each stretch that was read: of none that the auditor may see, an empty one.
        """
        after, where = self._query.after, ANYWHERE
        if _behind(after, logs) > _STRETCH:
            where = await candidates(self._services, self._gaze, self._query.criteria, logs)
        while True:
            said = statement_of(self._services.clock(), after, logs, is_to_be_verified=self._query.proofs)
            async for stretch in _stretches(self._services, after, logs, where):
                await self._require_still_admitted()
                shown = await self._shown(stretch)
                said = _counted(said, shown) if shown else said
                yield shown
            yield said
            if not self._query.follow:
                return
            after, where = _before(end_of(logs)) or after, ANYWHERE
            logs = await _grown(self._services, logs, self._require_still_told)

    async def _require_still_told(self) -> None:
        if self._services.watching.is_ending:
            # Not an end: whoever follows would take it that nothing more comes. The stop would wait for it.
            raise UnavailableError("this node is being stopped: go on behind what came, here or at another node")
        await self._require_still_admitted()

    async def _require_still_admitted(self) -> None:
        now = self._services.clock()
        if now - self._admitted_at >= _STILL_ADMITTED:
            self._gaze = await admit_auditor(
                self._services, replace(self._call, now=now), event=EventName.AUDIT_EXPORTED
            )
            self._admitted_at = now

    async def _shown(self, stretch: _Stretch) -> list[ExportedEntry]:
        seen = await self._seen(stretch)
        revealed = await reveal_personal(self._services, [one.entry for one in seen], self._gaze.client)
        proofs = [await self._proof(one.place, stretch.size) for one in seen]
        return [_exported(*row) for row in zip(seen, revealed, proofs, strict=True)]

    async def _seen(self, stretch: _Stretch) -> Sequence[_Seen]:
        # In whose slice a damaged one was, nobody knows any more; that it is damaged, the verification says.
        read = [(placed, entry) for placed in stretch.placed if (entry := whole_entry(placed.content)) is not None]
        views = await views_of(self._services, self._gaze, [entry for _, entry in read])
        return [
            _Seen(Place(stretch.log, placed.position), placed.leaf_hash, placed.content, entry, view)
            for (placed, entry), view in zip(read, views, strict=True)
            if view is not None and matches(view, self._query.criteria) and _can_be_compared(view, placed)
        ]

    async def _proof(self, place: Place, size: int) -> tuple[bytes, ...]:
        if not self._query.proofs:
            return ()
        return await self._services.store.log.inclusion_proof(place.log, place.position, size)


def _can_be_compared(view: EntryView, placed: Placed) -> bool:
    # INVARIANT: who is shown an entry in part has no bytes to compare with its leaf, which is in the tree whatever was
    # written beside it since: that is done here, and who is shown all of it can do it.
    return view.extent is Extent.WHOLE or hash_leaf(placed.content) == placed.leaf_hash


async def whole_lines(
    services: Services, after: Place | None, logs: Sequence[LogState]
) -> AsyncIterator[tuple[Place, Sequence[bytes]]]:
    """Yield the lines of entries side by side, with their bytes as they are stored, and the place of the first."""
    async for stretch in _stretches(services, after, logs):
        lines = [whole_line(stretch.log, *placed) for placed in stretch.placed]
        yield Place(stretch.log, stretch.placed[0].position), lines


async def whole_entries(
    services: Services, after: Place | None, logs: Sequence[LogState], *, follow: bool
) -> AsyncIterator[Sequence[ExportedEntry] | Statement]:
    """Yield every entry in the order of the log, nothing personal revealed, then the statement; `follow` goes on.

    What is gone or damaged is passed over: one such entry must not keep a receiver from all that come after it.
    """
    while True:
        said = statement_of(services.clock(), after, logs)
        for state in logs:
            for asked in ANYWHERE.stretches(state, _begins(after, state), _STRETCH):
                if shown := await _there_are(services, state.log, asked):
                    said = _counted(said, shown)
                    yield shown
        yield said
        if not follow:
            return
        after = _before(end_of(logs)) or after
        logs = await _grown(services, logs)


async def _there_are(services: Services, log: int, asked: Sequence[int]) -> list[ExportedEntry]:
    start = asked[0]
    contents = await services.store.log.contents_there_are(log, start, asked[-1] + 1)
    return [
        ExportedEntry(Place(log, position), hash_leaf(content), entry, content)
        for position, content in enumerate(contents, start)
        if (entry := whole_entry(content)) is not None and content is not None
    ]


def statement_of(
    at: datetime, after: Place | None, logs: Sequence[LogState], *, is_to_be_verified: bool = False
) -> Statement:
    """Return the statement about an export of `logs` behind `after`, before anything is counted.

    It holds the checkpoints of the logs that ended, all of them, where it is to be verified: an export that is gone on
    with behind them ends in this statement too.
    """
    note = logs[-1].note if logs else b""
    begun = None if after is None else str(after)
    checkpoint = note.decode() if note else None
    earlier = tuple(state.note.decode(errors="replace") for state in logs[:-1]) if is_to_be_verified else ()
    return Statement(rfc3339(at), begun, None, None, 0, str(end_of(logs)), checkpoint, earlier)


def end_of(logs: Sequence[LogState]) -> Place:
    """Return the place behind the last leaf."""
    return Place(logs[-1].log, logs[-1].size) if logs else Place(_FIRST_LOG, 0)


def _before(end: Place) -> Place | None:
    return Place(end.log, end.position - 1) if end.position else None


def _begins(after: Place | None, state: LogState) -> int:
    """Return the first position of a log that lies behind `after`."""
    if after is None or state.log > after.log:
        return 0
    return after.position + 1 if state.log == after.log else state.size


def _behind(after: Place | None, logs: Sequence[LogState]) -> int:
    return sum(max(0, state.size - _begins(after, state)) for state in logs)


async def _grown(
    services: Services, known: Sequence[LogState], still: Callable[[], Awaitable[None]] | None = None
) -> Sequence[LogState]:
    """Return the logs once they have grown, or when it is time for a sign of life; `still` raises to go no further."""
    since = services.clock()
    while True:
        await asyncio.sleep(_FOLLOW_SECONDS)
        if still is not None:
            await still()
        logs = await services.store.log.states()
        if end_of(logs) != end_of(known) or services.clock() - since >= _SIGN_OF_LIFE:
            return logs


async def _stretches(
    services: Services, after: Place | None, logs: Sequence[LogState], where: Candidates = ANYWHERE
) -> AsyncIterator[_Stretch]:
    reader = services.store.log
    for state in logs:
        for asked in where.stretches(state, _begins(after, state), _STRETCH):
            placed = (
                await reader.placed(state.log, asked.start, asked.stop)
                if isinstance(asked, range)
                else await reader.placed_at(state.log, asked)
            )
            yield _Stretch(state.log, state.size, placed)


def _counted(said: Statement, shown: Sequence[ExportedEntry]) -> Statement:
    first, last = str(shown[0].place), str(shown[-1].place)
    return replace(said, first=said.first or first, last=last, count=said.count + len(shown))


def _exported(seen: _Seen, revealed: Revealed, proof: tuple[bytes, ...]) -> ExportedEntry:
    return ExportedEntry(
        place=seen.place,
        leaf=seen.leaf,
        # A view has fields of an entry, though not all.
        entry=cast("Entry", seen.view.fields),
        content=seen.content if seen.view.extent is Extent.WHOLE else None,
        extent=seen.view.extent.value,
        proof=proof,
        personal=_personal(revealed),
    )


def _personal(revealed: Revealed) -> Mapping[str, str]:
    told = personal_as_json(revealed)
    if isinstance(told, str):
        # Erased, or damaged: said in the place of each thing that it may have been.
        return dict.fromkeys(_PERSONAL, told)
    return told or {}
