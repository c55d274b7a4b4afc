"""The pulse: what is in force and how many reports and events there are, read again while somebody waits for more.

Promises: each beat is true as of one moment, and `seq` counts reports in the order of their commits: behind it lies
only what is committed later.
Does not: say who may see what came; it names the classes of new reports and the members that new events concern, and
whoever waits for one of them looks.
"""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, literal_column, select

from exchange.store.books.stream_book import StreamKind
from exchange.store.database.dialect import Fetch, Sql, Statement
from exchange.store.rows.main_rows import PolicyState
from exchange.store.tables.main_tables import table
from exchange.store.tables.stream_tables import StreamEventTable
from exchange.store.writer.standing import REPORT, STATE, numbers_of, the_one

_EVENT = table(StreamEventTable)


@dataclass(frozen=True, slots=True)
class Beat:
    """What was in force at one moment, and the number of the last report."""

    state: PolicyState
    seq: int


class PulseReads(NamedTuple):
    """The statements, compiled for one database."""

    beat: Statement
    reports: Statement
    classes: Statement
    members: Statement
    events: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> "PulseReads":
        """Return the statements for one database."""
        state = STATE.c
        columns = (state.policy_version, state.class_version, state.policy_digest, state.report_seq)
        behind = REPORT.c.seq > bindparam("after"), REPORT.c.seq <= bindparam("to")
        told = _EVENT.c.seq > bindparam("after"), _EVENT.c.seq <= bindparam("to")
        known = _EVENT.c.kind.in_([literal_column(f"'{kind.value}'") for kind in StreamKind])
        events = select(_EVENT.c.seq, _EVENT.c.kind, _EVENT.c.subject).where(*told, known).order_by(_EVENT.c.seq)
        reports = select(REPORT.c.seq, REPORT.c.id, REPORT.c.class_id).where(*behind).order_by(REPORT.c.seq)
        return cls(
            sql.compile(select(*columns)),
            sql.compile(reports.limit(bindparam("limit", type_=BigInteger))),
            sql.compile(select(REPORT.c.class_id).where(*behind).distinct()),
            sql.compile(select(_EVENT.c.member).where(*told).distinct()),
            sql.compile(events.where(_EVENT.c.member == bindparam("member"))),
        )


class Pulse:
    """The pulse of one database."""

    def __init__(self, fetch: Fetch, sql: Sql) -> None:
        self._fetch = fetch
        self._reads = sql.once(PulseReads.compiled)

    async def beat(self) -> Beat:
        """Return what holds now."""
        policy_version, class_version, digest, seq = the_one(await self._fetch(self._reads.beat, {}))
        numbers_of((policy_version, class_version, seq))
        return Beat(PolicyState(policy_version, class_version, digest), seq)

    async def classes_behind(self, after: int, to: int) -> frozenset[int]:
        """Return the classes of the reports numbered behind `after` up to `to`."""
        rows = await self._fetch(self._reads.classes, {"after": after, "to": to})
        return frozenset(row[0] for row in rows)

    async def members_behind(self, after: int, to: int) -> frozenset[str]:
        """Return the members that the events numbered behind `after` up to `to` concern."""
        rows = await self._fetch(self._reads.members, {"after": after, "to": to})
        return frozenset(row[0] for row in rows)

    async def events_behind(self, member: str, after: int, to: int) -> list[tuple[int, StreamKind, str]]:
        """Return number, kind and id of what events behind `after` up to `to` concern a member, in order.

        Kinds of a newer version are not told.
        """
        rows = await self._fetch(self._reads.events, {"member": member, "after": after, "to": to})
        return [(row[0], StreamKind(row[1]), row[2]) for row in rows]

    async def reports_behind(self, after: int, to: int, limit: int) -> list[tuple[int, str, int]]:
        """Return number, id and class of the reports behind `after` up to `to`, at most `limit` of them, in order."""
        rows = await self._fetch(self._reads.reports, {"after": after, "to": to, "limit": limit})
        return [(row[0], row[1], row[2]) for row in rows]
