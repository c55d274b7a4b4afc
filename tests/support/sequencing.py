"""Gives entries their places in the log, as the sequencer does: what no one has sequenced cannot be found."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from exchange.audit import hash_leaf
from exchange.store.log.log_statements import LEAF_COLUMNS
from exchange.store.log.search_rows import SEARCH_COLUMNS, search_row
from tests.support.postgres import rows_of_each

_WAITING = "SELECT o.id, e.id, e.content FROM audit_outbox o JOIN audit_entry e ON e.id = o.entry_id ORDER BY o.id"
_LAST = "SELECT coalesce(max(position), -1) FROM audit_search"
_AT_ONCE = 500

Run = Callable[..., list[tuple[Any, ...]]]
"""A statement, its parameters written `$1`, `$2` ..., and these -> its rows."""


def sequence(url: str) -> int:
    """Give a place to every entry that waits in the database at `url`; return how many there were."""
    with _connected(url) as run:
        return placed_by(run)


def placed_by(run: Run) -> int:
    """Give a place to every entry that waits in the database that `run` asks; return how many there were."""
    waiting = run(_WAITING)
    ((last,),) = run(_LAST)
    placed = [(last + number, entry, bytes(content)) for number, (_, entry, content) in enumerate(waiting, start=1)]
    for start in range(0, len(placed), _AT_ONCE):
        chunk = placed[start : start + _AT_ONCE]
        _insert(run, "audit_search", SEARCH_COLUMNS, [search_row(1, at, content) for at, _, content in chunk])
        _insert(run, "log_leaf", LEAF_COLUMNS, [(1, at, entry, hash_leaf(content)) for at, entry, content in chunk])
    if waiting:
        run("DELETE FROM audit_outbox WHERE id <= $1", waiting[-1][0])
    return len(placed)


def _insert(run: Run, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    numbers = iter(range(1, len(rows) * len(columns) + 1))
    marks = ", ".join(f"({', '.join(f'${next(numbers)}' for _ in columns)})" for _ in rows)
    run(f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks}", *(value for row in rows for value in row))


def run_sql(url: str, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    with _connected(url) as run:
        return run(statement, *arguments)


@contextmanager
def _connected(url: str) -> Iterator[Run]:
    """Run statements on one connection; to make one takes longer than they do."""
    if url.startswith("postgresql"):
        yield lambda statement, *arguments: rows_of_each(url, (statement, *arguments))[0]
        return
    with closing(sqlite3.connect(url.partition("///")[2], timeout=60)) as connection, connection:
        yield lambda statement, *arguments: connection.execute(statement.replace("$", "?"), arguments).fetchall()
