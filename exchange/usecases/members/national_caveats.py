"""National caveats: a member's releasers put guards in force for its own reports, two of them together.

Nobody else is told of them: there is no way to name another member's, and who asks sees its own member's or none, by
what the log says (`told_caveats`).

Steps: (1) what is asked for is fit: forbids only, fits the schema, is shown by its examples, within bounds; (2) it is
kept, and waits for a second releaser, who sees the very text; (3) confirmed, it takes the place of what it was to
replace, and of nothing else; (4) version, policy version and entry become durable together.
"""

import asyncio
from collections.abc import Sequence

from exchange.audit import Detail, EntryDraft, EventName, Outcome, Receipt, Subject
from exchange.kernel import ConflictError, NotFoundError, is_uuid7, new_id
from exchange.members import NATIONAL_CAVEATS, Client, PendingAct, Role, altered_request
from exchange.release import NationalText, check_national
from exchange.store import CaveatSet, CaveatsInForce, UnitOfWork, Unread
from exchange.store.log.archived import LogDamagedError
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.members.told_caveats import borne_out
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.second_person import add_act, sealed_act
from exchange.usecases.steps.unread import record_unread

MOST_WAITING = 8
"""Sets of one member that wait for a second person; each may hold 128 KiB."""

_NOTHING = NationalText("", "")


async def propose_caveats(services: Services, call: Call, text: NationalText) -> Recorded[CaveatSet]:
    """Ask that these guards hold for the reports of the caller's member, in place of those in force (releaser).

    Raises InvalidError with every fault, ConflictError where they are in force already or too many sets wait.
    """
    event = EventName.CAVEATS_PROPOSED
    client = await authenticate(services, call, Role.RELEASER, event=event)
    async with on_record(services, draft(call, client, event, Outcome.REFUSED, owner=client.member)):
        # (1) beside the requests of others
        checked = await asyncio.to_thread(check_national, client.member, text, services.law)
        told = tuple((guard.id, guard.reason) for guard in checked.national.guards)
        return await _ask(services, call, client, text, told=told)


async def withdraw_caveats(services: Services, call: Call) -> Recorded[CaveatSet]:
    """Ask that no guard of the caller's member holds any more (releaser); ConflictError where none does."""
    event = EventName.CAVEATS_PROPOSED
    client = await authenticate(services, call, Role.RELEASER, event=event)
    async with on_record(services, draft(call, client, event, Outcome.REFUSED, owner=client.member)):
        return await _ask(services, call, client, _NOTHING, told=())


async def list_caveats(services: Services, call: Call) -> Recorded[tuple[CaveatSet, ...]]:
    """Return what the caller's member has, had and waits to have in force, the newest first."""
    event = EventName.CAVEATS_LISTED
    client, unread = await authenticate(services, call, event=event), Unread()
    async with services.store.unit_of_work() as unit:
        kept = await unit.caveats().of(client.member, unread)
    found, lost = await borne_out(services, client.member, kept, unread)
    ids = tuple(each.id for each in found)
    entry = draft(call, client, event, Outcome.PERMITTED, owner=client.member, result_ids=ids)
    receipt = await services.store.append(entry)
    return Recorded(tuple(found), receipt, lost + await record_unread(services, unread, client))


async def show_caveats(services: Services, call: Call, set_id: str) -> Recorded[CaveatSet]:
    """Return one set of the caller's member with its text; NotFoundError for all others, absent and foreign alike."""
    event = EventName.CAVEATS_READ
    client = await authenticate(services, call, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("caveats", set_id))
    async with on_record(services, attempt):
        async with services.store.unit_of_work() as unit:
            found = await unit.caveats().one(client.member, sought_id(set_id))
        if found is None:
            raise NotFoundError("no such caveats, or none of your member's")
        shown, lost = await borne_out(services, client.member, [found], Unread())
        if lost:
            raise LogDamagedError("the log lacks what it said of these caveats: it is damaged or gone")
        if not shown:
            raise UnreadRowError(f"caveats {found.id}")
        receipt = await services.store.append(_entry(call, client, event, found))
    return Recorded(found, receipt)


async def carry_out_caveats(
    services: Services, unit: UnitOfWork, call: Call, client: Client, act: PendingAct
) -> Receipt:
    """Do what a second releaser has confirmed: put the caveats in force, as they were asked for.

    Raises ConflictError where others came into force meanwhile or the text is another one, InvalidError where the law
    has changed and they do not fit it any more.
    """
    book = unit.caveats()
    (member,) = act.members
    # Held to the end: of two sets confirmed at once one is put in force, and the other one is told.
    await book.hold(member)
    one = await book.one(member, act.asked["caveats"])
    text = None if one is None else NationalText(one.guards, one.examples)
    if one is None or text is None or {text.digest(member), one.digest} != {act.asked["text"]}:
        raise altered_request()
    current = await book.in_force(member)
    # (3) what it was to replace
    if act.asked["replaces"] != _named(current):
        raise ConflictError("other caveats came into force meanwhile: ask again", code="caveats-overtaken")
    if act.asked["law"] != services.law.digest and text != _NOTHING:
        await asyncio.to_thread(check_national, member, text, services.law)
    # (4) in force, on every node
    made = await book.put_in_force(one)
    return await unit.record(_entry(call, client, EventName.CAVEATS_ACTIVATED, made))


async def _ask(
    services: Services, call: Call, client: Client, text: NationalText, *, told: Sequence[tuple[str, str]]
) -> Recorded[CaveatSet]:
    """Keep what is asked for, and let it wait for the second person (2)."""
    member, digest = client.member, text.digest(client.member)
    async with services.store.unit_of_work() as unit:
        current = await _to_be_replaced(unit, member, digest)
    set_id = new_id(call.now, services.randomness)
    asked = {"caveats": set_id, "text": digest, "replaces": _named(current), "law": services.law.digest}
    # Before the unit that posts wait for: custody may be slow.
    act = await sealed_act(services, call, client, NATIONAL_CAVEATS, asked=asked, members=[member])
    async with services.store.unit_of_work() as unit:
        book = unit.caveats()
        await book.hold(member)
        if await _to_be_replaced(unit, member, digest) != current:
            raise ConflictError("other caveats came into force meanwhile: ask again", code="caveats-overtaken")
        if await book.count_waiting(member) >= MOST_WAITING:
            raise ConflictError(
                "too many sets wait for a second person: confirm or refuse some", code="too-many-waiting"
            )
        await add_act(unit, call, client, act)
        one = CaveatSet(
            id=set_id,
            member=member,
            number=None,
            guards=text.guards,
            examples=text.examples,
            told=tuple(told),
            digest=digest,
            # What somebody wrote where an id was is none, and nobody could read the row that names it.
            replaces=current.id if current is not None and is_uuid7(current.id) else None,
            act=act.id,
            proposed_by=client.id,
            proposed_at=call.now,
        )
        await book.add(one)
        receipt = await unit.record(_entry(call, client, EventName.CAVEATS_PROPOSED, one, act_digest=act.digest))
    return Recorded(one, receipt)


async def _to_be_replaced(unit: UnitOfWork, member: str, digest: str) -> CaveatsInForce | None:
    """Return what is in force; ConflictError where that is just what is asked for, by its digest."""
    current = await unit.caveats().in_force(member)
    if digest == (_NOTHING.digest(member) if current is None else current.digest):
        raise ConflictError("nothing would change: these are in force", code="caveats-in-force")
    return current


def _named(current: CaveatsInForce | None) -> str:
    return "nothing" if current is None else current.id


def _entry(
    call: Call,
    client: Client,
    event: EventName,
    one: CaveatSet,
    *,
    act_digest: str | None = None,
) -> EntryDraft:
    detail: Detail = {"digest": one.digest, "guards": len(one.told), "act": one.act}
    if one.number is not None:
        detail["number"] = one.number
    if act_digest is not None:
        detail["act_digest"] = act_digest
    subject = Subject("caveats", one.id)
    return draft(call, client, event, Outcome.PERMITTED, subject=subject, owner=one.member, detail=detail)
