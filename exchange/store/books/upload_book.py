"""Uploads within a unit of work: begun, parts received, ended.

INVARIANT: an upload is no report. What reads reports finds it nowhere until `complete` has made one of it.
"""

import hashlib
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import delete, func, insert, literal, select, update
from sqlmodel import col

from exchange.kernel import ConflictError, UnavailableError, to_micros
from exchange.store.books.book import Book
from exchange.store.books.given_up import give_up_blobs
from exchange.store.books.report_book import sealed_part_columns
from exchange.store.rows.main_rows import Idempotency, NewPart, NewReport
from exchange.store.rows.unread import read_alone
from exchange.store.rows.upload_rows import NewUpload, ReceivedPart, UploadEnd
from exchange.store.tables.blob_tables import BlobDebrisTable
from exchange.store.tables.main_tables import IdempotencyTable, PartTable
from exchange.store.tables.upload_tables import UploadPartTable, UploadTable

_REPLAYED: Final = timedelta(hours=24)
"""How long an Idempotency-Key is honoured (contract)."""

_MOVED = (
    *("number", "size_bytes", "key_id", "key_version", "wrap_suite"),
    *("wrapped_key", "suite", "ciphertext", "location"),
)


class UploadBook(Book):
    """Uploads in one transaction."""

    async def open_of(self, client_id: str) -> int:
        """Return how many uploads of a client are open: what is past its time is not, whether given up yet or held."""
        row = UploadTable
        is_open = (col(row.ended).is_(None), col(row.due_at) > to_micros(self._now))
        which = (col(row.client_id) == client_id, *is_open)
        return int(await self._session.scalar(select(func.count()).where(*which)) or 0)

    async def known_key(self, asked: Idempotency) -> str | None:
        """Return what came with an idempotency key before; ConflictError where that was another request.

        Call it while the order of posts is held: of two with one key the second finds the first.
        """
        row = IdempotencyTable
        since = to_micros(self._now - _REPLAYED)
        which = (col(row.client_id) == asked.client_id, col(row.key) == asked.key, col(row.created_at) > since)
        found = (await self._session.execute(select(col(row.request_digest), col(row.report_id)).where(*which))).first()
        if found is None:
            return None
        # One that a version before `0057` began: its row has the request's digest alone.
        if found[0] not in {_digest_for(asked, found[1]), asked.request_digest}:
            raise ConflictError("this Idempotency-Key came with another request before: use a new one")
        return str(found[1])

    async def keep_key(self, key: Idempotency, upload_id: str) -> None:
        """Keep that an upload was begun with this key."""
        self._note_write()
        row = IdempotencyTable
        which = (col(row.client_id) == key.client_id, col(row.key) == key.key)
        await self._session.execute(delete(row).where(*which))
        columns = {"client_id": key.client_id, "key": key.key, "request_digest": _digest_for(key, upload_id)}
        kept = {**columns, "report_id": upload_id, "created_at": to_micros(self._now)}
        await self._session.execute(insert(row), kept)

    async def add(self, new: NewUpload) -> None:
        """Add an upload, of which nothing has come."""
        self._note_write()
        sealed = new.declaration
        columns = {
            "id": new.id,
            "client_id": new.client,
            "originator": new.originator,
            "agreement": new.agreement,
            "begun_at": to_micros(new.begun_at),
            "due_at": to_micros(new.due_at),
            "revision": 0,
            "key_id": sealed.key_id,
            "key_version": sealed.key_version,
            "header_suite": sealed.suite,
            "sealed_header": sealed.blob,
        }
        await self._session.execute(insert(UploadTable), columns)

    async def hold(self, upload_id: str) -> tuple[int, UploadEnd | None]:
        """Return the revision of an upload and how it ended, held to the end of the unit.

        Raises UnreadRowError where its row was altered.
        """
        row = UploadTable
        asked = select(col(row.revision), col(row.ended)).where(col(row.id) == upload_id).with_for_update()
        return read_alone((await self._session.execute(asked)).one(), _held, f"upload {upload_id}")

    async def put_part(self, upload_id: str, received: ReceivedPart) -> None:
        """Put a part in the place of one that came before it, if any did; the upload is held."""
        self._note_write()
        row = UploadPartTable
        which = (col(row.upload_id) == upload_id, col(row.number) == received.part.number)
        await self._give_up(*which)
        await self._session.execute(delete(row).where(*which))
        await self._session.execute(insert(row), _columns(upload_id, received))
        await self._keep(received.part)
        grown = update(UploadTable).where(col(UploadTable.id) == upload_id)
        await self._session.execute(grown.values(revision=col(UploadTable.revision) + 1))

    async def complete(self, upload_id: str, report: NewReport) -> None:
        """Let the report, which was added before, have the parts that have come: `report` says under which labels."""
        row = UploadPartTable
        of_upload = col(row.upload_id) == upload_id
        for part in report.parts:
            fixed = (literal(report.id), literal(part.label_index))
            moved = select(*fixed, *(col(getattr(row, name)) for name in _MOVED))
            one = moved.where(of_upload, col(row.number) == part.number)
            await self._session.execute(insert(PartTable).from_select(("report_id", "label_index", *_MOVED), one))
        await self._session.execute(delete(row).where(of_upload))
        await self._end(upload_id, UploadEnd.COMPLETED)

    async def abandon(self, upload_id: str) -> None:
        """Destroy the keys of everything that has come of an upload, and what was declared."""
        of_upload = col(UploadPartTable.upload_id) == upload_id
        await self._give_up(of_upload)
        await self._session.execute(delete(UploadPartTable).where(of_upload))
        await self._end(upload_id, UploadEnd.ABANDONED)

    async def _end(self, upload_id: str, end: UploadEnd) -> None:
        self._note_write()
        ended = {"ended": end.value, "ended_at": to_micros(self._now), "sealed_header": b""}
        await self._session.execute(update(UploadTable).where(col(UploadTable.id) == upload_id).values(ended))

    async def _keep(self, part: NewPart) -> None:
        if part.location is not None:
            which = col(BlobDebrisTable.location) == part.location
            found: Any = await self._session.execute(delete(BlobDebrisTable).where(which))
            # INVARIANT: no part names what a sweep may have deleted.
            if not found.rowcount:
                raise UnavailableError("the part was cleared away before all of it was there: send it again")

    async def _give_up(self, *which: Any) -> None:
        # At once: nobody reads what has not become a report.
        row = UploadPartTable
        named = select(col(row.location)).where(*which, col(row.location).is_not(None))
        await give_up_blobs(self._session, named, to_micros(self._now))


def _held(row: Any) -> tuple[int, UploadEnd | None]:
    revision, ended = row
    return int(revision), None if ended is None else UploadEnd(ended)


def _digest_for(key: Idempotency, upload_id: str) -> str:
    # INVARIANT: a row that is made to point at another upload is of another request: what is sent on would come under
    # what that one declared.
    return hashlib.sha256(f"{key.request_digest} {upload_id}".encode()).hexdigest()


def _columns(upload_id: str, received: ReceivedPart) -> dict[str, Any]:
    digest = received.digest
    return {
        "upload_id": upload_id,
        **sealed_part_columns(received.part),
        "digest_key_id": digest.key_id,
        "digest_key_version": digest.key_version,
        "digest_suite": digest.suite,
        "sealed_digest": digest.blob,
    }
