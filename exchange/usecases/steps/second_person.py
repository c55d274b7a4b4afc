"""What every act of two persons does: it is asked for, and confirmed, within the unit of work of its own use case.

A use case that asks records its own entry with the act's id and digest; the verbs on acts that wait are in
`pending_acts`.
"""

import base64
from collections.abc import Collection, Mapping
from contextlib import suppress

from exchange.crypto import CryptoError
from exchange.custody import Wrapped
from exchange.kernel import ConflictError, new_id
from exchange.members import ActKind, Client, PendingAct, altered_request, ask_for_act, require_second_person
from exchange.store import UnitOfWork, Unread
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.ended_acts import require_not_ended

MOST_WAITING = 100
"""Of what one client asked for: whoever asks or lists looks through all that waits, whosever it is."""
MOST_WAITING_OF_MEMBER = 1_000
"""Of what all clients of one member asked for: it may enrol as many as it likes. So many cost whoever looks 20 ms."""

_KEY_NAME = "acts"


async def ask(  # noqa: PLR0913  who asks whom for what
    services: Services,
    unit: UnitOfWork,
    call: Call,
    client: Client,
    kind: ActKind,
    *,
    asked: Mapping[str, str],
    members: Collection[str],
) -> PendingAct:
    """Add an act that `client` asks for, to be confirmed by another person of `members`; the caller records it.

    Raises ForbiddenError where the client may not ask for such an act, ConflictError where too many of its acts wait.
    """
    act = await sealed_act(services, call, client, kind, asked=asked, members=members)
    await add_act(unit, call, client, act)
    return act


async def sealed_act(  # noqa: PLR0913  who asks whom for what
    services: Services,
    call: Call,
    client: Client,
    kind: ActKind,
    *,
    asked: Mapping[str, str],
    members: Collection[str],
) -> PendingAct:
    """Return an act as `ask` adds it, for who asks custody before a unit that others wait for; ForbiddenError."""
    act_id = new_id(call.now, services.randomness)
    return await _sealed(services, ask_for_act(act_id, kind, asked, members=members, requester=client, now=call.now))


async def add_act(unit: UnitOfWork, call: Call, client: Client, act: PendingAct) -> None:
    """Add an act that `client` asks for; the caller records it. ConflictError where too many of its acts wait."""
    message = f"{MOST_WAITING} acts that you asked for wait for a second person: have some confirmed or refused"
    full = ConflictError(message, code="too-many-waiting")
    await unit.require_room(client, lambda: unit.acts().count_open(client), MOST_WAITING, full)
    # Not held: of those that come at one moment a few may pass it, which costs nobody anything.
    if await unit.acts().count_open_of(client.member) >= MOST_WAITING_OF_MEMBER:
        told = f"{MOST_WAITING_OF_MEMBER} acts that clients of your member asked for wait for a second person"
        raise ConflictError(f"{told}: have some confirmed or refused", code="too-many-waiting")
    await unit.held_certificates().learn_key(call.thumbprint, call.public_key)
    await unit.acts().add(act)


async def require_not_waiting(unit: UnitOfWork, kind: ActKind, **asked: str) -> None:
    """Raise ConflictError where such an act waits for its second person; none does that was refused or is too old."""
    if await _acts_about(unit, kind, asked):
        raise ConflictError("it waits for a second person: `exchange act list`", code="request-ended")


async def waiting_about(unit: UnitOfWork, kind: ActKind, name: str) -> frozenset[str]:
    """Return what the acts that wait for their second person are about: of each one what it says of `name`."""
    found = [act.asked for act in await _acts_about(unit, kind, {})]
    return frozenset(asked[name] for asked in found if name in asked)


async def end_waiting(unit: UnitOfWork, client: Client, kind: ActKind, reason: str, **asked: str) -> list[str]:
    """End the acts that wait for their second person about something that is no more; return their ids."""
    return [(await unit.acts().end(act, client, reason)).id for act in await _acts_about(unit, kind, asked)]


async def hold_waiting(unit: UnitOfWork, kind: ActKind, **asked: str) -> None:
    """Hold the acts that wait for their second person about something, before that is held.

    Who confirms or refuses an act holds it first: who holds what it is about, and then the act, would wait for each
    other with them.
    """
    for act in await _acts_about(unit, kind, asked):
        await unit.acts().one(act.id)


async def confirmed_by(  # noqa: PLR0913  who confirms what within which unit
    services: Services, unit: UnitOfWork, call: Call, act: PendingAct, client: Client, *, digest: str | None = None
) -> PendingAct:
    """Return `act`, confirmed by `client`; the caller does in the same unit what was confirmed, and records it.

    Raises as `require_confirmable`.
    """
    await require_confirmable(services, unit, call, act, client, digest=digest)
    return await unit.acts().approve(act, client)


async def require_confirmable(  # noqa: PLR0913  who confirms what within which unit
    services: Services, unit: UnitOfWork, call: Call, act: PendingAct, client: Client, *, digest: str | None
) -> None:
    """Check that `client` may confirm `act`; ConflictError and ForbiddenError as `require_second_person`."""
    first = await requester_of(unit, act)
    await unit.held_certificates().learn_key(call.thumbprint, call.public_key)
    shares_key = await unit.held_certificates().share_a_key(first.id, client.id)
    require_second_person(act, client, first=first, now=call.now, shares_key=shares_key, digest=digest)
    await _require_sealed(services, act)
    await require_not_ended(services, act)
    unit.rest_on(first)


async def requester_of(unit: UnitOfWork, act: PendingAct) -> Client:
    """Return the client that asked for `act`, as it stands now; ConflictError where there is none any more."""
    first = await unit.client(act.requester)
    if first is None:
        raise ConflictError("who asked is not known any more: ask again", code="requester-gone")
    return first


async def _acts_about(unit: UnitOfWork, kind: ActKind, asked: Mapping[str, str]) -> list[PendingAct]:
    found = []
    for act in await unit.acts().open(Unread()):
        # What was altered since it was asked for can be confirmed by nobody, and keeps nothing waiting.
        with suppress(ConflictError):
            if act.kind == kind.name and asked.items() <= act.asked.items():
                found.append(act)
    return found


def require_as_asked(act: PendingAct, meant: Mapping[str, str]) -> None:
    """Raise ConflictError where what would be done is not what `act` says."""
    if act.asked != meant:
        raise altered_request()


async def _sealed(services: Services, act: PendingAct) -> PendingAct:
    """Return an act that the exchange knows again: whoever writes to the database asks for nothing as somebody else."""
    statement = act.statement
    return act.sealed(_as_text(await services.custodian.wrap(_KEY_NAME, statement, statement)))


async def _require_sealed(services: Services, act: PendingAct) -> None:
    # INVARIANT: a second person confirms what a first one asked for, and no row that says so.
    seal, statement = act.seal, act.statement
    if seal is None:
        raise altered_request()
    try:
        found = await services.custodian.unwrap(_as_wrapped(seal), statement)
    except (CryptoError, ValueError) as exc:
        raise altered_request() from exc
    if found != statement:
        raise altered_request()


def _as_text(wrapped: Wrapped) -> str:
    blob = base64.b64encode(wrapped.blob).decode()
    return f"{wrapped.key_id} {wrapped.key_version} {wrapped.suite} {blob}"


def _as_wrapped(text: str) -> Wrapped:
    """Return what `_as_text` wrote; ValueError for anything else."""
    key_id, version, suite, blob = text.split(" ")
    return Wrapped(key_id, int(version), suite, base64.b64decode(blob, validate=True))
