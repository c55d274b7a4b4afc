"""Reports that a count lacks, for nothing tells any more what release class they are of: told by what the log says.

A count that lacks something without a word would be believed. Whose such a report is, its row cannot say; so who counts
is told of those that the log says would be among what it counts, and of no others.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from exchange.members import Client
from exchange.store import ReportRow, UnreadRow
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.facts import is_cleared_for
from exchange.usecases.steps.log_words import LogWord, word_of
from exchange.usecases.steps.unread import unread_draft

_LOOKED_AT: Final = 100
"""Reports: each is looked for in the log. That there are some is what matters; so one of each class at least."""


async def uncounted_reports(
    services: Services, call: Call, client: Client, is_counted: Callable[[ReportRow, LogWord], Awaitable[bool]]
) -> int:
    """Return how many reports of unknown classes would be counted, as far as that is told; on the record.

    Of a hundred of them: more are not looked at.
    """
    unknown, found = sorted(services.knowledge.unknown_classes), []
    # Class by class: the many of one, which are not counted here, hide nothing of another.
    of_each = max(1, _LOOKED_AT // max(1, len(unknown)))
    for each in unknown:
        page = await services.store.page("", [each], after=0, limit=of_each, now=call.now, precedence=None, since=None)
        for row in page.rows:
            word = await word_of(services, row.id)
            if word is not None and await is_counted(row, word):
                found.append(row.id)
    await record_uncounted(services, client, (f"report {report}" for report in found))
    return len(found)


async def record_uncounted(services: Services, client: Client, places: Iterable[str]) -> None:
    """Put on the record what a count of this client lacks, before the count is told."""
    rows = [UnreadRow(place) for place in sorted(set(places))]
    if rows:
        await services.store.append(unread_draft(services, rows, client))


def is_cleared_by_log(services: Services, call: Call, client: Client, word: LogWord) -> bool:
    """Return whether a client's clearance covers a report by what the log says of it."""
    return word.label is not None and is_cleared_for(client, word.label, services.law.catalogue, call.now)
