"""The loop of the sweep, beside the sequencer: every minute, what time alone does to reports."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from exchange.entrypoints.jobs.sequencer import wait_for
from exchange.kernel import ExchangeError
from exchange.usecases.troubles import Causes

INTERVAL_SECONDS: Final = 60.0
"""Days and years are what it counts; a recall that somebody raced is followed up within a minute."""

DUTIES_INTERVAL_SECONDS: Final = 15.0
"""The shortest times that agreements name for acknowledgements are minutes."""

_REST_SECONDS: Final = 0.2
"""Between two rounds of a backlog: whoever writes to the database comes first."""

_log = logging.getLogger("exchange.reports")


async def sweep_in_rounds(
    round_: Callable[[], Awaitable[bool]],
    stopping: asyncio.Event,
    *,
    interval_seconds: float = INTERVAL_SECONDS,
    trouble: str = "reports cannot be swept",
) -> None:
    """Do rounds until nothing is left to do, and again after a while; a failure is said once, and tried again.

    Nobody foresaw it where it is none of ours: it ends this round, and none of those beside it.
    """
    told = Causes()
    while not stopping.is_set():
        has_more = False
        try:
            has_more = await round_()
            told.end()
        except ExchangeError as exc:
            if told.take(exc.message):
                _log.error("%s: %s", trouble, exc.message)
        except Exception as exc:  # noqa: BLE001  told, and tried again
            if told.take(repr(exc)):
                _log.exception("%s", trouble)
        await wait_for(stopping, _REST_SECONDS if has_more else interval_seconds)
