"""That a report is superseded: on its own record, and told to whoever was given it.

The entry about it names nothing of what took its place: it stands under the label of the report that it is about, and
who may know of that one need not know of the other. `report.posted` of the new one names both.

INVARIANT: it is told once, with the status itself: that a place was taken anew is told by what took it, to whom that is
visible, and by nothing else.
"""

from datetime import timedelta
from typing import Final

from exchange.audit import Entry, EventName, Outcome
from exchange.kernel import UnavailableError, parse_rfc3339
from exchange.members import Client
from exchange.reports import ReportAct, ReportStatus, may_be_done
from exchange.store import NoticeKind, NoticeRow, Superseding
from exchange.usecases.posting.derived_marking import Source
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.given_to import given_to
from exchange.usecases.steps.originating import OwnReport
from exchange.usecases.steps.recording import about_report, draft
from exchange.usecases.steps.told_entries import is_told

UNDER_WAY: Final = timedelta(minutes=5)
"""Who asked for a report so long after it was superseded was shown it so: longer than a post takes to be durable."""


async def superseding_of(services: Services, call: Call, client: Client, source: Source | None) -> Superseding | None:
    """Return what goes with a post of `client` in the place of `source`; None where that tells nobody anything."""
    if source is None:
        return None
    report = source.report
    is_owed = report.status is ReportStatus.SUPERSEDED and not await _was_told(services, report.id)
    if report.status is not ReportStatus.CURRENT and not is_owed:
        return None
    entry = draft(
        call,
        client,
        EventName.REPORT_SUPERSEDED,
        Outcome.PERMITTED,
        **about_report(report.id, report.version, source.facts),
    )
    return Superseding(report.id, report.version, entry, await given_to(services, report.id), is_owed=is_owed)


async def _was_told(services: Services, report: str) -> bool:
    """Return whether the log tells that a report was superseded, or cannot be asked.

    INVARIANT: nobody keeps it from the readers by a row that says beforehand that it was.
    """
    try:
        return await is_told(services, EventName.REPORT_SUPERSEDED, subject=report)
    except UnavailableError:
        return True


async def tell_late_of_superseding(services: Services, own: OwnReport, entry: Entry) -> bool:
    """Tell whoever was being given a report while another one took its place; return whether anybody.

    Of a report that has ended nobody is told here.
    """
    report, version = own.report, entry["object"].get("version", 0)
    if not may_be_done(ReportAct.RECALL, report.status):
        return False
    at = parse_rfc3339(entry["ts"])
    given = [each for each in await given_to(services, report.id) if each.at <= at + UNDER_WAY]
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        await book.hold_order()
        # Of two that sweep at once the second one sees whom the first one told.
        await book.held(report.id)
        notices = [
            NoticeRow.of(each, NoticeKind.SUPERSEDED, report.id, version=version, at=at, entry=entry["id"])
            for each in given
        ]
        late = await book.untold(notices, entry["id"])
        await unit.tell_late(late)
    return bool(late)
