"""Large parts: their ciphertext goes to a blob store, what opens it stays in the database.

Steps of a post: (1) a row says which blobs will be there; (2) the blobs are written, durably; (3) the transaction that
makes the parts takes the rows away. Whatever stops between them leaves rows, and `sweep` deletes what they name.
INVARIANT: a blob is deleted by nothing but `sweep`, a while after the last part that named it is gone.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import bindparam, select

from exchange.kernel import Clock, UnavailableError, to_micros
from exchange.store.batch import BlobsJob
from exchange.store.blob_tables import BlobDebrisTable
from exchange.store.blobs import BlobMissingError, BlobStore
from exchange.store.dialect import Fetch, Sql, Statement
from exchange.store.rows import NewPart, NewReport, PartRow
from exchange.store.tables import table

POST_TIME: Final = timedelta(days=1)
"""A post that has not come to its end after this never will: its bodies time out after minutes."""

AT_ONCE: Final = 200

_NAME_BYTES = 16

_log = logging.getLogger("exchange.blobs")


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
        self._place = place
        self._clock = clock
        self._randomness = randomness

    async def put_away(self, report: NewReport) -> NewReport:
        """Return `report` with its large parts in the blob store; UnavailableError where one cannot be put there."""
        place = self._place
        if place is None:
            return report
        large = {part.number: self._name() for part in report.parts if len(part.ciphertext) >= place.smallest_bytes}
        if not large:
            return report
        # (1) found again, should what follows never come to its end
        due_at = to_micros(self._clock() + POST_TIME)
        await self._submit(BlobsJob(expected=[(location, due_at) for location in large.values()]))
        # (2) durable
        with _told("kept"):
            for part in report.parts:
                if part.number in large:
                    await place.blobs.add(large[part.number], part.ciphertext)
        return replace(report, parts=tuple(_moved(part, large.get(part.number)) for part in report.parts))

    async def ciphertext(self, part: PartRow) -> bytes:
        """Return what a part is sealed in; BlobMissingError where its blob is not there."""
        if part.location is None:
            return part.ciphertext
        if self._place is None:
            raise BlobMissingError("a part is in a blob store, and `blob_store_url` names none")
        with _told("read"):
            return await self._place.blobs.read(part.location)

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

    async def sweep(self) -> int:
        """Delete blobs that no part names any more, some of them; return how many were seen to."""
        if self._place is None:
            return 0
        due = await self._fetch(self._due, {"now": to_micros(self._clock()), "limit": AT_ONCE})
        locations = [str(location) for (location,) in due]
        for location in locations:
            await self._place.blobs.remove(location)
        if locations:
            await self._submit(BlobsJob(settled=locations))
        return len(locations)

    def _name(self) -> str:
        # Chance alone: who sees the store's folder learns neither reports nor which parts belong together.
        name = self._randomness(_NAME_BYTES).hex()
        return f"parts/{name[:2]}/{name}"


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


def _due(sql: Sql) -> Statement:
    debris = table(str(BlobDebrisTable.__tablename__))
    due = select(debris.c.location).where(debris.c.due_at <= bindparam("now")).order_by(debris.c.due_at)
    return sql.compile(due.limit(bindparam("limit")))
