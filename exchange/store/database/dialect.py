"""Hot statements: written once as SQLAlchemy Core, compiled once per database, run on the raw driver.

An ORM session costs six times the row it fetches; a compiled statement on the driver costs the row alone.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar

import orjson
from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, String, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.selectable import FromClause

from exchange.store.tables.main_tables import table

T = TypeVar("T")
Value = str | int | bytes | None | list[int] | list[str]
Parameters = Mapping[str, Value]
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL of one database with its parameters in order.

    `shared` is the same read for many who ask at one moment, each parameter a list; its last column tells whose row it
    is, from 1 on.
    """

    sql: str
    order: tuple[str, ...]
    constants: Mapping[str, Value]
    shared: "Statement | None" = None

    def arguments(self, parameters: Parameters) -> list[Value]:
        """Return `parameters` in the order of the statement's placeholders."""
        constants = self.constants
        return [parameters[name] if name in parameters else constants[name] for name in self.order]


class Sql:
    """Compiles for one database, and holds the few expressions in which the two differ."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self.is_sqlite = is_sqlite
        self._made: dict[Callable[[Sql], Any], Any] = {}
        self._dialect: Dialect = SQLiteDialect() if is_sqlite else PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it unannotated

    def once(self, compiled: Callable[["Sql"], T]) -> T:
        """Return what `compiled` makes of this; made when first asked for: forty milliseconds for all of a store's."""
        made: T | None = self._made.get(compiled)
        if made is None:
            made = self._made[compiled] = compiled(self)
        return made

    def compile(self, statement: Executable) -> Statement:
        """Return `statement` for this database."""
        compiled = statement.compile(dialect=self._dialect)  # type: ignore[attr-defined]  # every Executable here is a ClauseElement
        order = tuple(compiled.positiontup or ())
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        return Statement(str(compiled), order, constants)

    def shared(self, made: Callable[[FromClause | None], Select[Any]], *names: str) -> Statement:
        """Return the read that `made(None)` is, with its form for many askers where the database is asked over a wire.

        `made` is given the askers as rows: the parameters `names`, and `asker`, which is its last column then.
        """
        alone = self.compile(made(None))
        if self.is_sqlite:
            return alone
        lists = [bindparam(name, type_=ARRAY(String)) for name in names]
        askers = func.unnest(*lists).table_valued(*names, with_ordinality="asker", name="askers").render_derived()
        return replace(alone, shared=self.compile(made(askers)))

    def numbers(self, name: str) -> FromClause:
        """Return the list parameter `name` (integers) as rows with the one column `value`."""
        if self.is_sqlite:
            return func.json_each(bindparam(name, type_=String)).table_valued("value", name="listed")
        return (
            func.unnest(bindparam(name, type_=ARRAY(BigInteger))).table_valued("value", name="listed").render_derived()
        )

    def is_one_of(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Return whether `column` is in the list parameter `name` (of the column's own type)."""
        if self.is_sqlite:
            values = func.json_each(bindparam(name, type_=String)).table_valued("value", name="listed")
            return column.in_(select(values.c.value))
        return column == func.any(bindparam(name, type_=ARRAY(column.type)))

    def insert(self, name: str, columns: Sequence[str], *, then: str = "") -> Statement:
        """Return the statement that inserts rows and goes on with `then`.

        SQLite runs it once per row; PostgreSQL once for all, with one array per column.
        """
        listed = ", ".join(columns)
        marks = ", ".join("?" * len(columns)) if self.is_sqlite else self._arrays(name, columns)
        source = f"VALUES ({marks})" if self.is_sqlite else f"SELECT * FROM unnest({marks})"  # noqa: S608  names only
        sql = f"INSERT INTO {name} ({listed}) {source}{then}"
        return Statement(sql, tuple(columns), {})

    def _arrays(self, name: str, columns: Iterable[str]) -> str:
        # An array has no collation; its values take the column's when they are inserted.
        types = [table(name).c[column].type.compile(self._dialect).partition(" COLLATE ")[0] for column in columns]
        return ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, start=1))


class NoText(bytes):
    """What stands as a text in a column of SQLite and is no UTF-8."""

    __slots__ = ()


@contextmanager
def taking_no_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Have every text that is no UTF-8 come as `NoText` inside, and take no other row with it.

    Begun where a read has failed for that: a connection that looks at every text is slower for everybody.
    """
    connection.text_factory = _text
    try:
        yield
    finally:
        connection.text_factory = str


def _text(stored: bytes) -> str | NoText:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return NoText(stored)


def as_text(stored: object) -> str:
    """Return what a column of text holds, to be named: what is none as far as it can be read."""
    return stored.decode(errors="backslashreplace") if isinstance(stored, bytes) else str(stored)


def named(names: Iterable[str], row: Row) -> SimpleNamespace:
    """Return a row's columns under their names, as a row of the table has them."""
    return SimpleNamespace(**dict(zip(names, row, strict=True)))


def as_bytes(stored: object) -> bytes:
    """Return what a column of bytes holds; on SQLite that may have become text or a number: the bytes of that."""
    return bytes(stored) if isinstance(stored, bytes) else str(stored).encode()


def is_among(column: Any, values: Collection[int] | Collection[str], dialect: str) -> ColumnElement[bool]:
    """Return whether `column` is one of `values`, however many: each as a parameter of its own, there is a limit."""
    if dialect == SQLiteDialect.name:
        listed = func.json_each(orjson.dumps(list(values)).decode()).table_valued("value", name="listed")
        is_listed: ColumnElement[bool] = column.in_(select(listed.c.value))
        return is_listed
    is_any: ColumnElement[bool] = column == func.any(literal(list(values), ARRAY(column.type)))
    return is_any


Fetch = Callable[[Statement, Parameters], Awaitable[Sequence[Row]]]
"""What returns the rows of one read."""


@cache
def sql_for(*, is_sqlite: bool) -> Sql:
    """Return the one of this process for SQLite, or the one for PostgreSQL."""
    return Sql(is_sqlite=is_sqlite)


def as_sqlite(value: Value) -> str | int | bytes | None:
    """Return `value` as the SQLite driver takes it: lists as JSON."""
    return orjson.dumps(value).decode() if isinstance(value, list) else value
