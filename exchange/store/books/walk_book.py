"""The walk over reports: how far it has come, and the rows that it looks at. Nothing here believes a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from sqlalchemy import func, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from exchange.store.database.dialect import Fetch, Sql, Statement
from exchange.store.log.searching import BEFORE_ALL, Place
from exchange.store.rows.main_rows import ReportRow
from exchange.store.tables.main_tables import table
from exchange.store.tables.walk_tables import ReportWalkTable
from exchange.store.writer.standing import REPORT_WIDTH, report_columns

_ROW = 1
_COLUMNS = ("at_micros", "position", "began_at", "is_whole")
_BEGIN = text(
    f"INSERT INTO report_walk (id, {', '.join(_COLUMNS)})"  # noqa: S608  the names are the ones above
    f" VALUES (:id, {', '.join(':' + name for name in _COLUMNS)}) ON CONFLICT (id) DO NOTHING"
)
_BESIDE = ("posted_at", "precedence", "originator", "agreement", "supersedes")


class Walked(NamedTuple):
    """Behind which post a walk goes on, when it began (microseconds since 1970), and whether it came to the end."""

    place: Place
    began_at: int
    is_whole: bool


class PastSeen(NamedTuple):
    """What a report was until `until_at` (microseconds since 1970), as its row says; anything may stand there."""

    class_id: object
    valid_until: object
    until_at: object
    precedence: object


class ReportSeen(NamedTuple):
    """A report's row, with what stands beside it for lists and counts, and its class's digest, None where that is gone.

    `recorded_at` is when it took its number, `next_at` when what stands behind it took its own (None: nothing does),
    `last` the last number that was given, `posted_class` the class that it was posted in, None where it is in that one
    still, `past` what it was until it moved, each time, in no order. On SQLite anything may stand where a number
    belongs.
    """

    row: ReportRow
    beside: dict[str, object]
    recorded_at: object
    next_at: object
    last: object
    posted_class: object
    past: tuple[PastSeen, ...]
    digest: str | None
    sealed_bytes: int


class WalkBook:
    """The one row of one transaction. No decision rests on it: a change of it needs no entry."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def move(self, walked: Walked) -> None:
        """Keep how far the walk has come; where several processes walk, the last one says."""
        place = walked.place
        values = dict(zip(_COLUMNS, (*place, walked.began_at, int(walked.is_whole)), strict=True))
        moved = update(ReportWalkTable).values(values).returning(ReportWalkTable.__table__.c.id)  # type: ignore[attr-defined]  # SQLModel leaves it untyped
        if (await self._session.execute(moved)).first() is None:
            # Another process may begin the first walk of all at once.
            await self._session.execute(_BEGIN, {"id": _ROW, **values})


@dataclass(frozen=True, slots=True)
class _Statements:
    """The reads of the walk, compiled for one database."""

    kept: Statement
    seen: Statement
    takers: Statement
    past: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> Self:
        """Compile all of them."""
        kept, report, kinds = table("report_walk"), table("report"), table("release_class")
        behind = report.alias("behind")
        last = select(table("policy_state").c.report_seq)
        # What was recorded before it was posted, or stands behind the last number that was given, is told by itself,
        # and says nothing of the one before it.
        is_in_place = (behind.c.recorded_at >= behind.c.posted_at, behind.c.seq <= last.scalar_subquery())
        is_behind = (behind.c.seq > report.c.seq, *is_in_place)
        next_at = select(behind.c.recorded_at).where(*is_behind).order_by(behind.c.seq).limit(literal_column("1"))
        number = (report.c.recorded_at, next_at.scalar_subquery(), last.scalar_subquery(), report.c.posted_class)
        sealed = (kinds.c.digest, func.length(report.c.sealed_header))
        beside = (*(report.c[name] for name in _BESIDE), *number, *sealed)
        joined = report.outerjoin(kinds, kinds.c.id == report.c.class_id)
        seen = select(*report_columns(), *beside).select_from(joined)
        past = table("report_past")
        was = select(past.c.report_id, past.c.class_id, past.c.valid_until, past.c.until_at, past.c.precedence)
        takers = select(report.c.supersedes, report.c.id).where(report.c.supersedes.is_not(None))
        return cls(
            kept=sql.compile(select(*(kept.c[name] for name in _COLUMNS))),
            seen=sql.compile(seen.where(sql.is_one_of(report.c.id, "ids"))),
            takers=sql.compile(takers.where(sql.is_one_of(report.c.supersedes, "ids"))),
            past=sql.compile(was.where(sql.is_one_of(past.c.report_id, "ids"))),
        )


class WalkReader:
    """Reads for the walk."""

    def __init__(self, fetch: Fetch, sql: Sql) -> None:
        self._fetch = fetch
        self._statements = sql.once(_Statements.compiled)

    async def walked(self, now: int) -> Walked:
        """Return how far a walk has come; from the beginning, where none is kept or what is kept is none."""
        rows = await self._fetch(self._statements.kept, {})
        if rows and all(isinstance(each, int) for each in rows[0]):
            at_micros, position, began_at, is_whole = rows[0]
            if began_at <= now:
                return Walked(Place(at_micros, position), began_at, bool(is_whole))
        return Walked(BEFORE_ALL, now, is_whole=False)

    async def seen(self, ids: Sequence[str]) -> dict[str, ReportSeen]:
        """Return the rows of these reports, those that are gone left out."""
        rows = await self._fetch(self._statements.seen, {"ids": list(ids)})
        past: dict[str, list[PastSeen]] = {}
        for report, *was in await self._fetch(self._statements.past, {"ids": list(ids)}):
            past.setdefault(report, []).append(PastSeen(*was))
        return {row[1]: _seen(tuple(row), tuple(past.get(row[1], ()))) for row in rows}

    async def takers(self, ids: Sequence[str]) -> list[tuple[str, str]]:
        """Return each of these reports with one that says to have taken its place."""
        return [(row[0], row[1]) for row in await self._fetch(self._statements.takers, {"ids": list(ids)})]


def _seen(row: tuple[Any, ...], past: tuple[PastSeen, ...]) -> ReportSeen:
    *beside, recorded_at, next_at, last, posted_class, digest, sealed = row[REPORT_WIDTH:]
    named, of_row = dict(zip(_BESIDE, beside, strict=True)), ReportRow(*row[:REPORT_WIDTH])
    return ReportSeen(of_row, named, recorded_at, next_at, last, posted_class, past, digest, sealed or 0)
