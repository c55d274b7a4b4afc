"""Who was given a report: read from the log, what no search finds yet included."""

from collections.abc import Iterable, Mapping

from exchange.audit import Criteria, EventName, Outcome
from exchange.audit.shape import Entry
from exchange.kernel import parse_rfc3339
from exchange.store import GivenTo, Sought
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import entries_waiting, sought_entries

_GIVEN = frozenset({EventName.REPORT_READ.value, EventName.REPORT_PART_READ.value, EventName.REPORT_RECEIVED.value})


async def given_to(services: Services, report_id: str, *, before: int | None = None) -> tuple[GivenTo, ...]:
    """Return every client that was given a report or a part of it, with its first access, the earliest first.

    With `before` only what was given of versions before that one counts.
    """
    first: dict[str, GivenTo] = {}
    # Whom one that is not whole names cannot be known; all others are to be told.
    _note(first, await entries_waiting(services), report_id, before)
    sought = Sought(Criteria(subject=report_id, outcome=Outcome.PERMITTED.value), member=None, newest_first=False)
    # INVARIANT: as the tree has them. Whom an altered entry names would be told of a report that it never read.
    async for entries in sought_entries(services, sought):
        _note(first, entries, report_id, before)
    return tuple(sorted(first.values(), key=lambda given: (given.at, given.client)))


def _note(first: dict[str, GivenTo], entries: Iterable[Entry], report_id: str, before: int | None) -> None:
    for entry in entries:
        given = given_by(entry)
        if given is None or _text(entry.get("object"), "id") != report_id:
            continue
        if before is not None and entry["object"].get("version", 0) >= before:
            continue
        if given.client not in first or given.at < first[given.client].at:
            first[given.client] = given


def given_by(entry: Entry) -> GivenTo | None:
    """Return which client an entry tells to have been given a report; None where it tells of something else."""
    if entry["type"] not in _GIVEN or entry["decision"] != Outcome.PERMITTED.value:
        return None
    client, at = _text(entry["actor"], "id"), parse_rfc3339(entry["ts"])
    return GivenTo(client, entry.get("member", ""), entry.get("agency", ""), at, entry["id"])


def _text(fields: Mapping[str, object] | None, name: str) -> str:
    return str((fields or {}).get(name, ""))
