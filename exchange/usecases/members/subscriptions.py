"""Subscriptions of a client to be told of new reports by webhook: for itself alone, each act on the record.

Promises: the secret is shown once, when it is made, and stands in the database under custody's key alone; an address
that is not HTTPS or names the inside is refused; what could not be delivered is seen and sent again by its own client
or by the operator at the host.
Does not: connect to anything. What is sent, and whether it still may be, is decided at the moment of sending.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from exchange.audit import EventName, Outcome, Receipt, Subject
from exchange.crypto import CryptoError, WebhookKey, webhook_context
from exchange.custody import KeyMissingError
from exchange.kernel import ConflictError, Fault, InvalidError, NotFoundError, new_id, to_micros
from exchange.kernel.addresses import outgoing_problem
from exchange.members import Client, Role
from exchange.store import UnitOfWork, Unread, UnreadRow
from exchange.store.rows.subscription_rows import DeliveryRow, DeliveryState, SubscriptionRow
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.steps.authenticate import admit_or_host, authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.facts import own_purpose
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.sealing import as_stored, as_wrapped
from exchange.usecases.steps.taken_away_again import SaidByRowError, taken_away
from exchange.usecases.steps.told_entries import is_told
from exchange.usecases.steps.unread import record_unread

MOST_SUBSCRIPTIONS = 8
"""Of one client. Each of them is told of every report: more than a few are a mistake, or a flood."""
MOST_OF_MEMBER = 500
"""Of all clients of one member: it may enrol as many as it likes. With every new report each of them takes 2 ms to look
at, one after the other, and what tells all others waits for that."""

_MOST_SHOWN = 100
_KEY_NAME = "webhooks"
_SECRET_BYTES = 32


Act = Callable[[UnitOfWork, SubscriptionRow], Awaitable[int]]
"""What is done to a subscription within the unit that records it; returns how many deliveries it concerns."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is told, by a webhook or on a stream: of what kind, of when, and the ids that one needs to ask further."""

    kind: str
    at: datetime
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription and its secret, which is shown this once."""

    row: SubscriptionRow
    secret: str


async def add_subscription(services: Services, call: Call, url: str) -> Recorded[NewSubscription]:
    """Tell the calling reader at `url` of what it may read from now on; `call.purpose` is why it reads there.

    Raises InvalidError for an address that may not be sent to and for a purpose that the client does not have,
    ConflictError where it has enough.
    """
    event = EventName.SUBSCRIPTION_ADDED
    client = await authenticate(services, call, Role.READER, event=event)
    async with on_record(services, draft(call, client, event, Outcome.REFUSED)):
        own_purpose(services, call, client)
        if (problem := outgoing_problem(url, networks=services.private_networks)) is not None:
            raise InvalidError("nothing can be sent there", (Fault("/url", "invalid-value", problem),))
        new = await _made(services, call, client, url)
        async with services.store.unit_of_work() as unit:
            book = unit.subscriptions()
            full = ConflictError(f"this client has {MOST_SUBSCRIPTIONS} subscriptions: remove one first")
            await unit.require_room(client, lambda: book.count(client.id), MOST_SUBSCRIPTIONS, full)
            # Not held: of those that come at one moment a few may pass it, which costs nobody anything.
            if await book.count_of(client.member) >= MOST_OF_MEMBER:
                raise ConflictError(
                    f"the clients of this member have {MOST_OF_MEMBER} subscriptions: remove some first"
                )
            await book.add(new.row)
            receipt = await _record(unit, call, client, event, new.row.id)
    return Recorded(new, receipt)


async def list_subscriptions(services: Services, call: Call) -> Recorded[list[SubscriptionRow]]:
    """Return the calling client's subscriptions, oldest first; the host's operator sees all."""
    event = EventName.SUBSCRIPTION_LISTED
    client = await admit_or_host(services, call, Role.READER, event=event)
    unread = Unread()
    async with services.store.unit_of_work() as unit:
        rows = await _own(services, unit, client, unread)
        receipt = await unit.record(draft(call, client, event, Outcome.PERMITTED))
    # A client's own are found by its id alone.
    return Recorded(rows, receipt, await record_unread(services, unread, client, is_own=True))


async def remove_subscription(services: Services, call: Call, subscription_id: str) -> Recorded[SubscriptionRow]:
    """End a subscription of the calling client (the host's operator: of anyone); nothing more is sent there."""
    event = EventName.SUBSCRIPTION_REMOVED
    client = await admit_or_host(services, call, Role.READER, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("subscription", subscription_id))

    async def remove(*, is_again: bool) -> Recorded[SubscriptionRow]:
        async with services.store.unit_of_work() as unit:
            row = await _to_remove(services, unit, client, subscription_id, is_again=is_again)
            await unit.subscriptions().end(row.id, to_micros(call.now))
            receipt = await _record(unit, call, client, event, row.id)
        return Recorded(row, receipt)

    return await taken_away(services, attempt, remove)


async def _to_remove(
    services: Services, unit: UnitOfWork, client: Client | None, subscription_id: str, *, is_again: bool
) -> SubscriptionRow:
    try:
        return await _one(services, unit, client, subscription_id)
    except NotFoundError as refusal:
        row = await unit.subscriptions().one(sought_id(subscription_id), has_ended=True)
        if row is None or (client is not None and row.client != client.id):
            raise
        if not is_again:
            is_ended = partial(is_told, services, EventName.SUBSCRIPTION_REMOVED, subject=row.id)
            raise SaidByRowError(refusal, is_ended) from None
        return row


async def check_subscription(services: Services, call: Call, subscription_id: str) -> Recorded[str]:
    """Send a message that tells of nothing, and return its id; what became of it stands among the deliveries."""
    message_id = new_id(call.now, services.randomness)

    async def queue(unit: UnitOfWork, row: SubscriptionRow) -> int:
        await unit.subscriptions().queue(waiting(message_id, row.id, None, to_micros(call.now)))
        return 1

    recorded = await _acted(services, call, subscription_id, EventName.SUBSCRIPTION_TESTED, queue)
    return Recorded(message_id, recorded.receipt)


async def list_deliveries(services: Services, call: Call, subscription_id: str | None) -> Recorded[list[DeliveryRow]]:
    """Return the newest deliveries that ended, and tests that wait, of one subscription or (for the host) of all.

    Those that cannot be read are left out, counted and on the record. No report is named: whoever may still read it is
    told by sending again.
    """
    event = EventName.SUBSCRIPTION_LISTED
    client = await admit_or_host(services, call, Role.READER, event=event)
    subject, unread = None if subscription_id is None else named("subscription", subscription_id), Unread()
    attempt = draft(call, client, event, Outcome.REFUSED, subject=subject)
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        if subscription_id is None:
            wanted = [row.id for row in await _own(services, unit, client, Unread())]
        else:
            wanted = [(await _one(services, unit, client, subscription_id)).id]
        rows = await unit.subscriptions().deliveries(wanted, _MOST_SHOWN, unread)
        receipt = await unit.record(replace(attempt, outcome=Outcome.PERMITTED))
    # They are of the subscriptions that were asked about.
    return Recorded(rows, receipt, await record_unread(services, unread, client, is_own=True))


async def replay_deliveries(services: Services, call: Call, subscription_id: str) -> Recorded[int]:
    """Send again what could not be delivered, as far as its reader may still read it; return how many are tried."""

    async def replay(unit: UnitOfWork, row: SubscriptionRow) -> int:
        return await unit.subscriptions().replay(row.id, to_micros(call.now))

    return await _acted(services, call, subscription_id, EventName.SUBSCRIPTION_REPLAYED, replay)


async def secret_of(services: Services, row: SubscriptionRow) -> WebhookKey:
    """Return the key that signs for a subscription; OpeningError where the row is not what it was made as."""
    context = webhook_context(row.id, row.client, row.url)
    return WebhookKey.of(await services.custodian.unwrap(as_wrapped(row.secret), context))


async def whole_subscriptions(services: Services, rows: list[SubscriptionRow], unread: Unread) -> list[SubscriptionRow]:
    """Return those of `rows` that name the client and the address that they were made for; note the others.

    INVARIANT: whose a subscription is, its sealed secret says and not its row alone: no client is shown where another
    one is told, and none is told by what was another one's.
    """
    whole = []
    for row in rows:
        if await _is_whole(services, row):
            whole.append(row)
        else:
            unread.rows.append(UnreadRow(f"subscription {row.id}"))
    return whole


async def _is_whole(services: Services, row: SubscriptionRow) -> bool:
    try:
        await secret_of(services, row)
    except (CryptoError, KeyMissingError):
        return False
    return True


def waiting(
    message_id: str, subscription_id: str, report_id: str | None, now: int, *, breach: str | None = None
) -> DeliveryRow:
    """Return something to tell at once."""
    return DeliveryRow(
        id=message_id,
        subscription=subscription_id,
        report=report_id,
        queued_at=now,
        state=DeliveryState.WAITING,
        tries=0,
        next_at=now,
        ended_at=None,
        told=None,
        breach=breach,
    )


async def _made(services: Services, call: Call, client: Client, url: str) -> NewSubscription:
    key = services.randomness(_SECRET_BYTES)
    subscription_id = new_id(call.now, services.randomness)
    wrapped = await services.custodian.wrap(_KEY_NAME, key, webhook_context(subscription_id, client.id, url))
    beat = await services.store.pulse.beat()
    secret, added_at = as_stored(wrapped), to_micros(call.now)
    row = SubscriptionRow(subscription_id, client.id, call.purpose, url, secret, beat.seq, added_at)
    return NewSubscription(row, WebhookKey.of(key).text)


async def _own(services: Services, unit: UnitOfWork, client: Client | None, unread: Unread) -> list[SubscriptionRow]:
    book = unit.subscriptions()
    rows = await book.all(unread) if client is None else await book.of_client(client.id, unread)
    return await whole_subscriptions(services, rows, unread)


async def _one(services: Services, unit: UnitOfWork, client: Client | None, subscription_id: str) -> SubscriptionRow:
    """Return a subscription of the client, whole, or for the host's operator (None) whichever it names, held."""
    row = await unit.subscriptions().one(sought_id(subscription_id))
    if row is None or (client is not None and row.client != client.id):
        raise NotFoundError("no such subscription, or none of yours")
    if client is not None and not await _is_whole(services, row):
        raise UnreadRowError(f"subscription {row.id}")
    return row


async def _acted(services: Services, call: Call, subscription_id: str, event: EventName, act: Act) -> Recorded[int]:
    client = await admit_or_host(services, call, Role.READER, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("subscription", subscription_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        row = await _one(services, unit, client, subscription_id)
        count = await act(unit, row)
        receipt = await _record(unit, call, client, event, row.id)
    return Recorded(count, receipt)


async def _record(
    unit: UnitOfWork, call: Call, client: Client | None, event: EventName, subscription_id: str
) -> Receipt:
    subject = Subject("subscription", subscription_id)
    return await unit.record(draft(call, client, event, Outcome.PERMITTED, subject=subject))
