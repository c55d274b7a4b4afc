"""Subscriptions and what is to be told: `SubscriptionBook` for who subscribes, `Subscriptions` for who tells them.

Promises: the position of a subscription and what was queued on the way there become durable together, and two that
queue for one subscription never both do. At least once: a sender that dies in between sends again.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import col

from exchange.kernel import MalformedError, from_micros, is_uuid7
from exchange.store.database.engine import read_rows, write_rows
from exchange.store.database.faults import driver_errors
from exchange.store.database.put_off import PUT_OFF_AT_MOST_MICROS, is_due, one_more
from exchange.store.rows.main_rows import Sealed
from exchange.store.rows.shapes import none_or, text_in
from exchange.store.rows.subscription_rows import DeliveryRow, DeliveryState, SubscriptionRow
from exchange.store.rows.unread import Unread, UnreadRow
from exchange.store.tables.main_tables import CertificateTable, ClientTable
from exchange.store.tables.request_tables import RequestTable
from exchange.store.tables.subscription_tables import SubscriptionDeliveryTable, SubscriptionTable

_LONGEST_TOLD = 200
_SHOWN = (DeliveryState.DELIVERED.value, DeliveryState.DEAD.value)
_WAITING = col(SubscriptionDeliveryTable.state) == DeliveryState.WAITING.value
# Ids begin with a digit, or `a` to `f`: on SQLite bytes, by which no row is found again, stand behind every text.
_SENDABLE = and_(_WAITING, col(SubscriptionDeliveryTable.id) < "g")


class SubscriptionBook:
    """Subscriptions in one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: SubscriptionRow) -> None:
        """Add a subscription."""
        self._session.add(_table_row(row))
        await self._session.flush()

    async def of_client(self, client_id: str, unread: Unread) -> list[SubscriptionRow]:
        """Return a client's subscriptions, oldest first, without those that cannot be read."""
        return await self._found(col(SubscriptionTable.client_id) == client_id, unread=unread)

    async def count(self, client_id: str) -> int:
        """Return how many subscriptions a client has, those that cannot be read among them."""
        which = (col(SubscriptionTable.client_id) == client_id, col(SubscriptionTable.ended_at).is_(None))
        return int(await self._session.scalar(select(func.count()).select_from(SubscriptionTable).where(*which)) or 0)

    async def count_of(self, member: str) -> int:
        """Return how many subscriptions the clients of `member` have, those that cannot be read among them."""
        client = ClientTable
        is_its = (col(client.id) == col(SubscriptionTable.client_id), col(client.member) == member)
        # A client is of one member for ever: its first version says which.
        subscribed = select(col(client.id)).where(*is_its, col(client.version) == 1)
        which = (subscribed.exists(), col(SubscriptionTable.ended_at).is_(None))
        return int(await self._session.scalar(select(func.count()).select_from(SubscriptionTable).where(*which)) or 0)

    async def all(self, unread: Unread) -> list[SubscriptionRow]:
        """Return everybody's, oldest first, without those that cannot be read."""
        return await self._found(unread=unread)

    async def of_members(self, members: Collection[str]) -> list[str]:
        """Return the subscriptions of the clients of these members, held: whoever ends one ends what is queued for it.

        What each may know is decided when it is told.
        """
        subscription, client = SubscriptionTable, ClientTable
        chosen = (
            select(col(subscription.id))
            .join(client, col(client.id) == col(subscription.client_id))
            .where(col(subscription.ended_at).is_(None), col(client.superseded_at).is_(None))
            .where(col(client.member).in_(members))
        )
        held = chosen.order_by(col(subscription.id)).with_for_update(read=True, of=subscription)
        return list(await self._session.scalars(held))

    async def one(self, subscription_id: str, *, has_ended: bool = False) -> SubscriptionRow | None:
        """Return a subscription that has not ended, or one that has, held to the end of the unit."""
        found = await self._found(col(SubscriptionTable.id) == subscription_id, is_held=True, has_ended=has_ended)
        return found[0] if found else None

    async def end(self, subscription_id: str, at: int) -> None:
        """End a subscription; what it was still to be told is forgotten, and so is its secret."""
        is_it = col(SubscriptionTable.id) == subscription_id
        await self._session.execute(update(SubscriptionTable).where(is_it).values(ended_at=at, wrapped_secret=b""))
        of_it = col(SubscriptionDeliveryTable.subscription_id) == subscription_id
        await self._session.execute(delete(SubscriptionDeliveryTable).where(of_it))

    async def queue(self, *rows: DeliveryRow) -> None:
        """Add what is to be told."""
        self._session.add_all([_delivery_table_row(row) for row in rows])
        await self._session.flush()

    async def deliveries(self, subscription_ids: Sequence[str], limit: int, unread: Unread) -> list[DeliveryRow]:
        """Return what was told and what could not be, newest first, without what cannot be read.

        Of what waits, tests alone: whether the rest may be known of is decided when it is sent.
        """
        due = SubscriptionDeliveryTable
        waiting_test = and_(_WAITING, col(due.report_id).is_(None), col(due.breach_id).is_(None))
        of_them = (col(due.subscription_id).in_(subscription_ids), or_(col(due.state).in_(_SHOWN), waiting_test))
        is_request = exists().where(col(RequestTable.id) == col(due.report_id))
        found = select(due, is_request).where(*of_them).order_by(col(due.id).desc()).limit(limit)
        rows = list(await self._session.execute(found))
        return unread.each(rows, _listed_delivery, lambda row: UnreadRow(f"delivery {row[0].id}"))

    async def replay(self, subscription_id: str, now: int) -> int:
        """Let what could not be told be tried again from the first try; return how many there are."""
        due = SubscriptionDeliveryTable
        is_dead = (col(due.subscription_id) == subscription_id, col(due.state) == DeliveryState.DEAD.value)
        again = {"state": DeliveryState.WAITING.value, "tries": 0, "next_at": now, "ended_at": None}
        result = await self._session.execute(update(due).where(*is_dead).values(**again))
        return int(result.rowcount)  # type: ignore[attr-defined]  # an UPDATE gives a CursorResult

    async def _found(
        self, *conditions: Any, is_held: bool = False, has_ended: bool = False, unread: Unread | None = None
    ) -> list[SubscriptionRow]:
        ended_at = col(SubscriptionTable.ended_at)
        is_so = ended_at.is_not(None) if has_ended else ended_at.is_(None)
        stands = select(SubscriptionTable).where(is_so, *conditions)
        if is_held:
            # As weakly as a change does: what is to be told is still added by others.
            stands = stands.with_for_update(key_share=True)
        rows = await self._session.scalars(stands.order_by(col(SubscriptionTable.id)))
        if unread is None:
            return [_subscription(row) for row in rows]
        return unread.each(rows, _whole, lambda row: UnreadRow(f"subscription {row.id}"))


class Subscriptions:
    """The subscriptions of one database, for whoever tells them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def active(self, unread: Unread) -> list[SubscriptionRow]:
        """Return every subscription that has not ended, without those that cannot be read."""
        with driver_errors():
            async with AsyncSession(self._engine) as session:
                return await SubscriptionBook(session).all(unread)

    async def members(self) -> dict[str, str]:
        """Return the member of each client that has a subscription."""
        client = ClientTable
        subscribed = select(col(SubscriptionTable.client_id)).where(col(SubscriptionTable.ended_at).is_(None))
        chosen = select(col(client.id), col(client.member)).where(
            col(client.superseded_at).is_(None), col(client.id).in_(subscribed)
        )
        return dict(await read_rows(self._engine, chosen))

    async def thumbprint_of(self, client_id: str, now: int) -> str | None:
        """Return a certificate that the client uses, None where it has none that is valid."""
        used = (col(CertificateTable.client_id) == client_id, col(CertificateTable.removed_at).is_(None))
        valid = select(col(CertificateTable.thumbprint)).where(*used, col(CertificateTable.not_after) > now)
        rows = await read_rows(self._engine, valid.order_by(col(CertificateTable.added_at).desc()).limit(1))
        return rows[0][0] if rows else None

    async def move(self, one: SubscriptionRow, seq: int, rows: Sequence[DeliveryRow]) -> bool:
        """Queue `rows` and say that reports up to `seq` were looked at; False where another one came first."""
        stands = (col(SubscriptionTable.id) == one.id, col(SubscriptionTable.ended_at).is_(None))
        moved = update(SubscriptionTable).where(*stands, col(SubscriptionTable.seq) == one.seq).values(seq=seq)
        with driver_errors():
            async with AsyncSession(self._engine) as session:
                result: Any = await session.execute(moved)
                if result.rowcount != 1:
                    return False
                session.add_all([_delivery_table_row(row) for row in rows])
                await session.commit()
        return True

    async def claim(
        self, take: Callable[[str], bool], *, now: int, until: int, limit: int, but: Collection[str]
    ) -> list[DeliveryRow]:
        """Return what is due at `now`, the longest due first, `limit` at most; until `until` nobody else is given it.

        Nothing of the subscriptions in `but`; of others only what `take` takes, which is told the subscription of each.
        """
        due = SubscriptionDeliveryTable
        wanted = (_SENDABLE, _is_due(now), col(due.subscription_id).not_in(but))
        chosen = select(due).where(*wanted).order_by(col(due.next_at), col(due.id))
        with driver_errors():
            async with AsyncSession(self._engine) as session:
                looked_at = await session.scalars(chosen.limit(limit).with_for_update(skip_locked=True))
                rows = [row for row in looked_at if take(row.subscription_id)]
                for row in rows:
                    row.tries, row.next_at = one_more(row.tries), until
                found = [_delivery(row) for row in rows]
                await session.commit()
        return found

    async def has_due(self, now: int) -> bool:
        """Return whether anything is due."""
        counted = select(func.count()).where(_SENDABLE, _is_due(now))
        ((count,),) = await read_rows(self._engine, counted)
        return bool(count)

    async def put_off(self, one: DeliveryRow, *, next_at: int, told: str) -> None:
        """Note that it was not taken, and when it is tried again."""
        await self._write(one, next_at=next_at, told=told[:_LONGEST_TOLD])

    async def end(self, one: DeliveryRow, state: DeliveryState, *, at: int, told: str | None = None) -> None:
        """Note what became of it."""
        cut = None if told is None else told[:_LONGEST_TOLD]
        await self._write(one, state=state.value, ended_at=at, told=cut)

    async def forget(self, before: int, dead_before: int) -> None:
        """Forget what ended before `before`, and what could not be told before `dead_before`."""
        due = SubscriptionDeliveryTable
        is_dead = col(due.state) == DeliveryState.DEAD.value
        old = or_(~is_dead & (col(due.ended_at) < before), is_dead & (col(due.ended_at) < dead_before))
        await write_rows(self._engine, delete(due).where(old))

    async def _write(self, one: DeliveryRow, **values: Any) -> None:
        # A replay that came meanwhile has counted its tries anew: what an old try knows is of no interest then.
        is_it = (col(SubscriptionDeliveryTable.id) == one.id, col(SubscriptionDeliveryTable.tries) == one.tries)
        await write_rows(self._engine, update(SubscriptionDeliveryTable).where(*is_it).values(**values))


def _is_due(now: int) -> ColumnElement[bool]:
    return is_due(col(SubscriptionDeliveryTable.next_at), now, now + PUT_OFF_AT_MOST_MICROS)


def _subscription(row: SubscriptionTable) -> SubscriptionRow:
    secret = Sealed(row.key_id, row.key_version, row.wrap_suite, row.wrapped_secret)
    return SubscriptionRow(row.id, row.client_id, row.purpose, row.url, secret, row.seq, row.added_at)


def _whole(row: SubscriptionTable) -> SubscriptionRow:
    """Return a row in which everything is what was written there; UNREADABLE else."""
    from_micros(row.added_at)
    none_or(text_in, row.purpose)
    if not is_uuid7(row.id) or not row.url.lower().startswith("https://") or not isinstance(row.seq, int):
        raise MalformedError("this is no subscription")
    return _subscription(row)


def _table_row(row: SubscriptionRow) -> SubscriptionTable:
    return SubscriptionTable(
        id=row.id,
        client_id=row.client,
        purpose=row.purpose,
        url=row.url,
        key_id=row.secret.key_id,
        key_version=row.secret.key_version,
        wrap_suite=row.secret.suite,
        wrapped_secret=row.secret.blob,
        seq=row.seq,
        added_at=row.added_at,
    )


def _listed_delivery(row: Row[SubscriptionDeliveryTable, bool]) -> DeliveryRow:
    """Return a row in which everything is what was written there, and whether it is of a request; UNREADABLE else."""
    kept, is_request = row
    from_micros(kept.queued_at)
    none_or(from_micros, kept.ended_at)
    if not is_uuid7(kept.id) or not isinstance(kept.tries, int) or not isinstance(kept.told or "", str):
        raise MalformedError("this is no delivery")
    return replace(_delivery(kept), is_request=bool(is_request))


def _delivery(row: SubscriptionDeliveryTable) -> DeliveryRow:
    return DeliveryRow(
        id=row.id,
        subscription=row.subscription_id,
        report=row.report_id,
        queued_at=row.queued_at,
        state=DeliveryState(row.state),
        tries=row.tries,
        next_at=row.next_at,
        ended_at=row.ended_at,
        told=row.told,
        breach=row.breach_id,
    )


def _delivery_table_row(row: DeliveryRow) -> SubscriptionDeliveryTable:
    return SubscriptionDeliveryTable(
        id=row.id,
        subscription_id=row.subscription,
        report_id=row.report,
        breach_id=row.breach,
        queued_at=row.queued_at,
        state=row.state.value,
        tries=row.tries,
        next_at=row.next_at,
        ended_at=row.ended_at,
        told=row.told,
    )
