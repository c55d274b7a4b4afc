"""When the instance was last put aside, as the log tells it: on every node the same, whichever host wrote the file.

A backup is an entry before its first byte is written, and another one, which says how large it is, when the file stands
whole in its place. Only that one counts: what broke off saves nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from exchange.audit import Criteria, Detail, Entry, EventName, Outcome
from exchange.kernel import parse_rfc3339
from exchange.store import Sought
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import entries_waiting, sought_entries

_AT_A_TIME: Final = 20
_EVENT = EventName.INSTANCE_BACKED_UP.value


def written_backup(size_bytes: int) -> Detail:
    """Return what the entry of a backup says whose file stands in its place."""
    return {"bytes": size_bytes}


async def last_backup(services: Services, *, with_waiting: bool = False) -> datetime | None:
    """Return when the newest backup was written, None where none was.

    `with_waiting` looks at the entries too that no search finds yet, each of them: for a person, not for every scrape.
    """
    waiting = await entries_waiting(services) if with_waiting else ()
    times = [time for entry in waiting if (time := _written_at(entry)) is not None]
    if times:
        return max(times)
    sought = Sought(Criteria(event=_EVENT, outcome=Outcome.PERMITTED.value), member=None)
    async for entries in sought_entries(services, sought, at_a_time=_AT_A_TIME):
        # Within a page they are in the order of the log.
        times = [time for entry in entries if (time := _written_at(entry)) is not None]
        if times:
            return max(times)
    return None


def _written_at(entry: Entry) -> datetime | None:
    if entry["type"] != _EVENT or entry["decision"] != Outcome.PERMITTED.value:
        return None
    detail = entry.get("detail")
    return parse_rfc3339(entry["ts"]) if isinstance(detail, Mapping) and "bytes" in detail else None
