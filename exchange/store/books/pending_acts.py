"""Acts that wait for a second person, within a unit of work."""

from dataclasses import replace

from sqlalchemy import ColumnElement, func, select, update
from sqlmodel import col

from exchange.kernel import from_micros, to_micros
from exchange.members import Client, ClientId, PendingAct
from exchange.store.books.book import Book
from exchange.store.rows.shapes import digest_in, id_in, text_in
from exchange.store.rows.unread import Unread, UnreadRow, read_alone
from exchange.store.tables.main_tables import ClientTable
from exchange.store.tables.personal_tables import PendingActEndTable, PendingActTable


class PendingActs(Book):
    """Acts that wait for a second person, in one transaction."""

    async def add(self, act: PendingAct) -> None:
        """Add an act that somebody asked for."""
        self._note_write()
        self._session.add(
            PendingActTable(
                id=act.id,
                kind=act.kind,
                payload=act.payload,
                digest=act.digest,
                requester=act.requester,
                requested_at=to_micros(act.requested_at),
                expires_at=to_micros(act.expires_at),
            )
        )
        await self._session.flush()

    async def one(self, act_id: str, kind: str | None = None) -> PendingAct | None:
        """Return an act, of one kind or of any, held to the end of the unit: two approvals come one after the other."""
        which = [col(PendingActTable.id) == act_id]
        if kind is not None:
            which.append(col(PendingActTable.kind) == kind)
        row = await self._session.scalar(select(PendingActTable).where(*which).with_for_update())
        # Looked up to the end where there is none: what may not be seen costs what an absent one costs.
        ended = await self._session.scalar(select(PendingActEndTable).where(col(PendingActEndTable.act_id) == act_id))
        return None if row is None else read_alone(row, lambda found: _act_of(found, ended), f"act {act_id}")

    async def open(self, unread: Unread) -> list[PendingAct]:
        """Return every act that waits for a second person, the oldest first, without those that cannot be read."""
        found = select(PendingActTable).where(*self._waits()).order_by(col(PendingActTable.id))
        rows = await self._session.scalars(found)
        return unread.each(rows, lambda row: _act_of(row, None), lambda row: UnreadRow(f"act {row.id}"))

    async def count_open(self, requester: Client) -> int:
        """Return how many acts that `requester` asked for wait for a second person."""
        is_its = col(PendingActTable.requester) == requester.id
        counted = select(func.count()).select_from(PendingActTable).where(is_its, *self._waits())
        return int(await self._session.scalar(counted) or 0)

    async def count_open_of(self, member: str) -> int:
        """Return how many acts that clients of `member` asked for wait for a second person."""
        client = ClientTable
        is_its = (col(client.id) == col(PendingActTable.requester), col(client.member) == member)
        # A client is of one member for ever: its first version says which.
        asked_by = select(col(client.id)).where(*is_its, col(client.version) == 1)
        counted = select(func.count()).select_from(PendingActTable).where(asked_by.exists(), *self._waits())
        return int(await self._session.scalar(counted) or 0)

    async def approve(self, act: PendingAct, approver: Client) -> PendingAct:
        """Write down who approved an act, and return it so; whether it may was checked."""
        self._note_write()
        approved = update(PendingActTable).where(col(PendingActTable.id) == act.id)
        await self._session.execute(approved.values(approver=approver.id, approved_at=to_micros(self._now)))
        return replace(act, approver=approver.id)

    async def end(self, act: PendingAct, refuser: Client, reason: str | None = None) -> PendingAct:
        """Write down who ended an act without its being done, and return it so; whether it may was checked."""
        self._note_write()
        ended = PendingActEndTable(act_id=act.id, client=refuser.id, ended_at=to_micros(self._now), reason=reason)
        self._session.add(ended)
        await self._session.flush()
        return replace(act, refuser=refuser.id, refusal=reason)

    def _waits(self) -> tuple[ColumnElement[bool], ...]:
        ended = select(col(PendingActEndTable.act_id)).where(col(PendingActEndTable.act_id) == col(PendingActTable.id))
        is_open = (col(PendingActTable.approver).is_(None), col(PendingActTable.expires_at) > to_micros(self._now))
        return (*is_open, ~ended.exists())


def _act_of(row: PendingActTable, ended: PendingActEndTable | None) -> PendingAct:
    act = PendingAct(
        id=id_in(row.id),
        kind=text_in(row.kind),
        payload=text_in(row.payload),
        digest=digest_in(row.digest),
        requester=ClientId(id_in(row.requester)),
        requested_at=from_micros(row.requested_at),
        expires_at=from_micros(row.expires_at),
        approver=None if row.approver is None else ClientId(id_in(row.approver)),
        refuser=None if ended is None else ClientId(id_in(ended.client)),
        refusal=None if ended is None or ended.reason is None else text_in(ended.reason),
    )
    act.require_readable()
    return act
