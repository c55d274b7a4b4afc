"""What is told outside, beside the sequencer: what was placed is evaluated, alerts and notices are delivered."""

import asyncio
import time

from exchange.entrypoints.jobs.rounds import ALERTS_SECONDS, NOTICES_SECONDS, in_rounds, wait_for
from exchange.kernel import ExchangeError
from exchange.usecases.log.deliver_alerts import AlertDelivery
from exchange.usecases.log.watch_alerts import AlertWatch
from exchange.usecases.telling.notify_subscribers import Notifier


async def run_alerts(watch: AlertWatch, delivery: AlertDelivery, stopping: asyncio.Event) -> None:
    """Evaluate and deliver until `stopping` is set; a webhook that hangs does not keep the log from being evaluated."""

    async def evaluate() -> bool:
        begun = time.monotonic()
        try:
            has_more = await watch.round()
        except ExchangeError:
            # Where the log cannot be read, that it stands still is what there is to tell.
            await watch.look()
            raise
        if has_more:
            # Half of the time at most: the sequencer runs beside it, and entries wait for that.
            await wait_for(stopping, time.monotonic() - begun)
        return has_more

    async with asyncio.TaskGroup() as group:
        for work, trouble in (
            (evaluate, "the log cannot be evaluated"),
            (delivery.round, "alerts cannot be delivered"),
        ):
            group.create_task(
                in_rounds(
                    work, stopping, trouble, interval_seconds=ALERTS_SECONDS, rest_seconds=0.0, log="exchange.alerts"
                )
            )


async def run_notices(notifier: Notifier, stopping: asyncio.Event) -> None:
    """Tell subscribers until `stopping` is set, and at once while there is more."""
    try:
        await in_rounds(
            notifier.round,
            stopping,
            "subscribers cannot be told",
            interval_seconds=NOTICES_SECONDS,
            rest_seconds=0.0,
            log="exchange.webhooks",
        )
    finally:
        await notifier.close()
