"""The loops beside the sequencer: one round after the other, and a failure said once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from exchange.kernel import ExchangeError
from exchange.usecases.steps.troubles import Causes

SWEEP_SECONDS: Final = 60.0
"""Days and years are what it counts; a recall that somebody raced is followed up within a minute."""
DUTIES_SECONDS: Final = 15.0
"""The shortest times that agreements name for acknowledgements are minutes."""
ARCHIVE_SECONDS: Final = 600.0
"""Ages are in days."""
WITNESS_SECONDS: Final = 2.0
"""Checkpoints are kept every ten seconds: most rounds find nothing new, and cost one small read."""
ALERTS_SECONDS: Final = 1.0
"""An entry is placed within a second, and an alert is raised within another one."""
NOTICES_SECONDS: Final = 0.5
"""Without subscriptions a round is one small read."""

_REST_SECONDS: Final = 0.2
"""Between two rounds of a backlog: whoever writes to the database comes first."""


async def in_rounds(
    round_: Callable[[], Awaitable[object]],
    stopping: asyncio.Event,
    trouble: str,
    *,
    interval_seconds: float,
    rest_seconds: float = _REST_SECONDS,
    log: str = "exchange.reports",
) -> None:
    """Do rounds until one says that nothing is left to do, and again after a while, until `stopping` is set.

    A failure is said once, and tried again. Nobody foresaw it where it is none of ours: it ends this round, and none of
    those beside it.
    """
    told, to = Causes(), logging.getLogger(log)
    while not stopping.is_set():
        has_more: object = False
        try:
            has_more = await round_()
            told.end()
        except ExchangeError as exc:
            if told.take(exc.message):
                to.error("%s: %s", trouble, exc.message)
        except Exception as exc:  # noqa: BLE001  told, and tried again
            if told.take(repr(exc)):
                to.exception("%s", trouble)
        await wait_for(stopping, rest_seconds if has_more else interval_seconds)


async def wait_for(stopping: asyncio.Event, seconds: float) -> None:
    """Wait until `stopping` is set, at most so many seconds."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
