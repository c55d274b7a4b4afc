"""Requests for information that have ended by their row alone, opened again: whoever was asked reads them as before.

Steps for one: (1) its row is held, as whoever ends it does; (2) all that the log tells of it until now is read; (3) it
stands as that says, and an entry says so.

Does not: widen anything. Whoever is asked reads what its asker asked of it, an answer is decided by itself, and what is
overdue stays so. A request that no entry tells of stays as it is, and each one does while the search lacks an entry.
"""

from dataclasses import replace
from typing import Final

from exchange.audit import Entry, EventName
from exchange.audit.rows_told import Contradiction, RowKind, RowTold
from exchange.reports import RequestState
from exchange.store import UnitOfWork
from exchange.store.log.searching import Found
from exchange.usecases.life.telling_rows import NOTHING_DONE, contradicted_draft
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import is_too_much_waiting, told_until_now

_STATES: Final = {
    EventName.REQUEST_MADE: None,
    EventName.REQUEST_CLOSED: RequestState.CLOSED,
    EventName.REQUEST_WITHDRAWN: RequestState.WITHDRAWN,
}
"""How a request stands behind an event, each further than the one before."""


def is_ended_untold(told: RowTold) -> bool:
    """Return whether this is of a request that goes on, or was closed and no more, as far as entries tell."""
    return told.name.kind is RowKind.REQUEST and not told.is_over


async def stands_again(services: Services, found: Contradiction, *, is_told: bool) -> bool:
    """Have a request stand as the log says, open or closed, and record it; return whether it was recorded.

    Where nothing can be done it is, unless that `is_told`. Raises one of `UNREADABLE` where its row was altered.
    """
    name = found.told.name
    if await is_too_much_waiting(services):
        return False  # the next round looks again
    is_all = await services.store.log.is_all_searched()
    async with services.store.unit_of_work() as unit:
        # (1) nobody ends it meanwhile
        row = await unit.requests().one(name.id)
        # (2) what the log says now
        last, lacks = await _last_told(services, name.id)
        event = None if last is None else EventName(last["type"])
        state = None if event is None else _STATES[event]
        is_so = row is None or row.ended in {None, state}
        if is_so or lacks or (is_told and not (last and is_all)):
            return False
        # (3) as that says. INVARIANT: nothing is shown again because no search finds the entry that withdrew it.
        done, told = NOTHING_DONE, found.told
        if last is not None and is_all:
            done, told = await _stand(services, unit, name.id, state), RowTold(name, last)
        await unit.record(contradicted_draft(services, replace(found, told=told), done, {}))
    return True


async def _last_told(services: Services, request_id: str) -> tuple[Entry | None, list[Found]]:
    """Return the entry by which a request has come furthest, and the places of those that the log lacks."""
    lacks: list[Found] = []
    told = {
        EventName(each["type"]): each
        async for each in told_until_now(services, *_STATES, subject=request_id, lacks=lacks)
    }
    return next((told[event] for event in reversed(_STATES) if event in told), None), lacks


async def _stand(services: Services, unit: UnitOfWork, request_id: str, state: RequestState | None) -> str:
    if state is None:
        await unit.requests().open_again(request_id)
        return "opened again"
    await unit.requests().end(request_id, state, services.clock())
    return state.value
