"""The files beside SQLite's database are deleted while they are open: nothing more is kept, and nothing is lost."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from shutil import copy

import pytest

from exchange.kernel import UnavailableError
from exchange.store import Store
from exchange.store.tree_database import LogSteps, SqliteTree
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
