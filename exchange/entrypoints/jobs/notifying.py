"""The loop that tells subscribers, beside the alerts: a round every half second, and at once while there is more."""

import asyncio
import logging
from typing import Final

from exchange.entrypoints.jobs.sequencer import wait_for
from exchange.kernel import ExchangeError
from exchange.usecases.notify_subscribers import Notifier
from exchange.usecases.troubles import Causes

INTERVAL_SECONDS: Final = 0.5
"""Without subscriptions a round is one small read."""

_log = logging.getLogger("exchange.webhooks")


async def notify_in_rounds(notifier: Notifier, stopping: asyncio.Event) -> None:
    """Tell subscribers until `stopping` is set; a failure is said once, and retried."""
    told = Causes()
    try:
        while not stopping.is_set():
            count = 0
            try:
                count = await notifier.round()
                told.end()
            except ExchangeError as exc:
                if told.take(exc.message):
                    _log.error("subscribers cannot be told: %s", exc.message)
            except Exception as exc:  # noqa: BLE001  told, and tried again: it ends none of those beside it
                if told.take(repr(exc)):
                    _log.exception("subscribers cannot be told")
            if not count:
                await wait_for(stopping, INTERVAL_SECONDS)
    finally:
        await notifier.close()
