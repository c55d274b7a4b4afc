"""The loops of alerts, beside the sequencer: evaluate what was placed, and deliver what was raised."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from exchange.entrypoints.jobs.sequencer import wait_for
from exchange.kernel import ExchangeError
from exchange.usecases.deliver_alerts import AlertDelivery
from exchange.usecases.troubles import Causes
from exchange.usecases.watch_alerts import AlertWatch

INTERVAL_SECONDS: Final = 1.0
"""An entry is placed within a second, and an alert is raised within another one."""

_log = logging.getLogger("exchange.alerts")


async def run_alerts(watch: AlertWatch, delivery: AlertDelivery, stopping: asyncio.Event) -> None:
    """Evaluate and deliver until `stopping` is set; a webhook that hangs does not keep the log from being evaluated."""

    async def evaluate() -> float:
        begun = time.monotonic()
        try:
            has_more = await watch.round()
        except ExchangeError:
            # Where the log cannot be read, that it stands still is what there is to tell.
            await watch.look()
            raise
        # Half of the time at most: the sequencer runs beside it, and entries wait for that.
        return time.monotonic() - begun if has_more else INTERVAL_SECONDS

    async def deliver() -> float:
        return 0.0 if await delivery.round() else INTERVAL_SECONDS

    async with asyncio.TaskGroup() as group:
        group.create_task(_repeat(evaluate, stopping, "the log cannot be evaluated"))
        group.create_task(_repeat(deliver, stopping, "alerts cannot be delivered"))


async def _repeat(work: Callable[[], Awaitable[float]], stopping: asyncio.Event, trouble: str) -> None:
    """Do `work` again after as many seconds as it says; a failure is said once, and retried."""
    told = Causes()
    while not stopping.is_set():
        try:
            seconds = await work()
            told.end()
        except ExchangeError as exc:
            seconds = INTERVAL_SECONDS
            if told.take(exc.message):
                _log.error("%s: %s", trouble, exc.message)
        except Exception as exc:  # noqa: BLE001  told, and tried again: it ends none of those beside it
            seconds = INTERVAL_SECONDS
            if told.take(repr(exc)):
                _log.exception("%s", trouble)
        await wait_for(stopping, seconds)
