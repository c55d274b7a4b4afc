"""How SQLite is written to: its one lock, rows by the dozen, and who puts its log into the file."""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from itertools import cycle
from pathlib import Path
from unittest.mock import Mock, call

import pytest

from exchange.store.database.dialect import Row, sql_for
from exchange.store.log import tree_database
from exchange.store.writer import sqlite
from exchange.store.writer.batch import Ask, Put
from exchange.store.writer.sqlite import begin, connect_writer, drive

WAIT = 5.0
SIZES = (100, 100_000, 2_000_000, 100, 200_000, 60_000)


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "some.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE audit_entry (id TEXT PRIMARY KEY, content BLOB NOT NULL)")
    return str(file)


def opened(path: str, *, checkpoint_pages: int = 1000) -> sqlite3.Connection:
    return connect_writer(path, wait_seconds=WAIT, checkpoint_pages=checkpoint_pages)


def put(rows: Sequence[tuple[str, bytes]]) -> Generator[Ask | Put, Sequence[Row], str]:
    answer = yield Put(sql_for(is_sqlite=True).insert("audit_entry", ("id", "content")), rows)
    assert answer == ()
    return "done"


def test_what_moves_out_of_a_page_leaves_nothing_behind(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(sqlite3.Connection):
        """A build of SQLite that does not zero what is freed, as most do not."""

        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, **named)  # type: ignore[arg-type]
            self.execute("PRAGMA secure_delete = OFF")

    careless = partial(sqlite3.connect, factory=Careless)
    monkeypatch.setattr(sqlite.sqlite3, "connect", careless)
    with closing(opened(path)) as connection:
        assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)


def test_lock_is_asked_for_every_millisecond_until_it_is_free(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    with closing(opened(path)) as holder, closing(opened(path)) as other:
        begin(holder, wait_seconds=0)

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 40:
                holder.execute("COMMIT")

        monkeypatch.setattr(sqlite, "sleep", sleep)
        begin(other, wait_seconds=WAIT)
        assert other.in_transaction

    assert slept == [0.001] * 40


def test_lock_that_is_not_free_in_time_is_a_fault(path: str) -> None:
    with closing(opened(path)) as holder, closing(opened(path)) as other:
        begin(holder, wait_seconds=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            begin(other, wait_seconds=0.01)
        assert not other.in_transaction


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY, sqlite3.SQLITE_BUSY_TIMEOUT])
def test_lock_is_waited_for_whatever_keeps_the_database_busy(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = sqlite3.OperationalError("database is locked")
    fault.sqlite_errorcode = code
    connection = Mock(execute=Mock(side_effect=[fault, fault, None]))
    monkeypatch.setattr(sqlite, "sleep", lambda _: None)
    begin(connection, wait_seconds=WAIT)

    assert connection.execute.call_args_list == [call("BEGIN IMMEDIATE")] * 3


def test_fault_other_than_the_lock_is_not_waited_out(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "sleep", lambda _: pytest.fail("it waits for what will not change"))
    with closing(opened(path)) as connection:
        begin(connection, wait_seconds=WAIT)
        with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
            begin(connection, wait_seconds=WAIT)


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 64, 65, 200])
def test_rows_are_inserted_each_once_and_in_their_order(path: str, count: int) -> None:
    rows = [(f"{number:03}", bytes([number])) for number in range(count)]
    with closing(opened(path)) as connection:
        assert drive(connection, put(rows)) == "done"
        assert connection.execute("SELECT id, content FROM audit_entry ORDER BY rowid").fetchall() == rows


@pytest.mark.parametrize("count", [2, 3, 7, 20, 40])
def test_no_statement_of_several_rows_holds_much(path: str, count: int) -> None:
    # The driver keeps what each was run with last: one of twenty rows of 16 MiB would keep 320 MiB.
    rows = [(f"{number:03}", bytes([number]) * size) for number, size in zip(range(count), cycle(SIZES), strict=False)]
    held: list[list[int]] = []

    def execute(sql: str, values: Sequence[str | bytes] = ()) -> sqlite3.Cursor:
        held.append([len(value) for value in values[1::2]])
        return connection.execute(sql, values)

    with closing(opened(path)) as connection:
        drive(Mock(execute=execute), put(rows))
        assert connection.execute("SELECT id, content FROM audit_entry ORDER BY rowid").fetchall() == rows

    assert [size for sizes in held for size in sizes] == [len(content) for _, content in rows]
    assert all(len(sizes) == 1 or sum(sizes) <= 256 * 1024 for sizes in held)
    assert len(held) < count


@pytest.mark.parametrize("at_fault", [0, 5, 40])
def test_no_row_of_a_transaction_stays_where_one_is_at_fault(path: str, at_fault: int) -> None:
    rows: list[tuple[str, bytes | None]] = [(f"{number:03}", b"") for number in range(50)]
    rows[at_fault] = ("fault", None)
    with closing(opened(path)) as connection:
        begin(connection, wait_seconds=WAIT)
        with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
            drive(connection, put(rows))  # type: ignore[arg-type]  # the row that is at fault
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT count(*) FROM audit_entry").fetchone() == (0,)


def test_commit_puts_the_log_into_the_file_after_so_many_pages(path: str) -> None:
    rows = [(f"{number:03}", bytes(4096)) for number in range(30)]
    with closing(opened(path, checkpoint_pages=1000)) as late:
        before = Path(path).stat().st_size
        drive(late, put(rows[:15]))
        assert Path(path).stat().st_size == before
        with closing(opened(path, checkpoint_pages=10)) as early:
            drive(early, put(rows[15:]))
            assert Path(path).stat().st_size > before + 30 * 4096


def test_sequencer_puts_the_log_into_the_file_before_a_writer_of_requests_has_to() -> None:
    assert tree_database._CHECKPOINT_PAGES < sqlite._CHECKPOINT_PAGES
