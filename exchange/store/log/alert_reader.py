"""Reads of alerts and of what their rules remember."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, bindparam, func, or_, select

from exchange.audit.alerts import Key
from exchange.store.database.dialect import Fetch, Parameters, Row, Sql, Statement, as_bytes
from exchange.store.database.put_off import PUT_OFF_AT_MOST_MICROS, is_due
from exchange.store.log.archived import ArchivedEntries
from exchange.store.log.log_statements import leaves_of
from exchange.store.log.searching import as_placed
from exchange.store.rows.alert_rows import MOST_COUNTED, AlertPosition, AlertRow
from exchange.store.tables.main_tables import table

ALERT_COLUMNS = (
    *("number", "id", "rule", "kind", "severity", "subject_kind", "subject_id", "member", "owner", "raised_at"),
    *("entry_id", "evidence"),
)
POSITION_COLUMNS = ("log", "position", "learned_to", "revision", "last_number", "digest")


class AlertReads(NamedTuple):
    """The statements, compiled for one database."""

    position: Statement
    memory: Statement
    memory_of: Statement
    page: Statement
    leaves: Statement
    due: Statement
    newest: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> "AlertReads":
        """Return the statements for one database."""
        position, memory, due = table("alert_position"), table("alert_memory"), table("alert_delivery")
        number = table("alert").c.number
        is_waiting = (due.c.ended_at.is_(None), is_due(due.c.next_at, bindparam("now"), bindparam("latest")))
        remembered = select(memory.c.rule, memory.c.subject, memory.c.content)
        return cls(
            sql.compile(select(*(position.c[name] for name in POSITION_COLUMNS))),
            sql.compile(remembered.where(sql.is_one_of(memory.c.subject, "subjects"))),
            sql.compile(remembered.where(sql.is_one_of(memory.c.rule, "rules"))),
            sql.compile(_page()),
            sql.compile(leaves_of(sql)),
            sql.compile(select(func.count()).where(*is_waiting)),
            sql.compile(select(func.max(number)).where(number <= MOST_COUNTED)),
        )


class AlertReader:
    """The alerts of one database, as seen by one process."""

    def __init__(self, fetch: Fetch, sql: Sql, archived: ArchivedEntries) -> None:
        self._fetch = fetch
        self._archived = archived
        self._reads = sql.once(AlertReads.compiled)

    async def position(self) -> AlertPosition | None:
        """Return how far the log was evaluated, None before the first time."""
        rows = await self._fetch(self._reads.position, {})
        return AlertPosition.of(rows[0]) if rows else None

    async def memory(self, keys: Iterable[Key]) -> dict[Key, str]:
        """Return what is remembered under these keys."""
        wanted = frozenset(keys)
        subjects = sorted({key.subject for key in wanted})
        rows = await self._fetch(self._reads.memory, {"subjects": subjects}) if wanted else []
        return {key: text for key, text in map(_remembered, rows) if key in wanted}

    async def memory_of(self, rules: Iterable[str]) -> dict[Key, str]:
        """Return all that is remembered under these rules."""
        return dict(map(_remembered, await self._fetch(self._reads.memory_of, {"rules": sorted(rules)})))

    async def page(
        self, *, after: int, limit: int, rule: str | None, member: str | None
    ) -> list[tuple[AlertRow, bytes | None]]:
        """Return alerts behind a number with their entries' bytes, in the order of numbers; None where there are none.

        Those of an entry that is another one in the tree, or has no place and waits for none, are empty. `member` None
        means all of them, else those about its clients or its reports. Raises UnavailableError where the entry of one
        of them is in the archive, and that is away.
        """
        asked: Parameters = {"after": after, "limit": limit, "rule": rule, "member": member}
        rows = [(alert_row(row[:-2]), *row[-2:]) for row in await self._fetch(self._reads.page, asked)]
        leaves = await self._leaves([alert.entry_id for alert, _, leaf_hash in rows if leaf_hash is None])
        found = [
            (alert, _content(stored, leaf_hash or leaves.get(alert.entry_id, b""))) for alert, stored, leaf_hash in rows
        ]
        # One whose row names no entry keeps no auditor from the others.
        gone = [alert.entry_id for alert, content in found if content is None and isinstance(alert.entry_id, str)]
        archived = await self._archived.named(gone) if gone else {}
        return [(alert, archived.get(alert.entry_id) if content is None else content) for alert, content in found]

    async def _leaves(self, entry_ids: Sequence[str]) -> dict[str, bytes | None]:
        """Return the leaf hashes of these entries, None of each that waits for its place.

        Together: nothing in the outbox is found by an entry's id, and a million may wait there.
        """
        ids = sorted({each for each in entry_ids if isinstance(each, str)})
        return {str(row[0]): row[1] for row in await self._fetch(self._reads.leaves, {"ids": ids})} if ids else {}

    async def has_due(self, now: int) -> bool:
        """Return whether any webhook is to be sent anything at `now`."""
        ((count,),) = await self._fetch(self._reads.due, {"now": now, "latest": now + PUT_OFF_AT_MOST_MICROS})
        return int(count) > 0

    async def newest(self) -> int:
        """Return the number of the newest alert, 0 where there is none."""
        ((number,),) = await self._fetch(self._reads.newest, {})
        return number or 0


def _content(stored: object, leaf_hash: bytes | None) -> bytes | None:
    content = None if stored is None else as_bytes(stored)
    # A new one waits for its place.
    return content if content is None or leaf_hash is None else as_placed(content, leaf_hash)


def alert_row(row: Sequence[Any]) -> AlertRow:
    """Return an alert from ALERT_COLUMNS; what is no list of entries any more names none."""
    named = dict(zip(ALERT_COLUMNS, row, strict=True))
    return AlertRow(**{**named, "evidence": _evidence(named["evidence"])})


def _evidence(text: str) -> tuple[str, ...]:
    try:
        named = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    return tuple(each for each in named if isinstance(each, str)) if isinstance(named, list) else ()


def _remembered(row: Row) -> tuple[Key, str]:
    return Key(row[0], row[1]), row[2]


def _page() -> Any:
    alert, entry, leaf = table("alert"), table("audit_entry"), table("log_leaf")
    # Looked up row by row, whatever is known of the tables.
    leaf_hash = select(leaf.c.leaf_hash).where(leaf.c.entry_id == alert.c.entry_id).scalar_subquery()
    concerned = or_(alert.c.member == bindparam("member"), alert.c.owner == bindparam("member"))
    return (
        select(*(alert.c[name] for name in ALERT_COLUMNS), entry.c.content, leaf_hash)
        .outerjoin_from(alert, entry, entry.c.id == alert.c.entry_id)
        .where(
            alert.c.number > bindparam("after"),
            or_(_is_unasked("rule"), alert.c.rule == bindparam("rule")),
            or_(_is_unasked("member"), concerned),
        )
        .order_by(alert.c.number)
        .limit(bindparam("limit"))
    )


def _is_unasked(name: str) -> ColumnElement[bool]:
    return bindparam(name, type_=String).is_(None)
