"""SQLite: reads inline in the event loop, writes in one thread that commits for many.

A read takes tens of microseconds, less than handing it to a thread. One thread writes because SQLite has one
writer; it is given whatever has queued up while the last commit was being synced, all at once: each time it is
woken the event loop may have to wait for the interpreter.
"""

import asyncio
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from time import monotonic, perf_counter, sleep
from typing import TypeVar

from exchange.kernel import UnavailableError
from exchange.store.database.dialect import Parameters, Row, Statement, Value, as_sqlite, taking_no_text
from exchange.store.database.engine import LOCK_RETRY_SECONDS, existing_file, has_begun, held_beside, require_beside
from exchange.store.database.faults import driver_errors, is_of_no_text, is_of_one_row
from exchange.store.database.observing import ENTRIES_LANE, StoreLoad, StoreObserver
from exchange.store.writer.batch import Ask, Job, Lock, Put, Result, Step
from exchange.store.writer.lane import BATCH_LIMIT, QUEUE_LIMIT, Waiting, Write, deliver, failed, has_failed

T = TypeVar("T")

_READ_WAIT_SECONDS = 0.25
"""A reader waits for nobody in WAL mode but during recovery; it must not hold up the event loop."""

_ROWS_AT_ONCE = 32
"""Rows of one INSERT. A thread lets the interpreter go for each statement and then waits for it, behind the event loop,
with SQLite's one lock in its hands: the fewer statements, the shorter."""

_BYTES_AT_ONCE = 256 * 1024
"""Of one INSERT of several rows. The driver keeps what a statement was run with last for as long as the statement, and
there is one of each number of rows: without this, the parts of hundreds of posts would stay in memory."""

_CHECKPOINT_PAGES = 20_000
"""After so many pages in its log, 80 MB, a writer of requests puts them into their places. It should not come to that:
while it does, every request waits, so the sequencer does it after half as many."""


class SqliteDatabase:
    """One database file, as seen by one process and one event loop."""

    def __init__(self, path: str, write: Write, observer: StoreObserver, *, wait_seconds: float) -> None:
        self._path = path
        self._write = write
        self._observer = observer
        self._wait_seconds = wait_seconds
        self._reader = FileConnection(path, partial(connect, wait_seconds=_READ_WAIT_SECONDS))
        self._waiting: deque[Waiting] = deque()
        self._batches: queue.SimpleQueue[list[Waiting] | None] = queue.SimpleQueue()
        self._is_writing = False
        self._idle = asyncio.Event()
        self._thread: threading.Thread | None = None

    @property
    def load(self) -> StoreLoad:
        """Return what it has in its hands: reads are inline, so none is ever seen on its way."""
        return StoreLoad(0, 1, 1, 0, (len(self._waiting), 0), QUEUE_LIMIT)

    async def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        """Return the rows of one read."""
        with driver_errors():
            try:
                connection = self._reader.open()
                return read(connection, statement, parameters)
            except sqlite3.Error:
                self._reader.drop()
                raise

    async def submit(self, job: Job) -> Result:
        """Return the result of `job` once it is durable."""
        if len(self._waiting) >= QUEUE_LIMIT:
            raise UnavailableError("the store cannot keep up: too many writes are waiting")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((job, future))
        if not self._is_writing:
            self._is_writing = True
            # Not now: whoever else asks in this turn of the loop comes along.
            loop.call_soon(self._hand_over)
        return await future

    async def close(self) -> None:
        """Finish what is queued and close the connections."""
        while self._is_writing:
            self._idle.clear()
            await self._idle.wait()
        if self._thread is not None:
            self._batches.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        self._reader.drop()

    def _hand_over(self) -> None:
        """Give the thread all that waits, in the event loop; the thread has nothing to do then."""
        if not self._waiting:
            self._is_writing = False
            self._idle.set()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
            self._thread.start()
        count = min(BATCH_LIMIT, len(self._waiting))
        self._batches.put([self._waiting.popleft() for _ in range(count)])

    def _written(self, batch: Sequence[Waiting], results: list[Result], seconds: float) -> None:
        self._observer.committed(ENTRIES_LANE, len(batch), seconds, failed=has_failed(results))
        # The next batch first: it is written while those who waited for this one go on.
        self._hand_over()
        deliver(batch, results)

    def _work(self) -> None:
        opened = partial(connect_writer, wait_seconds=self._wait_seconds, checkpoint_pages=_CHECKPOINT_PAGES)
        connection = FileConnection(self._path, opened)
        writer = _Writer(connection, self._write, self._wait_seconds)
        while (batch := self._batches.get()) is not None:
            begun = perf_counter()
            results = writer.run([job for job, _ in batch])
            seconds = perf_counter() - begun
            with suppress(RuntimeError):  # the loop has closed: nobody waits
                batch[0][1].get_loop().call_soon_threadsafe(self._written, batch, results, seconds)
        connection.drop()


class FileConnection:
    """A connection that is opened when first needed, and anew once it was dropped, as after a failure."""

    def __init__(self, path: str, opened: Callable[[str], sqlite3.Connection]) -> None:
        self._path = path
        self._opened = opened
        self._connection: sqlite3.Connection | None = None
        self._file = 0
        self._beside = (0, 0)

    def open(self) -> sqlite3.Connection:
        """Return the connection to the file that is at the path now."""
        # A deleted or replaced file would take writes without an error and lose them: durable means this file.
        file = os.stat(self._path).st_ino  # noqa: PTH116  a Path made for each read costs as much as some reads
        if self._connection is None or file != self._file:
            self.drop()
            self._connection, self._file = self._opened(self._path), file
            try:
                self._beside = held_beside(self._connection.cursor(), self._path)
            except BaseException:
                self.drop()
                raise
        else:
            require_beside(self._path, self._beside)
        return self._connection

    def drop(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Writer:
    """Runs batches on a connection of the writer thread's own."""

    def __init__(self, connection: FileConnection, write: Write, wait_seconds: float) -> None:
        self._connection = connection
        self._write = write
        self._wait_seconds = wait_seconds

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Commit `jobs` together; where a row of one is at fault, each by itself."""
        try:
            return self._transact(jobs)
        except Exception as exc:  # noqa: BLE001  every failure is handed to those who wait for it
            if len(jobs) == 1 or not is_of_one_row(exc):
                return failed(jobs, exc)
        return [result for job in jobs for result in self.run([job])]

    def _transact(self, jobs: Sequence[Job]) -> list[Result]:
        connection = self._connection.open()
        try:
            begin(connection, wait_seconds=self._wait_seconds)
            results = drive(connection, self._write(jobs))
            connection.execute("COMMIT")
        except BaseException as exc:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if not is_of_one_row(exc):
                self._connection.drop()
            raise
        return results


def connect(path: str, *, wait_seconds: float) -> sqlite3.Connection:
    """Open the file at `path`, which exists; every commit on it is synced to the disk."""
    uri = existing_file(path)
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=wait_seconds, cached_statements=256)
    # FULL, not WAL's usual NORMAL: an entry that was acknowledged must survive the power going.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -16000"):
        connection.execute(f"PRAGMA {pragma}")
    # A page that is split keeps what moved out of it, where nobody would find a key to destroy.
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def connect_writer(path: str, *, wait_seconds: float, checkpoint_pages: int) -> sqlite3.Connection:
    """Open the file at `path` for transactions that are begun by `begin`.

    Once a commit leaves so many pages in SQLite's log, it puts them into their places before it returns.
    """
    connection = connect(path, wait_seconds=wait_seconds)
    # Entries of one minute fall on the same few pages of each index: the rarer the checkpoint, the fewer times each
    # page is written. What is left of it by a crash is read again, 40 MB in a tenth of a second.
    connection.execute(f"PRAGMA wal_autocheckpoint = {checkpoint_pages}")
    # An INSERT of many rows keeps what it would take back in a file of its own, else.
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA busy_timeout = 0")
    return connection


def begin(connection: sqlite3.Connection, *, wait_seconds: float) -> None:
    """Begin a transaction that writes; sqlite3.OperationalError where others hold the lock for so long."""
    # SQLite's own waiting sleeps ever longer: behind a transaction of 10 ms another 10, and behind writers that follow
    # each other closely for seconds.
    deadline = monotonic() + wait_seconds
    while not has_begun(connection, is_last=monotonic() > deadline):
        sleep(LOCK_RETRY_SECONDS)


def drive(connection: sqlite3.Connection, steps: Generator[Step, Sequence[Row], T]) -> T:
    """Run the statements of one transaction and return what its steps come to."""
    try:
        step = next(steps)
        while True:
            rows: Sequence[Row] = ()
            match step:
                case Lock(statement):
                    connection.execute(statement.sql)
                case Ask(statement, parameters):
                    rows = ask(connection, statement, parameters)
                case Put(statement, values):
                    _put(connection, statement, values)
            step = steps.send(rows)
    except StopIteration as done:
        result: T = done.value
        return result


def read(connection: sqlite3.Connection, statement: Statement, parameters: Parameters) -> list[Row]:
    """Return the rows of one read; text that is no UTF-8 comes as `NoText`, and takes no other row with it."""
    try:
        return ask(connection, statement, parameters)
    except sqlite3.OperationalError as exc:
        if not is_of_no_text(exc):
            raise
    with taking_no_text(connection):
        return ask(connection, statement, parameters)


def ask(connection: sqlite3.Connection, statement: Statement, parameters: Parameters) -> list[Row]:
    """Return the rows of one statement."""
    arguments = [as_sqlite(value) for value in statement.arguments(parameters)]
    return connection.execute(statement.sql, arguments).fetchall()


def _put(connection: sqlite3.Connection, statement: Statement, rows: Sequence[tuple[Value, ...]]) -> None:
    for some in _at_once(rows):
        sql = _of_rows(statement.sql, len(statement.order), len(some))
        connection.execute(sql, [value for row in some for value in row])


def _at_once(rows: Sequence[tuple[Value, ...]]) -> Iterator[list[tuple[Value, ...]]]:
    """Yield `rows` in their order, as many as go into one statement: one at least, however large."""
    some: list[tuple[Value, ...]] = []
    held = 0
    for row in rows:
        size = sum(len(value) for value in row if isinstance(value, bytes | str))
        if some and (len(some) == _ROWS_AT_ONCE or held + size > _BYTES_AT_ONCE):
            yield some
            some, held = [], 0
        some.append(row)
        held += size
    if some:
        yield some


@lru_cache(maxsize=1024)
def _of_rows(sql: str, width: int, count: int) -> str:
    """Return the INSERT of one row of `width` columns as one of `count` rows."""
    row = f"({', '.join('?' * width)})"
    return sql.replace(f"VALUES {row}", f"VALUES {', '.join([row] * count)}", 1)
