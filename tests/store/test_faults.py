"""The database goes away, fills up or locks: callers hear UnavailableError, and what comes back works again."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from asyncpg.exceptions import TargetServerAttributeNotMatched
from sqlalchemy.exc import DBAPIError

from exchange.kernel import ConflictError, ExchangeError, UnavailableError
from exchange.store import Parts, Store
from exchange.store.database.faults import as_exchange_error
from tests.support.postgres import PostgresServer, beside, database_of, execute, fetch
from tests.support.prepared import run_prepared
from tests.support.store import NOW, draft, member, migrate_template, new_report, open_store

Use = Callable[[Store], Awaitable[object]]


async def change(store: Store) -> None:
    async with store.unit_of_work() as unit:
        await unit.add_member(member("NOR"))
        await unit.record(draft())


async def change_again(store: Store) -> None:
    async with store.unit_of_work() as unit:
        await unit.record(draft())


READS: dict[str, Use] = {
    "caller": lambda store: store.caller("nobody"),
    "report": lambda store: store.report_for("nobody", "id", parts=Parts.ALL),
    "page": lambda store: store.page("nobody", [1], after=0, limit=1, now=NOW, precedence=None, since=NOW),
}
WRITES: dict[str, Use] = {
    "append": lambda store: store.append(draft()),
    "post": lambda store: store.post_report(new_report(), draft(), policy_version=1, idempotency=None),
    "ping": lambda store: store.ping(),
    "change": change,
}


@contextmanager
def locked_by_another_process(path: str) -> Iterator[None]:
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN IMMEDIATE'); print(1, flush=True); input()"
    command = [sys.executable, "-c", script, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate(b"\n")


@dataclass(frozen=True)
class SqliteFile:
    url: str
    path: str


@pytest.fixture
def sqlite_file(migrated_file: Path, tmp_path: Path) -> SqliteFile:
    file = shutil.copy(migrated_file, tmp_path / "exchange.db")
    return SqliteFile(f"sqlite+aiosqlite:///{file}", str(file))


def move(source: str, target: str) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(source + suffix).rename(target + suffix)


def is_gone(path: str) -> bool:
    return not Path(path).exists()


def size_of(path: str) -> int:
    return Path(path).stat().st_size


def spoil(path: str) -> None:
    Path(path).write_bytes(b"x" * 8192)


def replace_by_copy(path: str) -> None:
    source, copy = sqlite3.connect(path), sqlite3.connect(path + ".copy")
    source.backup(copy)
    source.close()
    copy.close()
    for suffix in ("", "-wal", "-shm"):
        Path(path + suffix).unlink(missing_ok=True)
    Path(path + ".copy").rename(path)


@pytest.mark.parametrize("use", WRITES.values(), ids=WRITES)
async def test_write_to_a_locked_file_is_unavailable_and_works_again_after(sqlite_file: SqliteFile, use: Use) -> None:
    store = await open_store(sqlite_file.url, wait_seconds=0.05)
    with locked_by_another_process(sqlite_file.path):
        with pytest.raises(UnavailableError, match="locked"):
            await use(store)
        for read in READS.values():
            await read(store)

    await use(store)
    await store.close()


@pytest.mark.parametrize("use", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
async def test_file_that_is_gone_is_unavailable_and_never_made_anew(sqlite_file: SqliteFile, use: Use) -> None:
    store = await open_store(sqlite_file.url)
    await change_again(store)
    move(sqlite_file.path, sqlite_file.path + ".away")
    with pytest.raises(UnavailableError, match=r"is not there: put it back|see that it is there"):
        await use(store)
    assert is_gone(sqlite_file.path)
    move(sqlite_file.path + ".away", sqlite_file.path)

    await use(store)
    await store.close()


@pytest.mark.parametrize("record", [lambda store: store.append(draft()), change_again], ids=["append", "change"])
async def test_file_that_was_replaced_takes_the_next_entry(sqlite_file: SqliteFile, record: Use) -> None:
    store = await open_store(sqlite_file.url)
    await record(store)
    replace_by_copy(sqlite_file.path)
    await record(store)
    seen = await store.entries(10)
    await store.close()
    again = await open_store(sqlite_file.url)

    assert await again.entries(10) == seen
    assert len(seen) == 2
    await again.close()


FILLER = """
import asyncio, resource, signal, sys
from exchange.kernel import UnavailableError
from tests.support.store import draft, open_store

async def main():
    store = await open_store(sys.argv[1])
    kept = [await store.append(draft())]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        while True:
            kept.append(await store.append(draft()))
    except UnavailableError as error:
        print("full", error)
    # What the entry had begun to write leaves room for a few pages.
    for _ in range(32):
        try:
            await store.ping()
        except UnavailableError:
            print("noticed")
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    kept.append(await store.append(draft()))
    found = await store.entries(100_000)
    print("kept", len(kept), "found", len(found))
    await store.close()

asyncio.run(main())
"""


async def test_full_disk_is_unavailable_loses_nothing_and_recovers(sqlite_file: SqliteFile) -> None:
    limit = size_of(sqlite_file.path) + 200_000
    done = await asyncio.to_thread(run_prepared, "-c", FILLER, sqlite_file.url, limit)

    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert words[0] == "full"
    kept, found = int(words[words.index("kept") + 1]), int(words[words.index("found") + 1])
    assert kept == found
    assert "noticed" in words


def cut_connections(url: str) -> None:
    plain = url.replace("+asyncpg", "")
    fetch(
        plain,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exchange' AND datname = current_database()",
    )


@pytest.fixture
async def postgres_store(postgres_server: PostgresServer) -> AsyncIterator[tuple[Store, str]]:
    url = postgres_server.create_database(postgres_server.template("store", migrate_template))
    yield await open_store(url), url
    postgres_server.drop_database(url)


@pytest.mark.parametrize("use", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
async def test_cut_connections_are_opened_again(postgres_store: tuple[Store, str], use: Use) -> None:
    store, url = postgres_store
    for warm in READS.values():
        await warm(store)
    await store.append(draft())
    cut_connections(url)

    for _ in range(2):
        try:
            await use(store)
            break
        except UnavailableError:  # a write under way when the connection broke: whether it happened is not known
            continue
    else:
        pytest.fail("did not recover")
    await store.close()


@pytest.mark.parametrize("use", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
async def test_database_that_refuses_connections_is_unavailable_until_it_takes_them(
    postgres_store: tuple[Store, str], use: Use
) -> None:
    store, url = postgres_store
    name, admin = database_of(url), beside(url.replace("+asyncpg", ""), "postgres")
    execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    fetch(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    with pytest.raises(UnavailableError):
        await use(store)
    execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    await use(store)
    await store.close()


@pytest.mark.parametrize("use", WRITES.values(), ids=WRITES)
async def test_database_that_was_set_read_only_says_so_and_is_written_again_after(
    postgres_store: tuple[Store, str], use: Use
) -> None:
    """As a managed server does where its disk fills up: what a session began with, it keeps."""
    store, url = postgres_store
    name, admin = database_of(url), beside(url.replace("+asyncpg", ""), "postgres")
    execute(admin, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    cut_connections(url)
    # The first one may find the connection that was cut.
    for _ in range(2):
        with pytest.raises(UnavailableError) as refused:
            await use(store)
    execute(admin, f'ALTER DATABASE "{name}" RESET default_transaction_read_only')

    await use(store)

    assert "takes no writes" in refused.value.message
    assert refused.value.told == "the store cannot answer: ReadOnlySQLTransactionError"
    await store.close()


async def test_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(UnavailableError):
        await open_store("postgresql+asyncpg://nobody@127.0.0.1:1/none")


@pytest.mark.parametrize(
    "fault",
    [sqlite3.OperationalError("disk I/O error"), TimeoutError(), ConnectionResetError(), ValueError("secret text")],
)
def test_fault_is_told_without_what_it_quotes(fault: Exception) -> None:
    error = as_exchange_error(fault)

    assert isinstance(error, UnavailableError)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        (asyncpg.CannotConnectNowError(), "starts or stops"),
        (asyncpg.InternalClientError(), "ended the connection"),
        (asyncpg.InterfaceError("x"), "ended the connection"),
        (asyncpg.ConnectionDoesNotExistError(), "ended the connection"),
        (asyncpg.AdminShutdownError(), "ended the connection"),
        (asyncpg.CrashShutdownError(), "ended the connection"),
        (ConnectionResetError(), "ended the connection"),
        (TargetServerAttributeNotMatched(), "name the primary"),
        (asyncpg.UndefinedTableError(), "run `exchange migrate`"),
        (asyncpg.QueryCanceledError(), "`statement_timeout` of its login"),
        (asyncpg.LockNotAvailableError(), "holds a lock"),
        (asyncpg.IdleInTransactionSessionTimeoutError(), "too slow for"),
        (asyncpg.InvalidPasswordError(), "which is read for each connection"),
        (asyncpg.DataCorruptedError(), "`exchange restore` a backup"),
        (asyncpg.IndexCorruptedError(), "`exchange restore` a backup"),
        (asyncpg.UndefinedFileError(), "`exchange restore` a backup"),
        (asyncpg.InternalServerError(), "full or broken disk"),  # who connects while there is no room
        (asyncpg.OutOfMemoryError(), "no memory left"),
        (sqlite3.DatabaseError("database disk image is malformed"), "`exchange restore` a backup"),
        (sqlite3.OperationalError("disk I/O error"), "look at the disk"),
        (sqlite3.OperationalError("database is locked"), "see who holds it"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_whatever_a_server_does_to_a_connection_is_told_with_what_to_look_at(fault: Exception, mend: str) -> None:
    error = as_exchange_error(fault)

    assert isinstance(error, UnavailableError)
    assert mend in error.message


def test_database_that_cannot_be_opened_for_want_of_room_is_told_so() -> None:
    fault = sqlite3.OperationalError("disk I/O error")
    fault.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"

    error = as_exchange_error(DBAPIError("SELECT 1", None, fault))

    assert isinstance(error, UnavailableError)
    assert "database or disk is full: make room on the disk" in error.message
    assert "(docs/damage.md, Used-up numbers)" in error.message


@pytest.mark.parametrize("text", ["no such table: report_notice", "no such column: report_notice.at"])
def test_what_the_schema_lacks_is_named_to_the_operator_alone(text: str) -> None:
    for fault in (sqlite3.OperationalError(text), DBAPIError("SELECT 1", None, sqlite3.OperationalError(text))):
        error = as_exchange_error(fault)

        assert isinstance(error, UnavailableError)
        assert error.message.endswith(f"find out who altered it, and `exchange restore` a backup ({text})")
        assert error.told == f"the store cannot answer: {text.partition(':')[0]}"


def test_own_errors_stay_what_they_are() -> None:
    error: ExchangeError = ConflictError("taken")

    assert as_exchange_error(error) is error


async def test_operator_is_told_what_to_look_at_and_callers_are_not(
    postgres_server: PostgresServer, sqlite_file: SqliteFile
) -> None:
    away = "postgresql+asyncpg://exchange@127.0.0.1:1/exchange"
    nameless = postgres_server.create_database(postgres_server.template("store", migrate_template))
    postgres_server.drop_database(nameless)
    store = await open_store(sqlite_file.url)
    await store.close()
    spoil(sqlite_file.path)

    for url, kind, mend in (
        (away, "ConnectionRefusedError", "nothing listens at the database's address: see that it runs there"),
        (nameless, "InvalidCatalogNameError", "the server has no database of that name: see `database_url`"),
        (sqlite_file.url, "file is not a database", "file is not a database: look at the disk, put the file aside"),
    ):
        with pytest.raises(UnavailableError) as refused:
            await open_store(url)
        assert refused.value.message.startswith(f"the store cannot answer: {mend}")
        assert refused.value.told == f"the store cannot answer: {kind}"
