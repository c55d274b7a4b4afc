"""Tells subscribers of new reports by webhook: at least once, and never of what they may not read at that moment.

One round: (1) the reports behind each subscription's position are looked at, and those of classes that its client may
read are queued, in one transaction with the new position; (2) what is due is claimed for a while; (3) whether the
client may read the report is decided now, from one read of client, policy and report; (4) the entry that it is told is
durable; (5) the message is sent; (6) what was taken is ended, what was not is put off or, after the last try, dead.

A message holds the id and precedence of a report or of a request for information, or says of a breach between whom it
is and since when. Whoever wants more asks the exchange, with its certificate.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from exchange.audit import Actor, Detail, EntryDraft, EventName, Outcome, Subject
from exchange.crypto import OpeningError, WebhookKey
from exchange.kernel import ExchangeError, UnavailableError, canonical_bytes, from_micros, new_id, rfc3339, to_micros
from exchange.kernel.addresses import Network
from exchange.members import Client, Role
from exchange.release import Permit
from exchange.reports import header_from_json
from exchange.store import Parts, Sealed, Unread, UnreadRow
from exchange.store.reads.pulse import Beat
from exchange.store.rows.subscription_rows import DeliveryRow, DeliveryState, SubscriptionRow
from exchange.store.rows.unread import UNREADABLE
from exchange.usecases.log.deliver_alerts import BACKOFF, CLAIMED, Webhook, WebhookLine, headers_of
from exchange.usecases.members.subscriptions import Message, secret_of, waiting, whole_subscriptions
from exchange.usecases.promises.telling_breaches import told_breach
from exchange.usecases.reading.list_reports import readable_for
from exchange.usecases.requests.telling_requests import told_request
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.judging import Judged, require_same_law, shown_draft
from exchange.usecases.steps.seeking import judge
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.unread import unread_draft
from exchange.usecases.upkeep.check_readiness import require_confirmed

_AT_ONCE: Final = 64
_OF_ONE: Final = 4
"""Of one client at a time: a receiver that answers slowly keeps its own subscriber waiting, and nobody else."""
_OF_MEMBER: Final = 16
"""Of all clients of one member: however many it has, their receivers leave room for the others'."""
_PATIENCE_SECONDS: Final = 1.0
"""What a round waits for those whom it began to tell: who takes longer is waited for beside the next rounds."""
_LAST_SECONDS: Final = 2.0
"""At the end. What was taken meanwhile and not noted comes again, with the same id."""

_LOOKED_AT: Final = 1_000
"""Reports of one round and subscription: one that begins far behind keeps no other waiting."""

_KEPT: Final = timedelta(days=7)
_DEAD_KEPT: Final = timedelta(days=30)
_FORGET_EVERY: Final = timedelta(hours=1)
_GONE: Final = "it answered 410"
"""Standard Webhooks: a receiver that answers so wants nothing more."""
_UNSENT: Final = "it could not be made"

_Seal = tuple[str, str, str, Sealed]

_log = logging.getLogger("exchange.webhooks")


@dataclass(frozen=True, slots=True)
class Reach:
    """Where webhooks may lead besides the public internet, and which authorities know their certificates."""

    networks: tuple[Network, ...] = ()
    authority: str | None = None


class _Held:
    """Which places are taken, by client and by member."""

    def __init__(self, members: Mapping[str, str]) -> None:
        self._members = members
        self._of_client = Counter[str]()
        self._of_member = Counter[str]()

    def is_full(self, client: str) -> bool:
        return self._of_client[client] >= _OF_ONE or self._of_member[self._member(client)] >= _OF_MEMBER

    def add(self, client: str) -> None:
        self._of_client[client] += 1
        self._of_member[self._member(client)] += 1

    def _member(self, client: str) -> str:
        # One whose row is no more (its subscription was put into a row by hand) stands for itself.
        return self._members.get(client, client)


class Notifier:
    """Tells the subscribers of one database; any number of them may run."""

    def __init__(self, services: Services, line: WebhookLine, reach: Reach) -> None:
        self._services = services
        self._line = line
        self._reach = reach
        self._forgot_at: datetime | None = None
        self._telling: dict[asyncio.Task[None], str] = {}
        """What is on its way, with the client that it is for."""
        self._unread: frozenset[UnreadRow] = frozenset()
        self._whole: frozenset[_Seal] = frozenset()
        """What was found to be as it was sealed: that opens in no other way the next time."""
        self._refused: set[str] = set()
        """Subscriptions that took nothing lately: the process's log has one line of each, not one of every try."""

    async def round(self) -> int:
        """Do one round; return how many messages were tried."""
        subscriptions = self._services.store.subscriptions
        unread = Unread()
        stand = await subscriptions.active(unread)
        active = {one.id: one for one in await self._whole_of(stand, unread)}
        await self._record(unread)
        self._refused &= active.keys()
        if not active:
            return 0
        await require_confirmed(self._services)
        # (1) what is new
        fault = await self._queue_what_is_new(active.values())
        await self._forget_old()
        # (2) what is due
        due = await self._claimed(active)
        begun = [self._begin_to_tell(one, active.get(one.subscription)) for one in due]
        if begun:
            await asyncio.wait(begun, timeout=_PATIENCE_SECONDS)
        self._hear()
        if fault is not None:
            raise fault
        return len(due)

    async def _whole_of(self, stand: list[SubscriptionRow], unread: Unread) -> list[SubscriptionRow]:
        """Return what `whole_subscriptions` does of these, each opened once: a round comes twice in a second."""
        new = [one for one in stand if _seal_of(one) not in self._whole]
        found = {one.id for one in await whole_subscriptions(self._services, new, unread)}
        whole = [one for one in stand if one.id in found or _seal_of(one) in self._whole]
        self._whole = frozenset(map(_seal_of, whole))
        return whole

    async def _record(self, unread: Unread) -> None:
        """Put on record, once, which subscriptions cannot be read: nobody is told by them, and everybody else is."""
        found = frozenset(unread.rows)
        if found - self._unread:
            await self._services.store.append(unread_draft(self._services, found - self._unread))
        self._unread = found

    async def close(self) -> None:
        """End what is on its way."""
        if self._telling:
            await asyncio.wait(self._telling, timeout=_LAST_SECONDS)
        for telling in self._telling:
            telling.cancel()
        if self._telling:
            await asyncio.wait(self._telling)

    async def _claimed(self, active: Mapping[str, SubscriptionRow]) -> list[DeliveryRow]:
        """Claim what is due, of no client more than it may have on its way."""
        subscriptions, now = self._services.store.subscriptions, self._services.clock()
        if not await subscriptions.has_due(to_micros(now)):
            return []
        held, passed, found = _Held(await subscriptions.members()), set[str](), list[DeliveryRow]()
        for client in self._telling.values():
            held.add(client)

        def take(subscription: str) -> bool:
            client = active[subscription].client if subscription in active else subscription
            if held.is_full(client):
                passed.add(subscription)
                return False
            held.add(client)
            return True

        # What is longest due may all be of one: whoever comes behind it is looked for anew, without it.
        has_more = True
        while has_more and (room := _AT_ONCE - len(self._telling) - len(found)) > 0:
            before = len(passed)
            full = passed.union(one.id for one in active.values() if held.is_full(one.client))
            until = to_micros(now + CLAIMED)
            found += await subscriptions.claim(take, now=to_micros(now), until=until, limit=room, but=full)
            has_more = len(passed) > before
        return found

    def _begin_to_tell(self, one: DeliveryRow, subscription: SubscriptionRow | None) -> asyncio.Task[None]:
        telling = asyncio.create_task(self._tell(one, subscription), name="telling a subscriber")
        self._telling[telling] = one.subscription if subscription is None else subscription.client
        return telling

    def _hear(self) -> None:
        """Let go of what has come to its end; raise what keeps all of it from going on."""
        ended = [telling for telling in self._telling if telling.done()]
        for telling in ended:
            del self._telling[telling]
        for fault in [telling.exception() for telling in ended]:
            if isinstance(fault, Exception) and not isinstance(fault, ExchangeError):
                # A fault of ours over one message must not keep the others from theirs.
                _log.critical("a webhook was not sent", exc_info=fault, extra={"cause": type(fault).__name__})
            elif fault is not None:
                raise fault

    async def _queue_what_is_new(self, active: Iterable[SubscriptionRow]) -> ExchangeError | None:
        """Queue what is new for each; return what kept one from it, told once the others have theirs."""
        beat, fault = await self._services.store.pulse.beat(), None
        for one in active:
            try:
                if one.seq < beat.seq:
                    await self._queue(one, beat)
            except UnavailableError:
                raise  # nobody can be told anything
            except (ExchangeError, ValueError) as exc:
                # Its purpose is none any more, or a row of its client was altered: that is nobody else's.
                fault = UnavailableError(f"subscription {one.id} is not looked at: {type(exc).__name__}")
        return fault

    async def _queue(self, one: SubscriptionRow, beat: Beat) -> None:
        store, now = self._services.store, self._services.clock()
        found = await store.pulse.reports_behind(one.seq, beat.seq, _LOOKED_AT)
        readable = await self._readable_classes(one)
        seq = found[-1][0] if len(found) == _LOOKED_AT else beat.seq
        rows = [
            waiting(new_id(now, self._services.randomness), one.id, report_id, to_micros(now))
            for _, report_id, class_id in found
            if class_id in readable
        ]
        await store.subscriptions.move(one, seq, rows)

    async def _readable_classes(self, one: SubscriptionRow) -> frozenset[int]:
        """Return the classes that the subscriber may read now: candidates, to be decided when they are sent."""
        services, call = self._services, await self._call_of(one)
        if call.thumbprint is None:
            return frozenset()
        row = await services.store.caller(call.thumbprint)
        require_same_law(services, row.state)
        if row.client is None or not _may_act(row.client):
            return frozenset()
        readable = await readable_for(services, call, row.client, row.state)
        return frozenset(readable.permits)

    async def _tell(self, one: DeliveryRow, subscription: SubscriptionRow | None) -> None:
        if subscription is None:
            return  # it was ended meanwhile, and what it was to be told with it
        try:
            # First the key: who cannot be told is not on record as told.
            key = await self._key_of(subscription)
            # (3), (4) may it be told
            message = await self._message(one, subscription)
            if message is None:
                await self._ended(one, DeliveryState.WITHHELD)
                return
            # (5) told
            told = await self._sent(one, subscription, key, message)
        except ExchangeError as exc:
            _log.error("a webhook was not sent", extra={"cause": type(exc).__name__})
            if isinstance(exc, UnavailableError) and exc.receipt is None:
                return  # log, custody or store are away: it comes again by itself
            # A row was altered, and every try that finds it so is an entry: there must be a last one.
            told = _UNSENT
        # (6) what became of it
        await self._settle(one, told)

    async def _key_of(self, subscription: SubscriptionRow) -> WebhookKey:
        try:
            return await secret_of(self._services, subscription)
        except ExchangeError:
            # The next round asks again whether it opens: until then nothing is tried by it.
            self._whole -= {_seal_of(subscription)}
            raise

    async def _message(self, one: DeliveryRow, subscription: SubscriptionRow) -> Message | None:
        """Return what may be told now, its entry durable; None where nothing may."""
        services, call = self._services, await self._call_of(subscription)
        if call.thumbprint is None:
            return None
        if one.breach is not None:
            return await told_breach(services, call, one.breach, by={"subscription": subscription.id})
        if one.report is None:
            row = await services.store.caller(call.thumbprint)
            may_act = row.client is not None and _may_act(row.client)
            return Message("subscription.test", _queued_at(one), {}) if may_act else None
        return await self._report_message(call, one.report, subscription)

    async def _report_message(self, call: Call, report_id: str, subscription: SubscriptionRow) -> Message | None:
        """Return what may be told of a report now, or of the request that has this id; None where nothing may."""
        services = self._services
        read = await services.store.report_for(call.thumbprint or "", report_id, parts=Parts.NONE)
        if read.client is None or not _may_act(read.client):
            return None
        if read.report is None:
            by = {"subscription": subscription.id}
            return await told_request(services, call, read.client, report_id, state=read.state, by=by)
        judged = await judge(services, call, read.client, read.report, read.state, is_asked=False)
        match judged.decision:
            case Permit():
                header = header_from_json(json.loads(judged.header_json))
                # INVARIANT: no message leaves before its entry is durable.
                await services.store.append(_entry(call, read.client, judged, subscription))
                facts = {"report": header.id, "precedence": header.precedence.name}
                return Message("report.visible", header.posted_at, facts)
            case _:
                # Nobody asked: why this client may not know of it any more is not for the originator's auditor.
                await services.store.append(replace(_entry(call, read.client, judged, subscription), owner=None))
                return None

    async def _sent(
        self, one: DeliveryRow, subscription: SubscriptionRow, key: WebhookKey, message: Message
    ) -> str | None:
        now, reach = self._services.clock(), self._reach
        data = {"subscription": subscription.id, **message.facts}
        body = canonical_bytes({"type": message.kind, "timestamp": rfc3339(message.at), "data": dict(data)})
        hook = Webhook(subscription.id, subscription.url, key, authority=reach.authority, networks=reach.networks)
        return await self._line.post(hook, headers_of(hook, one.id, now, body), body)

    async def _settle(self, one: DeliveryRow, told: str | None) -> None:
        now, subscriptions = self._services.clock(), self._services.store.subscriptions
        if told is None:
            self._refused.discard(one.subscription)
            await self._ended(one, DeliveryState.DELIVERED)
        elif one.tries <= len(BACKOFF) and not told.startswith(_GONE):
            if one.subscription not in self._refused:
                self._refused.add(one.subscription)
                _log.warning("a webhook was not taken: %s", told, extra={"cause": one.subscription})
            next_at = to_micros(now + _later(BACKOFF[one.tries - 1], self._services.randomness(1)))
            await subscriptions.put_off(one, next_at=next_at, told=told_to_client(told))
        else:
            subject = Subject("subscription", one.subscription)
            given_up = service_draft(
                self._services, EventName.SUBSCRIPTION_UNDELIVERED, Outcome.FAILED, subject=subject
            )
            # First the entry: whoever dies in between gives it up once more.
            await self._services.store.append(given_up)
            await self._ended(one, DeliveryState.DEAD, told_to_client(told))

    async def _ended(self, one: DeliveryRow, state: DeliveryState, told: str | None = None) -> None:
        at = to_micros(self._services.clock())
        await self._services.store.subscriptions.end(one, state, at=at, told=told)

    async def _forget_old(self) -> None:
        now = self._services.clock()
        # A clock that was set back must not keep what is old for as long as it was ahead.
        if self._forgot_at is None or not timedelta(0) <= now - self._forgot_at < _FORGET_EVERY:
            self._forgot_at = now
            await self._services.store.subscriptions.forget(to_micros(now - _KEPT), to_micros(now - _DEAD_KEPT))

    async def _call_of(self, one: SubscriptionRow) -> Call:
        """Return a call in the subscriber's name, by a certificate that it uses; without one it is nobody."""
        now = self._services.clock()
        return Call(
            request_id=new_id(now, self._services.randomness),
            source="local",
            thumbprint=await self._services.store.subscriptions.thumbprint_of(one.client, to_micros(now)),
            now=now,
            purpose=one.purpose,
        )


def told_to_client(told: str) -> str:
    """Return what a subscriber learns of a failed try: what its own host said, and nothing of where names lead."""
    return told if told.startswith(("it answered", "no answer")) else "no connection"


def _seal_of(one: SubscriptionRow) -> _Seal:
    """Return what a secret is sealed for, and as: all that says whether it opens."""
    return one.id, one.client, one.url, one.secret


def _may_act(client: Client) -> bool:
    return client.is_active and Role.READER in client.roles


def _queued_at(one: DeliveryRow) -> datetime:
    """Return when something was queued; OpeningError where what stands there is no time."""
    try:
        return from_micros(one.queued_at)
    except UNREADABLE as exc:
        raise OpeningError("a delivery is not what was queued") from exc


def _later(wait: timedelta, randomness: bytes) -> timedelta:
    """Return `wait` and up to a quarter more: receivers that were away together must not all be asked together."""
    return wait * (1 + randomness[0] / 1024)


def _entry(call: Call, client: Client, judged: Judged, subscription: SubscriptionRow) -> EntryDraft:
    """Return the entry of what the service tells, in its own name: the client has done nothing."""
    entry = shown_draft(call, client, EventName.REPORT_NOTIFIED, judged)
    detail: Detail = {"client": client.id, "subscription": subscription.id}
    return replace(entry, actor=Actor(kind="service"), detail={**entry.detail, **detail})
