"""Readers that were given a version of a report while another one took its place: told of that like the others.

A move tells whomever the log names by then. What was being given at that moment is on the record a moment later: the
reader holds what another version has replaced, and the move that did it is on the record too. The sweep looks again.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from exchange.audit import Entry, EventName
from exchange.reports import ReportAct, may_be_done
from exchange.store import NoticeKind, NoticeRow
from exchange.usecases.reading.told_notices import is_borne_out
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.entry_labels import label_of
from exchange.usecases.steps.given_to import given_to
from exchange.usecases.steps.originating import OwnReport
from exchange.usecases.steps.whole_entries import placed_content, whole_entry

_LOWERED: Final[Mapping[str, NoticeKind]] = MappingProxyType(
    {
        EventName.REPORT_DOWNGRADED.value: NoticeKind.DOWNGRADED,
        EventName.REPORT_DECLASSIFIED.value: NoticeKind.DECLASSIFIED,
    }
)


async def tell_late(services: Services, own: OwnReport) -> bool:
    """Tell of a report's newest version whoever was given one before it and knows of none since; return whether any.

    Of a report that has ended nobody is told here. Raises ConflictError where it moved on meanwhile.
    """
    report = own.report
    if report.version == 1 or not may_be_done(ReportAct.RECALL, report.status):
        return False
    async with services.store.unit_of_work() as unit:
        former = await unit.reports().former_version(report.id, report.version - 1)
    entry = None if former is None else whole_entry(await placed_content(services.store, former.entry))
    if former is None or entry is None:
        return False  # damaged: nothing is told by its word
    given = await given_to(services, report.id, before=report.version)
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        await book.hold_order()
        # Of two that sweep at once the second one sees whom the first one told.
        await book.require_same(report.id, version=report.version, class_id=report.class_id)
        kind, at = _kind(services, own, entry), former.replaced_at
        notices = [
            NoticeRow.of(each, kind, report.id, version=report.version, at=at, entry=former.entry) for each in given
        ]
        untold = await book.untold(notices, former.entry)
        # INVARIANT: nor by a row that names the entry of something else: whoever was told already would be told that.
        late = [each for each in untold if is_borne_out({former.entry: entry}, each)]
        await unit.tell_late(late)
    return bool(late)


def _kind(services: Services, own: OwnReport, entry: Entry) -> NoticeKind:
    """Return what the move that `entry` is of was told as."""
    lowered = _LOWERED.get(entry["type"])
    if lowered is not None:
        return lowered
    before = label_of(entry["label"])
    is_kept = services.law.catalogue.dominates(before, own.facts.label, originator=own.facts.originator)
    return NoticeKind.AMENDED if is_kept else NoticeKind.UPGRADED
