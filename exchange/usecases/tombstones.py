"""Tombstones as the log bears them out: one that somebody wrote into the database keeps no report from ending.

A report ends once, and its tombstone says so for good: the database takes a second one of none, and lets nobody change
the first. So one that no entry tells of stays where it lies, and what is due is done: the keys are destroyed, it is on
the record, and whoever was given the report is asked to destroy it, with a tombstone that says what the entry does.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress

from exchange.audit import Deed, DeedKind, Entry, EventName
from exchange.kernel import ConflictError, UnavailableError, parse_rfc3339
from exchange.store import EndCause, TombstoneRow
from exchange.store.report_book import ReportBook
from exchange.usecases.context import Services
from exchange.usecases.told_entries import is_told, told_of_each

_log = logging.getLogger("exchange.reports")


async def require_not_ended(services: Services, book: ReportBook, report: str) -> None:
    """Raise ConflictError where a report has its tombstone, and an entry tells that it ended."""
    ends = (EventName.REPORT_RECALLED, EventName.REPORT_ENDED)
    if await book.has_tombstone(report) and await is_told(services, *ends, subject=report):
        raise ConflictError("the report has ended: its keys are destroyed already", code="expired")


async def put_tombstone(book: ReportBook, stone: TombstoneRow) -> None:
    """Keep a tombstone, unless one lies there that no entry tells of; call `require_not_ended` before."""
    if await book.has_tombstone(stone.report):
        _log.critical("report %s had a tombstone before it ended: somebody wrote it into the database", stone.report)
        return
    await book.add_tombstone(stone)


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
