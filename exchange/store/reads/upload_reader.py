"""Uploads, read beside any unit of work: what one is, what has come of it, and which have waited too long."""

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select

from exchange.kernel import from_micros, to_micros
from exchange.store.database.dialect import Fetch, Row, Sql
from exchange.store.rows.shapes import id_in
from exchange.store.rows.unread import Unread, UnreadRow
from exchange.store.rows.upload_rows import OpenUploadRow, UploadPartRow, UploadRow
from exchange.store.tables.main_tables import table
from exchange.store.tables.upload_tables import UploadPartTable, UploadTable

_ROW = (
    *("id", "client_id", "originator", "agreement", "begun_at", "due_at", "revision", "ended"),
    *("key_id", "key_version", "header_suite", "sealed_header"),
)
_PART = (
    *("number", "size_bytes", "key_id", "key_version", "wrap_suite", "wrapped_key", "suite", "location"),
    *("digest_key_id", "digest_key_version", "digest_suite", "sealed_digest"),
)


class UploadReader:
    """Reads uploads of one database."""

    def __init__(self, fetch: Fetch, sql: Sql) -> None:
        self._fetch = fetch
        self._one = sql.once(_one)
        self._parts = sql.once(_parts)
        self._due = sql.once(_due)
        self._open = sql.once(_open)

    async def one(self, upload_id: str) -> UploadRow | None:
        """Return an upload, whoever makes it; None where there is none."""
        rows = await self._fetch(self._one, {"upload_id": upload_id})
        return UploadRow._make(rows[0]) if rows else None

    async def parts(self, upload_id: str) -> list[UploadPartRow]:
        """Return what has come of an upload, by number."""
        rows = await self._fetch(self._parts, {"upload_id": upload_id})
        return [UploadPartRow._make(row) for row in rows]

    async def open_of(self, client_id: str, now: datetime, unread: Unread) -> list[OpenUploadRow]:
        """Return the uploads of a client that are open at `now`, the oldest first, and how much has come of each.

        Without those of which not even their rows can be read.
        """
        rows = await self._fetch(self._open, {"client_id": client_id, "now": to_micros(now)})
        return unread.each(rows, _open_row, lambda row: UnreadRow(f"upload {row[0]}"))

    async def due(self, now: datetime, *, after: str, limit: int) -> list[str]:
        """Return the ids of open uploads that are to be given up, in their order, behind the id `after`."""
        rows = await self._fetch(self._due, {"now": to_micros(now), "after": after, "limit": limit})
        # As they stand: what is made of one that is no text is no place that anything is behind.
        return [upload for (upload,) in rows]


def _open_row(row: Row) -> OpenUploadRow:
    upload = UploadRow._make(row[: len(_ROW)])
    # All that is shown where what was declared was damaged as well.
    for shown in (upload.id, upload.agreement):
        id_in(shown)
    for micros in (upload.begun_at_micros, upload.due_at_micros):
        from_micros(micros)
    return OpenUploadRow(upload, int(row[-2]), int(row[-1]))


def _one(sql: Sql) -> Any:
    upload = table(UploadTable)
    return sql.compile(select(*(upload.c[name] for name in _ROW)).where(upload.c.id == bindparam("upload_id")))


def _parts(sql: Sql) -> Any:
    part = table(UploadPartTable)
    which = part.c.upload_id == bindparam("upload_id")
    return sql.compile(select(*(part.c[name] for name in _PART)).where(which).order_by(part.c.number))


def _open(sql: Sql) -> Any:
    upload, part = (table(str(each.__tablename__)) for each in (UploadTable, UploadPartTable))
    came = func.coalesce(func.sum(part.c.size_bytes), 0)
    # No declaration is compared or grouped: what came is summed beside the rows.
    parts, received = (
        select(what).where(part.c.upload_id == upload.c.id).scalar_subquery() for what in (func.count(), came)
    )
    is_open = (upload.c.ended.is_(None), upload.c.due_at > bindparam("now"))
    asked = select(*(upload.c[name] for name in _ROW), parts, received)
    return sql.compile(
        asked.where(upload.c.client_id == bindparam("client_id"), *is_open).order_by(upload.c.begun_at, upload.c.id)
    )


def _due(sql: Sql) -> Any:
    upload = table(UploadTable)
    is_due = (upload.c.ended.is_(None), upload.c.due_at <= bindparam("now"), upload.c.id > bindparam("after"))
    # The ids are of the time when they were begun.
    return sql.compile(select(upload.c.id).where(*is_due).order_by(upload.c.id).limit(bindparam("limit")))
