"""What an originator does to its own reports: whose they are, what they hold, and the entry about each act.

Steps: (1) the caller holds the role; (2) the report is its own member's, and a releaser's clearance covers the label:
else it is absent, for it in every respect.
"""

from dataclasses import dataclass, replace

from exchange.audit import Actor, Detail, EntryDraft, EventName, Outcome
from exchange.crypto import OpeningError
from exchange.kernel import ConflictError, NotFoundError, UnavailableError
from exchange.members import Client, Role
from exchange.release import ClassFacts
from exchange.reports import Header, ReportStatus, status_of
from exchange.store import ClassRow, PartRow, Parts, PolicyState, ReportRow, UnitOfWork
from exchange.usecases.steps.authenticate import admit, required_thumbprint
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.entry_labels import label_told, parts_told
from exchange.usecases.steps.facts import is_cleared_for
from exchange.usecases.steps.judging import absent_draft, asked_for, report_not_found, require_same_law, sought_id
from exchange.usecases.steps.log_words import recorded_label
from exchange.usecases.steps.opening import open_sealed_header
from exchange.usecases.steps.recording import about_report, draft, known_version, record_tampering, refuse
from exchange.usecases.steps.sealed_headers import UNOPENED, known_class, open_decoy
from exchange.usecases.steps.seeking import own_class
from exchange.usecases.steps.unopened import Asker, is_others


@dataclass(frozen=True, slots=True)
class OwnReport:
    """A report of the caller's own member, as it was loaded; without a client, one that the exchange itself acts on."""

    client: Client | None
    state: PolicyState
    report: ReportRow
    kept: ClassRow

    @property
    def caller(self) -> Client:
        """Return the client that acts; UnavailableError where nobody calls: acts of a member need one."""
        if self.client is None:
            raise UnavailableError("this is an act of a member's client")
        return self.client

    @property
    def facts(self) -> ClassFacts:
        """Return the class facts of the report."""
        return self.kept.facts

    @property
    def version(self) -> int:
        """Return the version of the report; 0, which none has, where what stands on its row is none."""
        return known_version(self.report.version) or 0

    def status(self, call: Call) -> ReportStatus:
        """Return where the report stands at `call.now`."""
        return status_of(self.report.status, self.report.valid_until, call.now)

    def entry(
        self,
        call: Call,
        event: EventName,
        outcome: Outcome,
        *,
        version: int | None = None,
        detail: Detail | None = None,
    ) -> EntryDraft:
        """Return the entry about an act on this report; `version` is the one that the act made."""
        about = about_report(self.report.id, version or self.report.version, self.facts)
        entry = draft(call, self.client, event, outcome, **about, detail=detail or {})
        return entry if self.client is not None else replace(entry, actor=Actor("service"))


async def own_report(services: Services, call: Call, report_id: str, *roles: Role, event: EventName) -> OwnReport:
    """Return a report of the caller's own member.

    Raises ForbiddenError without one of `roles`, NotFoundError alike for absent, foreign and too high, each recorded
    under `event`.
    """
    asked = sought_id(report_id)
    row = await services.store.report_for(required_thumbprint(call), asked, parts=Parts.NONE)
    # (1) the role
    client = await admit(services, call, row.client, *roles, event=event, subject=asked_for(report_id))
    require_same_law(services, row.state)
    # (2) its own
    if row.report is None:
        await open_decoy(services)
        return await refuse(services, absent_draft(call, client, event, report_id), report_not_found())
    asker = Asker(call, client, row.state)
    kept = await own_class(services, asker, row.report, event=event)
    own = OwnReport(client, row.state, row.report, kept)
    if kept.facts.originator != client.member or not may_know(services, call, client, kept):
        return await refuse(services, own.entry(call, event, Outcome.REFUSED), report_not_found())
    return own


async def loaded_report(services: Services, call: Call, client: Client, report_id: str) -> OwnReport:
    """Return a report of `client`'s own member, recording nothing: for use within a unit whose caller records.

    Raises NotFoundError alike for absent, foreign and too high, one of `UNOPENED` where the row says another class.
    """
    row = await services.store.report_for(required_thumbprint(call), report_id, parts=Parts.NONE)
    require_same_law(services, row.state)
    if row.report is None:
        await open_decoy(services)
        raise report_not_found()
    try:
        kept = await known_class(services, row.report)
    except UNOPENED:
        raise
    except UnavailableError as exc:
        # The log or custody is away: to whom it is nobody's the answer is the one for an absent one.
        if await is_others(services, Asker(call, client, row.state), row.report):
            raise report_not_found() from exc
        raise
    if kept.facts.originator != client.member or not may_know(services, call, client, kept):
        raise report_not_found()
    return OwnReport(client, row.state, row.report, kept)


async def is_absent_for(services: Services, call: Call, client: Client, report_id: str) -> bool:
    """Return whether `loaded_report` finds none: who names something about it, is told of that, and recorded, alone."""
    try:
        await loaded_report(services, call, client, report_id)
    except NotFoundError:
        return True
    except UNOPENED:
        return False  # altered: whoever asks for the report next records it
    return False


async def may_know_report(services: Services, call: Call, client: Client, report_id: str) -> bool:
    """Return whether `loaded_report` opens one: else what is asked about it is absent for `client` too, as it is."""
    # INVARIANT: a report above a releaser's clearance is absent for it, and so is what is asked about it.
    try:
        await loaded_report(services, call, client, report_id)
    except (NotFoundError, *UNOPENED):
        return False
    return True


async def is_cleared_still(
    services: Services, call: Call, client: Client, report_id: str, *, for_part: bool = False
) -> bool:
    """Return whether a clearance covers what a client's member is told of a report, one that has ended too.

    By the label of what its member may have been given: the whole may go to others alone. With `for_part`, or by that
    of one part of it: who is cleared for no more reads that.
    """
    found = await services.store.report_for(required_thumbprint(call), report_id, parts=Parts.NONE)
    if found.report is None:
        return False
    try:
        kept = await known_class(services, found.report)
    except OpeningError:
        label = await recorded_label(services, report_id)
        return label is not None and is_cleared_for(client, label, services.law.catalogue, call.now)
    told = [label_told(services.law.catalogue, kept.facts, client.member)]
    told += parts_told(kept.facts, client.member) if for_part else []
    return any(is_cleared_for(client, each, services.law.catalogue, call.now) for each in told)


async def opened_header(services: Services, call: Call, own: OwnReport) -> Header:
    """Return the whole header of an own report; a failure to open it is recorded and raised as UnavailableError."""
    try:
        return await open_sealed_header(services, own.report, own.kept)
    except UNOPENED as exc:
        await record_tampering(services, call, own.client, f"report {own.report.id}", exc)


async def all_parts(services: Services, call: Call, own: OwnReport) -> tuple[PartRow, ...]:
    """Return every part of an own report, sealed as it is."""
    thumbprint = "" if own.client is None else required_thumbprint(call)
    row = await services.store.report_for(thumbprint, own.report.id, parts=Parts.ALL)
    return row.parts


async def require_may_know_still(services: Services, unit: UnitOfWork, call: Call, first: str, own: OwnReport) -> None:
    """Raise ConflictError where who asked first, `first`, may not know of the report any more: two cleared persons act.

    The second one is looked at as whoever acts is; the first one's clearance may have been lowered, or ended, since.
    """
    client = await unit.client(first)
    if client is None or not may_know(services, call, client, own.kept):
        raise ConflictError("who asked may no longer ask: ask again", code="requester-gone")


def may_know(services: Services, call: Call, client: Client, kept: ClassRow) -> bool:
    """Return whether `client`, who does something about a report of this class, may know that there is one."""
    # A contributor needs no clearance to post (ADR 0009), so none to post again.
    if Role.RELEASER not in client.roles:
        return True
    return is_cleared_for(client, kept.facts.label, services.law.catalogue, call.now)
