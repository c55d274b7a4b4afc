"""The whole database as rows, as of one moment, while others write: what a backup holds, and what fills an empty one.

One form for both databases: a backup of SQLite fills a PostgreSQL, and the other way round.
"""

import base64
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Table, TypeDecorator, delete, func, insert, literal, select, text, update
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col

import exchange.store.tables  # noqa: F401  fills the metadata
from exchange.kernel import ConflictError, MalformedError, UnavailableError, to_micros
from exchange.kernel.clock import Clock
from exchange.store.books.given_up import give_up_blobs
from exchange.store.books.restore_claims import Claim, put_claims
from exchange.store.database.engine import checked_url, existing_file, is_sqlite, new_engine, used_once
from exchange.store.database.faults import driver_errors
from exchange.store.database.lineage import next_lineage
from exchange.store.database.schema import head, migrate, schema_state
from exchange.store.referring import referring
from exchange.store.tables.log_tables import LogStateTable
from exchange.store.tables.restore_tables import RestoreClaimTable
from exchange.store.writer.postgres import connector

AT_ONCE = 500
_BYTES_AT_ONCE = 4 * 1024 * 1024
"""Of rows that are put aside together, and one row more: it is in memory several times."""
_FEW_AT_ONCE = {"part_piece": 16, "report_part": 4, "upload_part": 4}
"""What a server gives at once of large rows: a piece has a quarter of a MiB, a part all that was posted."""
_WAIT_SECONDS = 30.0
_FILLED_TABLES = ("member", "client", "report", "audit_entry")
"""An instance that holds a row of one of these is in use: nothing is restored over it."""

_ARCHIVE_TABLE = "log_archive"

UNFINISHED = "restore.unfinished"
"""The kind of the claim that stands until a restore has come to its end."""
EMPTY_IT = (
    "empty the database (SQLite: remove `exchange.db`, and `exchange.db-wal` and `exchange.db-shm` where they are; "
    "PostgreSQL: drop it and create it anew), and restore again"
)

NO_NUMBER = -(2**31)
"""Stands in a restored row where something else stood than the number that belongs there: no moment, level or place."""

Rows = tuple[str, list[str], list[Sequence[Any]]]
"""A table, its columns, and some of its rows; bytes stand as `{"b": base64}`."""


async def dumped(url: str) -> AsyncIterator[Rows]:
    """Yield every row of every table as of one moment; nobody who writes waits for it.

    Raises UnavailableError where the database is newer than this version: what it does not know would be left out.
    """
    await _require_known(url)
    parsed = checked_url(url)
    if is_sqlite(parsed):
        for rows in _of_sqlite(parsed):
            yield rows
        return
    with driver_errors():
        connection = await connector(url)()
        try:
            # Whoever writes the backup down may be slow, and locks nothing.
            await connection.execute("SET idle_in_transaction_session_timeout = 0")
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for table in _tables():
                    names, some = [column.name for column in table.columns], _Some()
                    at_once = _FEW_AT_ONCE.get(table.name, AT_ONCE)
                    async for row in connection.cursor(_all_of(table), prefetch=at_once):
                        if some.add(tuple(row)):
                            yield table.name, names, some.taken()
                    yield table.name, names, some.taken()
        finally:
            await connection.close()


@dataclass(frozen=True, slots=True)
class Replay:
    """What was destroyed or ended after the backup, and must not come back with it."""

    recalled: Mapping[str, str] = field(default_factory=dict)
    """Report -> the status it ended in."""
    erased: Sequence[tuple[str, str]] = ()
    """Subject and period of personal data."""
    acts: Mapping[str, str] = field(default_factory=dict)
    """Act that waited for a second person -> who confirmed or refused it: it waits for nobody any more."""
    subscriptions: Sequence[str] = ()
    """Subscriptions that were removed: where they led is perhaps another's by now."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Request, or consent to posting, that was not decided yet -> who refused it."""


@dataclass(frozen=True, slots=True)
class Since:
    """What is done beside the rows: why the log stands still, what is destroyed again, what is to be confirmed."""

    why: str
    replay: Replay
    claims: Sequence[Claim]


async def load(url: str, records: Iterator[Rows], since: Since, *, clock: Clock) -> int:
    """Fill the empty database at `url` in one transaction, freeze its log, and destroy what was destroyed since.

    Returns how many rows were put there. Those that refer to what is gone were not, which is left to be confirmed.

    Raises ConflictError where the database is in use, MalformedError where a record does not fit this version.
    """
    await migrate(url)
    parsed, loaded, left = checked_url(url), 0, Counter[str]()
    async with used_once(new_engine(parsed, wait_seconds=_WAIT_SECONDS)) as engine, engine.begin() as connection:
        if not is_sqlite(parsed):
            # What lies between two rows, or behind the last one, may take long to read: the large parts.
            await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await _require_unused(connection)
        for table in reversed(_tables()):
            if await connection.scalar(select(func.count()).select_from(table)):
                await connection.execute(delete(table))
        for name, columns, rows in _in_their_order(records):
            put = await _insert(connection, name, columns, rows)
            loaded += put
            left[name] += len(rows) - put
        await _begin_lineage(connection, clock)
        await _freeze(connection, clock, since.why)
        await _begin_time(connection)
        await _destroy_again(connection, clock, since.replay)
        await _end_again(connection, clock, since.replay)
        await put_claims(connection, [*since.claims, *_left_out(left)])
        if not is_sqlite(parsed):
            await _continue_numbers(connection)
    return loaded


@dataclass(slots=True)
class _Some:
    """Rows that are put aside together."""

    rows: list[Sequence[Any]] = field(default_factory=list)
    held_bytes: int = 0

    def add(self, row: Sequence[Any]) -> bool:
        """Take a row; return whether that is enough."""
        self.rows.append(_plain(row))
        self.held_bytes += sum(len(value) for value in row if isinstance(value, bytes | str))
        return len(self.rows) >= AT_ONCE or self.held_bytes >= _BYTES_AT_ONCE

    def taken(self) -> list[Sequence[Any]]:
        """Return the rows, and begin with none."""
        rows, self.rows, self.held_bytes = self.rows, [], 0
        return rows


async def _require_known(url: str) -> None:
    state = await schema_state(url)
    if state is not None and state.is_newer:
        told = f"the database has schema `{state.revision}`, and this version knows `{head()}`"
        raise UnavailableError(f"{told}: rows that it does not know would be left out; use the newer one")


def _tables() -> list[Table]:
    # INVARIANT: which versions may work with a database is its own to say, whatever its rows come from.
    return [table for table in SQLModel.metadata.sorted_tables if table.name != "schema_floor"]


def _of_sqlite(url: URL) -> Iterator[Rows]:
    with driver_errors():
        uri = existing_file(str(url.database), mode="ro")
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_WAIT_SECONDS)
        try:
            # INVARIANT: text that is none is put aside as the bytes that it is, and takes nothing else with it.
            connection.text_factory = _text_or_bytes
            connection.execute("BEGIN")
            for table in _tables():
                names, some = [column.name for column in table.columns], _Some()
                for row in connection.execute(_all_of(table)):
                    if some.add(row):
                        yield table.name, names, some.taken()
                yield table.name, names, some.taken()
        finally:
            connection.close()


def _text_or_bytes(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def misfits_in(name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return the columns in which a dumped row holds what the column does not take, for each row that has one.

    Every table of this version has its rows as they are: what does not fit was damaged, or altered.
    """
    kinds = [_table(name).columns[column].type for column in columns]
    found = []
    for row in rows:
        wrong = [
            column
            for column, kind, value in zip(columns, kinds, row, strict=True)
            if value is not None and not _fits(value, kind)
        ]
        if wrong:
            found.append(", ".join(wrong))
    return found


def _fits(value: Any, kind: Any) -> bool:
    # Bytes stand as `{"b": base64}`; a truth is a number in SQLite.
    takes = _takes(kind)
    if takes is bytes:
        return isinstance(value, dict)
    # SQLite keeps what PostgreSQL does not take: NUL in a text, and any number in a column of smaller ones.
    if takes is str:
        return isinstance(value, str) and "\0" not in value
    bits = 63 if isinstance(kind, BigInteger) else 31
    return isinstance(value, int) and -(1 << bits) <= value < 1 << bits


def _takes(kind: Any) -> type:
    """Return what a column takes: text, bytes, a number or a truth."""
    decorated: Any = kind.impl if isinstance(kind, TypeDecorator) else kind
    taken: type = decorated.python_type
    return taken


def _all_of(table: Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return f'SELECT {names} FROM "{table.name}"'  # noqa: S608  names of ours only


def _plain(row: Sequence[Any]) -> list[Any]:
    return [{"b": base64.b64encode(value).decode()} if isinstance(value, bytes) else value for value in row]


def _table(name: str) -> Table:
    found = SQLModel.metadata.tables.get(name)
    if found is None:
        raise MalformedError(
            f"the backup holds a table `{name}` that this version does not know: restore it with a newer one"
        )
    return found


def _in_their_order(records: Iterator[Rows]) -> Iterator[Rows]:
    """Yield the rows, and behind them what was moved to the archive, the oldest first.

    The database takes nothing but the next bundle of a log that has it whole.
    """
    columns, moved = list[str](), list[Sequence[Any]]()
    for name, named, rows in records:
        if name == _ARCHIVE_TABLE:
            columns, moved = named, [*moved, *rows]
        else:
            yield name, named, rows
    kinds = {name: (columns.index(name), _table(_ARCHIVE_TABLE).c[name].type) for name in ("log", "idx") if moved}
    moved.sort(key=lambda row: [_value(row[place], kind) for place, kind in kinds.values()])
    for start in range(0, len(moved), AT_ONCE):
        yield _ARCHIVE_TABLE, columns, moved[start : start + AT_ONCE]


async def _insert(connection: AsyncConnection, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """Put these rows there, and return how many they were: without those that refer to what is gone, or have no key."""
    table = _table(name)
    unknown = sorted(set(columns) - set(table.columns.keys()))
    if unknown:
        raise MalformedError(f"the backup's table `{name}` has a column `{unknown[0]}` that this version does not know")
    kinds, keys = [table.columns[column].type for column in columns], _keys_of(table)

    def has_key(row: Sequence[Any]) -> bool:
        named = zip(columns, row, kinds, strict=True)
        return all(name not in keys or value is None or _fits(value, kind) for name, value, kind in named)

    # INVARIANT: of two rows in whose keys something else was written neither is in the other's way.
    named = [row for row in rows if has_key(row)]
    values = [{key: _value(value, kind) for key, value, kind in zip(columns, row, kinds, strict=True)} for row in named]
    kept = await referring(connection, table, values)
    if kept:
        await connection.execute(insert(table), kept)
    return len(kept)


def _keys_of(table: Table) -> frozenset[str]:
    """Return the columns of a table's keys, of which no two rows have the same values."""
    unique = (column.name for index in table.indexes if index.unique for column in index.columns)
    return frozenset((*table.primary_key.columns.keys(), *unique))


def _left_out(left: Counter[str]) -> list[Claim]:
    told = "{} rows of `{}` had no key when the backup was made, or refer to what was deleted: they are left out"
    return [
        Claim(f"left-out-{name}", "rows-altered", name, told.format(count, name))
        for name, count in sorted(left.items())
        if count
    ]


def _value(value: Any, kind: Any) -> Any:
    """Return a value as its column takes it: where something else stood there, as what nothing takes for right."""
    takes = _takes(kind)
    content = base64.b64decode(value["b"], validate=True) if isinstance(value, dict) else None
    if content is not None and takes is bytes:
        return content
    if value is None or _fits(value, kind):
        return bool(value) if takes is bool and value is not None else value
    if takes is int or takes is bool:
        return NO_NUMBER if takes is int else False
    stood = str(value) if content is None else content.decode(errors="backslashreplace")
    # PostgreSQL takes no NUL, and neither database text that is none.
    return stood.replace("\0", "\\x00") if takes is str else stood.encode()


async def _require_unused(connection: AsyncConnection) -> None:
    for name in _FILLED_TABLES:
        if await connection.scalar(select(func.count()).select_from(_table(name))):
            row = RestoreClaimTable
            is_open = (col(row.kind) == UNFINISHED, col(row.confirmed_at).is_(None))
            if await connection.scalar(select(func.count()).select_from(_table(row.__tablename__)).where(*is_open)):
                raise ConflictError(f"an earlier restore was broken off here: {EMPTY_IT}", code="not-empty")
            raise ConflictError(await _told_in_use(connection), code="not-empty")


async def _told_in_use(connection: AsyncConnection) -> str:
    # Whoever restores elsewhere has the settings from before, and they may name the one that is in use.
    where = connection.engine.url.render_as_string(hide_password=True)
    told = f"the database `{where}` is in use: a backup is restored into an empty one only"
    held = [await connection.scalar(select(func.count()).select_from(_table(name))) for name in ("client", "report")]
    # Nobody is told to empty one that holds anything of theirs.
    return told if any(held) else f"{told}; it was begun, and holds no client and no report: {EMPTY_IT}"


async def _begin_lineage(connection: AsyncConnection, clock: Clock) -> None:
    version = _table("policy_state").c.policy_version
    at = await connection.scalar(select(version))
    if at is not None:
        await connection.execute(update(version.table).values({version: next_lineage(at, clock())}))


async def _freeze(connection: AsyncConnection, clock: Clock, why: str) -> None:
    newest = select(func.max(col(LogStateTable.log))).scalar_subquery()
    frozen = update(LogStateTable).where(col(LogStateTable.log) == newest, col(LogStateTable.frozen_why).is_(None))
    await connection.execute(frozen.values(frozen_at=to_micros(clock()), frozen_why=why))


async def _begin_time(connection: AsyncConnection) -> None:
    """Hold the clock against what was signed last, where the backup is older than what is kept of it."""
    if not await connection.scalar(select(func.count()).select_from(_table("timekeeping"))):
        signed_at = await connection.scalar(select(func.max(col(LogStateTable.signed_at))))
        if signed_at:
            await connection.execute(insert(_table("timekeeping")), {"id": 1, "believed_at": signed_at})


async def _destroy_again(connection: AsyncConnection, clock: Clock, replay: Replay) -> None:
    report, part, key = _table("report"), _table("report_part"), _table("personal_key")
    for report_id, status in replay.recalled.items():
        of_report = part.c.report_id == report_id
        await _give_up_blobs(connection, clock, part, report_id=report_id)
        # One that was not complete when the backup was made must not be completed again.
        await _abandon(connection, clock, report_id)
        await connection.execute(update(part).where(of_report).values(wrapped_key=b"", ciphertext=b"", location=None))
        gone = {"status": status, "sealed_header": b"", "declassify_on": None}
        await connection.execute(update(report).where(report.c.id == report_id).values(gone))
    for subject, period in replay.erased:
        which = (key.c.subject == subject, key.c.period == period, key.c.destroyed_at.is_(None))
        await connection.execute(update(key).where(*which).values(wrapped_key=b"", destroyed_at=to_micros(clock())))


async def _give_up_blobs(connection: AsyncConnection, clock: Clock, part: Table, *, report_id: str) -> None:
    owner = part.c.report_id if part.name == "report_part" else part.c.upload_id
    named = select(part.c.location).where(owner == report_id, part.c.location.is_not(None))
    await give_up_blobs(connection, named, to_micros(clock()))


async def _abandon(connection: AsyncConnection, clock: Clock, report_id: str) -> None:
    upload, part = _table("upload"), _table("upload_part")
    await _give_up_blobs(connection, clock, part, report_id=report_id)
    await connection.execute(delete(part).where(part.c.upload_id == report_id))
    ended = {"ended": "abandoned", "ended_at": to_micros(clock()), "sealed_header": b""}
    is_open = (upload.c.id == report_id, upload.c.ended.is_(None))
    await connection.execute(update(upload).where(*is_open).values(ended))


async def _end_again(connection: AsyncConnection, clock: Clock, replay: Replay) -> None:
    now = literal(to_micros(clock()), BigInteger)
    act, end = _table("pending_act"), _table("pending_act_end")
    for act_id, client in replay.acts.items():
        waits = (act.c.id == act_id, act.c.approver.is_(None), act.c.id.not_in(select(end.c.act_id)))
        ended = select(act.c.id, literal(client), now).where(*waits)
        await connection.execute(insert(end).from_select(["act_id", "client", "ended_at"], ended))
    for name in ("onward_release", "derivation_consent", "proxy_consent"):
        asked = _table(name)
        for request_id, client in replay.refused.items():
            refused = {"state": "refused", "decided_at": now, "decided_by": client}
            undecided = (asked.c.id == request_id, asked.c.state.in_(("asked", "awaiting-second-person")))
            await connection.execute(update(asked).where(*undecided).values(refused))
    subscription, due = _table("subscription"), _table("subscription_delivery")
    for subscription_id in replay.subscriptions:
        await connection.execute(delete(due).where(due.c.subscription_id == subscription_id))
        gone = {"ended_at": now, "wrapped_secret": b""}
        stands = (subscription.c.id == subscription_id, subscription.c.ended_at.is_(None))
        await connection.execute(update(subscription).where(*stands).values(gone))


async def _continue_numbers(connection: AsyncConnection) -> None:
    """Let PostgreSQL number on behind what was restored."""
    for table in SQLModel.metadata.sorted_tables:
        (column, *others) = table.primary_key.columns
        if others:
            continue
        found = await connection.scalar(
            text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": f'"{table.name}"', "column": column.name}
        )
        if found is not None:
            highest = await connection.scalar(select(func.max(column)))
            if highest is not None:
                await connection.execute(text("SELECT setval(:name, :highest)"), {"name": found, "highest": highest})
