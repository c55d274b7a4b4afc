"""Answer a request for information with a report of one's own, and keep every answer as narrow as it was given.

Steps: (1) the caller contributes and its member is asked; (2) the request stands open: late answers are taken, and said
to be late; (3) the report is its member's own, posted under the clause of the request, and readable to the asker;
(4) unless that clause says so, it is readable to nobody else; (5) report and request are held, link and entry become
durable together.
"""

from collections.abc import Iterable
from dataclasses import replace

from exchange.audit import Detail, EventName, Outcome, Receipt
from exchange.kernel import ConflictError, Fault, InvalidError, NotFoundError
from exchange.markings import Label
from exchange.members import Role
from exchange.reports import Header, ReportStatus, too_wide_for_answer
from exchange.store import RequestAnswer, RequestRow, UnitOfWork
from exchange.usecases.requests.judging_requests import (
    RequestView,
    SoughtRequest,
    goes_to_all_asked,
    request_not_found,
    seek_request,
    view_of,
)
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_anew
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.originating import OwnReport, loaded_report
from exchange.usecases.steps.recording import on_record
from exchange.usecases.steps.unread import known_agreements

MOST_ANSWERS = 50
"""Of one member to one request: each costs whoever looks at the request a decision."""

_EVENT = EventName.REQUEST_ANSWERED


@decided_anew("the answer could be given: give it again")
async def answer_request(services: Services, call: Call, request_id: str, report_id: str) -> Recorded[RequestView]:
    """Give a report of the caller's member as an answer.

    Raises NotFoundError for a request that does not ask the caller, InvalidError for a report that is no answer to it,
    ConflictError where the request has ended or the report answers it already.
    """
    # (1) asked
    sought = await seek_request(services, call, request_id, Role.CONTRIBUTOR, event=_EVENT)
    async with on_record(services, sought.entry(call, _EVENT, Outcome.REFUSED)):
        if sought.client.member not in sought.row.asked:
            raise request_not_found()
        # (2) open
        _require_open(sought.row)
        # (3) its own
        own = await _own(services, call, sought, report_id)
        # (4) narrow
        faults = [*_place_faults(own, sought, call), *_label_faults(services, own, sought)]
        if faults:
            raise InvalidError("the report is no answer to the request", tuple(faults))
        # What custody opens and the log says of other answers, before the order is held: posts would wait for that.
        view = await view_of(services, call, sought)
        # (5) linked
        async with services.store.unit_of_work() as unit:
            receipt, answer = await _linked(services, call, unit, sought, own)
    return Recorded(view.with_answer(answer), receipt)


async def require_narrow_answers(services: Services, unit: UnitOfWork, own: OwnReport, header: Header) -> None:
    """Raise InvalidError where a report, as `header` says it would be, is too wide for a request that it answers."""
    labels = (header.label, *(part.label for part in header.parts))
    await known_agreements(services, own.state)
    for row in await unit.requests().answered_by(header.id):
        if _too_wide(services, row, labels, header.originator):
            told = "the report answers a request: only its originator and the asker may be named"
            raise InvalidError(
                "the report cannot be marked so", (Fault("/label/releasable_to", "not-releasable", told),)
            )


async def require_not_asked(services: Services, unit: UnitOfWork, own: OwnReport, recipient: str) -> None:
    """Raise ConflictError where a report answers a request that asks `recipient` too, and is not for its eyes."""
    await known_agreements(services, own.state)
    for row in await unit.requests().answered_by(own.report.id):
        if recipient in row.asked and not _goes_to_all(services, row):
            told = "the report answers a request that asks the recipient too: who was asked sees no other answer"
            raise ConflictError(told, code="originator-control")


async def _linked(
    services: Services, call: Call, unit: UnitOfWork, sought: SoughtRequest, own: OwnReport
) -> tuple[Receipt, RequestAnswer]:
    book = unit.reports()
    await book.hold_order(sought.state.policy_version)
    held = await unit.requests().one(sought.row.id)
    if held is None:
        raise request_not_found()
    _require_open(held)
    report = await book.require_same(own.report.id, version=own.report.version, class_id=own.report.class_id)
    # What was recalled, or lost its place, while it was looked at is as it was loaded in all else.
    if report.stored_status is not ReportStatus.CURRENT:
        raise InvalidError("the report is no answer to the request", (_not_current(report.stored_status),))
    given = [each for each in held.answers if each.member == sought.client.member]
    if any(each.report == own.report.id for each in given):
        raise ConflictError("the report answers the request already", code="answered-already")
    if len(given) >= MOST_ANSWERS:
        raise ConflictError(f"your member has given {MOST_ANSWERS} answers: supersede one", code="too-many")
    detail: Detail = {"request": held.id, "late": int(call.now > held.deadline)}
    # About the report, and its originator's: what it is, is for the asker's auditors only where they may know it.
    entry = own.entry(call, _EVENT, Outcome.PERMITTED, detail=detail)
    # INVARIANT: it names both: to who is not cleared for the one that stands higher there is no such entry.
    labels = own.facts.label, sought.row.facts.label
    label = services.law.catalogue.join(labels, originator=own.facts.originator).as_json()
    receipt = await unit.record(replace(entry, label=label))
    answer = RequestAnswer(own.report.id, sought.client.member, sought.client.id, call.now, receipt.entry)
    await unit.requests().answer(held.number, answer)
    return receipt, answer


def _require_open(row: RequestRow) -> None:
    if row.ended is not None:
        raise ConflictError(f"the request is {row.ended.value}: it is answered no more", code="request-ended")


async def _own(services: Services, call: Call, sought: SoughtRequest, report_id: str) -> OwnReport:
    try:
        asked = sought_id(report_id)
        return await loaded_report(services, call, sought.client, asked)
    except NotFoundError as exc:
        fault = Fault("/report", "unknown-report", "no such report, or none of your member's own")
        raise InvalidError("the report is no answer to the request", (fault,)) from exc


def _place_faults(own: OwnReport, sought: SoughtRequest, call: Call) -> Iterable[Fault]:
    facts, asked = own.facts, sought.row.facts
    if (facts.agreement, facts.scope) != (asked.agreement, asked.scope):
        yield Fault("/report", "unknown-scope", "was posted under another clause: post the answer under the request's")
    if own.status(call) is not ReportStatus.CURRENT:
        yield _not_current(own.status(call))


def _not_current(status: ReportStatus) -> Fault:
    return Fault("/report", status.value, f"is {status.value}: give the current one")


def _label_faults(services: Services, own: OwnReport, sought: SoughtRequest) -> Iterable[Fault]:
    labels = (own.facts.label, *own.facts.part_labels)
    asker = sought.row.asker
    if not any(asker in label.releasable_to for label in labels):
        yield Fault("/report", "not-releasable", f"{asker}, who asks, could not read it: release it to {asker}")
    others = _too_wide(services, sought.row, labels, own.facts.originator)
    consented = {consent.member for consent in own.facts.consents} - {asker, own.facts.originator}
    if others or (consented and not _goes_to_all(services, sought.row)):
        told = f"others than {asker} could read it: an answer goes to the asker alone under this clause"
        yield Fault("/report", "not-releasable", told)


def _too_wide(services: Services, row: RequestRow, labels: Iterable[Label], originator: str) -> tuple[str, ...]:
    if _goes_to_all(services, row):
        return ()
    return too_wide_for_answer(labels, originator=originator, asker=row.asker)


def _goes_to_all(services: Services, row: RequestRow) -> bool:
    return goes_to_all_asked(services.knowledge.agreement(row.facts.agreement), row.facts)
