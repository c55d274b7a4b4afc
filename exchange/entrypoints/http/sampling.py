"""Once a second: what this worker takes and has in its hands, so that whichever worker is asked can show it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from exchange.entrypoints.http.metrics import Metrics

SECONDS = 1.0

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MEMORY = Path("/proc/self/statm")

Held = Callable[[], None]
"""Notes on the board what is in the worker's hands."""


@asynccontextmanager
async def sampled(metrics: Metrics, holds: Held, *, seconds: float = SECONDS) -> AsyncIterator[None]:
    """Sample for as long as the context lasts."""
    sampling = asyncio.create_task(_sample(metrics, holds, seconds), name="sampling")
    try:
        yield
    finally:
        sampling.cancel()


async def _sample(metrics: Metrics, holds: Held, seconds: float) -> None:
    lag, memory_bytes = 0.0, 0
    while True:
        # Where no file is left it stays what it was: that is when the rest of the board is looked at.
        with suppress(OSError):
            memory_bytes = _resident_bytes()
        metrics.sampled(memory_bytes=memory_bytes, cpu_seconds=time.process_time(), lag_seconds=lag)
        holds()
        begun = time.perf_counter()
        await asyncio.sleep(seconds)
        lag = max(0.0, time.perf_counter() - begun - seconds)


def _resident_bytes() -> int:
    return int(_MEMORY.read_text().split()[1]) * _PAGE_BYTES
