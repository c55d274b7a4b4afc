"""What is told of a row that is not what the log says: an entry, and no second one while it stays so, for a day."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from exchange.audit import Criteria, EntryDraft, EventName, Outcome, Subject
from exchange.audit.rows_told import Contradiction, RowName, RowTold
from exchange.store import Sought
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.told_entries import sought_entries

NOTHING_DONE: Final = "nothing"

Put = dict[str, int | str | list[str]]
"""What was put in the place of a row, as the entry about it says."""

_TOLD_AGAIN: Final = timedelta(days=1)
"""While a row stays as it is, it is told again so often; what is put back once more is ended and told at once."""


class TellingRows:
    """What one process knows to be told."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told: dict[tuple[RowName, str], datetime] = {}

    async def is_told(self, told: RowTold, now: datetime) -> bool:
        """Return whether this was told of late, by whatever process."""
        last = self._told.get(_key(told))
        if last is not None:
            return abs(now - last) < _TOLD_AGAIN
        is_on_record = await self._is_on_record(told, now)
        if is_on_record:
            self._told[_key(told)] = now
        return is_on_record

    def note(self, told: RowTold, now: datetime) -> None:
        """Note that this is told now."""
        self._told[_key(told)] = now

    async def _is_on_record(self, told: RowTold, now: datetime) -> bool:
        """Return whether a process said so of late that is gone, or is another node's."""
        asked = Criteria(event=EventName.ROW_CONTRADICTED.value, subject=told.name.id, since=now - _TOLD_AGAIN)
        # What was altered tells of nothing: then it is told once more.
        async for entries in sought_entries(self._services, Sought(asked, None)):
            for entry in entries:
                is_it = entry["type"] == EventName.ROW_CONTRADICTED.value
                if is_it and entry.get("detail", {}).get("entry") == told.by["id"]:
                    return True
        return False


def contradicted_draft(services: Services, found: Contradiction, done: str, put: Put) -> EntryDraft:
    """Return the entry about a row: in what it is not what the log says, what was done, and what was put there."""
    told = found.told
    subject = Subject(told.name.kind.value, told.name.id, told.version or None)
    detail: Put = {
        "entry": told.by["id"],
        "event": told.event,
        "why": found.why,
        "done": done,
        **put,
    }
    return replace(
        service_draft(services, EventName.ROW_CONTRADICTED, Outcome.FAILED, subject=subject),
        owner=told.by.get("owner"),
        agreement=told.by.get("agreement"),
        label=told.by.get("label"),
        detail=detail,
    )


def _key(told: RowTold) -> tuple[RowName, str]:
    return told.name, told.by["id"]
