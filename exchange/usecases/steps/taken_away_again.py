"""Rights that are taken away: what a row alone says has ended, somebody wrote there, and can write back.

The jobs hold rows against what entries tell. Where nobody told of an end, they let what is put back stand: so who takes
a right away is refused, as it is so already, only where the log says that it is.

Promises: who would be refused alone waits for the log, and no unit is held meanwhile.
Does not: widen anything. What is done again leaves the row as narrow as it stood, or as the log had it.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from exchange.audit import EntryDraft, EventName
from exchange.audit.rows_told import RowKind, RowName, rows_told
from exchange.kernel import ExchangeError, UnavailableError
from exchange.members import Client, Member, Standing
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.recording import on_record
from exchange.usecases.steps.told_entries import require_readable, told_until_now

Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")

_STANDING: dict[RowKind, tuple[EventName, ...]] = {
    RowKind.CLIENT: (EventName.CLIENT_ENROLLED, EventName.CLIENT_CHANGED, EventName.CLIENT_REVOKED),
    RowKind.MEMBER: (EventName.MEMBER_ADDED, EventName.MEMBER_SUSPENDED, EventName.MEMBER_RESUMED),
}
"""The events that make versions of clients and of members; besides them the jobs do."""


class SaidByRowError(Exception):
    """What is to be done is done already, as a row says; `refusal` is raised where the log bears that out.

    `is_told` asks it. Where it cannot say, `in_doubt` is taken: a second entry about an end harms nobody.
    """

    def __init__(
        self, refusal: ExchangeError, is_told: Callable[[], Awaitable[bool]], *, in_doubt: bool = False
    ) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.is_told = is_told
        self.in_doubt = in_doubt


class Narrowing(Protocol[Result_co]):
    """Takes a right away in a unit of work of its own.

    Raises SaidByRowError where its row says that it is so already, unless it is done `is_again`.
    """

    async def __call__(self, *, is_again: bool) -> Result_co:
        """Do it, and record it."""


async def taken_away(services: Services, attempt: EntryDraft, narrow: Narrowing[Result]) -> Result:
    """Return what `narrow` does; again where the row alone says that it is done. `attempt` is recorded of refusals."""
    async with on_record(services, attempt):
        try:
            return await narrow(is_again=False)
        except SaidByRowError as said:
            if await _is_borne_out(services, said):
                raise said.refusal from None
        return await narrow(is_again=True)


async def _is_borne_out(services: Services, said: SaidByRowError) -> bool:
    try:
        await require_readable(services, "whether it is so already")
        return await said.is_told()
    except UnavailableError:
        return said.in_doubt


async def is_standing_told(services: Services, kind: RowKind, holder: Client | Member) -> bool:
    """Return whether entries tell of the version of `holder`, and none of a later one, and say that it stands so.

    A client that they say was revoked is that, whatever its row says.
    """
    name = RowName(kind, holder.id if isinstance(holder, Client) else holder.code)
    said: dict[int, set[object]] = {}
    async for entry in told_until_now(services, *_STANDING[kind], EventName.ROW_CONTRADICTED, subject=name.id):
        for told in rows_told(entry):
            if told.name == name:
                said.setdefault(told.version, set()).add(told.says.get("standing"))
    is_revoked = any(Standing.REVOKED.value in standings for standings in said.values())
    newest = max(said, default=None)
    return is_revoked or (newest == holder.version and said[newest] == {holder.standing.value})
