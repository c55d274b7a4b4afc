"""Tombstones as the log bears them out: one that somebody wrote into the database keeps no report from ending.

A report ends once, and its tombstone says so for good: the database takes a second one of none, and lets nobody change
the first. So one that no entry tells of stays where it lies, and what is due is done: the keys are destroyed, it is on
the record, and whoever was given the report is asked to destroy it.
"""

import logging

from exchange.audit import EventName
from exchange.kernel import ConflictError
from exchange.store import TombstoneRow
from exchange.store.report_book import ReportBook
from exchange.usecases.context import Services
from exchange.usecases.told_entries import is_told

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
