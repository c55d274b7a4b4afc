"""Delivers alerts to webhooks (Standard Webhooks): at least once, later and later, and given up on the record.

One round: (1) what another process raised meanwhile goes to the webhooks here too: it may know others; (2) what is due,
claimed for a while so that no other process sends it too; (3) all of it sent at once, each with its own deadline;
(4) what was delivered is ended, what was not is put off or, after the last try, given up.
What is sent says which rule spoke, how grave it is and when, and names entries: who may read them asks the exchange.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from exchange.audit import EventName, Outcome, Subject
from exchange.crypto import WebhookKey
from exchange.kernel import ConflictError, ExchangeError, canonical_bytes, from_micros, rfc3339, to_micros
from exchange.kernel.addresses import Network
from exchange.store.rows.alert_rows import AlertRow, DueDelivery
from exchange.store.rows.unread import UNREADABLE
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.service_entries import service_draft

BACKOFF: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 2 * 3600, 6 * 3600, 12 * 3600)
)
"""How long after each failed try the next one comes; behind the last, some 22 hours after the alert, it is given up."""

CLAIMED: Final = timedelta(minutes=2)
"""For so long what was claimed is nobody else's: longer than a try may take."""

_AT_ONCE: Final = 20

_log = logging.getLogger("exchange.alerts")


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where alerts are sent. `is_private` lets its host, and no other, lie in a network that is not public.

    `authority` is the file of authorities that its certificate is known by, None for the system's.
    """

    name: str
    url: str
    key: WebhookKey
    is_private: bool = False
    authority: str | None = None
    networks: tuple[Network, ...] = ()
    """Where else than to public addresses it may lead."""


def headers_of(hook: Webhook, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return with which headers `body` is sent, signed: the id is the same at every try."""
    seconds = int(now.timestamp())
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": hook.key.sign(message_id, seconds, body),
    }


class WebhookLine(Protocol):
    """The line to webhooks."""

    async def post(self, hook: Webhook, headers: Mapping[str, str], body: bytes) -> str | None:
        """Send `body`; return None where it was taken, else what went wrong. Raises nothing of the network's."""
        ...


def _as_it_is(hook: Webhook) -> Webhook:
    return hook


@dataclass(slots=True)
class AlertDelivery:
    """Sends what is due to the webhooks that there are now; `renewed` returns one with the secret of the moment."""

    services: Services
    line: WebhookLine
    hooks: tuple[Webhook, ...]
    renewed: Callable[[Webhook], Webhook] = _as_it_is
    _by_name: dict[str, Webhook] = field(init=False, default_factory=dict)
    _seen: int | None = field(init=False, default=None)
    """The newest alert that is looked after here; those from before the first round are not sent anew."""

    def __post_init__(self) -> None:
        self._by_name.update({hook.name: hook for hook in self.hooks})

    async def round(self) -> int:
        """Do one round; return how many were tried."""
        store, now = self.services.store, to_micros(self.services.clock())
        if not self.hooks:
            return 0
        # (1) what others raised
        await self._take_in(await store.alerts.newest())
        if not await store.alerts.has_due(now):
            return 0
        # (2) what is due
        until = to_micros(self.services.clock() + CLAIMED)
        due = await store.deliveries.claim(sorted(self._by_name), now=now, until=until, limit=_AT_ONCE)
        # (3) all at once: a slow one keeps no other waiting
        await asyncio.gather(*(self._deliver(one) for one in due))
        return len(due)

    async def _take_in(self, newest: int) -> None:
        if self._seen is None:
            self._seen = newest
        if newest > self._seen:
            # Another process that does the same has done it: the next round sees so.
            with suppress(ConflictError):
                deliveries = self.services.store.deliveries
                self._seen = await deliveries.add_missing(sorted(self._by_name), after=self._seen)

    async def _deliver(self, one: DueDelivery) -> None:
        told = await self._sent(one)
        # (4) what became of it
        now = self.services.clock()
        if told is None:
            await self.services.store.deliveries.end(one, at=to_micros(now), told=None)
        elif one.tries <= len(BACKOFF):
            _log.warning("webhook %s did not take an alert: %s", one.hook, told)
            next_at = to_micros(now + BACKOFF[one.tries - 1])
            await self.services.store.deliveries.put_off(one, next_at=next_at, told=told)
        else:
            await self._give_up(one, told)

    async def _sent(self, one: DueDelivery) -> str | None:
        """Send an alert; return None where it was taken, else what went wrong."""
        hook, now = self.renewed(self._by_name[one.hook]), self.services.clock()
        try:
            body = body_of(one.alert)
        except (ExchangeError, *UNREADABLE):
            return "its row was altered"  # as one that is never taken: given up on the record
        return await self.line.post(hook, headers_of(hook, one.alert.id, now, body), body)

    async def _give_up(self, one: DueDelivery, told: str) -> None:
        _log.critical("webhook %s did not take an alert in %d tries: %s", one.hook, one.tries, told)
        draft = service_draft(
            self.services, EventName.ALERT_UNDELIVERED, Outcome.FAILED, subject=Subject("alert", one.alert.id)
        )
        # First the entry: whoever dies in between gives it up once more.
        await self.services.store.append(draft)
        await self.services.store.deliveries.end(one, at=to_micros(self.services.clock()), told=told)


def body_of(alert: AlertRow) -> bytes:
    """Return what a webhook is sent about an alert: the same bytes at every try."""
    moment = rfc3339(from_micros(alert.raised_at))
    return canonical_bytes(
        {
            "type": "alert.raised",
            "timestamp": moment,
            "data": {
                "id": alert.id,
                "rule": alert.rule,
                "severity": alert.severity,
                "raised_at": moment,
                "entry": alert.entry_id,
                "evidence": list(alert.evidence),
            },
        }
    )
