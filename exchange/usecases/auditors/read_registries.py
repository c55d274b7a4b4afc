"""Registries: who received what, when. Per report, for its originator's auditor; per client, for its own member's.

Both are a reading of the log, within the auditor's slice: a line per access that was permitted, oldest first.
"""

from dataclasses import dataclass, replace

from exchange.audit import Criteria, Detail, EntryDraft, EntryView, EventName, Outcome, Subject
from exchange.crypto import OpeningError
from exchange.kernel import NotFoundError
from exchange.members import Client
from exchange.release import ClassFacts
from exchange.reports import ReportStatus, status_of
from exchange.store import Parts, ReportRecord
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.auditors.auditing import FoundEntry, Gaze, admit_auditor, found_entries, within_slice
from exchange.usecases.auditors.search_entries import BEGINNING, open_place, seal_place
from exchange.usecases.steps.altered_classes import class_of
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import report_not_found, sought_id
from exchange.usecases.steps.recording import about_report, draft, named, on_record, record_tampering, refuse
from exchange.usecases.steps.sealed_headers import open_decoy
from exchange.usecases.steps.seeking import own_class
from exchange.usecases.steps.unopened import Asker

_HANDED_OUT = frozenset(
    event.value
    for event in (
        EventName.REPORT_POSTED,
        EventName.REPORT_DISTRIBUTED,
        EventName.REPORT_READ,
        EventName.REPORT_PART_READ,
        EventName.REPORT_RECEIVED,
    )
)
_SHOWN_TO_A_CLIENT = _HANDED_OUT | {EventName.REPORT_LISTED.value, EventName.REPORT_DESCRIBED.value}
"""A list shows headers: it is in the registry of who saw them; a report's own has who was given its content."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where to go on: `cursor` as given before, at most `limit` lines."""

    cursor: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class ReportRegistry:
    """A report, and who was given what of it. `next` goes on behind the last line, also later."""

    report: ReportRecord
    facts: ClassFacts
    status: ReportStatus
    lines: tuple[FoundEntry, ...]
    next: str


@dataclass(frozen=True, slots=True)
class ClientRegistry:
    """A client as it is enrolled now, and what it was given."""

    client: Client
    lines: tuple[FoundEntry, ...]
    next: str


async def report_registry(
    services: Services, call: Call, report_id: str, leaf: Leaf | None = None
) -> Recorded[ReportRegistry]:
    """Return who was given what of a report, to its originator's auditor and the exchange's.

    Raises NotFoundError alike for an absent report, another member's, and one above the auditor's clearance.
    """
    gaze, report, facts = await audited_report(services, call, report_id)
    criteria = Criteria(subject=report.id, outcome=Outcome.PERMITTED.value)
    lines, following = await _lines(services, call, gaze, criteria, leaf=leaf or Leaf(), shown=_HANDED_OUT)
    ids = tuple(line.receipt.entry for line in lines)
    entry = replace(report_draft(call, gaze, report, facts, detail={"view": "registry"}), result_ids=ids)
    receipt = await services.store.append(entry)
    status = status_of(report.status, report.valid_until, call.now)
    return Recorded(ReportRegistry(report, facts, status, lines, following), receipt)


async def client_registry(
    services: Services, call: Call, client_id: str, leaf: Leaf | None = None
) -> Recorded[ClientRegistry]:
    """Return what a client was given, to its own member's auditor and the exchange's; others' are absent."""
    event, subject = EventName.AUDIT_READ, named("client", client_id)
    gaze = await admit_auditor(services, call, event=event, subject=subject)
    client = await _enrolled(services, call, gaze, sought_id(client_id))
    if client is None or gaze.auditor.member not in {None, client.member}:
        absent = NotFoundError("no such client, or none that you may see")
        return await refuse(services, draft(call, gaze.client, event, Outcome.REFUSED, subject=subject), absent)
    criteria = Criteria(client=client.id, outcome=Outcome.PERMITTED.value)
    lines, following = await _lines(services, call, gaze, criteria, leaf=leaf or Leaf(), shown=_SHOWN_TO_A_CLIENT)
    entry = draft(
        call,
        gaze.client,
        event,
        Outcome.PERMITTED,
        subject=Subject("client", client.id, client.version),
        owner=client.member,
        detail={"view": "registry"},
        result_ids=tuple(line.receipt.entry for line in lines),
    )
    return Recorded(ClientRegistry(client, lines, following), await services.store.append(entry))


def report_draft(call: Call, gaze: Gaze, report: ReportRecord, facts: ClassFacts, *, detail: Detail) -> EntryDraft:
    """Return the entry about an auditor's look at a report: its originator sees who looked."""
    return draft(
        call,
        gaze.client,
        EventName.AUDIT_READ,
        Outcome.PERMITTED,
        **about_report(report.id, report.version, facts),
        detail=detail,
    )


async def audited_report(services: Services, call: Call, report_id: str) -> tuple[Gaze, ReportRecord, ClassFacts]:
    """Return the calling auditor, and a report of its own member (any, for the exchange's) that its clearance covers.

    Raises NotFoundError alike for all others, recorded.
    """
    event, subject = EventName.AUDIT_READ, named("report", report_id)
    gaze = await admit_auditor(services, call, event=event, subject=subject)
    asked = sought_id(report_id)
    unread, report = None, None
    try:
        report = await services.store.history.report(asked)
    except UnreadRowError as exc:
        unread = exc
    row = (await services.store.report_for("", asked, parts=Parts.NONE)).report
    asker = Asker(call, gaze.client, gaze.state)
    facts = None
    if row is None:
        await open_decoy(services)
    else:
        facts = (await own_class(services, asker, row, event=event)).facts
    is_own = facts is not None and gaze.auditor.member in {None, facts.originator}
    may_know = facts is not None and is_own and gaze.auditor.covers(facts.label.as_json())
    if may_know and unread is not None:
        await record_tampering(services, call, gaze.client, unread.place, unread)
    if report is None or facts is None or not may_know:
        refusal = draft(call, gaze.client, event, Outcome.REFUSED, subject=subject)
        return await refuse(services, refusal, report_not_found())
    return gaze, report, facts


async def _enrolled(services: Services, call: Call, gaze: Gaze, client_id: str) -> Client | None:
    """Return a client; one that was altered is on the record for whoever may know of it, and absent to others."""
    try:
        return await services.store.history.client(client_id)
    except UnreadRowError as exc:
        if gaze.auditor.member not in {None, *await services.store.history.owners_of(client_id)}:
            return None
        await record_tampering(services, call, gaze.client, exc.place, exc)


async def opened_facts(services: Services, call: Call, gaze: Gaze, report: ReportRecord) -> ClassFacts:
    """Return the facts of a report's release class; one that was altered is put on the record and not shown."""
    try:
        return (await class_of(services, report.class_id)).facts
    except OpeningError as exc:
        return await record_tampering(services, call, gaze.client, f"report {report.id}", exc)


async def _lines(  # noqa: PLR0913  whose slice, which lines, from where
    services: Services, call: Call, gaze: Gaze, criteria: Criteria, *, leaf: Leaf, shown: frozenset[str]
) -> tuple[tuple[FoundEntry, ...], str]:
    async with on_record(services, draft(call, gaze.client, EventName.AUDIT_READ, Outcome.REFUSED)):
        place = BEGINNING if leaf.cursor is None else open_place(services, gaze.client, leaf.cursor)

    def is_line(view: EntryView) -> bool:
        return view.fields["type"] in shown

    sought = await within_slice(services, gaze, criteria, place=place, newest_first=False)
    found = await found_entries(services, gaze, sought, most=leaf.limit, is_meant=is_line)
    end = found[-1][0].place if found else place
    return tuple(entry for _, entry in found), seal_place(services, gaze.client, end)
