"""Reports' rows held against the log's posts, a few at a time: what somebody took out of lists is found and told.

A row that is gone, or stands as ended, leaves every list, and nothing fails. Who asks for all posts every ten minutes
asks for most of a log; so the jobs walk over them, some hundreds in each round, and begin anew at the end.

Steps of a round: (1) the next posts, behind the place that is kept; (2) their rows, read after them: each is there, of
the class that the entry says; (3) what ended a report, or took its place, is in the log; (4) what lists and counts read
from the row is what is sealed in it, its number is where lists look for it, and the classes that it had before are
those that entries tell of; (5) what is not so is looked at again, and told; (6) the place is kept.

Nothing is put back: what a row was, the log does not hold, and whether a report is shown is its originator's to say.
"""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final, cast

from exchange.audit import Criteria, Entry, EventName, Outcome
from exchange.audit.rows_told import Contradiction, RowKind, RowName, RowTold, contradiction, rows_told
from exchange.crypto import CryptoError, header_context
from exchange.custody import KeyMissingError
from exchange.kernel import MICROSECOND, is_uuid7, to_micros
from exchange.reports import Header, ReportStatus, header_from_json
from exchange.store import ReportRow, Sought
from exchange.store.books.walk_book import ReportSeen, Walked
from exchange.store.log.searching import Found
from exchange.store.rows.unread import UNREADABLE
from exchange.usecases.life.former_classes import FIRST_VERSION, Classes, classes_now, other_before
from exchange.usecases.life.telling_rows import NOTHING_DONE, TellingRows, contradicted_draft
from exchange.usecases.steps.altered_classes import tell_altered_class
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.sealed_headers import require_end_as_sealed, sealed_for
from exchange.usecases.steps.told_entries import entries_at, is_too_much_waiting, told_of, waiting_of
from exchange.usecases.steps.whole_entries import placed_content, whole_entry

WALKED_EVERY: Final = timedelta(seconds=5)

AT_ONCE: Final = 250
"""Posts of one round: a million are looked at in six hours, with some hundredths of a processor."""

_ANEW: Final = timedelta(hours=1)
"""A walk that came to the end before does not begin earlier: a small corpus is not looked at all the time."""

_STILL_TOLD: Final = timedelta(days=2)
"""So long the doctor asks for what a walk told: it tells again each day."""

_STATUSES: Final = frozenset(status.value for status in ReportStatus)
_ENDING: Final = {
    ReportStatus.RECALLED.value: (EventName.REPORT_RECALLED, EventName.ROW_CONTRADICTED),
    ReportStatus.EXPIRED.value: (EventName.REPORT_ENDED, EventName.ROW_CONTRADICTED, EventName.REPORT_RECALLED),
}
"""What brings a report there, the likeliest first."""

_log = logging.getLogger("exchange.rows")


class ReportWalk:
    """The walk, as one process goes on with it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._telling = TellingRows(services)

    async def round(self) -> bool:
        """Look at the next reports; return that there is no more to do now."""
        services = self._services
        now = to_micros(services.clock())
        walked = await services.store.walk.walked(now)
        if walked.is_whole:
            if now - walked.began_at < _ANEW // MICROSECOND:
                return False
            walked = (await services.store.walk.walked(-1))._replace(began_at=now)
        # (1) the next posts
        places = await _next_posts(services, walked)
        for found in await contradicted_reports(services, await entries_at(services, places)):
            # (5) One that cannot be told keeps no other one from being looked at.
            try:
                await self._tell(found)
            except UNREADABLE as exc:
                _log.error("%s is not what the log says, and cannot be told: %s", found.told.name, type(exc).__name__)
        # (6) where it goes on
        place = places[-1].place if places else walked.place
        async with services.store.unit_of_work() as unit:
            await unit.walk().move(Walked(place, walked.began_at, is_whole=len(places) < AT_ONCE))
        return False

    async def _tell(self, found: Contradiction) -> None:
        services, now = self._services, self._services.clock()
        if await self._telling.is_told(found.told, now):
            return
        # As it is now: it may have moved on since, and its entry be on its way.
        again = await _contradicted(services, [found.told])
        if not again:
            return
        await services.store.append(contradicted_draft(services, again[0], NOTHING_DONE, {}))
        self._telling.note(found.told, now)
        _log.critical("%s is not what the log says: %s", found.told.name, again[0].why)


async def told_reports(services: Services) -> AsyncIterator[list[Contradiction]]:
    """Yield, page by page, the reports that a walk told of lately and that are not what the log says still."""
    asked = Criteria(event=EventName.ROW_CONTRADICTED.value, since=services.clock() - _STILL_TOLD)
    seen: set[str] = set()
    async for hits in services.store.found_entries(Sought(asked, None), at_a_time=AT_ONCE):
        posts: dict[str, Entry] = {}
        for entry in map(whole_entry, (hit.content for hit in hits)):
            detail = {} if entry is None else entry.get("detail", {})
            post = str(detail.get("entry"))
            if detail.get("event") != EventName.REPORT_POSTED.value or post in seen:
                continue
            told = whole_entry(await placed_content(services.store, post))
            if told is not None:
                posts[post] = told
        seen |= posts.keys()
        yield await contradicted_reports(services, list(posts.values()))


async def contradicted_reports(services: Services, entries: Iterable[Entry]) -> list[Contradiction]:
    """Return which reports are not what the entries of their posts say, and what is sealed in them, in some order."""
    told = [each for entry in entries for each in _told(entry)]
    return await _contradicted(services, [each for each in told if is_uuid7(each.name.id)])


def _told(entry: Entry) -> list[RowTold]:
    """Return what a post says of its report, and of the one whose place it took."""
    told = [each for each in rows_told(entry) if each.name.kind is RowKind.REPORT]
    before = entry.get("detail", {}).get("supersedes")
    return [*told, *([RowTold(RowName(RowKind.REPORT, before), entry)] if isinstance(before, str) else [])]


async def _contradicted(services: Services, told: Sequence[RowTold]) -> list[Contradiction]:
    # (2) there, and of its class
    names = {each.name for each in told}
    kept = await services.store.rows_kept.of(names)
    seen = await services.store.walk.seen(sorted(each.id for each in names))
    classes = await classes_now(services)
    found: dict[RowName, Contradiction] = {}
    for each in told:
        await _tell_gone(services, classes, seen.get(each.name.id))
        row = kept.get(each.name)
        fault = contradiction(each, row)
        is_altered = row is not None and row.is_of_altered_class
        if is_altered and each.name.id in seen:
            # A class that was altered is told by itself: what stands in it is accused of nothing that is the class's.
            await tell_altered_class(services, seen[each.name.id].row.class_id)
            fault = None if fault is None or fault.is_of_altered_class else fault
        if fault is None and each.name.id in seen:
            why = await _fault(services, classes, each, seen[each.name.id], is_altered=is_altered)
            fault = None if why is None else Contradiction(each, why)
        if fault is not None:
            found.setdefault(each.name, fault)
    return list(found.values())


async def _tell_gone(services: Services, classes: Classes, seen: ReportSeen | None) -> None:
    """Tell of the classes that a report stood in before, and whose rows are gone: nothing else asks for them."""
    before = () if seen is None else (seen.posted_class, *(past.class_id for past in seen.past))
    for class_id in filter(classes.is_gone, before):
        await tell_altered_class(services, class_id)


async def _fault(
    services: Services, classes: Classes, told: RowTold, seen: ReportSeen, *, is_altered: bool
) -> str | None:
    """Return in what a report's row is not what it came to; `is_altered` where its class is not, as its row stands."""
    # (3) as the log says that it came to be
    status = seen.row.status_name
    if status not in _STATUSES:
        return "it stands as no report does"
    if told.by.get("object", {}).get("id") != told.name.id:
        is_current = status == ReportStatus.CURRENT.value
        return "another report took its place, and its row says that none did" if is_current else None
    if status in _ENDING and not await _is_told(services, told.name.id, _ENDING[status], _ends):
        return f"its row says that it is {status}, and no entry ended it"
    if status == ReportStatus.SUPERSEDED.value and not await _has_taker(services, told.name.id):
        return "its row says that another report took its place, and no entry does"
    if status not in _ENDING and not seen.sealed_bytes:
        return "nothing is sealed in it, and its row says that it goes on"
    # (4) as it is sealed, where lists look, and before in the classes that entries tell of
    other = None
    if seen.sealed_bytes and is_altered and classes.is_lost(seen.row.class_id):
        other = await _moved_into_lost(services, classes, told, seen)
    elif seen.sealed_bytes:
        whole = classes.known.get(seen.row.class_id) if is_altered else None
        other = await _other_than_sealed(services, seen, seen.digest if whole is None else whole.digest)
    other = other or (None if status in _ENDING else _not_in_order(seen))
    return other or await other_before(services, classes, told.by, seen)


async def _moved_into_lost(services: Services, classes: Classes, told: RowTold, seen: ReportSeen) -> str | None:
    """Return that a report was moved into a class of which nothing is known; None where it may have been in it.

    Tried are the classes that the log lets it be of: its clause is its own for good, and its label while its first
    version stands. A lost class may hold thousands, and each try is a key to be unwrapped.
    """
    posted, is_first = told.by, seen.row.version == FIRST_VERSION
    clause = (posted.get("owner"), posted.get("agreement"), posted.get("scope"))
    others = [
        each
        for each in classes.known.values()
        if (each.facts.originator, each.facts.agreement, each.facts.scope) == clause
        and not (is_first and each.facts.label.as_json() != posted.get("label"))
    ]
    return None if await sealed_for(services, seen.row, others) is None else "it stands in another class than its own"


async def _other_than_sealed(services: Services, seen: ReportSeen, digest: str | None) -> str | None:
    """Return what lists and counts read from a row and is not what its originator sealed."""
    row = seen.row
    try:
        header_json = await _opened(services, row, digest)
        header = header_from_json(json.loads(header_json))
    except KeyMissingError:
        return None  # perhaps this node lacks it: the doctor tells of keys
    except (CryptoError, *UNREADABLE):
        return "what is sealed in it does not open where it stands"
    try:
        require_end_as_sealed(row, header_json)
    except CryptoError:
        return "`valid_until` is not the sealed one"
    sealed = _sealed(header)
    other = next((name for name, value in seen.beside.items() if sealed[name] != value), None)
    return None if other is None else f"`{other}` is not the sealed one"


def _not_in_order(seen: ReportSeen) -> str | None:
    """Return why a report's number is not the one that it was given: lists go on behind the last one they saw."""
    at, last, next_at = seen.recorded_at, seen.last, seen.next_at
    if not isinstance(last, int) or not 0 < seen.row.seq <= last:
        return "no list looks at its place"
    if not isinstance(at, int) or at < cast("int", seen.beside["posted_at"]):
        return "its place was given before it was posted"
    if isinstance(next_at, int) and next_at < at:
        return "its place is before those of reports that came earlier"
    return None


def _sealed(header: Header) -> dict[str, object]:
    return {
        "posted_at": to_micros(header.posted_at),
        "precedence": header.precedence.value,
        "originator": header.originator,
        "agreement": header.agreement,
        "supersedes": header.supersedes,
    }


async def _has_taker(services: Services, report: str) -> bool:
    """Return whether the log tells of a report that took the place of this one."""

    def takes(entry: Entry) -> bool:
        return entry.get("detail", {}).get("supersedes") == report

    if await _is_told(services, report, (EventName.REPORT_SUPERSEDED,), lambda _: True):
        return True
    takers = [taker for _, taker in await services.store.walk.takers([report]) if is_uuid7(str(taker))]
    if any([await _is_told(services, taker, (EventName.REPORT_POSTED,), takes) for taker in takers]):
        return True
    # Before there was either, nothing told of it but what the originator sealed: who writes to rows cannot make that.
    seen = await services.store.walk.seen(takers)
    return any([await _is_sealed_to_take(services, each, report) for each in seen.values()])


async def _is_sealed_to_take(services: Services, taker: ReportSeen, report: str) -> bool:
    """Return whether what is sealed in a report says that it takes the place of another one.

    INVARIANT: nor is it one where no key is there to open it: any row can be made to name one that never was.
    """
    try:
        return header_from_json(json.loads(await _opened(services, taker.row, taker.digest))).supersedes == report
    except (CryptoError, *UNREADABLE):
        return False


async def _opened(services: Services, row: ReportRow, digest: str | None) -> bytes:
    """Return the header that is sealed in a row, where it opens for a class of this digest."""
    context = header_context(row.id, row.version, digest or "")
    (header_json,) = await services.custodian.open_headers([(row, context)])
    return header_json


async def _is_told(
    services: Services, subject: str, events: Sequence[EventName], says: Callable[[Entry], bool]
) -> bool:
    """Return whether one of these entries about a report says so, or may: read after its row."""
    if await _is_found(services, subject, events, says):
        return True
    if await is_too_much_waiting(services):
        return True  # what ended a report may be among it
    # What waits is found there, or by the search that comes after.
    if any(map(says, await waiting_of(services, *events, subjects=(subject,)))):
        return True
    return await _is_found(services, subject, events, says)


async def _is_found(
    services: Services, subject: str, events: Sequence[EventName], says: Callable[[Entry], bool]
) -> bool:
    lacks: list[Found] = []
    async for entries in told_of(services, *events, subject=subject, lacks=lacks):
        if any(map(says, entries)):
            return True
    # What the log lacks may say so.
    return bool(lacks)


def _ends(entry: Entry) -> bool:
    # What the jobs put back is ended, or shown to nobody: both stand as ended.
    return entry["type"] != EventName.ROW_CONTRADICTED.value or entry.get("detail", {}).get("done") != NOTHING_DONE


async def _next_posts(services: Services, walked: Walked) -> list[Found]:
    criteria = Criteria(event=EventName.REPORT_POSTED.value, outcome=Outcome.PERMITTED.value)
    sought = Sought(criteria, None, place=walked.place, newest_first=False)
    async for places in services.store.found_places(sought, at_a_time=AT_ONCE):
        return places
    return []
