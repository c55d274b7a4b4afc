"""List notices: what a reader is told of reports that it was given: amended, raised, lowered, superseded, recalled ...

A notice names a report that its reader had, and nothing that is in it; whether the reader may still have it is decided
when it pulls. Kept with the act that it tells of, in one transaction: none is lost, and none tells of what was not, for
each is held against the entry of that act (`told_notices`).

That a report is superseded is a fact that its header shows (ADR 0055). INVARIANT: the notice of it is shown only to who
may read that header at this moment, for any of its purposes, and names what took the place only to who may read that.
What may not be known is passed over, and what follows takes its place on the page.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, assert_never

from exchange.audit import EventName, Outcome
from exchange.members import Client, Role
from exchange.release import Permit, Refusal, View
from exchange.reports import header_from_json
from exchange.store import NoticeKind, NoticeRow, Unread, UnreadRow
from exchange.usecases.reading.told_notices import is_borne_out
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import DEFAULT_PURPOSE, Call, Recorded, Services
from exchange.usecases.steps.judging import Judged
from exchange.usecases.steps.positions import open_position, seal_position
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.seeking import judge_linked
from exchange.usecases.steps.told_entries import entries_named
from exchange.usecases.steps.unread import record_unread

_ORDER = "notice"

_AT_LEAST: Final = 50
"""Looked at together: what may not be known is passed over, however few are asked for."""

_AT_MOST: Final = 2_000
"""Looked at for one page, each a question of a millisecond: who lost so many in a row goes on with `next`."""


@dataclass(frozen=True, slots=True)
class ListedNotice:
    """One thing that its reader is told; `superseded_by` has the place of the report, where the reader may see that."""

    row: NoticeRow
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True)
class ListedNotices:
    """A page of notices, oldest first, and the cursor behind it: more will follow."""

    items: tuple[ListedNotice, ...]
    next: str


async def list_notices(
    services: Services, call: Call, cursor: str | None = None, *, limit: int = 100
) -> Recorded[ListedNotices]:
    """Return what the calling reader is told of reports, in the order in which it happened. `limit` is 1..500.

    Raises ForbiddenError without the reader's role, MalformedError for a cursor that was not given to this client.
    """
    event = EventName.NOTICE_LISTED
    client = await authenticate(services, call, Role.READER, event=event)
    async with on_record(services, draft(call, client, event, Outcome.REFUSED)):
        after = open_position(services, client, cursor, of=_ORDER)
    unread = Unread()
    items, last = await _page(services, call, client, (after, limit), unread)
    named = (report for item in items for report in (item.row.report, item.superseded_by) if report is not None)
    ids = tuple(dict.fromkeys(named))
    receipt = await services.store.append(draft(call, client, event, Outcome.PERMITTED, result_ids=ids))
    # They name this client: whose else they may be is not asked.
    unopened = await record_unread(services, unread, client, is_own=True)
    return Recorded(ListedNotices(items, seal_position(services, client, last, of=_ORDER)), receipt, unopened)


async def _page(
    services: Services, call: Call, client: Client, place: tuple[int, int], unread: Unread
) -> tuple[tuple[ListedNotice, ...], int]:
    """Return `limit` notices behind a number, or all that there are, and the number of the last one looked at."""
    after, limit = place
    items: list[ListedNotice] = []
    asked = max(limit, _AT_LEAST)
    for _ in range(0, _AT_MOST, asked):
        async with services.store.unit_of_work() as unit:
            rows = await unit.reports().notices(client.id, after=after, limit=asked)
            known = [row for _, row in rows if isinstance(row, NoticeRow)]
            superseded = {row.report for row in known if row.kind is NoticeKind.SUPERSEDED}
            takers = await unit.reports().takers(sorted(superseded)) if superseded else {}
        told = await entries_named(services, [row.entry for row in known])
        for number, row in rows:
            after = number
            if isinstance(row, UnreadRow) or not is_borne_out(told, row):
                unread.rows.append(UnreadRow(f"notice {number}"))
                continue
            # INVARIANT: a page tells by its length of nothing that its reader may not know of.
            items += await _shown(services, call, client, row, takers)
            if len(items) == limit:
                return tuple(items), after
        if len(rows) < asked:
            break
    return tuple(items), after


async def _shown(
    services: Services, call: Call, client: Client, row: NoticeRow, takers: Mapping[str, str]
) -> tuple[ListedNotice, ...]:
    """Return a notice as `client` may know it; nothing where it may not."""
    if row.kind is not NoticeKind.SUPERSEDED:
        return (ListedNotice(row),)
    if await _seen(services, call, client, row.report, views=frozenset(View)) is None:
        return ()
    taker = takers.get(row.report)
    # As a link in a header: to who may see the whole of what it leads to.
    seen = None if taker is None else await _seen(services, call, client, taker, views={View.FULL})
    # INVARIANT: what took a place says so where it is sealed, and not in its row alone.
    is_taker = seen is not None and header_from_json(json.loads(seen.header_json)).supersedes == row.report
    return (ListedNotice(row, taker if is_taker else None),)


async def _seen(
    services: Services, call: Call, client: Client, report_id: str, *, views: Collection[View]
) -> Judged | None:
    """Return a report that `client` could be shown now, for any purpose that it may state; None where it could not."""
    for purpose in client.purposes or (DEFAULT_PURPOSE,):
        if purpose not in services.law.vocabulary.purposes:
            continue  # the vocabulary has it no more: nothing is asked for by it
        judged = await judge_linked(services, replace(call, purpose=purpose), client, report_id)
        match None if judged is None else judged.decision:
            case Permit(view=view) if view in views:
                return judged
            case Permit() | Refusal() | None:
                continue
            case other:
                assert_never(other)
    return None
