"""One request for information and one client: load it, ask the release room, open what a Permit names.

A request is judged like a report of its asker's, under its clause turned round: whoever is asked reads it, with the
clearance, compartments and purpose that a report of the same label would take. Absent and forbidden are one answer.
An answer is told to the asker, to the member that gave it and, where the clause says so, to whoever was asked; always
to those alone who may read the report itself.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from exchange.agreements import Agreement, AnswersTo, Clause, clause_of
from exchange.audit import Detail, Entry, EntryDraft, EventName, Outcome, Subject
from exchange.crypto import OpeningError, request_context
from exchange.kernel import MalformedError, NotFoundError, rfc3339
from exchange.markings import render_marking
from exchange.members import Client, Role
from exchange.release import (
    CURRENT_ROW,
    ClassFacts,
    Decision,
    Permit,
    Refusal,
    Use,
    as_asked,
    class_digest,
    decide,
    request_scope,
)
from exchange.reports import InformationRequest, RequestState, request_from_json, request_state
from exchange.store import Parts, PolicyState, RequestAnswer, RequestRow
from exchange.usecases.steps.authenticate import authenticated_row
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.facts import reader_facts, row_facts, stated_purpose
from exchange.usecases.steps.judging import check_call, law_in_force, sought_id
from exchange.usecases.steps.recording import about, draft, named, note_tampering, on_record, record_tampering, refuse
from exchange.usecases.steps.sealed_headers import UNOPENED
from exchange.usecases.steps.seeking import judge_linked
from exchange.usecases.steps.told_entries import entries_named, is_borne_out_by
from exchange.usecases.steps.unread import known_agreements

REQUEST_ROLES = (Role.READER, Role.CONTRIBUTOR)
"""Who asks reads; who is asked contributes, or reads for those who do."""


@dataclass(frozen=True, slots=True)
class SoughtRequest:
    """A request that the client may read, and what that rests on."""

    client: Client
    state: PolicyState
    row: RequestRow

    @property
    def is_own(self) -> bool:
        """Return whether the client's member asked."""
        return self.client.member == self.row.asker

    def entry(self, call: Call, event: EventName, outcome: Outcome, **others: str | int | list[str]) -> EntryDraft:
        """Return the entry about an act on this request; `others` are its detail."""
        return request_draft(call, self.client, event, outcome, self.row.id, self.row.facts, detail=others)


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request as one client may know it: of the asked and the answers, what is its own to know."""

    row: RequestRow
    request: InformationRequest
    marking: str
    state: RequestState
    asked: tuple[str, ...]
    answers: tuple[RequestAnswer, ...]

    def with_answer(self, answer: RequestAnswer) -> "RequestView":
        """Return the request as whoever has just answered it knows it."""
        return replace(self, state=RequestState.ANSWERED, answers=(*self.answers, answer))


async def admit_to_requests(
    services: Services, call: Call, *roles: Role, event: EventName
) -> tuple[Client, PolicyState]:
    """Return the caller and the policy state it was read with; refuses what no request bears on."""
    client, row = await authenticated_row(services, call, *roles, event=event)
    await check_call(services, call, client, row.state, event=event)
    await known_agreements(services, row.state)
    return client, row.state


async def seek_request(
    services: Services, call: Call, request_id: str, *roles: Role, event: EventName
) -> SoughtRequest:
    """Return a request that the caller may read; anything else is recorded under `event`, and the one NotFoundError."""
    client, state = await admit_to_requests(services, call, *roles, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("request", request_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        row = await unit.requests().one(sought_id(request_id))
    if row is None:
        detail: Detail = {"finding": "absent"}
        return await refuse(services, replace(attempt, detail=detail), request_not_found())
    match await decide_request(services, call, client, row, state):
        case Permit():
            return SoughtRequest(client, state, row)
        case Refusal() as refusal:
            reasons = tuple(reason.value for reason in refusal.reasons)
            told = request_draft(call, client, event, Outcome.REFUSED, row.id, row.facts)
            purpose = stated_purpose(services, call, client)
            told = replace(told, purpose=purpose, policies=refusal.policies, reasons=reasons)
            return await refuse(services, told, request_not_found())
        case other:
            assert_never(other)


async def decide_request(
    services: Services, call: Call, client: Client, row: RequestRow, state: PolicyState
) -> Decision:
    """Return whether a client may read a request now; `admit_to_requests` has loaded the agreements as of `state`."""
    facts = row.facts
    # What was withdrawn is the asker's alone to look back at.
    is_withdrawn = row.ended is RequestState.WITHDRAWN
    clause = _clause_of(services.knowledge.agreement(facts.agreement), facts)
    scope = request_scope(
        services.knowledge.scope(facts.agreement, facts.scope, call.now, facts.edition),
        asked=() if is_withdrawn else row.asked,
        # INVARIANT: who was away, or contributed no more, under a text since then reads nothing from before.
        contributors=() if clause is None else clause.scope.contributors,
    )
    reader = reader_facts(client, purpose=stated_purpose(services, call, client), call=call)
    # Not remembered: a decision is kept per release class, and the clause of a request is not its class's own.
    return decide(
        as_asked(reader, asker=row.asker), facts, scope, CURRENT_ROW, Use.READ, await law_in_force(services, state)
    )


async def open_request(services: Services, call: Call, client: Client, row: RequestRow) -> InformationRequest:
    """Return what a request says; where it is not what the row claims, that is recorded and nothing is shown."""
    try:
        context = request_context(row.id, class_digest(row.facts))
        (opened,) = await services.custodian.open_headers([(row, context)])
        request = request_from_json(json.loads(opened))
        if (request.asked, request.deadline) != (row.asked, row.deadline):
            raise OpeningError("whom a request asks, or until when, is not what was sealed")
    except (*UNOPENED, MalformedError) as exc:
        await record_tampering(services, call, client, f"request {row.id}", exc)
    return request


async def told_answers(services: Services, client: Client, rows: Iterable[RequestRow]) -> Mapping[str, Entry | None]:
    """Return what the log has of the answers to these requests that may be told to `client`, asked for together."""
    answers = [each.entry for row in rows for each in row.answers if _goes_to(services, client, row, each)]
    return await entries_named(services, answers)


async def view_of(
    services: Services, call: Call, sought: SoughtRequest, told: Mapping[str, Entry | None] | None = None
) -> RequestView:
    """Return a request as its client may know it, opened; `told` are its `told_answers`, where they were asked for."""
    row, client = sought.row, sought.client
    request = await open_request(services, call, client, row)
    told = await told_answers(services, client, [row]) if told is None else told
    answers = tuple([each for each in row.answers if await _may_know(services, call, sought, each, told)])
    state = request_state(row.ended, has_answer=bool(answers), deadline=row.deadline, now=call.now)
    asked = request.asked if sought.is_own else tuple(each for each in request.asked if each == client.member)
    return RequestView(row, request, marking_of(services, request), state, asked, answers)


def marking_of(services: Services, request: InformationRequest) -> str:
    """Return the marking text of a request."""
    header = request.header
    return render_marking(header.label, services.law.catalogue, originator=header.originator)


def goes_to_all_asked(agreement: Agreement | None, facts: ClassFacts) -> bool:
    """Return whether the clause of a request tells whoever was asked of the answers."""
    clause = _clause_of(agreement, facts)
    return clause is not None and clause.scope.answers is AnswersTo.ASKED


def _clause_of(agreement: Agreement | None, facts: ClassFacts) -> Clause | None:
    """Return what a request stands under: the clause that it was made under, as later texts have narrowed it."""
    return None if agreement is None else clause_of(agreement.texts, facts.scope, facts.edition, agreement.absences)


def request_draft(  # noqa: PLR0913, PLR0917  who did what to which request
    call: Call,
    client: Client,
    event: EventName,
    outcome: Outcome,
    request_id: str,
    facts: ClassFacts,
    *,
    detail: Detail | None = None,
) -> EntryDraft:
    """Return the entry about a request; the asker's auditors see it as one about a report of its own."""
    return draft(
        call,
        client,
        event,
        outcome,
        **about(Subject("request", request_id), facts),
        detail=detail or {},
    )


def request_not_found() -> NotFoundError:
    """Return the one answer for absent and invisible requests."""
    return NotFoundError("no such request, or none that you may see")


async def _may_know(
    services: Services, call: Call, sought: SoughtRequest, answer: RequestAnswer, told: Mapping[str, Entry | None]
) -> bool:
    if not _goes_to(services, sought.client, sought.row, answer):
        return False
    if not is_borne_out_by(told, answer.entry, lambda entry: _tells(entry, sought.row.id, answer)):
        # INVARIANT: a row alone answers nothing, nor tells anybody of a report that it never gave.
        await note_tampering(services, call, sought.client, f"answer {answer.report} to request {sought.row.id}")
        return False
    if answer.client == sought.client.id:
        # It knows what it gave, without the reader's role too; what was recalled since, or is over, is no answer.
        given = (await services.store.report_for("", answer.report, parts=Parts.NONE)).report
        try:
            return given is None or row_facts(given, call.now) == CURRENT_ROW
        except OpeningError:
            await note_tampering(services, call, sought.client, f"report {answer.report}")
            return False
    judged = await judge_linked(services, call, sought.client, answer.report)
    return judged is not None and isinstance(judged.decision, Permit)


def _goes_to(services: Services, client: Client, row: RequestRow, answer: RequestAnswer) -> bool:
    # INVARIANT: who was asked learns of no other answer, and of how many there are neither.
    if client.member in {row.asker, answer.member}:
        return True
    return goes_to_all_asked(services.knowledge.agreement(row.facts.agreement), row.facts)


def _tells(entry: Entry, request: str, answer: RequestAnswer) -> bool:
    """Return whether an entry is of the answer that a row tells of."""
    told = (entry.get("object", {}).get("id"), entry["actor"].get("id"), entry.get("member"), entry["ts"])
    is_of_it = told == (answer.report, answer.client, answer.member, rfc3339(answer.at))
    is_answer = entry["type"] == EventName.REQUEST_ANSWERED.value and entry["decision"] == Outcome.PERMITTED.value
    return is_answer and is_of_it and entry.get("detail", {}).get("request") == request
