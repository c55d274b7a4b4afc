"""Large parts: their ciphertext goes to a blob store, what opens it stays in the database.

Steps of a post: (1) a row says which blobs will be there; (2) the blobs are written, durably; (3) the transaction that
makes the parts takes the rows away. Whatever stops between them leaves rows, and `sweep` deletes what they name.
INVARIANT: a blob is deleted by nothing but `sweep`, a while after the last part that named it is gone; one that a part
names is not, whatever the row says.

What arrives in pieces is put away in pieces: without a blob store, as rows of their own in the database, under a
location as a blob has it.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, exists, false, func, not_, select

from exchange.kernel import Clock, UnavailableError, from_micros, to_micros
from exchange.store.database.dialect import Fetch, Sql, Statement
from exchange.store.log.blobs import BlobMissingError, BlobStore
from exchange.store.rows.main_rows import NewPart, NewReport, PartRow
from exchange.store.tables.blob_tables import BlobDebrisTable
from exchange.store.tables.main_tables import table
from exchange.store.tables.upload_tables import PartPieceTable
from exchange.store.writer.batch import BlobsJob

POST_TIME: Final = timedelta(days=1)
"""A post that has not come to its end after this never will: its bodies time out after minutes."""

AT_ONCE: Final = 200

PIECE_BYTES: Final = 256 * 1024
"""What is in memory of a part that arrives or leaves; larger pieces are not quicker."""

_STUCK_MICROS: Final = 3_600_000_000
"""For so long what could not be deleted is left alone: a store may hold one blob for reasons of its own."""
_MOST_STUCK: Final = 8
"""In one sweep: each may take as long as a store is waited for."""

_LOOKED_FOR: Final = 8
"""Of the newest: where nodes put them into different places, each lacks some of so many."""

_NAME_BYTES = 16
_PIECES = "pieces/"
"""Before the locations of what the database keeps itself."""

_log = logging.getLogger("exchange.blobs")


def is_in_database(location: str) -> bool:
    """Return whether what is at `location` are pieces that the database keeps itself."""
    return location.startswith(_PIECES)


@dataclass(frozen=True, slots=True)
class BlobPlace:
    """Where large parts go: parts whose ciphertext has `smallest_bytes` or more."""

    blobs: BlobStore
    smallest_bytes: int


class LargeParts:
    """The blobs of one database's parts; without a place, every part is kept in the database."""

    def __init__(  # noqa: PLR0913  what wires it
        self,
        fetch: Fetch,
        submit: Callable[[BlobsJob], Awaitable[Any]],
        sql: Sql,
        *,
        place: BlobPlace | None,
        clock: Clock,
        randomness: Callable[[int], bytes],
    ) -> None:
        self._fetch = fetch
        self._submit = submit
        self._due = sql.once(_due)
        self._due_pieces = sql.once(_due_pieces)
        self._piece = sql.once(_piece)
        self._newest = sql.once(_newest)
        self._place = place
        self._stuck: dict[str, int] = {}
        """What could not be deleted, and when that is tried again."""
        self._clock = clock
        self._randomness = randomness

    async def put_away(self, report: NewReport) -> NewReport:
        """Return `report` with its large parts in the blob store; UnavailableError where one cannot be put there."""
        if self._place is None:
            return report
        return replace(report, parts=await self.put_parts_away(report.parts))

    async def put_parts_away(self, parts: Sequence[NewPart]) -> tuple[NewPart, ...]:
        """Return `parts`, the large ones in the blob store; UnavailableError where one cannot be put there."""
        place = self._place
        if place is None:
            return tuple(parts)
        large = {part.number: self._name() for part in parts if len(part.ciphertext) >= place.smallest_bytes}
        # (1) found again, should what follows never come to its end
        due_at = to_micros(self._clock() + POST_TIME)
        await self._submit(BlobsJob(expected=[(location, due_at) for location in large.values()]))
        # (2) durable
        with _told("kept"):
            for part in parts:
                if part.number in large:
                    await place.blobs.add(large[part.number], part.ciphertext)
        return tuple(_moved(part, large.get(part.number)) for part in parts)

    def is_large(self, size_bytes: int) -> bool:
        """Return whether a content of this size is put away as it arrives."""
        return size_bytes >= (PIECE_BYTES if self._place is None else self._place.smallest_bytes)

    async def receive(self, pieces: AsyncIterator[bytes], *, until: datetime | None = None) -> str:
        """Put ciphertext away as it arrives, durably, and return where; what `pieces` raises leaves nothing there.

        Like any blob it is deleted some day, unless a part comes to name it; not before `until`, where one still may.
        """
        location = self._name() if self._place is not None else _PIECES + self._randomness(_NAME_BYTES).hex()
        # (1) found again, should what follows never come to its end
        due_at = to_micros(max(self._clock() + POST_TIME, until or from_micros(0)))
        await self._submit(BlobsJob(expected=[(location, due_at)]))
        try:
            # (2) durable
            if self._place is not None:
                with _told("kept"):
                    await self._place.blobs.add_pieces(location, pieces)
            else:
                number = 0
                async for piece in pieces:
                    await self._submit(BlobsJob(pieces=[(location, number, piece)]))
                    number += 1
        except Exception:
            await self.discard(location)
            raise
        return location

    async def discard(self, location: str) -> None:
        """Delete what no part names, as soon as it can be."""
        try:
            await self._remove([location])
        except UnavailableError as exc:
            _log.error("what was given up is deleted later: %s", exc.message)

    async def discard_parts(self, parts: Sequence[NewPart]) -> None:
        """Delete what was put away of parts that did not come to be."""
        for part in parts:
            if part.location is not None:
                await self.discard(part.location)

    async def ciphertext_pieces(self, part: PartRow) -> AsyncIterator[bytes]:
        """Yield what a part is sealed in, in order; BlobMissingError where some of it is not there."""
        location = _place_of(part)
        if location is None:
            for start in range(0, len(part.ciphertext), PIECE_BYTES):
                yield part.ciphertext[start : start + PIECE_BYTES]
        elif is_in_database(location):
            number = 0
            while found := await self._fetch(self._piece, {"location": location, "number": number}):
                yield bytes(found[0][0])
                number += 1
            if number == 0:
                raise BlobMissingError("a part's pieces are not there")
        elif self._place is None:
            raise BlobMissingError("a part is in a blob store, and `blob_store_url` names none")
        else:
            with _told("read"):
                async for piece in self._place.blobs.pieces(location):
                    yield piece

    async def ciphertext(self, part: PartRow) -> bytes:
        """Return what a part is sealed in; BlobMissingError where its blob is not there."""
        location = _place_of(part)
        if location is None:
            return part.ciphertext
        if is_in_database(location):
            return b"".join([piece async for piece in self.ciphertext_pieces(part)])
        if self._place is None:
            raise BlobMissingError("a part is in a blob store, and `blob_store_url` names none")
        with _told("read"):
            return await self._place.blobs.read(location)

    async def prove(self) -> str | None:
        """Put a blob there, read and delete it; return where large parts go, None where the database keeps them.

        Raises UnavailableError, for operators: it names the place.
        """
        if self._place is None:
            return None
        blobs, location, content = self._place.blobs, self._name(), self._randomness(_NAME_BYTES)
        await blobs.add(location, content)
        try:
            if await blobs.read(location) != content:
                raise UnavailableError(f"the blob store {blobs.url} gives back something else than was put there")
        finally:
            await blobs.remove(location)
        return blobs.url

    async def absent(self) -> tuple[int, int]:
        """Return how many of the newest large parts are not in the place here, and of how many.

        Another node may have put them into a place of its own. Raises UnavailableError, for operators.
        """
        rows = await self._fetch(self._newest, {"limit": _LOOKED_FOR})
        if self._place is None:
            return len(rows), len(rows)
        held = [await self._place.blobs.holds(location) for (location,) in rows]
        return held.count(False), len(held)

    async def sweep(self) -> int:
        """Delete what no part names any more, some of it; return how much was seen to.

        What cannot be deleted is tried again after a while, and stands in no other's way. Raises UnavailableError where
        nothing could be deleted, or so much could not that it is the store that is away.
        """
        now, gone, fault = to_micros(self._clock()), [], None
        # A clock that was set back begins anew.
        self._stuck = {location: at for location, at in self._stuck.items() if 0 < at - now <= _STUCK_MICROS}
        statement = self._due_pieces if self._place is None else self._due
        due = await self._fetch(statement, {"now": now, "limit": AT_ONCE, "but": list(self._stuck)})
        left = _MOST_STUCK
        for (location,) in due:
            try:
                await self._delete(location)
            except UnavailableError as exc:
                self._stuck[location], left, fault = now + _STUCK_MICROS, left - 1, exc
                _log.error("what no part names any more cannot be deleted: %s", exc.message)
                if not left:
                    break
            else:
                gone.append(str(location))
        await self._settle(gone)
        if fault is not None and not (gone and left):
            raise fault
        return len(due)

    async def _remove(self, locations: Sequence[str]) -> None:
        for location in locations:
            await self._delete(location)
        await self._settle(locations)

    async def _delete(self, location: str) -> None:
        if self._place is not None and not is_in_database(location):
            await self._place.blobs.remove(location)

    async def _settle(self, locations: Sequence[str]) -> None:
        if locations:
            kept_here = [location for location in locations if is_in_database(location)]
            await self._submit(BlobsJob(settled=locations, removed=kept_here))

    def _name(self) -> str:
        # Chance alone: who sees the store's folder learns neither reports nor which parts belong together.
        name = self._randomness(_NAME_BYTES).hex()
        return f"parts/{name[:2]}/{name}"


def _place_of(part: PartRow) -> str | None:
    # On SQLite anything may stand there.
    if part.location is not None and type(part.location) is not str:
        raise BlobMissingError("a part's place is none")
    return part.location


@contextmanager
def _told(done: str) -> Iterator[None]:
    """Keep from callers where the blobs are: that is the operator's to know."""
    try:
        yield
    except BlobMissingError:
        raise
    except UnavailableError as exc:
        _log.error("a large part cannot be %s: %s", done, exc.message)
        raise UnavailableError(f"large parts cannot be {done} at the moment: try again later") from exc


def _moved(part: NewPart, location: str | None) -> NewPart:
    return part if location is None else replace(part, ciphertext=b"", location=location)


def _due(sql: Sql, *conditions: Any) -> Statement:
    debris = table(BlobDebrisTable)
    is_due = (debris.c.due_at <= bindparam("now"), sql.is_one_of(debris.c.location, "but").is_(false()))
    # INVARIANT: what a part names stays, whatever a row says of it. A store knows a blob with slashes around its name
    # too, and on SQLite bytes may stand there: what no part could name is left alone.
    is_name = debris.c.location == func.ltrim(func.rtrim(debris.c.location, "/"), "/")
    parts = [table(each) for each in ("report_part", "upload_part")]
    is_named = (exists().where(each.c.location == debris.c.location) for each in parts)
    due = select(debris.c.location).where(*is_due, is_name, *(not_(each) for each in is_named), *conditions)
    return sql.compile(due.order_by(debris.c.due_at).limit(bindparam("limit")))


def _due_pieces(sql: Sql) -> Statement:
    return _due(sql, table(BlobDebrisTable).c.location.startswith(_PIECES, autoescape=True))


def _piece(sql: Sql) -> Statement:
    piece = table(PartPieceTable)
    which = (piece.c.location == bindparam("location"), piece.c.number == bindparam("number"))
    return sql.compile(select(piece.c.content).where(*which))


def _newest(sql: Sql) -> Statement:
    part = table("report_part")
    is_outside = (part.c.location.is_not(None), part.c.location.startswith(_PIECES, autoescape=True).is_(false()))
    newest = select(part.c.location).where(*is_outside).order_by(part.c.report_id.desc(), part.c.number.desc())
    return sql.compile(newest.limit(bindparam("limit")))
