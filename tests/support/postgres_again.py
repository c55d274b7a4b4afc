"""Databases that are lent: what a test left in one is put back as it was in its template, and the next test gets it.

To make a database and to drop it takes a server some 20 milliseconds of work; to put back the tables that a test has changed
takes half of that. Only rows are put back, and where sequences stand: a database whose tables, triggers, functions, rights or settings are
not as they were is dropped.

INVARIANT: nobody changes a template while copies of it are lent.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import asyncpg

MOST_USES = 50
"""What was taken out of a table stays in its file."""
MOST_IDLE = 2

_FIRST_OWN = 16_384
"""What has a lower number was made with the cluster."""

_SHAPED_BY = {
    "pg_attribute": "attrelid",
    "pg_class": "oid",
    "pg_constraint": "oid",
    "pg_event_trigger": "oid",
    "pg_namespace": "oid",
    "pg_policy": "oid",
    "pg_proc": "oid",
    "pg_rewrite": "oid",
    "pg_trigger": "oid",
    "pg_type": "oid",
}
"""What a statement that defines or grants something changes, and what tells there whose row it is."""

_MARK = "(SELECT array[count(*), coalesce(max(xmin::text::bigint), 0)] FROM {})"
"""What is changed gets a higher number; what is taken away is missing."""

_SHAPE = "SELECT " + ", ".join(
    [
        *(_MARK.format(f"{catalogue} WHERE {key} >= {_FIRST_OWN}") for catalogue, key in _SHAPED_BY.items()),
        "(SELECT count(*) FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = current_database())",
        "(SELECT (datconnlimit, datallowconn)::text FROM pg_database WHERE datname = current_database())",
    ]
)
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"
_END_OTHERS = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1 AND pid <> $2"
_GRANTED_SINCE = """SELECT count(*) FILTER (WHERE datname = $1) <> count(*) FILTER (WHERE datname = $2)
FROM pg_shdepend JOIN pg_database d ON d.oid = dbid WHERE datname IN ($1, $2)"""
"""A role that has anything in a database cannot be dropped."""

Marks = Mapping[str, tuple[int, int]]


class Server(Protocol):
    """What is done on the server that lends."""

    admin: asyncpg.Connection

    async def kept(self, database: str) -> asyncpg.Connection:
        """Give a connection to a database that is kept until the database is dropped."""

    def kept_process(self, database: str) -> int:
        """Give the process of that connection, 0 where there is none."""


@dataclass(frozen=True)
class Original:
    """What is in a database that nobody has used; the rows of a table are in a file that the server reads, "" for none."""

    shape: tuple[Any, ...]
    marks: Marks
    files: Mapping[str, str]
    sequences: Mapping[str, tuple[int, bool]]


@dataclass
class Lent:
    """A database, and how its tables were when they were put back last."""

    template: str
    marks: Marks | None = None
    uses: int = 1


@dataclass
class Lending:
    """What was lent by its name, and by their template what has come back and how it was."""

    server: Server
    lent: dict[str, Lent] = field(default_factory=dict)
    idle: dict[str, list[str]] = field(default_factory=dict)
    originals: dict[str, Original] = field(default_factory=dict)

    async def lend(self, database: str, template: str) -> None:
        """Lend a new database. Where one is wanted for the second time, more will be: what is in it is read."""
        self.lent[database] = Lent(template)
        if template in self.idle and template not in self.originals:
            self.originals[template] = await _read(await self.server.kept(database))

    async def again(self, template: str) -> tuple[str | None, list[str]]:
        """Return a database that is like its template again, or None, and which were found to be none and are to go."""
        to_go: list[str] = []
        while template in self.originals and self.idle.get(template):
            database = self.idle[template].pop()
            if await self._put_back(database, self.originals[template]):
                return database, to_go
            del self.lent[database]
            to_go.append(database)
        return None, to_go

    async def takes_back(self, database: str) -> bool:
        """End whoever is connected to a database that was lent; say whether it is kept for another test."""
        lent = self.lent.get(database)
        if lent is None:
            return False
        idle = self.idle.setdefault(lent.template, [])
        if database in idle:
            return True
        await self.server.admin.fetch(_END_OTHERS, database, self.server.kept_process(database))
        is_done = lent.uses >= MOST_USES or len(idle) >= MOST_IDLE
        if is_done or await self.server.admin.fetchval(_GRANTED_SINCE, database, lent.template):
            del self.lent[database]
            return False
        idle.append(database)
        return True

    def forget(self, template: str) -> list[str]:
        """Return which databases are kept that are like this one."""
        self.originals.pop(template, None)
        kept = self.idle.pop(template, [])
        for database in kept:
            del self.lent[database]
        return kept

    async def _put_back(self, database: str, original: Original) -> bool:
        connection, lent = await self.server.kept(database), self.lent[database]
        await connection.reset()
        if tuple(await connection.fetchrow(_SHAPE)) != original.shape:
            return False
        was, now = lent.marks or original.marks, await _marks(connection, original.files)
        changed = {table: file for table, file in original.files.items() if now[table] != was[table]}
        number = await _write(connection, changed, original.sequences)
        written = {table: (count, number if count else 0) for table, (count, _) in original.marks.items()}
        lent.marks = {table: written[table] if table in changed else mark for table, mark in was.items()}
        lent.uses += 1
        return True


async def _read(connection: asyncpg.Connection) -> Original:
    tables = [row[0] for row in await connection.fetch(_TABLES)]
    sequences = [row[0] for row in await connection.fetch(_SEQUENCES)]
    beside = await connection.fetchval("SELECT current_setting('data_directory') || '/' || current_database()")
    marks = await _marks(connection, tables)
    files = {table: f"{beside}.{table}" if count else "" for table, (count, _) in marks.items()}
    await connection.execute(
        "; ".join(f"COPY \"{table}\" TO '{file}' (FORMAT binary)" for table, file in files.items() if file)
    )
    return Original(
        shape=tuple(await connection.fetchrow(_SHAPE)),
        marks=marks,
        files=files,
        sequences={
            name: tuple(await connection.fetchrow(f'SELECT last_value, is_called FROM "{name}"')) for name in sequences
        },
    )


async def _marks(connection: asyncpg.Connection, tables: Collection[str]) -> Marks:
    row = await connection.fetchrow("SELECT " + ", ".join(_MARK.format(f'"{table}"') for table in tables))
    return {table: (count, number) for table, (count, number) in zip(tables, row, strict=True)}


async def _write(
    connection: asyncpg.Connection, files: Mapping[str, str], sequences: Mapping[str, tuple[int, bool]]
) -> int:
    """Put the rows of these files into these tables, and nothing else, at once; return the number that they get."""
    statements = [
        "SET LOCAL session_replication_role = replica",  # neither guards nor what refers to another row is asked
        *(f'DELETE FROM "{table}"' for table in files),
        *(f"COPY \"{table}\" FROM '{file}' (FORMAT binary)" for table, file in files.items() if file),
        *(f"SELECT setval('\"{name}\"', {at}, {is_called})" for name, (at, is_called) in sequences.items()),
    ]
    async with connection.transaction():
        await connection.execute("; ".join(statements))
        return int(await connection.fetchval("SELECT pg_current_xact_id()::text::bigint"))
