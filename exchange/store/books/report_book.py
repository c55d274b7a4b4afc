"""The life of reports within a unit of work: held, moved to a new version or class, destroyed, and who is told.

INVARIANT: a report that changes its class gets a new sequence number, as if it had just come. What processes remember
of the old number names nothing any more, what they learn from the tail is complete, and no cursor skips it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, ColumnElement, and_, delete, exists, func, insert, literal, or_, select, update
from sqlmodel import col

from exchange.audit.deeds import DeedKind, says_as
from exchange.kernel import ConflictError, MalformedError, StalePolicyError, from_micros, rfc3339, to_micros
from exchange.release import class_as_json
from exchange.reports import Precedence, ReportStatus
from exchange.store.books.book import Book
from exchange.store.books.given_up import give_up_blobs
from exchange.store.log.blobs import GIVEN_UP_TIME
from exchange.store.rows.life_rows import (
    DestructionRow,
    EndCause,
    FormerVersion,
    GivenTo,
    HeldReport,
    NoticeKind,
    NoticeRow,
    TombstoneRow,
    UnreadDestruction,
)
from exchange.store.rows.main_rows import NewPart, NewReport, Sealed
from exchange.store.rows.shapes import bytes_in, id_in, member_in, number_in, text_in
from exchange.store.rows.unread import UNREADABLE, Unread, UnreadRow, read_each
from exchange.store.tables.blob_tables import BlobDebrisTable
from exchange.store.tables.life_tables import (
    DestructionTable,
    NoticeTable,
    ReportPastTable,
    ReportVersionTable,
    TombstoneTable,
)
from exchange.store.tables.main_tables import ClientTable, PartTable, PolicyStateTable, ReleaseClassTable, ReportTable
from exchange.store.writer.places import Place, place_of, places
from exchange.store.writer.standing import hold_state

_KINDS = tuple(kind.value for kind in NoticeKind)

_DESTRUCTIONS = select(DestructionTable, col(ClientTable.member)).outerjoin(
    ClientTable, and_(col(ClientTable.id) == col(DestructionTable.client_id), col(ClientTable.superseded_at).is_(None))
)
"""With the member of the client that is asked."""
_IN_TIME = tuple(col(getattr(DestructionTable, name)) for name in ("asked_at", "report_id", "client_id"))


class ReportBook(Book):
    """Reports and what surrounds them, in one transaction."""

    async def hold_order(self, policy_version: int | None = None) -> None:
        """Hold what gives reports their order, as every post does; before any report is held.

        Raises StalePolicyError where `policy_version` is in force no longer.
        """
        (found,) = await hold_state(self._session, "policy_version")
        if policy_version is not None and found != policy_version:
            raise StalePolicyError("the policy has changed since the decision: decide again")

    async def held(self, report_id: str) -> HeldReport | None:
        """Return a report and hold it to the end of the unit."""
        row = ReportTable
        columns = select(col(row.id), col(row.version), col(row.class_id), col(row.status))
        found = (await self._session.execute(columns.where(col(row.id) == report_id).with_for_update())).first()
        return None if found is None else HeldReport(*found)

    async def require_same(self, report_id: str, *, version: int, class_id: int) -> HeldReport:
        """Return a report held; ConflictError where it is not what was loaded before: somebody else came first."""
        found = await self.held(report_id)
        if found is None or (found.version, found.class_id) != (version, class_id):
            raise ConflictError("somebody else changed it meanwhile: read it again and repeat the change")
        return found

    async def add(self, report: NewReport) -> bool:
        """Add a report without its parts, as a post does; call `hold_order` before.

        Return whether what it supersedes was current until now. Raises ConflictError where it cannot take the place of
        that, StalePolicyError where that moved.
        """
        self._note_write()
        is_new = report.supersedes is not None and await self._take_place(report.supersedes, report)
        facts = report.facts
        place = await self.next_place(report.posted_at)
        columns = {
            "seq": place[0],
            "id": report.id,
            "class_id": await self._class_id(report),
            "version": report.version,
            "agreement": facts.agreement,
            "originator": facts.originator,
            "recorded_at": place[1],
            "posted_at": to_micros(report.posted_at),
            "valid_until": None if report.valid_until is None else to_micros(report.valid_until),
            "precedence": report.precedence.value,
            "status": ReportStatus.CURRENT.value,
            "supersedes": report.supersedes,
            "declassify_on": None if report.declassify_on is None else to_micros(report.declassify_on),
            **_header_columns(report.header),
        }
        await self._session.execute(insert(ReportTable), columns)
        return is_new

    async def require_free_place(self, report_id: str) -> None:
        """Raise ConflictError where no report can take the place of this one; call `hold_order` before."""
        (await self._place(report_id)).require_free()

    async def _place(self, report_id: str) -> Place:
        found = (await self._session.execute(places(col(ReportTable.id) == report_id))).first()
        if found is None:
            raise ConflictError("the report to be superseded is gone")
        return place_of(found)

    async def _take_place(self, report_id: str, report: NewReport) -> bool:
        place = await self._place(report_id)
        place.take(report)
        row = ReportTable
        which = (col(row.id) == report_id, col(row.status) == ReportStatus.CURRENT.value)
        await self._session.execute(update(row).where(*which).values(status=ReportStatus.SUPERSEDED.value))
        return place.is_current

    async def takers(self, report_ids: Sequence[str]) -> dict[str, str]:
        """Return what has the place of each of these reports, where anything that was not destroyed has it."""
        which = self._is_among(col(ReportTable.id), report_ids)
        found = map(place_of, await self._session.execute(places(which)))
        return {place.report: place.taken_by for place in found if place.taken_by is not None}

    async def move(self, report: NewReport, *, header_only: bool = False) -> None:
        """Put a new version, or class, in the place of what is there; call `hold_order` before.

        With `header_only` the parts stay as they are: neither their labels nor the version changed.
        """
        self._note_write()
        facts = report.facts
        place = await self.next_place(report.posted_at)
        await self._keep_past(report.id, report.precedence)
        changed = {
            "seq": place[0],
            "recorded_at": place[1],
            "class_id": await self._class_id(report),
            "posted_class": func.coalesce(col(ReportTable.posted_class), col(ReportTable.class_id)),
            "version": report.version,
            "valid_until": None if report.valid_until is None else to_micros(report.valid_until),
            "declassify_on": None if report.declassify_on is None else to_micros(report.declassify_on),
            "precedence": report.precedence.value,
            "agreement": facts.agreement,
            **_header_columns(report.header),
        }
        await self._session.execute(update(ReportTable).where(col(ReportTable.id) == report.id).values(changed))
        if header_only:
            return
        await self._give_up_blobs(report.id)
        await self._session.execute(delete(PartTable).where(col(PartTable.report_id) == report.id))
        await self._session.execute(insert(PartTable), [_part_columns(report.id, part) for part in report.parts])
        kept = [part.location for part in report.parts if part.location is not None]
        if kept:
            await self._session.execute(delete(BlobDebrisTable).where(col(BlobDebrisTable.location).in_(kept)))

    async def _keep_past(self, report_id: str, next_precedence: Precedence) -> None:
        row = ReportTable
        was = (
            col(row.seq),
            col(row.id),
            col(row.class_id),
            col(row.valid_until),
            literal(to_micros(self._now), BigInteger),
            func.nullif(col(row.precedence), next_precedence.value),
        )
        kept = ("seq", "report_id", "class_id", "valid_until", "until_at", "precedence")
        # What somebody wrote in its place stays, for the walk over reports to tell of, and keeps none from moving.
        is_free = ~exists().where(col(ReportPastTable.seq) == col(row.seq))
        await self._session.execute(
            insert(ReportPastTable).from_select(kept, select(*was).where(col(row.id) == report_id, is_free))
        )

    async def shred(self, report_id: str, status: ReportStatus) -> None:
        """Destroy every key of a report and what was sealed without one: nothing of it opens any more."""
        self._note_write()
        await self._give_up_blobs(report_id)
        parts = update(PartTable).where(col(PartTable.report_id) == report_id)
        await self._session.execute(parts.values(wrapped_key=b"", ciphertext=b"", location=None))
        gone = {"status": status.value, "sealed_header": b"", "declassify_on": None}
        await self._session.execute(update(ReportTable).where(col(ReportTable.id) == report_id).values(gone))

    async def add_version(self, report_id: str, former: FormerVersion) -> None:
        """Keep the digest of a version that was replaced; what somebody wrote in its place keeps none from that."""
        self._note_write()
        if await self._session.get(ReportVersionTable, (report_id, former.version)) is not None:
            return
        row = {
            "report_id": report_id,
            "version": former.version,
            "digest": former.digest,
            "replaced_at": to_micros(former.replaced_at),
            "entry_id": former.entry,
        }
        await self._session.execute(insert(ReportVersionTable), row)

    async def former_version(self, report_id: str, version: int) -> FormerVersion | None:
        """Return a version of a report that was replaced."""
        row = await self._session.get(ReportVersionTable, (report_id, version))
        return None if row is None else FormerVersion(version, row.digest, from_micros(row.replaced_at), row.entry_id)

    async def add_tombstone(self, stone: TombstoneRow) -> None:
        """Keep the signed word that a report's keys were destroyed."""
        self._note_write()
        row = {
            "report_id": stone.report,
            "cause": stone.cause.value,
            "raised_at": to_micros(stone.at),
            "note": stone.note,
            "entry_id": stone.entry,
        }
        await self._session.execute(insert(TombstoneTable), row)

    async def has_tombstone(self, report_id: str) -> bool:
        """Return whether a report's keys were destroyed, whatever became of the word about it."""
        return await self._session.get(TombstoneTable, report_id) is not None

    async def tombstones(self, report_ids: Sequence[str]) -> dict[str, TombstoneRow]:
        """Return the tombstones of these reports, without those that were altered."""
        which = self._is_among(col(TombstoneTable.report_id), report_ids)
        rows = await self._session.scalars(select(TombstoneTable).where(which))
        found = read_each(rows, _tombstone, Unread(), lambda row: UnreadRow(f"report {row.report_id}: tombstone"))
        return {each.report: each for each in found}

    async def asked_to_destroy(self, report_id: str) -> dict[str, object]:
        """Return of which clients destruction of a report was asked, and when, whatever else their rows say."""
        row = DestructionTable
        asked = select(col(row.client_id), col(row.asked_at)).where(col(row.report_id) == report_id)
        return dict(list(await self._session.execute(asked)))

    async def destructions(
        self, *, report: str | None = None, member: str | None = None
    ) -> tuple[list[DestructionRow], list[UnreadDestruction]]:
        """Return destructions asked for: of one report, or the open ones of one member; oldest first.

        INVARIANT: what cannot be read was asked for, and is told apart from what never was.
        """
        found: list[DestructionRow] = []
        unread: list[UnreadDestruction] = []
        for which in _asked_of(report, member):
            for row in await self._session.execute(_DESTRUCTIONS.where(*which).order_by(*_IN_TIME)):
                each = _destruction_or_not(*row)
                if isinstance(each, DestructionRow):
                    found.append(each)
                else:
                    unread.append(each)
        return found, unread

    async def destruction(self, report_id: str, client_id: str) -> DestructionRow | UnreadDestruction | None:
        """Return the destruction of a report asked of one client, held to the end of the unit."""
        which = (col(DestructionTable.report_id) == report_id, col(DestructionTable.client_id) == client_id)
        held = _DESTRUCTIONS.where(*which).with_for_update(of=DestructionTable)
        row = (await self._session.execute(held)).first()
        return None if row is None else _destruction_or_not(*row)

    async def ask_destruction(self, rows: Sequence[DestructionRow], forged: Collection[str]) -> None:
        """Keep that these clients are asked, of those in `forged` in the place of what lies there.

        Nobody is asked twice about one report: the caller has seen to it.
        """
        self._note_write()
        table = DestructionTable
        if new := [_destruction_columns(row) for row in rows if row.given.client not in forged]:
            await self._session.execute(insert(table), new)
        for row in rows:
            if row.given.client in forged:
                which = (col(table.report_id) == row.report, col(table.client_id) == row.given.client)
                await self._session.execute(update(table).where(*which).values(_destruction_columns(row)))

    async def certify(self, row: DestructionRow) -> None:
        """Keep the certificate that was returned."""
        self._note_write()
        which = (col(DestructionTable.report_id) == row.report, col(DestructionTable.client_id) == row.given.client)
        columns = _destruction_columns(row)
        kept = {name: columns[name] for name in ("returned_at", "returned_by", "note", "entry_id")}
        await self._session.execute(update(DestructionTable).where(*which).values(kept))

    async def tell(self, rows: Sequence[NoticeRow]) -> None:
        """Keep what clients are to be told; call `hold_order` before.

        INVARIANT: whoever carries it to them goes on behind the last number seen: none comes to be behind that later.
        """
        if rows:
            self._note_write()
            await self._session.execute(insert(NoticeTable), [_notice_columns(row) for row in rows])

    async def notices(self, client_id: str, *, after: int, limit: int) -> list[tuple[int, NoticeRow | UnreadRow]]:
        """Return number and notice of what one client is to be told behind a number, in order.

        Kinds of a newer version are not told.
        """
        row = NoticeTable
        which = (col(row.client_id) == client_id, col(row.number) > after, col(row.kind).in_(_KINDS))
        found = await self._session.scalars(select(row).where(*which).order_by(col(row.number)).limit(limit))
        return [(each.number or after, _notice_or_not(each)) for each in found]

    async def untold(self, notices: Sequence[NoticeRow], entry: str) -> list[NoticeRow]:
        """Return those of these notices, of what one entry tells, whose clients were told nothing of that yet."""
        row = NoticeTable
        which = self._is_among(col(row.client_id), [each.client for each in notices])
        told = select(col(row.client_id)).where(which, col(row.entry_id) == entry)
        known = frozenset(await self._session.scalars(told))
        return [each for each in notices if each.client not in known]

    async def _give_up_blobs(self, report_id: str) -> None:
        row = PartTable
        named = select(col(row.location)).where(col(row.report_id) == report_id, col(row.location).is_not(None))
        await give_up_blobs(self._session, named, to_micros(self._now + GIVEN_UP_TIME))

    async def next_place(self, now: datetime) -> tuple[int, int]:
        """Return the next sequence number and its time, which never falls while the number grows."""
        state = PolicyStateTable
        seq, recorded_at = await hold_state(self._session, "report_seq", "recorded_at")
        place = (seq + 1, max(recorded_at, to_micros(now)))
        await self._session.execute(update(state).values(report_seq=place[0], recorded_at=place[1]))
        return place

    async def _class_id(self, report: NewReport) -> int:
        row = ReleaseClassTable
        known = await self._session.scalar(select(col(row.id)).where(col(row.digest) == report.digest))
        if known is not None:
            return int(known)
        state = PolicyStateTable
        (version,) = await hold_state(self._session, "class_version")
        await self._session.execute(update(state).values(class_version=version + 1))
        facts = orjson.dumps(class_as_json(report.facts)).decode()
        await self._session.execute(insert(row), {"id": version + 1, "digest": report.digest, "facts": facts})
        return int(version) + 1


def _header_columns(header: Sealed) -> dict[str, Any]:
    return {
        "key_id": header.key_id,
        "key_version": header.key_version,
        "header_suite": header.suite,
        "sealed_header": header.blob,
    }


def _part_columns(report_id: str, part: NewPart) -> dict[str, Any]:
    return {"report_id": report_id, "label_index": part.label_index, **sealed_part_columns(part)}


def sealed_part_columns(part: NewPart) -> dict[str, Any]:
    """Return what every table that keeps parts has of one, by the names of its columns."""
    return {
        "number": part.number,
        "size_bytes": part.size_bytes,
        "key_id": part.key.key_id,
        "key_version": part.key.key_version,
        "wrap_suite": part.key.suite,
        "wrapped_key": part.key.blob,
        "suite": part.suite,
        "ciphertext": part.ciphertext,
        "location": part.location,
    }


def _destruction_columns(row: DestructionRow) -> dict[str, Any]:
    given = row.given
    return {
        "report_id": row.report,
        "client_id": given.client,
        "member": given.member,
        "agency": given.agency,
        "read_at": to_micros(given.at),
        "read_entry": given.entry,
        "asked_at": to_micros(row.asked_at),
        "due_at": to_micros(row.due_at),
        "returned_at": None if row.returned_at is None else to_micros(row.returned_at),
        "returned_by": row.returned_by,
        "note": row.note,
        "entry_id": row.entry,
    }


def _tombstone(row: TombstoneTable) -> TombstoneRow:
    note, cause, at = bytes_in(row.note), EndCause(row.cause), from_micros(row.raised_at)
    said = {"report": row.report_id, "cause": cause.value, "at": rfc3339(at)}
    if not says_as(note, DeedKind.TOMBSTONE, said):
        # INVARIANT: who may know that a report was recalled is shown the word about this one, and no other's.
        raise MalformedError("a tombstone says another thing than its row")
    return TombstoneRow(id_in(row.report_id), cause, at, note, row.entry_id)


def _asked_of(report: str | None, member: str | None) -> list[tuple[ColumnElement[bool], ...]]:
    """Return which rows are of a report, or open and of a member: by their own word, and then by their clients'."""
    row = DestructionTable
    if member is None:
        return [(col(row.report_id) == report,)]
    # One that says when, and has no certificate, was altered: it is as open as before.
    is_open = or_(col(row.returned_at).is_(None), col(row.note).is_(None))
    is_elsewhere = (col(row.note).is_(None), col(row.member) != member)
    return [(col(row.member) == member, is_open), (*is_elsewhere, col(ClientTable.member) == member)]


def _destruction_or_not(row: DestructionTable, member: str | None) -> DestructionRow | UnreadDestruction:
    """Return a destruction whose client is of `member`, where that is known."""
    try:
        if member not in {None, row.member}:
            # INVARIANT: neither asked of a member that did not have it, nor hidden from the one that had.
            raise MalformedError("a destruction names another member than its client's")
        return _destruction(row)
    except UNREADABLE:
        return UnreadDestruction(str(row.report_id), str(row.client_id), str(member or row.member))


def _destruction(row: DestructionTable) -> DestructionRow:
    certificate = (row.returned_at, row.returned_by, row.note, row.entry_id)
    if any(each is None for each in certificate) and certificate != (None,) * len(certificate):
        # INVARIANT: nothing is certified without the certificate.
        raise MalformedError("a destruction was certified in part")
    agency, read_entry = text_in(row.agency), id_in(row.read_entry)
    return DestructionRow(
        report=id_in(row.report_id),
        given=GivenTo(id_in(row.client_id), member_in(row.member), agency, from_micros(row.read_at), read_entry),
        asked_at=from_micros(row.asked_at),
        due_at=from_micros(row.due_at),
        returned_at=None if row.returned_at is None else from_micros(row.returned_at),
        returned_by=row.returned_by,
        note=None if row.note is None else bytes_in(row.note),
        entry=row.entry_id,
    )


def _notice_columns(row: NoticeRow) -> dict[str, Any]:
    return {
        "client_id": row.client,
        "member": row.member,
        "kind": row.kind.value,
        "report_id": row.report,
        "version": row.version,
        "told_at": to_micros(row.at),
        "entry_id": row.entry,
    }


def _notice_or_not(row: NoticeTable) -> NoticeRow | UnreadRow:
    try:
        return _notice(row)
    except UNREADABLE:
        return UnreadRow(f"notice {row.number}")


def _notice(row: NoticeTable) -> NoticeRow:
    return NoticeRow(
        client=row.client_id,
        member=row.member,
        kind=NoticeKind(row.kind),
        report=id_in(row.report_id),
        version=number_in(row.version),
        at=from_micros(row.told_at),
        entry=id_in(row.entry_id),
        number=row.number,
    )
