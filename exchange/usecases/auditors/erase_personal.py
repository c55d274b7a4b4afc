"""Erase personal data from the log: one person asks, another one approves, and the keys are destroyed.

Both act over HTTPS as clients: operators or auditors of the exchange for everybody, those of a member for their own
member's clients. The command line at the host can do neither. The bytes of entries stay as they are, so the log still
verifies; who reads it finds `erased`. What is about a subject without a key, its id, stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.audit import STRANGER, Detail, EntryDraft, EventName, Outcome, Receipt, Subject, fit_text, is_period
from exchange.kernel import ConflictError, Fault, InvalidError, NotFoundError
from exchange.members import ERASE_PERSONAL, EXCHANGE_MEMBER, Client, PendingAct, altered_request
from exchange.store import UnitOfWork
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import ABSENT_ID, sought_id
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.second_person import ask, confirmed_by

ERASING_ROLES = ERASE_PERSONAL.roles


@dataclass(frozen=True, slots=True)
class WantedErasure:
    """Whose personal data of which period, and why. `subject` is a client's id, or `stranger` for all not enrolled."""

    subject: str
    period: str
    reason: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure that was asked for; once approved, `keys` is how many keys were destroyed."""

    act: PendingAct
    keys: int | None = None


async def request_erasure(services: Services, call: Call, wanted: WantedErasure) -> Recorded[Erasure]:
    """Ask for an erasure, for another person to approve within seven days.

    Raises InvalidError for what is no period, NotFoundError for a client that the caller does not act for,
    ConflictError where the log holds nothing to erase.
    """
    event = EventName.PERSONAL_ERASURE_REQUESTED
    client = await authenticate(services, call, *ERASING_ROLES, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=_named(wanted.subject))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        if not is_period(wanted.period):
            fault = Fault("/period", "invalid-value", "name a period by its first month, as in `2026-10`")
            raise InvalidError("the erasure cannot be asked for so", (fault,))
        owner = await _owner_of(unit, client, wanted.subject)
        if not await unit.count_personal_keys(wanted.subject, wanted.period):
            raise ConflictError("the log holds no personal data of this client in this period", code="nothing-to-erase")
        members = (EXCHANGE_MEMBER if owner is None else owner,)
        act = await ask(services, unit, call, client, ERASE_PERSONAL, asked=_asked(wanted), members=members)
        receipt = await unit.record(_entry(call, client, event, act, owner=owner, detail={}))
    return Recorded(Erasure(act), receipt)


async def show_erasure(services: Services, call: Call, act_id: str) -> Recorded[Erasure]:
    """Return an erasure that was asked for, to who may approve it: nobody approves what it has not seen."""
    event = EventName.PERSONAL_ERASURE_READ
    client = await authenticate(services, call, *ERASING_ROLES, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("erasure", act_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        act, owner = await _visible_act(unit, client, act_id)
        receipt = await unit.record(_entry(call, client, event, act, owner=owner, detail={}))
    return Recorded(Erasure(act), receipt)


async def approve_erasure(services: Services, call: Call, act_id: str) -> Recorded[Erasure]:
    """Approve an erasure that another person asked for, and carry it out.

    Raises NotFoundError for one that the caller may not see, ConflictError for its own, for one that was approved
    already and for one that waited too long.
    """
    event = EventName.PERSONAL_ERASED
    client = await authenticate(services, call, *ERASING_ROLES, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("erasure", act_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        act, _ = await _visible_act(unit, client, act_id)
        approved = await confirmed_by(services, unit, call, act, client)
        keys, receipt = await _erase(unit, call, client, act)
    await services.store.scrub_destroyed_keys()
    return Recorded(Erasure(approved, keys), receipt)


async def carry_out_erasure(
    _services: Services, unit: UnitOfWork, call: Call, client: Client, act: PendingAct
) -> Receipt:
    """Destroy the keys that a confirmed `act` names, within the unit in which it was confirmed.

    The caller has the files rid of them afterwards, by `scrub_destroyed_keys`.
    """
    _, receipt = await _erase(unit, call, client, act)
    return receipt


async def _erase(unit: UnitOfWork, call: Call, client: Client, act: PendingAct) -> tuple[int, Receipt]:
    wanted = _wanted(act)
    owner = await _owner_of(unit, client, wanted.subject)
    keys = await unit.destroy_personal_keys(wanted.subject, wanted.period)
    entry = _entry(call, client, EventName.PERSONAL_ERASED, act, owner=owner, detail={"keys": keys})
    return keys, await unit.record(entry)


async def _visible_act(unit: UnitOfWork, client: Client, act_id: str) -> tuple[PendingAct, str | None]:
    """Return an erasure that `client` may see, and whose client it is about."""
    act = await unit.acts().one(sought_id(act_id), ERASE_PERSONAL.name)
    # Whose it is, is looked up where there is none, too: what may not be seen costs what an absent one costs.
    found = await unit.client(ABSENT_ID if act is None else sought_id(_wanted(act).subject))
    if act is None:
        raise _not_found()
    return act, _whose(client, _wanted(act).subject, found)


async def _owner_of(unit: UnitOfWork, client: Client, subject: str) -> str | None:
    """Return whose client `subject` is, None for strangers; one that `client` does not act for is not found."""
    return _whose(client, subject, await unit.client(sought_id(subject)))


def _whose(client: Client, subject: str, found: Client | None) -> str | None:
    is_of_exchange = client.member == EXCHANGE_MEMBER
    if subject == STRANGER:
        if not is_of_exchange:
            raise _not_found()
        return None
    if found is None or not (is_of_exchange or found.member == client.member):
        raise _not_found()
    return found.member


def _entry(  # noqa: PLR0913  what both entries of an erasure say
    call: Call, client: Client, event: EventName, act: PendingAct, *, owner: str | None, detail: Mapping[str, int]
) -> EntryDraft:
    wanted = _wanted(act)
    told: Detail = {
        "erasure": act.id,
        "period": wanted.period,
        "reason": wanted.reason,
        "digest": act.digest,
        **detail,
    }
    subject = _named(wanted.subject)
    return draft(call, client, event, Outcome.PERMITTED, subject=subject, owner=owner, detail=told)


def _named(subject: str) -> Subject:
    return Subject("client", STRANGER) if subject == STRANGER else named("client", subject)


def _asked(wanted: WantedErasure) -> Mapping[str, str]:
    return {"subject": wanted.subject, "period": wanted.period, "reason": fit_text(wanted.reason)}


def _wanted(act: PendingAct) -> WantedErasure:
    wanted = WantedErasure(subject=act.said("subject"), period=act.said("period"), reason=act.said("reason"))
    if not is_period(wanted.period):
        raise altered_request()
    return wanted


def _not_found() -> NotFoundError:
    return NotFoundError("no such client or erasure, or none that you may see")
