"""Reports that came in time, though who was given them may not read them now: a promise that was kept stays kept.

What a member may read is asked as of now. So each clearance that it lowers, each report that is marked anew, and each
release class that is lost would make a silence of what came in time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from exchange.crypto import OpeningError
from exchange.kernel import EPOCH
from exchange.members import Client
from exchange.release import ClassFacts
from exchange.store import BreachRow, Countable, CountedReport, Span
from exchange.usecases.promises.counting import Counting, readable_under
from exchange.usecases.promises.sure_breaches import lost_post, unposted
from exchange.usecases.promises.sure_standing import Standings
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.facts import registered_purposes


async def silent_from(  # noqa: PLR0913, PLR0917  who was given what, by whom, and since when
    services: Services,
    counting: Counting,
    standings: Standings,
    silence: BreachRow,
    classes: Mapping[int, ClassFacts],
    since: datetime,
) -> datetime:
    """Return when a party last posted, behind `since`, what a reader of whom it owed that to could read then.

    Or since when one of them has been cleared, where none was before: what is posted meanwhile is for nobody. `classes`
    are all that are known of the agreement. A report counts of whose class nothing is known any more: what is lost
    accuses nobody. `since` where there is neither. Raises as `unposted`, and OpeningError where it is not known who
    could read.
    """
    until = counting.call.now + datetime.resolution
    readers = await standings.readers_then(silence.owed_to, since, until)
    of_it = (silence.party, silence.scope)
    own = [each for each, facts in classes.items() if (facts.originator, facts.scope) == of_it]
    posted = await services.store.duties.posted(Countable(own, EPOCH, counting.call.now), since)
    behind = [each for each in posted if each.posted_class_id in classes and since < each.posted_at]
    given = await _last_readable(services, counting, readers.sure, classes, behind)
    lost = await lost_post(services, silence.agreement, *of_it, since=since, known=classes)
    counted = max(each for each in (since, given, lost, readers.cleared_since()) if each is not None)
    if any(counted < each.posted_at and readers.may_have_read(each.posted_at) for each in behind):
        raise OpeningError("who could read then is not what the log says")
    return counted


async def _last_readable(
    services: Services,
    counting: Counting,
    readers: Sequence[Span[Client]],
    classes: Mapping[int, ClassFacts],
    reports: Iterable[CountedReport],
) -> datetime | None:
    for report, client in _last_of_each(reports, readers):
        then = replace(counting, call=replace(counting.call, now=report.posted_at))
        wanted, purpose = {report.posted_class_id: classes[report.posted_class_id]}, registered_purposes(client)[0]
        is_readable = await readable_under(services, then, client, wanted, purpose=purpose, what="what it read is")
        # INVARIANT: nobody is let off by a row of which no entry tells.
        if is_readable and not await unposted(services, {report.id: report.posted_at}):
            return report.posted_at
    return None


def _last_of_each(
    reports: Iterable[CountedReport], readers: Sequence[Span[Client]]
) -> list[tuple[CountedReport, Client]]:
    """Return the last report of each class that came while a reader was what it was, with that reader; newest first."""
    last: dict[tuple[int, int], CountedReport] = {}
    ordered = sorted(reports, key=lambda each: each.posted_at)
    for number, span in enumerate(readers):
        clearance = span.value.clearance
        for report in ordered:
            if span.holds(report.posted_at) and clearance.is_current(report.posted_at):
                last[number, report.posted_class_id] = report
    found = [(report, readers[number].value) for (number, _), report in last.items()]
    return sorted(found, key=lambda each: each[0].posted_at, reverse=True)
