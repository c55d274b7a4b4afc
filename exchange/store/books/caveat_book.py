"""National caveats within a unit of work."""

import json
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlmodel import col

from exchange.kernel import ConflictError, from_micros, to_micros
from exchange.release import NationalText
from exchange.store.books.acting import hold_member
from exchange.store.books.book import Book
from exchange.store.books.caveat_mending import next_number, numbers_of
from exchange.store.database.dialect import as_text
from exchange.store.rows.caveat_rows import CaveatSet, CaveatsInForce
from exchange.store.rows.shapes import id_in, member_in, number_in, text_in
from exchange.store.rows.unread import Unread, UnreadRow, read_each
from exchange.store.tables.caveat_tables import CaveatSetTable
from exchange.store.tables.personal_tables import PendingActEndTable, PendingActTable


class CaveatBook(Book):
    """Loads and writes within one unit of work, which it tells of what moves the law."""

    async def hold(self, member: str) -> None:
        """Keep others from putting caveats of `member` in force until the unit ends."""
        await hold_member(self._session, member)

    async def add(self, one: CaveatSet) -> None:
        """Add what somebody asked for; no decision rests on it yet."""
        self._note_write()
        await self._session.execute(insert(CaveatSetTable), _columns(one))

    async def of(self, member: str, unread: Unread | None = None) -> list[CaveatSet]:
        """Return everything a member ever asked for, the newest first; with `unread`, without what cannot be read."""
        return await self._found(col(CaveatSetTable.member) == member, unread=unread)

    async def one(self, member: str, set_id: str) -> CaveatSet | None:
        """Return one of a member's own, in force or not."""
        found = await self._found(col(CaveatSetTable.member) == member, col(CaveatSetTable.id) == set_id)
        return found[0] if found else None

    async def in_force(self, member: str) -> CaveatsInForce | None:
        """Return which set is in force, the withdrawn state among them; None where there never was one."""
        # INVARIANT: nothing else of its row is read: one that was damaged keeps no member from putting others there.
        row = CaveatSetTable
        is_current = (col(row.in_force_at).is_not(None), col(row.ended_at).is_(None))
        columns = select(col(row.id), col(row.guards), col(row.examples)).where(col(row.member) == member, *is_current)
        found = (await self._session.execute(columns.order_by(col(row.id).desc()).limit(1))).first()
        if found is None:
            return None
        set_id, guards, examples = found
        is_text = isinstance(guards, str) and isinstance(examples, str)
        return CaveatsInForce(as_text(set_id), NationalText(guards, examples).digest(member) if is_text else None)

    async def count_waiting(self, member: str) -> int:
        """Return how many sets of a member wait for their second person."""
        act, end = PendingActTable, PendingActEndTable
        waits = (col(act.approver).is_(None), col(end.client).is_(None), col(act.expires_at) > to_micros(self._now))
        asked = (
            select(func.count())
            .select_from(CaveatSetTable)
            .join(act, col(act.id) == col(CaveatSetTable.act_id))
            .outerjoin(end, col(end.act_id) == col(act.id))
        )
        return int(await self._session.scalar(asked.where(col(CaveatSetTable.member) == member, *waits)) or 0)

    async def put_in_force(self, one: CaveatSet) -> CaveatSet:
        """Put `one` in force in place of what was, on every node from its next request on; return it so.

        The caller holds the member. Raises ConflictError where it was in force already.
        """
        self._note_law()
        of_member = col(CaveatSetTable.member) == one.member
        ended = update(CaveatSetTable).where(
            of_member, col(CaveatSetTable.in_force_at).is_not(None), col(CaveatSetTable.ended_at).is_(None)
        )
        await self._session.execute(ended.values(ended_at=to_micros(self._now)))
        number = next_number(await numbers_of(self._session, one.member))
        new = replace(one, number=number, in_force_at=self._now, ended_at=None)
        begun = update(CaveatSetTable).where(
            col(CaveatSetTable.id) == one.id, col(CaveatSetTable.in_force_at).is_(None)
        )
        done: Any = await self._session.execute(begun.values(number=new.number, in_force_at=to_micros(self._now)))
        if done.rowcount != 1:
            raise ConflictError("these caveats were in force already", code="approved-already")
        return new

    async def _found(self, *conditions: ColumnElement[bool], unread: Unread | None = None) -> list[CaveatSet]:
        act, end = PendingActTable, PendingActEndTable
        chosen = (
            select(CaveatSetTable, col(act.approver), col(act.expires_at), col(end.client))
            .outerjoin(act, col(act.id) == col(CaveatSetTable.act_id))
            .outerjoin(end, col(end.act_id) == col(CaveatSetTable.act_id))
        )
        rows = await self._session.execute(chosen.where(*conditions).order_by(col(CaveatSetTable.id).desc()))
        found: list[tuple[Any, ...]] = [tuple(row) for row in rows]

        def read(row: tuple[Any, ...]) -> CaveatSet:
            one, approver, expires, ender = row
            return _set(one, self._act_state(approver, expires, ender))

        return read_each(found, read, unread, lambda row: UnreadRow(f"caveats {row[0].id}", frozenset({row[0].member})))

    def _act_state(self, approver: str | None, expires_at: int | None, ender: str | None) -> str:
        if approver is not None:
            return "done"
        if ender is not None:
            return "ended"
        return "waiting" if expires_at is not None and to_micros(self._now) < expires_at else "expired"


def _columns(one: CaveatSet) -> dict[str, Any]:
    return {
        "id": one.id,
        "member": one.member,
        "number": one.number,
        "guards": one.guards,
        "examples": one.examples,
        "told": json.dumps(one.told),
        "digest": one.digest,
        "replaces": one.replaces,
        "act_id": one.act,
        "proposed_by": one.proposed_by,
        "proposed_at": to_micros(one.proposed_at),
        "in_force_at": None,
        "ended_at": None,
    }


def _set(row: CaveatSetTable, act_state: str) -> CaveatSet:
    return CaveatSet(
        id=id_in(row.id),
        member=member_in(row.member),
        number=None if row.number is None else number_in(row.number),
        guards=text_in(row.guards),
        examples=text_in(row.examples),
        told=tuple((text_in(guard), text_in(reason)) for guard, reason in json.loads(row.told)),
        digest=text_in(row.digest),
        replaces=None if row.replaces is None else id_in(row.replaces),
        act=id_in(row.act_id),
        proposed_by=id_in(row.proposed_by),
        proposed_at=from_micros(row.proposed_at),
        in_force_at=None if row.in_force_at is None else from_micros(row.in_force_at),
        ended_at=None if row.ended_at is None else from_micros(row.ended_at),
        act_state=act_state,
    )
