"""Members: add, list, suspend, resume. Only an operator adds; every member sees itself."""

from dataclasses import replace

from exchange.audit import EventName, Outcome, Subject
from exchange.kernel import ConflictError, NotFoundError
from exchange.members import Client, Member, Standing, check_member_code, check_name
from exchange.store import UnitOfWork
from exchange.usecases.authenticate import admit_anyone, admit_operator, may_see, require_own_member
from exchange.usecases.context import Call, Recorded, Services
from exchange.usecases.recording import draft


async def add_member(services: Services, call: Call, code: str, name: str) -> Recorded[Member]:
    """Add the member `code`; raises InvalidError for a code or name that is none, ConflictError if it exists."""
    client = await admit_operator(services, call, event=EventName.MEMBER_ADDED)
    await require_own_member(services, call, client, code, event=EventName.MEMBER_ADDED)
    member = Member(code=check_member_code(code), version=1, name=check_name(name), standing=Standing.ACTIVE)
    async with services.store.unit_of_work() as unit:
        if await unit.member(member.code) is not None:
            message = f"member `{member.code}` exists already"
            raise ConflictError(message)
        await unit.add_member(member)
        entry = await _record(unit, call, client, EventName.MEMBER_ADDED, member)
    return Recorded(member, entry)


async def list_members(services: Services, call: Call) -> Recorded[tuple[Member, ...]]:
    """Return all members to an operator, to anyone else its own."""
    client = await admit_anyone(services, call, event=EventName.MEMBER_LISTED)
    async with services.store.unit_of_work() as unit:
        members = [member for member in await unit.members() if may_see(client, member.code)]
        entry = await unit.record(draft(call, client, EventName.MEMBER_LISTED, Outcome.PERMITTED))
    return Recorded(tuple(members), entry)


async def suspend_member(services: Services, call: Call, code: str) -> Recorded[Member]:
    """Suspend a member: none of its clients can act from the next request on."""
    return await _change_standing(services, call, code, Standing.SUSPENDED, event=EventName.MEMBER_SUSPENDED)


async def resume_member(services: Services, call: Call, code: str) -> Recorded[Member]:
    """End a member's suspension."""
    return await _change_standing(services, call, code, Standing.ACTIVE, event=EventName.MEMBER_RESUMED)


async def _change_standing(
    services: Services, call: Call, code: str, standing: Standing, *, event: EventName
) -> Recorded[Member]:
    client = await admit_operator(services, call, event=event)
    await require_own_member(services, call, client, code, event=event)
    async with services.store.unit_of_work() as unit:
        member = await unit.member(code)
        if member is None:
            message = f"no member `{code[:20]}`: see `exchange member list`"
            raise NotFoundError(message)
        if member.standing is standing:
            message = f"member `{member.code}` is {standing.value} already"
            raise ConflictError(message)
        changed = replace(member, version=member.version + 1, standing=standing)
        await unit.put_member(changed)
        entry = await _record(unit, call, client, event, changed)
    return Recorded(changed, entry)


async def _record(unit: UnitOfWork, call: Call, client: Client | None, event: EventName, member: Member) -> str:
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
