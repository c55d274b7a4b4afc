"""A database whose reads and writes are spans, for whoever has traces on. Statements and values are never noted.

An entry that is made durable is a span of the log; everything else is one of the store.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeVar

from exchange.kernel.spans import Mark, SpanName, Tracer
from exchange.store.database.dialect import Parameters, Row, Statement
from exchange.store.database.observing import StoreLoad
from exchange.store.writer.batch import AppendJob, BlobsJob, Job, KeyJob, PostJob, ProbeJob, Result
from exchange.store.writer.postgres import PostgresDatabase
from exchange.store.writer.rates import LeaseJob
from exchange.store.writer.sqlite import SqliteDatabase

T = TypeVar("T")

_ACTS: Final[dict[type[Job], str]] = {
    AppendJob: "append",
    PostJob: "post",
    KeyJob: "key",
    BlobsJob: "blobs",
    ProbeJob: "probe",
    LeaseJob: "lease",
}


class TracedDatabase:
    """Does what `database` does, and measures it."""

    def __init__(self, database: SqliteDatabase | PostgresDatabase, tracer: Tracer) -> None:
        self._database = database
        self._tracer = tracer

    @property
    def load(self) -> StoreLoad:
        """Return what it has in its hands."""
        return self._database.load

    async def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        """Return the rows of one read."""
        with self._tracer.span(SpanName.STORE) as span:
            span.note(Mark.ACT, "read")
            rows = await self._database.fetch(statement, parameters)
            span.note(Mark.COUNT, len(rows))
            return rows

    async def submit(self, job: Job) -> Result:
        """Return the result of `job` once it is durable."""
        with self._tracer.span(SpanName.LOG if isinstance(job, AppendJob) else SpanName.STORE) as span:
            span.note(Mark.ACT, _ACTS[type(job)])
            return await self._database.submit(job)

    async def close(self) -> None:
        """Finish what is queued and close the connections."""
        await self._database.close()


@asynccontextmanager
async def traced_transaction(tracer: Tracer, transaction: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Measure an administrative transaction: its changes and their entries become durable together."""
    with tracer.span(SpanName.STORE) as span:
        span.note(Mark.ACT, "transaction")
        async with transaction as work:
            yield work
