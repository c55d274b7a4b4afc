"""Reads of national caveats outside a unit of work: which are in force, and which were."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, or_, select

from exchange.kernel import from_micros, to_micros
from exchange.store.database.dialect import Fetch, Parameters, Row, Sql, Statement, as_text
from exchange.store.rows.caveat_rows import CaveatText
from exchange.store.rows.shapes import text_in
from exchange.store.rows.unread import read_alone
from exchange.store.tables.main_tables import table


class CaveatReads(NamedTuple):
    """The statements, compiled for one database."""

    current: Statement
    texts: Statement
    current_texts: Statement
    between: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> "CaveatReads":
        """Return the statements for one database."""
        one = table("caveat_set").c
        is_current = (one.in_force_at.is_not(None), one.ended_at.is_(None), one.guards != "")
        text = select(one.id, one.member, one.guards, one.examples, one.digest, one.in_force_at, one.ended_at)
        within = (
            one.in_force_at < bindparam("until"),
            or_(one.ended_at.is_(None), one.ended_at > bindparam("since")),
        )
        return cls(
            sql.compile(select(one.id).where(*is_current)),
            sql.compile(text.where(sql.is_one_of(one.id, "ids"))),
            sql.compile(text.where(*is_current)),
            sql.compile(
                text.where(one.member == bindparam("member"), *within, one.guards != "").order_by(one.in_force_at)
            ),
        )


class CaveatReader:
    """The caveats of one database, as seen by one process."""

    def __init__(self, fetch: Fetch, sql: Sql) -> None:
        self._fetch = fetch
        self._reads = sql.once(CaveatReads.compiled)

    async def in_force(self) -> frozenset[str]:
        """Return the ids of the sets that are in force now; a member that withdrew its caveats has none."""
        return frozenset(as_text(row[0]) for row in await self._fetch(self._reads.current, {}))

    async def texts(self, ids: Iterable[str]) -> list[CaveatText]:
        """Return sets that are in force by id, their times left out; what stands in one never changes."""
        asked = set(ids)
        found = [_undated(row) for row in await self._fetch(self._reads.texts, {"ids": sorted(asked)})]
        if lacking := asked - {each.id for each in found}:
            # Where somebody altered an id to what is no text, nothing is found by it.
            rows = await self._fetch(self._reads.current_texts, {})
            found += [each for each in map(_undated, rows) if each.id in lacking]
        return found

    async def between(self, member: str, since: datetime, until: datetime) -> list[CaveatText]:
        """Return what a member had in force at some moment from `since` until `until` (exclusive), oldest first.

        Raises UnreadRowError where one of them cannot be read.
        """
        period: Parameters = {"member": member, "since": to_micros(since), "until": to_micros(until)}
        rows = await self._fetch(self._reads.between, period)
        return [read_alone(row, _text, f"caveats {row[0]}") for row in rows]


def _text(row: Row) -> CaveatText:
    set_id, member, guards, examples, digest, since, until = row
    ended = None if until is None else from_micros(until)
    kept = text_in(guards), text_in(examples), text_in(digest)
    return CaveatText(set_id, member, *kept, from_micros(since), ended)


def _undated(row: Row) -> CaveatText:
    """Return a set that is in force, whatever stands where its times belong: they decide nothing of it."""
    set_id, member, guards, examples, digest, *_ = row
    return CaveatText(as_text(set_id), as_text(member), guards, examples, digest, from_micros(0), None)
