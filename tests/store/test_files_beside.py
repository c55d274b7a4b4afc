"""The files beside SQLite's database are deleted while they are open: nothing more is kept, and nothing is lost."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from shutil import copy

import pytest
from sqlalchemy import text

from exchange.kernel import UnavailableError
from exchange.store import Store
from exchange.store.database.engine import checked_url, new_engine, read_rows
from exchange.store.log.tree_database import LogSteps, SqliteTree
from exchange.store.writer import sqlite
from exchange.store.writer.sqlite import FileConnection, connect
from tests.support.prepared import run_prepared
from tests.support.store import draft, open_store

Use = Callable[[Store], Awaitable[object]]

GONE = "was deleted or replaced while this process had it open: put it back"


async def change(store: Store) -> None:
    async with store.unit_of_work() as unit:
        await unit.record(draft())


USES: dict[str, Use] = {
    "append": lambda store: store.append(draft()),
    "change": change,
    "read": lambda store: store.caller("nobody"),
}


@pytest.fixture
def file(migrated_file: Path, tmp_path: Path) -> Path:
    return Path(copy(migrated_file, tmp_path / "exchange.db"))


async def opened(file: Path) -> Store:
    store = await open_store(f"sqlite+aiosqlite:///{file}")
    for use in USES.values():
        await use(store)
    return store


def beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("ending", ["-wal", "-shm"])
async def test_nothing_is_answered_until_the_file_is_back(file: Path, ending: str, use: Use) -> None:
    store = await opened(file)
    beside(file, ending).rename(beside(file, ".away"))
    with pytest.raises(UnavailableError, match=GONE) as refused:
        await use(store)
    assert str(file) not in refused.value.told
    with pytest.raises(UnavailableError, match=GONE):
        await use(store)
    beside(file, ".away").rename(beside(file, ending))

    await use(store)
    await store.close()


async def test_another_one_at_a_new_database_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """Whoever made it had not opened the log that it had asked for: another's was taken for one in its place."""
    file = tmp_path / "new.db"
    file.touch()
    engine = new_engine(checked_url(f"sqlite+aiosqlite:///{file}"), wait_seconds=1)
    async with engine.connect():
        pass
    with closing(sqlite3.connect(file)) as another:
        another.execute("SELECT count(*) FROM sqlite_schema").fetchall()

        assert await read_rows(engine, text("SELECT 1")) == [(1,)]
    await engine.dispose()


async def test_reader_of_a_database_kept_in_another_way_has_its_log_open(tmp_path: Path) -> None:
    file = tmp_path / "copied.db"
    with closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE kept (number INTEGER)")
    reader = FileConnection(str(file), partial(connect, wait_seconds=1))
    reader.open()
    with closing(sqlite3.connect(file)) as another:
        another.execute("SELECT * FROM kept").fetchall()

        assert reader.open().execute("SELECT * FROM kept").fetchall() == []
    reader.drop()


async def test_reader_that_could_not_begin_begins_anew(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    reader = FileConnection(str(file), partial(connect, wait_seconds=1))
    reader.open()
    reader.drop()
    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "held_beside", fail)
        with pytest.raises(sqlite3.OperationalError):
            reader.open()

    assert reader.open().execute("SELECT 1").fetchall() == [(1,)]
    reader.drop()


COMMITTED = """
import asyncio, os, sys
from pathlib import Path
from exchange.kernel import UnavailableError
from tests.store.test_files_beside import USES, opened

async def main():
    file = Path(sys.argv[1])
    store = await opened(file)
    for ending in ("-wal", "-shm"):
        file.with_name(file.name + ending).unlink()
    refused = 0
    for use in USES.values():
        try:
            await use(store)
        except UnavailableError:
            refused += 1
    print(refused, flush=True)
    if sys.argv[2] == "stopped":
        await store.close()
    os._exit(0)

asyncio.run(main())
"""


def entries_after(file: Path, ended: str) -> int:
    done = run_prepared("-c", COMMITTED, file, ended)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(len(USES))]
    with closing(sqlite3.connect(file)) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM audit_entry").fetchall()
    return int(count)


def test_process_that_is_stopped_puts_what_was_committed_into_the_database(file: Path) -> None:
    assert entries_after(file, "stopped") == 2


def test_process_that_is_killed_takes_what_was_committed_along(file: Path) -> None:
    """So nothing more may be acknowledged."""
    assert entries_after(file, "killed") == 0


async def test_sequencer_keeps_the_connection_that_it_may_not_use(file: Path) -> None:
    tree = SqliteTree(str(file), wait_seconds=1)
    await tree.transact(nothing())
    beside(file, "-wal").rename(beside(file, ".away"))
    with pytest.raises(UnavailableError, match=GONE):
        await tree.transact(nothing())
    beside(file, ".away").rename(beside(file, "-wal"))

    await tree.transact(nothing())
    await tree.close()


def nothing() -> LogSteps[None]:
    yield from ()
