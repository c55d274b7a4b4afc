"""PostgreSQL: reads on a few connections, writes in two lanes that commit for many.

Entries and reports have a lane each, so that a read never waits behind a post that holds the policy state.
asyncpg is used directly: its prepared statements live as long as the connection.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from time import perf_counter
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from exchange.kernel import UnavailableError, UnsafeSettingError
from exchange.store.database.dialect import Parameters, Row, Statement
from exchange.store.database.engine import PRIMARY, SESSION
from exchange.store.database.faults import DRIVER_ERRORS, driver_errors, is_of_one_row
from exchange.store.database.lineage import COURSE, Course, Lineage
from exchange.store.database.observing import ENTRIES_LANE, POSTS_LANE, StoreLoad, StoreObserver
from exchange.store.database.password import Password, logged_in
from exchange.store.writer.batch import AppendJob, Ask, Job, Lock, Put, Result, Step, is_locking
from exchange.store.writer.lane import BATCH_LIMIT, QUEUE_LIMIT, Waiting, Write, deliver, failed, has_failed
from exchange.store.writer.shared_reads import SharedReads

T = TypeVar("T")

READ_CONNECTIONS = 8
"""Per process. One core of the database serves about this many of ours; more only wait inside it."""

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
"""A statement that takes longer met a lock or a network that is gone; nothing here runs so long by itself."""

_BROKEN = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    EOFError,
)
"""What a connection raises whose other end has gone: the driver's internal error where that was while it was idle.
No TimeoutError: the other end may still be at work."""

_PLANS = {"plan_cache_mode": "force_generic_plan", "enable_bitmapscan": "off", "enable_seqscan": "off"}
"""Each hot statement was written for one plan, along an index and in its order. A table without statistics, as after
a restore, must not make the planner read a whole class and sort it."""

_IMPATIENCE = {"idle_in_transaction_session_timeout": "10s"}
"""The transaction of a post holds the policy state, for which every post on every node waits: between two of its
statements nothing is done that takes long."""

Connect = Callable[[], Awaitable[asyncpg.Connection]]


class PostgresDatabase:
    """One database, as seen by one process and one event loop."""

    def __init__(
        self,
        url: str,
        write: Write,
        observer: StoreObserver,
        lineage: Lineage,
        password: Password | None = None,
    ) -> None:
        connect = connector(url, lineage, password)
        self._readers = _Readers(connect)
        self._shared = SharedReads(self._readers.fetch)
        self._entries = _Lane(connect, write, observer, ENTRIES_LANE)
        self._posts = _Lane(connect, write, observer, POSTS_LANE)

    @property
    def load(self) -> StoreLoad:
        """Return what it has in its hands."""
        asking, idle = self._readers.asking, self._readers.idle
        queued = (self._entries.waiting, self._posts.waiting)
        busy = min(asking, READ_CONNECTIONS)
        return StoreLoad(busy, idle, READ_CONNECTIONS, asking - busy + self._shared.waiting, queued, QUEUE_LIMIT)

    async def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        """Return the rows of one read."""
        with driver_errors():
            if statement.shared is not None:
                return await self._shared.fetch(statement, statement.shared, parameters)
            return await self._readers.fetch(statement.sql, statement.arguments(parameters))

    async def submit(self, job: Job) -> Result:
        """Return the result of `job` once it is durable."""
        lane = self._entries if isinstance(job, AppendJob) else self._posts
        return await lane.submit(job)

    async def close(self) -> None:
        """Finish what is queued and close the connections."""
        await self._entries.close()
        await self._posts.close()
        await self._shared.close()
        await self._readers.close()


class _Readers:
    """A few connections, opened as needed. Nothing in a session outlives its statement, so none is reset."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._idle: list[asyncpg.Connection] = []
        self._free = asyncio.Semaphore(READ_CONNECTIONS)
        self._is_closed = False
        self.asking = 0
        """Reads on their way, those that wait for a connection included."""

    @property
    def idle(self) -> int:
        return len(self._idle)

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Sequence[Row]:
        self.asking += 1
        try:
            async with self._free:
                return await self._fetch_on_any(sql, arguments)
        finally:
            self.asking -= 1

    async def close(self) -> None:
        self._is_closed = True
        while self._idle:
            await _close(self._idle.pop())

    async def _fetch_on_any(self, sql: str, arguments: Sequence[Any]) -> Sequence[Row]:
        while self._idle:
            connection = self._idle.pop()
            try:
                return await self._fetch(connection, sql, arguments)
            except _BROKEN:
                continue  # it died while idle; a read changes nothing, so another one may ask again
        return await self._fetch(await self._connect(), sql, arguments)

    async def _fetch(self, connection: asyncpg.Connection, sql: str, arguments: Sequence[Any]) -> Sequence[Row]:
        try:
            rows: list[Row] = await connection.fetch(sql, *arguments)
        except BaseException:
            # Also on cancellation: a connection with an answer still on its way is not given to another request.
            connection.terminate()
            raise
        if self._is_closed:  # while it read: nobody would close it later
            await _close(connection)
        else:
            self._idle.append(connection)
        return rows


class _Lane:
    """One connection, one transaction at a time, as many jobs in it as have queued up."""

    def __init__(self, connect: Connect, write: Write, observer: StoreObserver, number: int) -> None:
        self._connect = connect
        self._write = write
        self._observer = observer
        self._number = number
        self._connection: asyncpg.Connection | None = None
        self._waiting: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def submit(self, job: Job) -> Result:
        if len(self._waiting) >= QUEUE_LIMIT:
            raise UnavailableError("the store cannot keep up: too many writes are waiting")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await future

    async def close(self) -> None:
        if self._task is not None:
            await self._task
        await self._drop()

    async def _work(self) -> None:
        while self._waiting:
            count = min(BATCH_LIMIT, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            begun = perf_counter()
            results = await self._run([job for job, _ in batch])
            seconds = perf_counter() - begun
            self._observer.committed(self._number, count, seconds, failed=has_failed(results))
            deliver(batch, results)

    async def _run(self, jobs: Sequence[Job]) -> list[Result]:
        try:
            return await self._transact(jobs)
        except Exception as exc:  # noqa: BLE001  every failure is handed to those who wait for it
            if len(jobs) == 1 or not is_of_one_row(exc):
                return failed(jobs, exc)
        return [result for job in jobs for result in await self._run([job])]

    async def _transact(self, jobs: Sequence[Job]) -> list[Result]:
        is_kept = self._connection is not None
        try:
            return await self._transact_once(jobs)
        except asyncpg.InternalClientError:
            # Its other end went while it was idle. The driver says so before it sends, and what it had sent of a
            # transaction is void without its commit: nothing is written twice.
            if not is_kept:
                raise
        return await self._transact_once(jobs)

    async def _transact_once(self, jobs: Sequence[Job]) -> list[Result]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        connection = self._connection
        try:
            if all(isinstance(job, AppendJob) for job in jobs):
                # One statement: it is its own transaction.
                return await drive(connection, self._write(jobs))
            if not is_locking(jobs):
                await connection.execute("BEGIN")
            results = await drive(connection, self._write(jobs))
            await _commit(connection)
        except BaseException as exc:
            if is_of_one_row(exc):
                await self._roll_back(connection)
            else:
                await self._drop()
            raise
        return results

    async def _roll_back(self, connection: asyncpg.Connection) -> None:
        try:
            await connection.execute("ROLLBACK")
        except BaseException:
            await self._drop()
            raise

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await _close(connection)


def connector(url: str, lineage: Lineage | None = None, password: Password | None = None) -> Connect:
    """Return what opens one connection to `url`; every commit on it is synced to the disk.

    With `lineage` each of them leads to the history that the first one led to; `password` is in place of the address's.
    """
    dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it unannotated
    arguments: dict[str, Any] = dialect.create_connect_args(make_url(url))[1]  # type: ignore[no-untyped-call]  # the same
    arguments = {name: value for name, value in arguments.items() if not name.startswith("prepared_statement")}
    arguments["target_session_attrs"] = PRIMARY

    async def connect() -> asyncpg.Connection:
        before = None if lineage is None else lineage.course
        connection = await logged_in(
            password,
            **arguments,
            timeout=_CONNECT_SECONDS,
            command_timeout=_ANSWER_SECONDS,
            max_cached_statement_lifetime=0,  # for as long as the connection: they are few and always the same
            server_settings=SESSION | _PLANS | _IMPATIENCE,
        )
        try:
            if await connection.fetchval("SHOW synchronous_commit") != "on":
                message = "the database does not keep `synchronous_commit` on, a crash would lose acknowledged entries"
                raise UnsafeSettingError(f"{message}: let sessions set it")
            if lineage is not None:
                lineage.meet(Course(*await connection.fetchrow(COURSE)), before)
        except BaseException:
            connection.terminate()
            raise
        return connection

    return connect


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=1)
    except DRIVER_ERRORS:
        connection.terminate()


async def _commit(connection: asyncpg.Connection) -> None:
    # Told to commit what has failed, the server rolls back and calls it no error.
    if await connection.execute("COMMIT") != "COMMIT":
        raise UnavailableError("the database did not commit")


async def drive(connection: asyncpg.Connection, steps: Generator[Step, Sequence[Row], T]) -> T:
    """Run the statements of one transaction and return what its steps come to."""
    try:
        step = next(steps)
        while True:
            rows: Sequence[Row] = ()
            match step:
                case Lock(statement):
                    await connection.execute(f"BEGIN; {statement.sql}")
                case Ask(statement, parameters):
                    rows = await connection.fetch(statement.sql, *statement.arguments(parameters))
                case Put(statement, values):
                    await connection.execute(statement.sql, *zip(*values, strict=True))
            step = steps.send(rows)
    except StopIteration as done:
        result: T = done.value
        return result
