"""After a restore: what parties did to their own part of an agreement since the backup, done again from the kept log.

Only they could do it, and only once the restored instance serves: until then what they had suspended would be in force.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from exchange.agreements import Agreement, resume_party, suspend_party, withdraw_party
from exchange.audit import Entry, EventName
from exchange.kernel import ConflictError, ForbiddenError, NotFoundError, parse_rfc3339
from exchange.usecases.agreements.agreements import record_agreement
from exchange.usecases.agreements.own_part import leaving
from exchange.usecases.steps.context import Call, Services

_STEPS: Mapping[EventName, Callable[[Agreement, str, datetime], Agreement]] = MappingProxyType(
    {
        EventName.AGREEMENT_SUSPENDED: suspend_party,
        EventName.AGREEMENT_RESUMED: resume_party,
        EventName.AGREEMENT_WITHDRAWN: withdraw_party,
    }
)
_NAMES = {event.value: event for event in _STEPS}


@dataclass(frozen=True, slots=True)
class PartyMove:
    """What one party did, by the entry that tells it."""

    entry: str
    event: EventName
    agreement: str
    member: str
    at: datetime


def move_told(entry: Entry) -> PartyMove | None:
    """Return the move that an entry of something that was permitted tells of; None where it tells of something else."""
    event = _NAMES.get(entry["type"])
    if event is None or "member" not in entry or "object" not in entry:
        return None
    return PartyMove(entry["id"], event, entry["object"]["id"], entry["member"], parse_rfc3339(entry["ts"]))


async def move_again(services: Services, call: Call, moves: Iterable[PartyMove]) -> list[str]:
    """Do these moves again, in their order, as of their own time; return the entries of those that could be done.

    What cannot is left to a person: the agreement, or the party in its text, is of after the backup.
    """
    if not call.is_host:
        raise ForbiddenError("what parties did is done again at the host alone")
    done = []
    for move in moves:
        try:
            await _move(services, call, move)
        except (ConflictError, NotFoundError):
            continue
        done.append(move.entry)
    return done


async def _move(services: Services, call: Call, move: PartyMove) -> None:
    async with services.store.unit_of_work() as unit:
        agreement = await unit.agreements().one(move.agreement, for_update=True)
        if agreement is None:
            raise NotFoundError("the backup does not know the agreement")
        moved = _STEPS[move.event](agreement, move.member, move.at)
        await unit.put_agreement(moved)
        told = {"on_behalf_of": move.member, "restored": move.entry, **leaving(moved, move.member)}
        await record_agreement(unit, call, None, move.event, moved, told=told)
