"""Acts that wait for a second person, and the keys that an erasure destroys, within a unit of work."""

from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from exchange.kernel import from_micros, to_micros
from exchange.members import ClientId, PendingAct
from exchange.store.personal_tables import PendingActEndTable, PendingActTable, PersonalKeyTable
from exchange.store.shapes import digest_in, id_in, text_in
from exchange.store.unread import Unread, UnreadRow, read_alone


async def add_pending_act(session: AsyncSession, act: PendingAct) -> None:
    """Add an act that somebody asked for."""
    session.add(
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
    await session.flush()


async def pending_act(session: AsyncSession, act_id: str, kind: str | None = None) -> PendingAct | None:
    """Return an act, of one kind or of any, held to the end of the unit: two approvals come one after the other."""
    which = [col(PendingActTable.id) == act_id]
    if kind is not None:
        which.append(col(PendingActTable.kind) == kind)
    row = await session.scalar(select(PendingActTable).where(*which).with_for_update())
    # Looked up to the end where there is none: what may not be seen costs what an absent one costs.
    ended = await session.scalar(select(PendingActEndTable).where(col(PendingActEndTable.act_id) == act_id))
    return None if row is None else read_alone(row, lambda found: _act_of(found, ended), f"act {act_id}")


async def open_acts(session: AsyncSession, now: datetime, unread: Unread) -> list[PendingAct]:
    """Return every act that waits at `now`, the oldest first, without those that cannot be read."""
    ended = select(col(PendingActEndTable.act_id)).where(col(PendingActEndTable.act_id) == col(PendingActTable.id))
    waits = (col(PendingActTable.approver).is_(None), col(PendingActTable.expires_at) > to_micros(now))
    found = select(PendingActTable).where(*waits, ~ended.exists()).order_by(col(PendingActTable.id))
    rows = await session.scalars(found)
    return unread.each(rows, lambda row: _act_of(row, None), lambda row: UnreadRow(f"act {row.id}"))


async def count_open_acts(session: AsyncSession, requester: str, now: datetime) -> int:
    """Return how many acts that a client asked for wait at `now`."""
    ended = select(col(PendingActEndTable.act_id)).where(col(PendingActEndTable.act_id) == col(PendingActTable.id))
    waits = (col(PendingActTable.approver).is_(None), col(PendingActTable.expires_at) > to_micros(now))
    is_its = col(PendingActTable.requester) == requester
    counted = select(func.count()).select_from(PendingActTable).where(is_its, *waits, ~ended.exists())
    return int(await session.scalar(counted) or 0)


async def approve_act(session: AsyncSession, act_id: str, approver: str, now: datetime) -> None:
    """Write down who approved an act."""
    approved = update(PendingActTable).where(col(PendingActTable.id) == act_id)
    await session.execute(approved.values(approver=approver, approved_at=to_micros(now)))


async def end_act(session: AsyncSession, act_id: str, client: str, now: datetime, reason: str | None) -> None:
    """Write down who ended an act without its being done, and why."""
    session.add(PendingActEndTable(act_id=act_id, client=client, ended_at=to_micros(now), reason=reason))
    await session.flush()


async def count_personal_keys(session: AsyncSession, subject: str, period: str) -> int:
    """Return how many keys of a subject's period there are that are not destroyed."""
    counted = select(func.count()).select_from(PersonalKeyTable).where(*_living(subject, period))
    return int(await session.scalar(counted) or 0)


async def destroy_personal_keys(session: AsyncSession, subject: str, period: str, now: datetime) -> int:
    """Overwrite every key of a subject's period and return how many there were."""
    destroyed = update(PersonalKeyTable).where(*_living(subject, period))
    result = await session.execute(destroyed.values(wrapped_key=b"", destroyed_at=to_micros(now)))
    return int(result.rowcount)  # type: ignore[attr-defined]  # an UPDATE gives a CursorResult


def _living(subject: str, period: str) -> tuple[ColumnElement[bool], ...]:
    is_it = (col(PersonalKeyTable.subject) == subject, col(PersonalKeyTable.period) == period)
    return (*is_it, col(PersonalKeyTable.destroyed_at).is_(None))


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
