"""Whether a request for consent still asks for what was asked: a releaser says yes to that, and to nothing else.

What a request wishes for stands in its row, and whoever writes to the database writes rows: to whom a report is to go
on could be changed between the look at a request and the yes to it. The entry of the request says it too: in words, or
by a digest with a salt that its row alone has, where it tells who asked of what it does not see.

INVARIANT: nothing is consented to that no entry asks for.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from exchange.audit import Entry, EventName, Outcome
from exchange.kernel import Canonical, ConflictError, canonical_bytes
from exchange.store import Unread, UnreadRow
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.originating import OwnReport
from exchange.usecases.steps.told_entries import (
    all_told_until_now,
    entries_named,
    is_any_naming,
    is_borne_out_by,
    require_readable,
)


class _Row(Protocol):
    @property
    def entry(self) -> str:
        """The entry of its being asked for."""


RowT = TypeVar("RowT", bound=_Row)


@dataclass(frozen=True, slots=True)
class Asking:
    """That a client asked for a consent about something, under this event, in which `field` names it.

    `unread` is how the row is noted of which no entry tells that.
    """

    event: EventName
    field: str
    id: str
    about: str
    by: str
    unread: UnreadRow

    def is_told_by(self, entry: Entry) -> bool:
        """Return whether the entry tells of it."""
        said = (entry["type"], entry["decision"], entry.get("object", {}).get("id"), entry["actor"].get("id"))
        is_of_it = said == (self.event.value, Outcome.PERMITTED.value, self.about, self.by)
        return is_of_it and entry.get("detail", {}).get(self.field) == self.id


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


async def as_asked(
    services: Services, rows: Sequence[RowT], unread: Unread, asking: Callable[[RowT], Asking]
) -> list[RowT]:
    """Return those of these rows that somebody asked for, by the entry that each names; the others are noted.

    Where the log lacks that entry, or it is away, it may say so.
    """
    told, found = await entries_named(services, [row.entry for row in rows]), []
    for row in rows:
        asked = asking(row)
        if is_borne_out_by(told, row.entry, asked.is_told_by):
            found.append(row)
        else:
            unread.rows.append(asked.unread)
    return found


def require_same_request(said: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Raise ConflictError where a request that is held says something else than when the log was asked about it."""
    if said != before:
        raise _altered()


def _altered() -> ConflictError:
    return ConflictError("what is kept is not what was asked for: let it be asked again", code="request-altered")
