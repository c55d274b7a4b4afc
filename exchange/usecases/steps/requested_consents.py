"""Whether a request for consent still asks for what was asked: a releaser says yes to that, and to nothing else.

What a request wishes for stands in its row, and whoever writes to the database writes rows: to whom a report is to go
on could be changed between the look at a request and the yes to it. The entry of the request says it too: in words, or
by a digest with a salt that its row alone has, where it tells who asked of what it does not see.

INVARIANT: nothing is consented to that no entry asks for.
"""

import hashlib
from collections.abc import Collection, Mapping

from exchange.audit import Entry, EventName, Outcome
from exchange.kernel import Canonical, ConflictError, canonical_bytes
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.originating import OwnReport
from exchange.usecases.steps.told_entries import (
    all_told_until_now,
    is_any_naming,
    is_borne_out_by,
    require_readable,
)


def request_digest(salt: str, said: Mapping[str, Canonical]) -> str:
    """Return by what the entry of a request names all that it asks for: SHA-256, in hex."""
    return hashlib.sha256(canonical_bytes({"salt": salt, "said": dict(said)})).hexdigest()


async def require_as_requested(
    services: Services, event: EventName, own: OwnReport, said: Mapping[str, str], *, ends: Collection[EventName]
) -> None:
    """Raise ConflictError where the request that `said` names is not what the log says.

    So it is where that is about another report than `own`, or a version before: what it asks for is gone with that;
    and where an entry of one of `ends` is about it: what was refused or taken back is asked for no more.

    Raises UnavailableError as `require_readable`, and where the log lacks an entry that may say so. Asked before
    the unit that grants (`require_same_request`): others wait for that, and an archive may be slow.
    """
    await require_readable(services, "what was asked for")
    report, request = own.report.id, said["request"]
    if await is_any_naming(services, *ends, subject=report, field="request", of=request):
        raise ConflictError("the log says that this was decided or taken back: ask again", code="request-ended")
    async for entry in all_told_until_now(services, event, subject=report, of=request):
        is_of_this = entry["object"].get("version") == own.report.version
        if is_of_this and said.items() <= entry.get("detail", {}).items():
            return
    raise _altered()


def is_told_as_asked(  # noqa: PLR0913  what its entry has to say
    told: Mapping[str, Entry | None], event: EventName, entry_id: str, *, name: str, request: str, about: str, by: str
) -> bool:
    """Return whether the entry that a request names is of who asked for it, about that; what the log lacks may be.

    `told` are `entries_named`, `name` is what that entry calls the request.
    """

    def says(entry: Entry) -> bool:
        said = (entry["type"], entry["decision"], entry.get("object", {}).get("id"), entry["actor"].get("id"))
        is_of_it = said == (event.value, Outcome.PERMITTED.value, about, by)
        return is_of_it and entry.get("detail", {}).get(name) == request

    return is_borne_out_by(told, entry_id, says)


def require_same_request(said: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Raise ConflictError where a request that is held says something else than when the log was asked about it."""
    if said != before:
        raise _altered()


def _altered() -> ConflictError:
    return ConflictError("what is kept is not what was asked for: let it be asked again", code="request-altered")
