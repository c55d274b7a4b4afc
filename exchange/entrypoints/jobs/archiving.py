"""The loop of the archiver, beside the sequencer: every ten minutes it moves what has become old enough."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from exchange.entrypoints.jobs.sequencer import wait_for
from exchange.kernel import ExchangeError
from exchange.usecases.troubles import Causes

_log = logging.getLogger("exchange.archive")

INTERVAL_SECONDS: Final = 600.0
"""Ages are in days."""

_REST_SECONDS: Final = 0.2
"""Between two steps: whoever writes to the database comes first."""


async def archive_in_rounds(
    step: Callable[[], Awaitable[int]], stopping: asyncio.Event, *, interval_seconds: float = INTERVAL_SECONDS
) -> None:
    """Step until nothing is old enough, and again after a while; a failure is said once, and tried again."""
    told = Causes()
    while not stopping.is_set():
        moved = 0
        try:
            moved = await step()
            told.end()
        except ExchangeError as exc:
            if told.take(exc.message):
                _log.error("nothing can be archived: %s", exc.message)
        await wait_for(stopping, _REST_SECONDS if moved else interval_seconds)
