"""How a report ends for good, and its tombstone: one that somebody wrote there keeps no report from ending.

A report ends once, and its tombstone says so for good: the database takes a second one of none, and lets nobody change
the first. So one that no entry tells of stays where it lies, and what is due is done: the keys are destroyed, it is on
the record, and whoever was given the report is asked to destroy it, with a tombstone that says what the entry does.
"""

import logging
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Final

from exchange.audit import Deed, DeedKind, Entry, EntryDraft, EventName, Outcome, Receipt, fit_text, unverified_deed
from exchange.kernel import ConflictError, UnavailableError, parse_rfc3339, rfc3339, to_micros
from exchange.reports import ReportAct, ReportStatus, require_act
from exchange.store import EndCause, TombstoneRow, UnitOfWork
from exchange.store.books.report_book import ReportBook
from exchange.store.log.searching import Found
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.life.report_moves import lapse_consents
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.originating import OwnReport
from exchange.usecases.steps.told_entries import is_told, may_be_told, require_readable, told_of_each, waiting_of

_ENDS: Final[Mapping[EndCause, tuple[EventName, ReportStatus]]] = {
    EndCause.RECALLED: (EventName.REPORT_RECALLED, ReportStatus.RECALLED),
    EndCause.RETENTION: (EventName.REPORT_ENDED, ReportStatus.EXPIRED),
}
"""How an end is recorded, and as what a report stands behind it."""

_EVENTS: Final[Mapping[EventName, EndCause]] = {event: cause for cause, (event, _) in _ENDS.items()}

_OVER: Final = frozenset(status.value for _, status in _ENDS.values())

_log = logging.getLogger("exchange.reports")


async def end_report(
    services: Services, call: Call, own: OwnReport, cause: EndCause, reason: str | None = None
) -> tuple[TombstoneRow, Receipt]:
    """Destroy the keys of a report, with its tombstone and the entry about it; raises ConflictError where it has ended.

    All of it is durable together, in a unit of its own.
    """
    (event, _), why = _ENDS[cause], {} if reason is None else {"reason": fit_text(reason)}
    by = {} if own.client is None else {"by": own.client.id}
    before = await require_not_ended(services, own)
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        await book.hold_order()
        held = await book.require_same(own.report.id, version=own.report.version, class_id=own.report.class_id)
        said = await _said_to_have_ended(book, held.id, held.status_name)
        if said != before:
            # Somebody else came first, perhaps.
            await _require_untold(services, held.id, held.status_name)
        entry = own.entry(call, event, Outcome.PERMITTED, detail={**why})
        return await end_within(services, unit, own, entry, {**why, **by, "at": rfc3339(call.now)})


async def end_within(
    services: Services, unit: UnitOfWork, own: OwnReport, entry: EntryDraft, said: Mapping[str, str]
) -> tuple[TombstoneRow, Receipt]:
    """Do within `unit`, whose order is held, what `entry` tells of; `said` is what the tombstone says beside it."""
    book, cause = unit.reports(), _EVENTS[entry.event]
    # INVARIANT: whoever is answered after this commit finds no key.
    await book.shred(own.report.id, _ENDS[cause][1])
    await lapse_consents(unit, own.report.id)
    receipt = await unit.record(entry)
    note = services.store.attest(_deed(own, {"cause": cause.value, **said}))
    stone = TombstoneRow(own.report.id, cause, parse_rfc3339(said["at"]), note, receipt.entry)
    if not await book.has_tombstone(stone.report):
        await book.add_tombstone(stone)
    else:
        # None that an entry tells of: what is due is done all the same.
        told = "report %s had a tombstone before it ended: somebody wrote it into the database"
        _log.critical(told, stone.report)
    return stone, receipt


def _deed(own: OwnReport, told: Mapping[str, str]) -> Deed:
    # As its entry: neither tells of a version that is none.
    version = {"version": own.version} if own.version else {}
    about = {"report": own.report.id, "originator": own.facts.originator, "agreement": own.facts.agreement}
    return Deed(DeedKind.TOMBSTONE, {**about, **version, **told})


async def require_not_ended(services: Services, own: OwnReport) -> frozenset[str]:
    """Return what rows say of a report's end; ConflictError where they say so, and an entry tells that it ended.

    Asked within no unit: others wait for that, and an archive may be slow.
    INVARIANT: a row alone keeps no keys from being destroyed: whoever wrote it could have them back.
    """
    async with services.store.unit_of_work() as unit:
        said = await _said_to_have_ended(unit.reports(), own.report.id, own.report.status_name)
    if said:
        await _require_untold(services, own.report.id, own.report.status_name)
    return said


async def _said_to_have_ended(book: ReportBook, report: str, status_name: str) -> frozenset[str]:
    stone = {"tombstone"} if await book.has_tombstone(report) else set()
    return frozenset({status_name} & _OVER | stone)


async def _require_untold(services: Services, report: str, status_name: str) -> None:
    if await has_ended(services, report):
        if status_name == ReportStatus.RECALLED.value:
            require_act(ReportStatus.RECALLED, ReportAct.RECALL)
        raise ConflictError("the report has ended: its keys are destroyed already", code="expired")


async def has_ended(services: Services, report: str) -> bool:
    """Return whether an entry tells that a report ended."""
    return await is_told(services, *_EVENTS, subject=report)


async def told_tombstone(services: Services, report: str, status: ReportStatus) -> tuple[TombstoneRow | None, bool]:
    """Return the tombstone of a report that stands so, None where it has not ended; and whether it is what lies there.

    Raises UnreadRowError where it has one, or should have, and no entry says what it said; others as `told_tombstones`.
    """
    async with services.store.unit_of_work() as unit:
        book = unit.reports()
        kept, is_there = await book.tombstones([report]), await book.has_tombstone(report)
    stone = (await told_tombstones(services, kept, [report])).get(report)
    if stone is None and (is_there or status.value in _OVER):
        raise UnreadRowError(f"report {report}: tombstone")
    return stone, stone == kept.get(report)


async def told_tombstones(
    services: Services, kept: Mapping[str, TombstoneRow], reports: Sequence[str]
) -> dict[str, TombstoneRow]:
    """Return the tombstones of these reports as the log bears them out.

    Those of `kept` that say what an entry does, or of which the log lacks what it said, or is away. In the place of
    any other, or of none, what the entry has, signed anew. Raises UnavailableError as `require_readable`.

    INVARIANT: nothing is signed by an entry that waits for its place: whoever wrote it could take it away again.
    """
    told: dict[str, list[Entry]] = {report: [] for report in reports}
    if kept:
        await require_readable(services, "which reports ended")
        for entry in await waiting_of(services, *_EVENTS, subjects=told):
            told[entry["object"]["id"]].append(entry)
    ends, lacks = dict[str, dict[EventName, Entry]](), list[Found]()
    try:
        for event in _EVENTS:
            async for entry in told_of_each(services, event, reports, lacks=lacks):
                ends.setdefault(entry["object"]["id"], {}).setdefault(event, entry)
        placed = {report: await _first(services, list(each.values())) for report, each in ends.items()}
    except UnavailableError:
        return {report: kept[report] for report in reports if report in kept}
    told |= {report: [entry] for report, entry in placed.items()}
    found = {report: kept[report] for report in reports if report in kept and _says(kept[report], told[report], lacks)}
    return found | {report: _as_told(services, placed[report]) for report in placed.keys() - found.keys()}


async def _first(services: Services, ends: Sequence[Entry]) -> Entry:
    """Return which of these came into the logs first: a report ends once, and no later entry says anything of that."""
    if len(ends) == 1:
        return ends[0]
    leaves = [(await services.store.log.leaf(each["id"]), each) for each in ends]
    placed = [(leaf.log, leaf.position, each) for leaf, each in leaves if leaf is not None]
    return min(placed, key=itemgetter(0, 1), default=(0, 0, ends[0]))[2]


def _says(stone: TombstoneRow, told: Sequence[Entry], lacks: Sequence[Found]) -> bool:
    """Return whether a tombstone says what one of these entries does, or one that the log lacks may have said."""
    said = unverified_deed(stone.note).content
    return any(said == tombstone_told(entry).content for entry in told) or (
        not told and may_be_told(lacks, to_micros(stone.at))
    )


def tombstone_told(entry: Entry) -> Deed:
    """Return the tombstone that the entry of an end stands for."""
    about, detail = entry["object"], entry.get("detail", {})
    told = {
        "report": about["id"],
        "version": about.get("version"),
        "originator": entry.get("owner"),
        "agreement": entry.get("agreement"),
        "cause": _cause(entry).value,
        "reason": detail.get("reason"),
        # What a restore ended again says when it ended, and by whom (`end_again`).
        "by": detail.get("by", entry["actor"].get("id")),
        "at": detail.get("ended_at", entry["ts"]),
    }
    return Deed(DeedKind.TOMBSTONE, {name: value for name, value in told.items() if value is not None})


def _as_told(services: Services, entry: Entry) -> TombstoneRow:
    deed = tombstone_told(entry)
    at = parse_rfc3339(str(deed.content["at"]))
    return TombstoneRow(entry["object"]["id"], _cause(entry), at, services.store.attest(deed), entry["id"])


def _cause(entry: Entry) -> EndCause:
    return _EVENTS[EventName(entry["type"])]
