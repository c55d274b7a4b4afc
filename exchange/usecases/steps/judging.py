"""One report and one reader: load the facts, ask the release room, say what the log shall hold.

Steps: (1) the class of the report, if it is what its digest names; (2) the scope it was posted under, as of now;
(3) the decision, cached per class; (4) what time or recall changed on this one row.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from exchange.audit import OF_TEAR_LINE, EntryDraft, EventName, Outcome, Subject
from exchange.kernel import InvalidError, NotFoundError, UnavailableError, is_uuid7
from exchange.kernel.spans import Mark, SpanName
from exchange.markings import Label
from exchange.members import Client
from exchange.release import (
    ClassFacts,
    Decision,
    Law,
    Permit,
    ReaderFacts,
    Reason,
    Refusal,
    ScopeFacts,
    Use,
    View,
    decide_cached,
    with_row,
)
from exchange.store import ClassRow, PolicyState, ReportRow
from exchange.usecases.steps.altered_classes import class_of
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.facts import reader_facts, row_facts, stated_purpose
from exchange.usecases.steps.recording import about_report, draft, on_record
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.unread import known_agreements

ABSENT_ID = "00000000-0000-7000-8000-000000000000"
"""An id that nothing has."""

NO_LAW_YET = "no law is in force in this database yet: the first `exchange serve` puts its own there"


@dataclass(frozen=True, slots=True)
class Judged:
    """A report, all that the decision about it rested on, and the decision."""

    report: ReportRow
    release_class: ClassRow
    reader: ReaderFacts
    scope: ScopeFacts | None
    decision: Decision
    law: Law
    header_json: bytes = b""
    """The whole header as it is sealed, which said that the row is right; none without a Permit."""

    @property
    def facts(self) -> ClassFacts:
        """Return the class facts of the report."""
        return self.release_class.facts

    @property
    def is_full_view(self) -> bool:
        """Return whether the decision shows more than a tear-line."""
        return isinstance(self.decision, Permit) and self.decision.view is View.FULL


def require_same_law(services: Services, state: PolicyState) -> None:
    """Raise UnavailableError where another node has put other policy files in force than this one loaded.

    In a new database none are in force before a service starts.
    """
    if not state.policy_digest:
        raise UnavailableError(NO_LAW_YET)
    if state.policy_digest != services.law.digest:
        message = "this node holds other policy files than the ones in force: restart it with the current ones"
        raise UnavailableError(message)


async def own_state(services: Services) -> PolicyState:
    """Return the policy state for what the service does by itself; raises as `require_same_law`."""
    state = (await services.store.caller("")).state
    require_same_law(services, state)
    return state


async def law_in_force(services: Services, state: PolicyState) -> Law:
    """Return the law as of the policy version in `state`: the files', and what members put in force themselves.

    Raises UnavailableError as `require_same_law`.
    """
    require_same_law(services, state)
    national = services.knowledge.national
    law = await national.law(services.store, services.law, state)
    if national.altered:
        await _record_altered(services)
    return law


async def _record_altered(services: Services) -> None:
    """Put on record, once, which caveats are not what two persons put in force: no report of that member is read."""
    altered = services.knowledge.national.altered
    for each in tuple(altered):
        failed = service_draft(services, EventName.KEY_OPENED, Outcome.FAILED)
        await services.store.append(replace(failed, owner=each.member, detail={"place": f"caveats {each.id}"}))
        if each in altered:
            altered.remove(each)


async def judge_row(services: Services, call: Call, client: Client, report: ReportRow, state: PolicyState) -> Judged:
    """Return the decision about `report` as its row has it; OpeningError or ValueError where that cannot be read.

    INVARIANT: nothing is told or done by it before what is sealed has said the same: `seeking` asks both.
    """
    law = await law_in_force(services, state)
    knowledge = services.knowledge
    await known_agreements(services, state)
    # (1) immutable, hence fetched once per process
    release_class = await class_of(services, report.class_id)
    row = row_facts(report, call.now)
    facts = release_class.facts
    # (2) as of the call's one `now`
    scope = knowledge.scope(facts.agreement, facts.scope, call.now, facts.edition)
    reader = reader_facts(client, purpose=stated_purpose(services, call, client), call=call)
    # (3) cached per class
    with services.tracer.span(SpanName.DECISION) as span:
        decision = decide_cached(
            knowledge.decisions,
            reader,
            class_id=release_class.id,
            facts=facts,
            scope=scope,
            policy_version=state.policy_version,
            use=Use.READ,
            law=law,
        )
        span.note(Mark.OUTCOME, "refusal" if isinstance(decision, Refusal) else "permit")
    # (4) recalled or expired since
    decision = with_row(decision, row)
    return Judged(report, release_class, reader, scope, decision, law)


async def check_call(services: Services, call: Call, client: Client, state: PolicyState, *, event: EventName) -> None:
    """Check, before any report is looked at, what no report bears on.

    Were it checked after, its error would tell an invisible report from an absent one. Raises UnavailableError for
    another law than the one in force, InvalidError, recorded, for an unknown purpose.
    """
    require_same_law(services, state)
    try:
        stated_purpose(services, call, client)
    except InvalidError:
        # Only now: every pull comes through here, and hardly any with a wrong purpose.
        async with on_record(services, draft(call, client, event, Outcome.REFUSED)):
            raise


def judged_draft(
    call: Call, client: Client, event: EventName, judged: Judged, *, size_bytes: int | None = None
) -> EntryDraft:
    """Return the entry for a decided access: full reasons and label; the log is not shown to readers."""
    facts = judged.facts
    decision = judged.decision
    reasons: tuple[Reason, ...] = ()
    outcome = Outcome.PERMITTED
    if isinstance(decision, Refusal):
        outcome, reasons = Outcome.REFUSED, decision.reasons
    return draft(
        call,
        client,
        event,
        outcome,
        **about_report(judged.report.id, judged.report.version, facts),
        purpose=judged.reader.purpose,
        policies=decision.policies,
        reasons=tuple(reason.value for reason in reasons),
        size_bytes=size_bytes,
    )


def shown_draft(
    call: Call, client: Client, event: EventName, judged: Judged, *, size_bytes: int | None = None
) -> EntryDraft:
    """Return `judged_draft` for what is permitted: of a tear-line, with the label that its reader is shown.

    INVARIANT: an entry of what a tear-line's reader did tells the auditors of its member nothing that it was not told.
    """
    made = judged_draft(call, client, event, judged, size_bytes=size_bytes)
    label = shown_label(judged)
    if label is judged.facts.label:
        return made
    return replace(made, label=label.as_json(), detail={**OF_TEAR_LINE})


def shown_label(judged: Judged) -> Label:
    """Return the label of what the decision shows: a tear-line's, else the report's own."""
    facts = judged.facts
    match judged.decision:
        case Permit(view=View.TEAR_LINE, labels=permitted):
            torn = [label for label in facts.part_labels if label in permitted]
            return judged.law.catalogue.join(torn, originator=facts.originator)
        case Permit() | Refusal():
            return facts.label
        case other:
            assert_never(other)


def sought_id(asked: str) -> str:
    """Return the id to ask the store for: `asked`, or where that is none one that nothing has, at the same cost."""
    return asked if is_uuid7(asked) else ABSENT_ID


def asked_for(report_id: str) -> Subject:
    """Return the report a caller named, for the log; what is no id at all is not written down."""
    return Subject("report", report_id if is_uuid7(report_id) else "malformed")


def absent_draft(call: Call, client: Client, event: EventName, report_id: str) -> EntryDraft:
    """Return the entry for an id behind which there is nothing."""
    return draft(call, client, event, Outcome.REFUSED, subject=asked_for(report_id), detail={"finding": "absent"})


def report_not_found() -> NotFoundError:
    """Return the one answer for absent and invisible reports."""
    return NotFoundError("no such report, or none that you may see")
