"""The loop that asks witnesses, beside the sequencer: a round every few seconds while there is anybody to ask."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from exchange.entrypoints.jobs.sequencer import wait_for
from exchange.kernel import ExchangeError
from exchange.usecases.troubles import Causes

_log = logging.getLogger("exchange.witnesses")

INTERVAL_SECONDS: Final = 2.0
"""Checkpoints are kept every ten seconds: most rounds find nothing new, and cost one small read."""


async def ask_in_rounds(
    is_wanted: Callable[[], bool],
    rounds: Callable[[asyncio.Event], Awaitable[None]],
    stopping: asyncio.Event,
    *,
    interval_seconds: float = INTERVAL_SECONDS,
) -> None:
    """Begin `rounds`, which ends when nobody is to be asked, whenever somebody is; a failure is said once, and retried.

    Without witnesses nothing is opened at all.
    """
    told = Causes()
    while not stopping.is_set():
        try:
            if is_wanted():
                await rounds(stopping)
            told.end()
        except ExchangeError as exc:
            if told.take(exc.message):
                _log.error("witnesses cannot be asked: %s", exc.message)
        await wait_for(stopping, interval_seconds)
