"""How a report ends for good, and its tombstone: one that somebody wrote there keeps no report from ending.

A report ends once, and its tombstone says so for good: the database takes a second one of none, and lets nobody change
the first. So one that no entry tells of stays where it lies, and what is due is done: the keys are destroyed, it is on
the record, and whoever was given the report is asked to destroy it, with a tombstone that says what the entry does.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from exchange.audit import Deed, DeedKind, Entry, EventName, Outcome, Receipt
from exchange.kernel import ConflictError, UnavailableError, parse_rfc3339, rfc3339
from exchange.reports import ReportAct, ReportStatus, require_act
from exchange.store import EndCause, TombstoneRow
from exchange.store.report_book import ReportBook
from exchange.usecases.context import Call, Services
from exchange.usecases.originating import OwnReport
from exchange.usecases.report_moves import lapse_consents
from exchange.usecases.told_entries import is_told, told_of_each

_ENDS: Final[Mapping[EndCause, tuple[EventName, ReportStatus]]] = {
    EndCause.RECALLED: (EventName.REPORT_RECALLED, ReportStatus.RECALLED),
    EndCause.RETENTION: (EventName.REPORT_ENDED, ReportStatus.EXPIRED),
}
"""How an end is recorded, and as what a report stands behind it."""

_log = logging.getLogger("exchange.reports")


async def end_report(
    services: Services, call: Call, own: OwnReport, cause: EndCause, reason: str | None = None
) -> tuple[TombstoneRow, Receipt]:
    """Destroy the keys of a report, with its tombstone and the entry about it; raises ConflictError where it has ended.

    All of it is durable together, in a unit of its own.
    """
    (event, status), why = _ENDS[cause], {} if reason is None else {"reason": reason}
    by = {} if own.client is None else {"by": own.client.id}
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        await book.hold_order()
        held = await book.require_same(own.report.id, version=own.report.version, class_id=own.report.class_id)
        if cause is EndCause.RECALLED:
            require_act(held.stored_status, ReportAct.RECALL)
        await require_not_ended(services, book, own.report.id)
        # INVARIANT: whoever is answered after this commit finds no key.
        await book.shred(own.report.id, status)
        await lapse_consents(unit, own.report.id)
        receipt = await unit.record(own.entry(call, event, Outcome.PERMITTED, detail={**why}))
        note = services.store.attest(_deed(own, {"cause": cause.value, **why, **by, "at": rfc3339(call.now)}))
        stone = TombstoneRow(own.report.id, cause, call.now, note, receipt.entry)
        if not await book.has_tombstone(stone.report):
            await book.add_tombstone(stone)
        else:
            # None that an entry tells of: what is due is done all the same.
            told = "report %s had a tombstone before it ended: somebody wrote it into the database"
            _log.critical(told, stone.report)
    return stone, receipt


def _deed(own: OwnReport, told: Mapping[str, str]) -> Deed:
    return Deed(
        DeedKind.TOMBSTONE,
        {
            "report": own.report.id,
            "version": own.version,
            "originator": own.facts.originator,
            "agreement": own.facts.agreement,
            **told,
        },
    )


async def require_not_ended(services: Services, book: ReportBook, report: str) -> None:
    """Raise ConflictError where a report has its tombstone, and an entry tells that it ended."""
    ends = (event for event, _ in _ENDS.values())
    if await book.has_tombstone(report) and await is_told(services, *ends, subject=report):
        raise ConflictError("the report has ended: its keys are destroyed already", code="expired")


async def told_tombstones(services: Services, reports: Sequence[str]) -> dict[str, TombstoneRow]:
    """Return the tombstones of those of these reports that the log says were recalled, signed anew.

    For those in whose place lies what is none; of what the log lacks, or is away, there is none either.

    INVARIANT: nothing is signed by an entry that waits for its place: whoever wrote it could take it away again.
    """
    found: dict[str, TombstoneRow] = {}
    with suppress(UnavailableError):
        async for entry in told_of_each(services, EventName.REPORT_RECALLED.value, reports):
            # A report is recalled once: what came behind its entry says nothing of that.
            if entry["object"]["id"] not in found:
                found[entry["object"]["id"]] = _as_told(services, entry)
    return found


def _as_told(services: Services, entry: Entry) -> TombstoneRow:
    about, at = entry["object"], entry["ts"]
    told = {
        "report": about["id"],
        "version": about.get("version"),
        "originator": entry.get("owner"),
        "agreement": entry.get("agreement"),
        "cause": EndCause.RECALLED.value,
        "reason": entry.get("detail", {}).get("reason"),
        "by": entry["actor"].get("id"),
        "at": at,
    }
    deed = Deed(DeedKind.TOMBSTONE, {name: value for name, value in told.items() if value is not None})
    return TombstoneRow(about["id"], EndCause.RECALLED, parse_rfc3339(at), services.store.attest(deed), entry["id"])
