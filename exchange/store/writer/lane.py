"""Group commit: whoever asks while a transaction is on its way shares the next one.

The queue is bounded. When it is full the log cannot keep up, and who asks is told at once that nothing was
written: the caller serves nothing (fail closed) instead of waiting without end.
"""

import asyncio
from collections.abc import Callable, Sequence

from exchange.kernel import UnavailableError
from exchange.store.database.faults import as_exchange_error
from exchange.store.writer.batch import Job, Result, Steps

Write = Callable[[Sequence[Job]], Steps]
"""Begins the steps of one transaction for these jobs."""

Waiting = tuple[Job, "asyncio.Future[Result]"]
"""A job, and who waits for it."""

QUEUE_LIMIT = 4_096
"""Jobs that may wait. At the slowest rate seen (1,000 a second) that is four seconds."""

BATCH_LIMIT = 256
"""Jobs in one transaction: beyond it the commit is no longer what costs, and one failure would harm more."""


def deliver(batch: Sequence[Waiting], results: Sequence[Result]) -> None:
    """Hand each result to who waits for it; call it in the event loop."""
    for (_, future), result in zip(batch, results, strict=True):
        if future.done():  # who asked has gone; what was written stays written
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def has_failed(results: Sequence[Result]) -> bool:
    """Return whether a transaction failed as a whole: then each of its jobs did."""
    return isinstance(results[0], UnavailableError)


def failed(jobs: Sequence[Job], fault: Exception) -> list[Result]:
    """Return `fault` as the result of each job, as an error of its own."""
    errors: list[Result] = []
    for _ in jobs:
        error = as_exchange_error(fault)
        if error is not fault:
            error.__cause__ = fault
        errors.append(error)
    return errors
