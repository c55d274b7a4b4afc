"""A private PostgreSQL for a run of the tests or of the benchmarks, and databases on it.

One cluster per run, however many workers share it; one database per test, made from a template. The cluster belongs to a keeper
process (`postgres_keeper`) that ends it, and removes its folder, as soon as its owner is gone, however the owner ended.
"""

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg

from tests.support.postgres_programs import NoPostgresError

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2 * 1024**3
"""A run has a few databases of 9 MB at a time and their log."""

ROOT = Path(__file__).resolve().parents[2]
READY = "ready.json"
FAILED = "failed.txt"
START_SECONDS = 60  # a cold disk and two busy cores; a warm start takes less than one second
STOP_SECONDS = 20
STRATEGIES_SINCE = 15_00_00

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server that databases can be made on. `admin_url` is a plain `postgresql://` address."""

    admin_url: str
    run: str  # prefix of every database of this run, so that an external server is left as it was found
    folder: Path  # locks of this run
    strategy: str = ""  # how a template is copied
    line: "Line | None" = None  # kept open for what is done for each test; None: a connection for each statement

    def create_database(self, template: str | None = None) -> str:
        """Make a database, empty or like `template` (a name that `template` gave); return its asyncpg address."""
        name = f"{self.run}_{secrets.token_hex(6)}"
        self._create(name, template)
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, whoever is still connected."""
        self._leave(database_of(url))
        self._execute(f'DROP DATABASE IF EXISTS "{database_of(url)}" WITH (FORCE)')

    def template(self, name: str, build: Callable[[str], None]) -> str:
        """Build a database once per run, by `build(url)`, and return its name for `create_database(template=...)`.

        `build` must leave no connection open: PostgreSQL copies only what nobody is connected to.
        """
        database = f"{self.run}_template_{name}"
        with _locked(self.folder / f"{database}.lock"):
            done = self.folder / f"{database}.done"
            if not done.exists():
                execute(self.admin_url, f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
                self._create(database, None)
                build(self.url(database))
                self._leave(database)
                done.touch()
        return database

    def url(self, database: str) -> str:
        """Give the SQLAlchemy address of a database, asyncpg as its driver."""
        return beside(self.admin_url, database).replace("postgresql://", "postgresql+asyncpg://")

    def drop_everything(self) -> None:
        """Drop every database of this run."""
        rows = fetch(self.admin_url, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", f"{self.run}_")
        for row in rows:
            execute(self.admin_url, f'DROP DATABASE IF EXISTS "{row["datname"]}" WITH (FORCE)')

    def _create(self, name: str, template: str | None) -> None:
        if template is not None:
            self._leave(template)
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template0"}" {self.strategy}')

    def _leave(self, database: str) -> None:
        if self.line is not None:
            self.line.leave(database)

    def _execute(self, statement: str) -> None:
        if self.line is None:
            execute(self.admin_url, statement)
        else:
            self.line.execute(statement)


class Line:
    """One connection of an administrator, in a thread and a loop of its own: tests have loops that come and go."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgres-line", daemon=True)
        self._thread.start()
        self._connection: asyncpg.Connection = self._run(asyncpg.connect(url))
        self._server = beside(url, "")
        self._kept: dict[str, asyncpg.Connection] = {}

    def execute(self, statement: str) -> None:
        """Run one statement to its end."""
        self._run(self._connection.execute(statement))

    def leads_to(self, url: str) -> bool:
        """Say whether `url` is, for the same user, of a database of this server."""
        return beside(url, "") == self._server

    def fetch_each(self, url: str, asked: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
        """Read the rows of each query in a database of this server.

        The connection is kept until the database is dropped or copied: to make one takes longer than what it is asked.
        """
        rows: list[list[Any]] = self._run(self._fetch_each(url, asked))
        return rows

    def leave(self, database: str) -> None:
        """Keep no connection to a database any more."""
        for url in [url for url in self._kept if database_of(url) == database]:
            self._run(self._kept.pop(url).close())

    def close(self) -> None:
        """Close the connections and end the thread."""
        for connection in (self._connection, *self._kept.values()):
            self._run(connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _fetch_each(self, url: str, asked: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
        if url not in self._kept or self._kept[url].is_closed():
            # Tests change tables between two statements: nothing is remembered of them.
            self._kept[url] = await asyncpg.connect(url, statement_cache_size=0)
        return [list(await self._kept[url].fetch(*each)) for each in asked]

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def run_folder(*, on_disk: bool = False) -> Path:
    """Make the folder of one run, where the unprivileged user can reach it (pytest's own are closed to others).

    In memory where there is room for it, unless it has to be on the disk: a database has a thousand files, and making
    one for each test takes twenty times as long there.
    """
    folder = Path(tempfile.mkdtemp(prefix="exchange-pg-", dir=None if on_disk else memory()))
    folder.chmod(0o711)
    return folder


def memory() -> Path | None:
    """Return a folder in memory with room for a run, None where there is none."""
    is_roomy = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES
    return _MEMORY if is_roomy else None


def server_of_run(folder: Path, owner_pid: int) -> PostgresServer:
    """Give the server of this run, starting it when no other worker has; it ends with the process `owner_pid`."""
    external = os.environ.get("TEST_DATABASE_URL")
    if external:
        run = f"exchange_test_{folder.name.rpartition('-')[2].lower()}"
        return PostgresServer(external.replace("postgresql+asyncpg://", "postgresql://"), run, folder)
    with _locked(folder / "start.lock"):
        if not (folder / READY).exists():
            _start_keeper(folder, owner_pid, fsync=False)
    url = json.loads((folder / READY).read_text())["url"]
    return PostgresServer(url, "test", folder, _strategy(url))


def _strategy(url: str) -> str:
    """Return how to copy a template in half the time where nothing has to reach a disk: as files, not through the log."""
    ((version,),) = fetch(url, "SHOW server_version_num")
    return "STRATEGY file_copy" if int(version) >= STRATEGIES_SINCE else ""


def end_run(folder: Path) -> None:
    """End what `server_of_run` started; an external server is left without the run's databases."""
    external = os.environ.get("TEST_DATABASE_URL")
    if external and any(folder.iterdir()):
        server_of_run(folder, os.getpid()).drop_everything()
    if (folder / READY).exists():
        _stop_keeper(folder)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_cluster(*, fsync: bool, choices: Sequence[str] = ()) -> Iterator[str]:
    """Run a cluster of one's own and give the asyncpg address of an empty database on it.

    With `fsync` what is committed is on the disk: for durability tests and for honest figures. `choices` are initdb's.
    """
    folder = run_folder(on_disk=fsync)
    try:
        _start_keeper(folder, os.getpid(), fsync=fsync, choices=choices)
        server = PostgresServer(json.loads((folder / READY).read_text())["url"], "private", folder)
        yield server.create_database()
    finally:
        _stop_keeper(folder)


def database_of(url: str) -> str:
    """Give the name of the database that an address leads to."""
    return urlsplit(url).path.removeprefix("/")


def beside(url: str, database: str) -> str:
    """Give the address of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def over_tcp(url: str) -> str:
    """Give the address that leads over TCP to the database of one that leads over its server's socket."""
    parts = urlsplit(url)
    ports = parse_qs(parts.query).get("port")
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}127.0.0.1:{ports[0]}", query="")) if ports else url


_lines: list[Line] = []


@contextmanager
def line_of_run(url: str) -> Iterator[Line]:
    """Keep a line to the server of this run, for `rows_of_each` too."""
    line = Line(url)
    _lines.append(line)
    yield line
    _lines.remove(line)
    line.close()


def rows_of_each(url: str, *asked: tuple[Any, ...]) -> list[list[tuple[Any, ...]]]:
    """Return the rows of each query, on the line of this run where it leads to that server."""
    plain = url.replace("+asyncpg", "")
    line = next((line for line in _lines if line.leads_to(plain)), None)
    found = _fetch(plain, *asked) if line is None else line.fetch_each(plain, asked)
    return [[tuple(row) for row in rows] for rows in found]


def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own."""

    async def work() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    _in_thread(work())


def fetch(url: str, query: str, *arguments: object) -> list[Any]:
    """Read rows on a connection of its own."""
    return _fetch(url, (query, *arguments))[0]


def _fetch(url: str, *asked: tuple[Any, ...]) -> list[list[Any]]:
    async def work() -> list[list[Any]]:
        connection = await asyncpg.connect(url)
        try:
            return [list(await connection.fetch(*each)) for each in asked]
        finally:
            await connection.close()

    return _in_thread(work())


def _in_thread(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end in a loop of its own: the test's loop is neither needed nor touched."""
    outcome: list[Result] = []
    fault: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if fault:
        raise fault[0]
    return outcome[0]


def _start_keeper(folder: Path, owner_pid: int, *, fsync: bool, choices: Sequence[str] = ()) -> None:
    command = [sys.executable, "-m", "tests.support.postgres_keeper", str(folder), str(owner_pid)]
    # A session of its own: Ctrl-C goes to the owner, and the keeper ends when the owner has.
    with (folder / "keeper.log").open("wb") as log:
        subprocess.Popen(
            [*command, "fsync" if fsync else "fast", *choices],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ).returncode = 0  # the keeper is nobody's child to wait for: without this, Python warns that it still runs
    deadline = time.monotonic() + START_SECONDS
    while not (folder / READY).exists():
        if (folder / FAILED).exists():
            raise NoPostgresError((folder / FAILED).read_text())
        if time.monotonic() > deadline:
            raise NoPostgresError(f"PostgreSQL did not start in {START_SECONDS} s: {folder}/keeper.log says why")
        time.sleep(0.02)


def _stop_keeper(folder: Path) -> None:
    ready = folder / READY
    if not ready.exists():
        return
    keeper = int(json.loads(ready.read_text())["keeper"])
    try:
        os.kill(keeper, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + STOP_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        _reap(keeper)
        time.sleep(0.02)
    _reap(keeper)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
