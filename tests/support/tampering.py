"""What somebody does who writes to the database of a world: puts rows back, gives one a value of another, takes one out."""

import random
import sqlite3
from typing import Any

import asyncpg
from sqlmodel import SQLModel

from tests.support.world import World

Rows = dict[str, list[tuple[Any, ...]]]

TABLES = (
    *("member", "client", "client_certificate", "agreement", "agreement_party", "agreement_amendment"),
    *("agreement_signature", "agreement_crisis", "caveat_set", "onward_release", "proxy_consent", "release_class"),
    *("report", "report_part", "report_version", "report_past"),
)
WHOLES = (
    (("client", "id"),),
    (("member", "code"),),
    (("client_certificate", "thumbprint"),),
    (("report", "id"),),
    (("report", "id"), ("report_part", "report_id")),
    (("report", "id"), ("report_part", "report_id"), ("report_version", "report_id"), ("report_past", "report_id")),
    (("onward_release", "id"),),
    (("agreement", "id"), ("agreement_party", "agreement_id")),
    (("agreement_crisis", "id"),),
    (("caveat_set", "member"),),
    (("proxy_consent", "id"),),
)
"""What is put back together: the tables that hold it, and by which column."""

_REFUSED = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)
_TRIES = 40


class Tamperer:
    """One who kept copies of rows, and writes; `said` tells what it did. Take the guards of the tables away before."""

    def __init__(self, world: World, chosen: random.Random) -> None:
        self._world, self._chosen = world, chosen
        self._kept: list[Rows] = []
        self.said: list[str] = []

    def keep(self) -> None:
        """Copy all rows as they are now."""
        self._kept.append(self._rows())

    def tamper(self) -> None:
        """Do one thing; what the database itself does not let be done is left."""
        deed = self._chosen.choice((self._put_back, self._put_back, self._alter, self._alter, self._remove))
        try:
            deed()
        except _REFUSED as exc:
            self.said.append(f"the database refuses it: {exc}")

    def _put_back(self) -> None:
        """Put something back as it was, where it is another by now."""
        now = self._rows()
        for _ in range(_TRIES):
            then, whole = self._chosen.choice(self._kept), self._chosen.choice(WHOLES)
            table, column = whole[0]
            names = sorted({row[_place(table, column)] for row in (*then[table], *now[table])})
            if not names:
                continue
            name = self._chosen.choice(names)
            before = {each: _named(then, each, by, name) for each, by in whole}
            if before == {each: _named(now, each, by, name) for each, by in whole}:
                continue
            for each, by in whole:
                self._world.sql(f"DELETE FROM {each} WHERE {by} = $1", name)
                for row in before[each]:
                    marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
                    self._world.sql(f"INSERT INTO {each} ({', '.join(_columns(each))}) VALUES ({marks})", *row)
            self.said.append(f"puts back {name} in {', '.join(before)}")
            return

    def _alter(self) -> None:
        """Give a row what stands in another."""
        rows = self._rows()
        table = self._chosen.choice([each for each in TABLES if len(rows[each]) > 1])
        row, other = self._chosen.sample(rows[table], 2)
        columns = [each for each in _columns(table) if each not in _keys(table)]
        column = self._chosen.choice(columns)
        value = other[_place(table, column)]
        where, key = _which(table, row, first=2)
        self._world.sql(f"UPDATE {table} SET {column} = $1 WHERE {where}", value, *key)
        self.said.append(f"puts {value!r:.80} into {column} of {table} {key}")

    def _remove(self) -> None:
        """Take a row out."""
        rows = self._rows()
        table = self._chosen.choice([each for each in TABLES if rows[each]])
        where, key = _which(table, self._chosen.choice(rows[table]), first=1)
        self._world.sql(f"DELETE FROM {table} WHERE {where}", *key)
        self.said.append(f"takes {key} out of {table}")

    def _rows(self) -> Rows:
        """Read all rows, in the same order however the database has them."""
        return {
            table: sorted(self._world.sql(f"SELECT {', '.join(_columns(table))} FROM {table}"), key=str)
            for table in TABLES
        }


def _columns(table: str) -> list[str]:
    return [str(column.name) for column in SQLModel.metadata.tables[table].columns]


def _keys(table: str) -> list[str]:
    return [str(column.name) for column in SQLModel.metadata.tables[table].primary_key]


def _place(table: str, column: str) -> int:
    return _columns(table).index(column)


def _named(rows: Rows, table: str, column: str, name: object) -> list[tuple[Any, ...]]:
    return [row for row in rows[table] if row[_place(table, column)] == name]


def _which(table: str, row: tuple[Any, ...], *, first: int) -> tuple[str, tuple[Any, ...]]:
    """Return what finds one row, its parameters numbered from `first`, and these."""
    keys = _keys(table)
    where = " AND ".join(f"{key} = ${number}" for number, key in enumerate(keys, start=first))
    return where, tuple(row[_place(table, key)] for key in keys)
