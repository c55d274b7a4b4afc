"""Whether an act of two persons has ended, by what the log says: what its rows say, whoever writes there can change.

Promises: whatever ended an act, or what it is about, in a unit of work that has committed is found, in its place in the
log or on its way there.
Does not: hold the act. Who asks holds its row, so that nothing ends it in between.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from exchange.audit import EventName
from exchange.kernel import ConflictError
from exchange.members import DERIVED_MARKING, ERASE_PERSONAL, ONWARD_RELEASE, PROXY_POSTING, PendingAct
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import all_told_until_now, is_any_naming, require_readable

_ENDS: Final = (EventName.ACT_CONFIRMED, EventName.ACT_REFUSED)


@dataclass(frozen=True, slots=True)
class _Besides:
    """Entries that end an act without being about it: they are about what it calls `about`.

    Their field `field` names what the act calls `named`, or the act itself where that is None.
    """

    events: tuple[EventName, ...]
    about: str
    field: str
    named: str | None

    def names(self, act: PendingAct) -> str:
        return act.id if self.named is None else act.said(self.named)


_BESIDES: Final[Mapping[str, _Besides]] = MappingProxyType(
    {
        ERASE_PERSONAL.name: _Besides((EventName.PERSONAL_ERASED,), "subject", "erasure", None),
        ONWARD_RELEASE.name: _Besides(
            (EventName.ONWARD_REFUSED, EventName.ONWARD_WITHDRAWN), "report", "request", "request"
        ),
        DERIVED_MARKING.name: _Besides(
            (EventName.DERIVATION_REFUSED, EventName.DERIVATION_WITHDRAWN), "report", "request", "request"
        ),
        PROXY_POSTING.name: _Besides((EventName.PROXY_REVOKED,), "agreement", "consent", "consent"),
    }
)


async def require_not_ended(services: Services, act: PendingAct) -> None:
    """Raise ConflictError where the log says that `act` was done, refused or taken back, or what it is about was.

    Raises UnavailableError as `require_readable`, and where the log lacks an entry that may say so.
    """
    # INVARIANT: what two persons did, or one of them took back, is done no more, whatever its rows say.
    await require_readable(services, "whether this has ended")
    async for _ in all_told_until_now(services, *_ENDS, subject=act.id):
        raise _ended()
    besides = _BESIDES.get(act.kind)
    if besides is None:
        return
    about, named = act.said(besides.about), besides.names(act)
    if await is_any_naming(services, *besides.events, subject=about, field=besides.field, of=named):
        raise _ended()


def _ended() -> ConflictError:
    message = "the log says that this was done, refused or taken back, whatever is kept of it: ask again"
    return ConflictError(message, code="request-ended")
