"""Entries of one kind as the search finds them, from the log itself: what was changed beside the tree tells nothing.

Who goes by what is told passes over it. Who concludes from what is not told (that nobody did it, that it still stands)
asks what the log lacks besides (`lacks`, `all_told_until_now`): a bundle of the archive may be damaged, or lost.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from exchange.audit import Criteria, Entry, EventName, parse_entry
from exchange.audit.rows_told import outcome_telling
from exchange.kernel import MICROSECOND, MalformedError, UnavailableError, micros_in, parse_rfc3339
from exchange.store import Sought
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.searching import Found
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.whole_entries import whole_entry

_AT_ONCE: Final = 500

_LANES: Final = 200
"""Things that one search is about: others search meanwhile."""

_NEAR: Final = timedelta(minutes=1)
"""An entry is of when a row is written, or of shortly before or after that."""

_APART: Final = timedelta(hours=1)
"""An entry is of after what it tells of was made; a clock may be set back in between."""

_WAITING_AT_MOST: Final = 10_000
"""Who looks at one thing after the other reads no more than so many entries for each."""


async def told_of(
    services: Services,
    *events: EventName,
    subject: str | None = None,
    owner: str | None = None,
    since: datetime | None = None,
    lacks: list[Found] | None = None,
) -> AsyncIterator[list[Entry]]:
    """Yield, page by page, the entries of `events` that are whole, of every log of the database.

    One event comes after the other, and of each the oldest entries first. Those about `subject` or of `owner` alone,
    and from `since` on, where they are named. Into `lacks` come the places of all others.
    """
    for event in events:
        # Narrowed to what came to pass: an attempt that was refused changed nothing.
        outcome = outcome_telling(event.value).value
        criteria = Criteria(since, event=event.value, outcome=outcome, subject=subject, owner=owner)
        async for entries in sought_entries(services, Sought(criteria, None, newest_first=False), lacks):
            yield entries


async def told_of_each(
    services: Services, event: EventName, subjects: Sequence[str], *, lacks: list[Found] | None = None
) -> AsyncIterator[Entry]:
    """Yield the entries of `event` that are whole and about one of `subjects`, asked for together.

    Into `lacks` come the places of all others; about which of them each is, is not said there.
    """
    criteria = Criteria(event=event.value, outcome=outcome_telling(event.value).value)
    for start in range(0, len(subjects), _LANES):
        some = subjects[start : start + _LANES]
        sought = Sought(criteria, None, subjects=some, newest_first=False)
        async for entries in sought_entries(services, sought, lacks):
            for entry in entries:
                # Where the index was altered another entry may be at a place.
                if _tells(entry, (event.value,)) and entry["object"]["id"] in some:
                    yield entry


async def sought_entries(
    services: Services, sought: Sought, lacks: list[Found] | None = None, *, at_a_time: int = _AT_ONCE
) -> AsyncIterator[list[Entry]]:
    """Yield, page by page, the entries that a search finds and that are whole.

    Where the index was altered another entry may be at a place. Into `lacks` come the places of those not whole.
    """
    async for places in services.store.found_places(sought, at_a_time=at_a_time):
        entries = await entries_at(services, places)
        if lacks is not None:
            lacks += lacking(places, entries)
        yield entries


async def entries_waiting(services: Services) -> list[Entry]:
    """Return the entries that are whole and that no search finds yet.

    INVARIANT: who asks for both looks here first, then searches: whatever moves between the looks is in one of them.
    """
    waiting = map(whole_entry, await services.store.waiting_entries())
    return [entry for entry in waiting if entry is not None]


async def waiting_of(services: Services, *events: EventName, subjects: Collection[str]) -> list[Entry]:
    """Return those of `entries_waiting` that are of `events` and about one of `subjects`."""
    names = {event.value for event in events}
    waiting = await entries_waiting(services)
    return [each for each in waiting if _tells(each, names) and each["object"]["id"] in subjects]


async def is_too_much_waiting(services: Services) -> bool:
    """Return whether more entries wait for their place than who looks at many things can read for each of them."""
    return (await services.store.log.backlog()).count > _WAITING_AT_MOST


async def require_readable(services: Services, question: str) -> None:
    """Raise UnavailableError, which names the question, while so much waits for its place that nobody reads it."""
    if await is_too_much_waiting(services):
        raise UnavailableError(f"too many entries wait for their place in the log to see {question}: ask again later")


async def told_until_now(
    services: Services,
    *events: EventName,
    subject: str,
    since: datetime | None = None,
    lacks: list[Found] | None = None,
) -> AsyncIterator[Entry]:
    """Yield the entries of `events` about `subject`, in no order: those that no search finds yet, and all others.

    Of the others those from `since` on alone, where it is named. Into `lacks` come the places of those not whole.
    """
    for entry in await waiting_of(services, *events, subjects=(subject,)):
        yield entry
    async for entries in told_of(services, *events, subject=subject, since=since, lacks=lacks):
        for entry in entries:
            yield entry


async def told_since(services: Services, event: EventName, since: datetime) -> AsyncIterator[Entry]:
    """Yield the entries of `event` about something, from `since` on: those that no search finds yet, then all others.

    While too much waits to be read again and again, those come once they are found.
    """
    for entry in [] if await is_too_much_waiting(services) else await entries_waiting(services):
        if _tells(entry, (event.value,)) and parse_rfc3339(entry["ts"]) >= since:
            yield entry
    async for entries in told_of(services, event, since=since):
        for entry in entries:
            # Where the index was altered another entry may be at a place.
            if _tells(entry, (event.value,)):
                yield entry


def _tells(entry: Entry, events: Collection[str]) -> bool:
    """Return whether an entry tells that one of these events came to pass, of something."""
    name = entry["type"]
    return name in events and entry["decision"] == outcome_telling(name).value and "object" in entry


async def all_told_until_now(
    services: Services, *events: EventName, subject: str, of: str | None = None
) -> AsyncIterator[Entry]:
    """Yield what `told_until_now` does; behind them, LogDamagedError where one of them is not whole.

    For who concludes from what is not there. Who finds what it looks for goes no further. `of` is the id of what is
    looked for, where many such entries are about `subject`: one from before that was made tells of another.
    """
    lacks: list[Found] = []
    async for entry in told_until_now(services, *events, subject=subject, lacks=lacks):
        yield entry
    made = (micros_in(of or "") or 0) - _APART // MICROSECOND
    require_none([each for each in lacks if each.place.at_micros >= made], "that tell of this")


async def is_any_naming(services: Services, *events: EventName, subject: str, field: str, of: str) -> bool:
    """Return whether the detail of an entry that `all_told_until_now` yields names `of` in `field`; raises as that."""
    async for entry in all_told_until_now(services, *events, subject=subject, of=of):
        if entry.get("detail", {}).get(field) == of:
            return True
    return False


def lacking(places: Sequence[Found], entries: Sequence[Entry]) -> list[Found]:
    """Return those of `places` of which the entry is not among `entries`, read there."""
    # Where the index was altered another entry may be at a place.
    whole = {entry["id"] for entry in entries}
    return [place for place in places if place.id not in whole]


def may_be_told(lacks: Sequence[Found], *moments: object, apart: timedelta = _NEAR) -> bool:
    """Return whether an entry that the log lacks may tell of what was done at one of these moments, in microseconds.

    `apart` is how far from it the entry may be.
    """
    near = apart // MICROSECOND
    times = [moment for moment in moments if isinstance(moment, int)]
    return any(abs(each.place.at_micros - time) <= near for each in lacks for time in times)


def require_none(lacks: Sequence[Found], which: str) -> None:
    """Raise LogDamagedError where the log lacks entries."""
    if lacks:
        raise LogDamagedError(f"the log lacks {len(lacks)} of the entries {which}: they are damaged or gone")


async def entries_named(services: Services, entry_ids: Iterable[str]) -> dict[str, Entry | None]:
    """Return those of the entries with these ids that there are, by id; None of one that is damaged, lost or away."""
    contents = await services.store.log.contents_named(entry_ids)
    return {each: None if content is None else whole_entry(content) for each, content in contents.items()}


def is_borne_out_by(told: Mapping[str, Entry | None], entry_id: str, says: Callable[[Entry], bool]) -> bool:
    """Return whether the entry that a row names `says` what that does; `told` are `entries_named`, read behind it.

    It may have where the log lacks it, or it is away.
    """
    if entry_id not in told:
        return False
    entry = told[entry_id]
    return entry is None or says(entry)


async def is_told(services: Services, *events: EventName, subject: str) -> bool:
    """Return whether there is any of the entries that `told_until_now` yields."""
    async for _ in told_until_now(services, *events, subject=subject):
        return True
    return False


async def entries_at(services: Services, places: Sequence[Found]) -> list[Entry]:
    """Return the entries at these places that are whole, in the order in which they came into the logs."""
    entries: list[Entry] = []
    for log in sorted({place.log for place in places}):
        positions = [place.place.position for place in places if place.log == log]
        entries += _parsed(await services.store.log.whole_at(log, positions))
    return entries


def _parsed(contents: Sequence[bytes]) -> list[Entry]:
    entries: list[Entry] = []
    for content in contents:
        try:
            entries.append(parse_entry(content))
        except MalformedError:
            continue  # damaged: `exchange audit verify` tells which
    return entries
