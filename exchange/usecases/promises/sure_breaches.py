"""Whether a breach that rows tell of is one by the log too: nobody is accused by a row that somebody altered.

A breach is on the record for good, and told to who it was owed to. The rows that it is found by (when a report was
posted and how urgent it is, who acknowledged it) are held against the log once in some hours. So the log is asked
before: each post has its entry, and so has each acknowledgement, and what is sealed in a report says the rest.

INVARIANT: where a report's row is not what its entries and what is sealed in it say, no breach is found by it. And
nobody is let off by a row that says what no entry does.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from exchange.audit import Criteria, Entry, EventName, Outcome
from exchange.crypto import OpeningError
from exchange.kernel import UnavailableError, parse_rfc3339, to_micros
from exchange.store import ReceiptHow, Sought
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.searching import Found
from exchange.usecases.life.walk_reports import contradicted_reports
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import (
    all_told_until_now,
    entries_named,
    entries_waiting,
    require_none,
    require_readable,
    sought_entries,
    told_of_each,
    told_until_now,
    waiting_of,
)


async def is_unacknowledged(services: Services, report: str, *, by: str, due: datetime, former: str | None) -> bool:
    """Return whether no client of the member `by` acknowledged a report up to `due`, and its row is what it came to.

    Where it was due under a `former` precedence, only where it had that until after `due`. Raises UnavailableError as
    `require_readable`, LogDamagedError where the log lacks what it says of it, OpeningError where that is away.
    """
    await require_readable(services, "what was acknowledged")
    with _of_one(is_waited_for=True):
        posts = [entry async for entry in all_told_until_now(services, EventName.REPORT_POSTED, subject=report)]
        if not posts or any(found.told.name.id == report for found in await contradicted_reports(services, posts)):
            return False
        if former is not None and not await _was_so_at(services, report, former, due):
            return False
        # First those that rows name: what somebody took out of the search is found there still.
        named = await entries_named(services, await services.store.duties.acknowledging(report))
        if any(entry is not None and _lets_off(entry, report, by=by, due=due) for entry in named.values()):
            return False
        lacks: list[Found] = []
        async for entry in told_until_now(services, EventName.REPORT_RECEIVED, subject=report, lacks=lacks):
            if _lets_off(entry, report, by=by, due=due):
                return False
        # What came later lets nobody off, and nor does it where it is lost.
        require_none([each for each in lacks if each.place.at_micros <= to_micros(due)], "that tell of this")
    return True


async def told_acknowledgements(services: Services, reports: Collection[str]) -> dict[str, dict[str, datetime]]:
    """Return by report and member when the first of its clients acknowledged it, of what the log has whole.

    Raises UnavailableError as `require_readable`, OpeningError where what the log says of it is away.
    """
    found: dict[str, dict[str, datetime]] = {}
    if not reports:
        return found
    await require_readable(services, "what was acknowledged")
    with _of_one(is_waited_for=True):
        told = await waiting_of(services, EventName.REPORT_RECEIVED, subjects=reports)
        told += [each async for each in told_of_each(services, EventName.REPORT_RECEIVED, sorted(reports))]
    for entry in filter(_acknowledges, told):
        by_member = found.setdefault(entry["object"]["id"], {})
        member, at = entry.get("member", ""), parse_rfc3339(entry["ts"])
        by_member[member] = min(at, by_member.get(member, at))
    return found


async def is_silent(services: Services, agreement: str, member: str, *, since: datetime) -> bool:
    """Return whether each report that a member posted since then is in its row what it came to, and so was counted.

    Raises UnavailableError as `require_readable`, LogDamagedError where the log lacks a post, or it is away.
    """
    await require_readable(services, "what was posted")
    with _of_one(is_waited_for=False):
        async for posts in _posts(services, agreement, member, since):
            if await contradicted_reports(services, posts):
                return False
    return True


async def lost_post(  # noqa: PLR0913  who posted what, under which clause, and since when
    services: Services, agreement: str, member: str, scope: str, *, since: datetime, known: Collection[int]
) -> datetime | None:
    """Return when a member last posted, behind `since`, a report in none of the classes that are `known`, by the log.

    Raises as `is_silent`.
    """
    last: datetime | None = None
    with _of_one(is_waited_for=False):
        async for posts in _posts(services, agreement, member, since):
            at = {each["object"]["id"]: parse_rfc3339(each["ts"]) for each in posts if each.get("scope") == scope}
            for report, class_id in (await services.store.history.classes_of(sorted(at))).items():
                if class_id not in known and since < at[report]:
                    last = at[report] if last is None else max(last, at[report])
    return last


async def unposted(services: Services, reports: Mapping[str, datetime]) -> set[str]:
    """Return which of these reports no entry says were posted when it is said that they were.

    Raises UnavailableError as `require_readable`, and where the log lacks what may say so, or it is away.
    """
    await require_readable(services, "what was posted")
    lacks: list[Found] = []
    told = await waiting_of(services, EventName.REPORT_POSTED, subjects=reports)
    told += [each async for each in told_of_each(services, EventName.REPORT_POSTED, sorted(reports), lacks=lacks)]
    require_none(lacks, "that tell of posts")
    posted = {(entry["object"]["id"], parse_rfc3339(entry["ts"])) for entry in told}
    return {report for report, at in reports.items() if (report, at) not in posted}


async def _was_so_at(services: Services, report: str, precedence: str, due: datetime) -> bool:
    """Return whether an entry says that a report was of this precedence until a moment behind `due`.

    INVARIANT: of when it was made less urgent no row alone says. LogDamagedError where the log lacks what may say so.
    """
    moves = [entry async for entry in all_told_until_now(services, EventName.REPORT_AMENDED, subject=report)]
    until = [each["ts"] for each in moves if each.get("detail", {}).get("precedence_before") == precedence]
    return any(parse_rfc3339(each) > due for each in until)


def _lets_off(entry: Entry, report: str, *, by: str, due: datetime) -> bool:
    is_one = (entry["type"], entry["decision"]) == (EventName.REPORT_RECEIVED.value, Outcome.PERMITTED.value)
    is_its = (entry.get("object", {}).get("id"), entry.get("member")) == (report, by)
    return is_one and is_its and _acknowledges(entry) and parse_rfc3339(entry["ts"]) <= due


def _acknowledges(entry: Entry) -> bool:
    return entry.get("detail", {}).get("how") == ReceiptHow.ACKNOWLEDGED.value


@contextmanager
def _of_one(*, is_waited_for: bool) -> Iterator[None]:
    """Raise LogDamagedError for what the log lacks, of one breach; for what is away OpeningError, of one agreement.

    A silence is found again as long as it lasts: for that nothing is waited for.
    """
    try:
        yield
    except LogDamagedError:
        raise
    except UnavailableError as exc:
        if is_waited_for:
            raise OpeningError("what the log says of it cannot be read") from exc
        raise LogDamagedError(exc.message) from exc


async def _posts(services: Services, agreement: str, member: str, since: datetime) -> AsyncIterator[list[Entry]]:
    yield [entry for entry in await entries_waiting(services) if _is_post(entry, agreement, member)]
    event, outcome = EventName.REPORT_POSTED.value, Outcome.PERMITTED.value
    criteria = Criteria(since=since, owner=member, agreement=agreement, event=event, outcome=outcome)
    lacks: list[Found] = []
    async for entries in sought_entries(services, Sought(criteria, None, newest_first=False), lacks):
        require_none(lacks, "that tell of posts")
        yield entries


def _is_post(entry: Entry, agreement: str, member: str) -> bool:
    is_one = (entry["type"], entry["decision"]) == (EventName.REPORT_POSTED.value, Outcome.PERMITTED.value)
    return is_one and (entry.get("agreement"), entry.get("owner")) == (agreement, member)
