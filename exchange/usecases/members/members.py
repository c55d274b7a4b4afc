"""Members: add, list, suspend, resume. Only an operator adds; every member sees itself."""

from dataclasses import replace
from functools import partial

from exchange.audit import EventName, Outcome, Receipt, Subject
from exchange.audit.rows_told import RowKind
from exchange.kernel import ConflictError, Fault, InvalidError, NotFoundError
from exchange.members import (
    ASSIGNED_ALPHA3,
    ORGANISATIONS,
    Client,
    Member,
    Role,
    Standing,
    check_member_code,
    check_name,
)
from exchange.store import UnitOfWork, Unread
from exchange.usecases.steps.authenticate import admit_or_host, may_see, require_own_member
from exchange.usecases.steps.collecting import Collected
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.taken_away_again import SaidByRowError, is_standing_told, taken_away
from exchange.usecases.steps.unread import record_unread


async def add_member(services: Services, call: Call, code: str, name: str) -> Recorded[Member]:
    """Add the member `code`; raises InvalidError for a code or name that is none, ConflictError if it exists."""
    client = await admit_or_host(services, call, Role.OPERATOR, event=EventName.MEMBER_ADDED)
    await require_own_member(services, call, client, code, event=EventName.MEMBER_ADDED)
    attempt = draft(call, client, EventName.MEMBER_ADDED, Outcome.REFUSED)
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        member = _checked_member(code, name)
        if await unit.member(member.code) is not None:
            raise ConflictError(f"member `{member.code}` exists already")
        await unit.add_member(member)
        receipt = await _record(unit, call, client, EventName.MEMBER_ADDED, member)
    return Recorded(member, receipt)


async def list_members(services: Services, call: Call) -> Recorded[tuple[Member, ...]]:
    """Return all members to an operator, to anyone else its own."""
    client, unread = await admit_or_host(services, call, event=EventName.MEMBER_LISTED), Unread()
    async with services.store.unit_of_work() as unit:
        members = [member for member in await unit.members(unread) if may_see(client, member.code)]
        receipt = await unit.record(draft(call, client, EventName.MEMBER_LISTED, Outcome.PERMITTED))
    return Recorded(tuple(members), receipt, await record_unread(services, unread, client))


async def suspend_member(services: Services, call: Call, code: str) -> Recorded[Member]:
    """Suspend a member: none of its clients can act from the next request on."""
    return await _change_standing(services, call, code, Standing.SUSPENDED, event=EventName.MEMBER_SUSPENDED)


async def resume_member(services: Services, call: Call, code: str) -> Recorded[Member]:
    """End a member's suspension."""
    return await _change_standing(services, call, code, Standing.ACTIVE, event=EventName.MEMBER_RESUMED)


async def known_member(unit: UnitOfWork, code: str) -> Member | None:
    """Return the member `code`; what can be no code is no member's, and never reaches the store."""
    return await unit.member(code) if code in ASSIGNED_ALPHA3 or code in ORGANISATIONS else None


def _checked_member(code: str, name: str) -> Member:
    faults: list[Fault] = []
    checked = Collected(faults)
    known_code = checked.value(lambda: check_member_code(code), None)
    known_name = checked.value(lambda: check_name(name), "")
    if faults or known_code is None:
        raise InvalidError("the member cannot be added so", tuple(faults))
    return Member(code=known_code, version=1, name=known_name, standing=Standing.ACTIVE)


async def _change_standing(
    services: Services, call: Call, code: str, standing: Standing, *, event: EventName
) -> Recorded[Member]:
    client = await admit_or_host(services, call, Role.OPERATOR, event=event)
    await require_own_member(services, call, client, code, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED)

    async def change(*, is_again: bool) -> Recorded[Member]:
        async with services.store.unit_of_work() as unit:
            member = await known_member(unit, code)
            if member is None:
                raise NotFoundError(f"no member `{code[:20]}`: see `exchange member list`")
            if member.standing is standing and not is_again:
                refusal = ConflictError(f"member `{member.code}` is {standing.value} already")
                if standing is Standing.ACTIVE:
                    raise refusal
                raise SaidByRowError(refusal, partial(is_standing_told, services, RowKind.MEMBER, member))
            changed = replace(member, version=member.version + 1, standing=standing)
            await unit.put_member(changed)
            receipt = await _record(unit, call, client, event, changed)
        return Recorded(changed, receipt)

    return await taken_away(services, attempt, change)


async def _record(unit: UnitOfWork, call: Call, client: Client | None, event: EventName, member: Member) -> Receipt:
    entry = draft(
        call,
        client,
        event,
        Outcome.PERMITTED,
        subject=Subject("member", member.code, member.version),
        owner=member.code,
        detail={"standing": member.standing.value},
    )
    return await unit.record(entry)
