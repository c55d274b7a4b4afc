"""Requests for information within a unit of work."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import and_, func, insert, or_, select, union, update
from sqlmodel import col

from exchange.kernel import from_micros, to_micros
from exchange.release import ClassFacts, class_as_json, class_from_json
from exchange.reports import RequestState
from exchange.store.books.book import Book
from exchange.store.rows.main_rows import Sealed
from exchange.store.rows.shapes import id_in, member_in
from exchange.store.rows.unread import Unread, UnreadRow, read_each
from exchange.store.tables.request_tables import RequestAnswerTable, RequestMemberTable, RequestTable


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request to keep; `sealed` is all that was asked."""

    id: str
    client: str
    facts: ClassFacts
    asked: tuple[str, ...]
    sealed: Sealed
    asked_at: datetime
    deadline: datetime
    entry: str


@dataclass(frozen=True, slots=True)
class RequestAnswer:
    """A report given as an answer, by whose client and when."""

    report: str
    member: str
    client: str
    at: datetime
    entry: str


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request as kept, with its answers in the order in which they came. `number` orders requests."""

    number: int
    id: str
    client: str
    facts: ClassFacts
    asked: tuple[str, ...]
    key_id: str
    key_version: int
    header_suite: str
    sealed_header: bytes
    asked_at: datetime
    deadline: datetime
    ended: RequestState | None
    answers: tuple[RequestAnswer, ...]

    @property
    def asker(self) -> str:
        """Return the member that asks."""
        return self.facts.originator


class RequestBook(Book):
    """Requests for information in one transaction."""

    async def add(self, new: NewRequest) -> RequestRow:
        """Add a request and return it as kept."""
        self._note_write()
        made = await self._session.execute(insert(RequestTable).returning(col(RequestTable.number)), _columns(new))
        number = made.scalar_one()
        rows = [{"number": number, "member": member} for member in new.asked]
        await self._session.execute(insert(RequestMemberTable), rows)
        found = await self._session.scalars(select(RequestTable).where(col(RequestTable.number) == number))
        return (await self._rows(list(found)))[0]

    async def one(self, request_id: str) -> RequestRow | None:
        """Return a request, held to the end of the unit."""
        held = select(RequestTable).where(col(RequestTable.id) == request_id).with_for_update()
        # Looked up to the end where there is none: what may not be seen costs what an absent one costs.
        rows = await self._rows(list(await self._session.scalars(held)))
        return rows[0] if rows else None

    async def of_member(self, member: str, *, after: int, limit: int, unread: Unread) -> tuple[list[RequestRow], int]:
        """Return requests that a member made or is asked by, behind a number, in order; withdrawn ones to the asker.

        Without those that cannot be read; with them, the number that the next ones lie behind, 0 where none do.
        """
        row, asked = RequestTable, RequestMemberTable
        stands = or_(col(row.ended).is_(None), col(row.ended) != RequestState.WITHDRAWN.value)
        own = select(col(row.number)).where(col(row.asker) == member, col(row.number) > after)
        of_others = select(col(asked.number)).join(row, col(row.number) == col(asked.number))
        of_others = of_others.where(col(asked.member) == member, col(asked.number) > after, stands)
        # Two walks along an index each: what others ask among themselves is not even walked past.
        walks = [each.order_by(each.selected_columns.number).limit(limit).subquery() for each in (own, of_others)]
        numbers = union(*(select(each.c.number) for each in walks))
        which = select(row).where(col(row.number).in_(numbers)).order_by(col(row.number)).limit(limit)
        found = list(await self._session.scalars(which))
        last = (found[-1].number or 0) if len(found) == limit else 0
        return await self._rows(found, unread, member), last

    async def kept_open(self, member: str, client: str, *, since: datetime, now: datetime) -> int:
        """Return how many requests of a client of `member` are open at `now`, or were made from `since` on.

        What is overdue is not: its client may not see it any more, and could not end it. INVARIANT: whether one was
        answered does not count: its client may not know of that.
        """
        row = RequestTable
        is_its = (col(row.asker) == member, col(row.client_id) == client)
        is_open = and_(col(row.ended).is_(None), col(row.deadline_at) > to_micros(now))
        counts = or_(is_open, col(row.asked_at) >= to_micros(since))
        count = select(func.count()).select_from(row).where(*is_its, counts)
        return int(await self._session.scalar(count) or 0)

    async def end(self, request_id: str, state: RequestState, now: datetime) -> None:
        """Close a request, or withdraw it."""
        self._note_write()
        ended = {"ended": state.value, "ended_at": to_micros(now)}
        await self._session.execute(update(RequestTable).where(col(RequestTable.id) == request_id).values(ended))

    async def open_again(self, request_id: str) -> None:
        """Let a request stand as if it had not ended."""
        self._note_write()
        stands = {"ended": None, "ended_at": None}
        await self._session.execute(update(RequestTable).where(col(RequestTable.id) == request_id).values(stands))

    async def answer(self, number: int, answer: RequestAnswer) -> None:
        """Add an answer; the caller has seen to it that the report does not answer the request already."""
        self._note_write()
        columns = {
            "number": number,
            "report_id": answer.report,
            "member": answer.member,
            "client_id": answer.client,
            "answered_at": to_micros(answer.at),
            "entry_id": answer.entry,
        }
        await self._session.execute(insert(RequestAnswerTable), columns)

    async def answered_by(self, report_id: str) -> list[RequestRow]:
        """Return the requests that a report answers."""
        row, answer = RequestTable, RequestAnswerTable
        numbers = select(col(answer.number)).where(col(answer.report_id) == report_id)
        found = await self._session.scalars(select(row).where(col(row.number).in_(numbers)).order_by(col(row.number)))
        return await self._rows(list(found))

    async def _rows(
        self, found: Sequence[RequestTable], unread: Unread | None = None, member: str = ""
    ) -> list[RequestRow]:
        numbers = [row.number or 0 for row in found]
        asked: dict[int, list[str]] = {number: [] for number in numbers}
        answers: dict[int, list[RequestAnswerTable]] = {number: [] for number in numbers}
        named, answer = RequestMemberTable, RequestAnswerTable
        wanted = select(named).where(col(named.number).in_(numbers)).order_by(col(named.member))
        for each in await self._session.scalars(wanted):
            asked[each.number].append(each.member)
        given = select(answer).where(col(answer.number).in_(numbers))
        for one in await self._session.scalars(given.order_by(col(answer.answered_at), col(answer.report_id))):
            answers[one.number].append(one)

        def read(row: RequestTable) -> RequestRow:
            return _row(row, asked[row.number or 0], [_answer(each) for each in answers[row.number or 0]])

        return read_each(found, read, unread, lambda row: UnreadRow(f"request {row.id}", frozenset({member})))


def _columns(new: NewRequest) -> dict[str, Any]:
    return {
        "id": new.id,
        "asker": new.facts.originator,
        "client_id": new.client,
        "facts": orjson.dumps(class_as_json(new.facts)).decode(),
        "key_id": new.sealed.key_id,
        "key_version": new.sealed.key_version,
        "header_suite": new.sealed.suite,
        "sealed_header": new.sealed.blob,
        "asked_at": to_micros(new.asked_at),
        "deadline_at": to_micros(new.deadline),
        "entry_id": new.entry,
    }


def _row(row: RequestTable, asked: list[str], answers: list[RequestAnswer]) -> RequestRow:
    return RequestRow(
        number=row.number or 0,
        id=id_in(row.id),
        client=id_in(row.client_id),
        facts=class_from_json(orjson.loads(row.facts)),
        asked=tuple(member_in(each) for each in asked),
        key_id=row.key_id,
        key_version=row.key_version,
        header_suite=row.header_suite,
        sealed_header=row.sealed_header,
        asked_at=from_micros(row.asked_at),
        deadline=from_micros(row.deadline_at),
        ended=None if row.ended is None else RequestState(row.ended),
        answers=tuple(answers),
    )


def _answer(row: RequestAnswerTable) -> RequestAnswer:
    return RequestAnswer(
        id_in(row.report_id), member_in(row.member), id_in(row.client_id), from_micros(row.answered_at), row.entry_id
    )
