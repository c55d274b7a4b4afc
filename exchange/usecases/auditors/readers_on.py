"""Who could have read a report on a day, and who did: asked of history, never of today's state.

Who could: the rules and guards of the release room, put to what clients, members, the agreement and the report were
then, at every moment of the day at which one of them changed. Who did: the log.

The policy files of the past are not kept, so the rules are today's; the answer names the law that was in force then,
and whether it is the one that was asked. The originator's own national caveats are kept: those of the moment are asked.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from exchange.agreements import as_it_was, crisis_turns
from exchange.audit import Criteria, Detail, EventName, Outcome, view_of
from exchange.kernel import MICROSECOND, Fault, InvalidError, rfc3339
from exchange.members import Client
from exchange.release import ClassFacts, Law, Permit, Refusal, RowFacts, Use, View, decide
from exchange.reports import ReportStatus, status_of
from exchange.store import History, ReportRecord, Sought, Span
from exchange.usecases.auditors.auditing import Gaze, within_slice
from exchange.usecases.auditors.read_registries import audited_report, opened_facts, report_draft
from exchange.usecases.life.tombstones import told_tombstone
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.facts import reader_facts, registered_purposes
from exchange.usecases.steps.in_between import Pause, deciding
from exchange.usecases.steps.knowledge import scope_facts
from exchange.usecases.steps.national_law import national_of
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.whole_entries import whole_entry

_READS = frozenset({EventName.REPORT_READ.value, EventName.REPORT_PART_READ.value})
_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class CouldRead:
    """A client that could have read it: whole, or its tear-line only; from when on within the period."""

    client: str
    member: str
    agency: str
    view: View
    since: datetime


@dataclass(frozen=True, slots=True)
class DidRead:
    """A client that did: how often, first and last, and the entry of the first time."""

    client: str
    member: str
    agency: str
    count: int
    first: datetime
    last: datetime
    entry: str


@dataclass(frozen=True, slots=True)
class ReadersOn:
    """The answer for the period from `since` to `until` (exclusive), as far as the report existed in it.

    `shows_clients` names the member whose single clients may be shown among those who could have read; None for all.
    `laws` are the digests of the policy files in force in the period, `law` the one that was asked.
    """

    report: ReportRecord
    since: datetime
    until: datetime
    could: tuple[CouldRead, ...]
    did: tuple[DidRead, ...]
    laws: tuple[str, ...]
    law: str
    shows_clients: str | None


async def readers_on(
    services: Services, call: Call, report_id: str, since: datetime, until: datetime | None = None
) -> Recorded[ReadersOn]:
    """Return who could have read the report from `since` until `until` (exclusive; None = at that moment), and who did.

    For the originator's auditor and the exchange's. Raises NotFoundError as `report_registry` does, InvalidError for a
    time that has not come.
    """
    subject = named("report", report_id)
    gaze, report, facts = await audited_report(services, call, report_id)
    async with on_record(services, draft(call, gaze.client, EventName.AUDIT_READ, Outcome.REFUSED, subject=subject)):
        _require_past(since, call)
    end = min(until or since + MICROSECOND, call.now + MICROSECOND)
    could = await _could(services, call, gaze, report, _Period(max(since, report.posted_at), end))
    did = await _did(services, gaze, report, since, end)
    laws = await _laws(services, since, end)
    detail: Detail = {"view": "readers", "since": rfc3339(since), "until": rfc3339(end)}
    receipt = await services.store.append(report_draft(call, gaze, report, facts, detail=detail))
    return Recorded(ReadersOn(report, since, end, could, did, laws, services.law.digest, gaze.auditor.member), receipt)


@dataclass(frozen=True, slots=True)
class _Then:
    """What the report was: what is decided on, and when it expired."""

    facts: ClassFacts
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class _Period:
    """A stretch of time, and all that held in it."""

    begin: datetime
    end: datetime
    history: History = field(default_factory=lambda: History((), (), (), ()))
    reports: tuple[Span["_Then"], ...] = ()
    laws: tuple[Span[Law], ...] = ()
    """The law together with the originator's own caveats, while it had some in force."""

    def at(self, changes: Iterable[datetime | None]) -> list[datetime]:
        """Return the beginning and each moment of change within the period, in order."""
        inside = {change for change in changes if change is not None and self.begin < change < self.end}
        return sorted({self.begin, *inside})


def _require_past(since: datetime, call: Call) -> None:
    if since > call.now:
        fault = Fault("/on", "not-yet", "that time has not come: who could read it then depends on what happens until")
        raise InvalidError("nobody has read it then", (fault,))


async def _could(
    services: Services, call: Call, gaze: Gaze, report: ReportRecord, period: _Period
) -> tuple[CouldRead, ...]:
    reports = await _reports(services, call, gaze, report, period)
    if period.begin >= period.end or not reports:
        return ()
    facts = reports[0].value.facts
    history = await services.store.history.period(facts.agreement, period.begin, period.end)
    laws = await _national_laws(services, facts.originator, period)
    period = replace(period, history=history, reports=reports, laws=laws)
    versions: dict[str, list[Span[Client]]] = {}
    for span in period.history.clients:
        versions.setdefault(span.value.id, []).append(span)
    shared = _turns(period)
    found: list[CouldRead] = []
    async with deciding(services, gaze.client) as pause:
        for spans in versions.values():
            best = await _best(services, call, period, spans=spans, shared=shared, pause=pause)
            if best is not None:
                found.append(best)
    return tuple(sorted(found, key=lambda each: (each.member, each.agency, each.client)))


async def _reports(
    services: Services, call: Call, gaze: Gaze, report: ReportRecord, period: _Period
) -> tuple[Span[_Then], ...]:
    """Return what the report was in the period; its agreement and its originator are the same all the time.

    INVARIANT: while it stood above the auditor's clearance nothing is told of it, as no entry from then is: who could
    read it, and who could not, tells what it was.
    """
    found = []
    stone, _ = await told_tombstone(services, report.id, report.status)
    for span in await services.store.history.report_past(report, None if stone is None else stone.at):
        if span.since < period.end and (span.until is None or span.until > period.begin):
            facts = await opened_facts(services, call, gaze, replace(report, class_id=span.value.class_id))
            if gaze.auditor.covers(facts.label.as_json()):
                found.append(Span(_Then(facts, span.value.valid_until), span.since, span.until))
    return tuple(found)


async def _national_laws(services: Services, originator: str, period: _Period) -> tuple[Span[Law], ...]:
    texts = await services.store.caveats.between(originator, period.begin, period.end)
    laws = [await asyncio.to_thread(national_of, each, services.law) for each in texts]
    return tuple(
        Span(services.law.with_national([each]), text.since, text.until) for each, text in zip(laws, texts, strict=True)
    )


def _turns(period: _Period) -> list[datetime | None]:
    """Return when the report, the law or the agreement changed: by an act, a crisis or the calendar (midnight, UTC)."""
    turns: list[datetime | None] = [span.since for span in period.history.agreements]
    turns += [turn for span in period.reports for turn in (span.since, span.until, span.value.valid_until)]
    turns += [span.since for span in period.laws]
    turns += [span.until for span in period.laws]
    turns += [turn for span in period.history.agreements for turn in crisis_turns(span.value)]
    day = period.begin.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while day < period.end:
        turns.append(day)
        day += timedelta(days=1)
    return turns


async def _best(  # noqa: PLR0913  one client, and what it is asked of
    services: Services,
    call: Call,
    period: _Period,
    *,
    spans: list[Span[Client]],
    shared: list[datetime | None],
    pause: Pause,
) -> CouldRead | None:
    """Return the most that one client could have read in the period, and since when; None for nothing."""
    best: CouldRead | None = None
    for moment in period.at([*shared, *_own_changes(period, spans)]):
        client = _client_at(period, spans, moment)
        view = None if client is None else await _view(services, replace(call, now=moment), period, client, pause)
        if client is None or view is None:
            continue
        if best is None or (best.view is View.TEAR_LINE and view is View.FULL):
            best = CouldRead(client.id, client.member, client.agency, view, moment)
    return best


def _own_changes(period: _Period, spans: list[Span[Client]]) -> Iterator[datetime | None]:
    for span in spans:
        yield span.since
        yield span.value.clearance.since
        yield span.value.clearance.until
    client = spans[0].value
    yield from (span.since for span in period.history.members if span.value.code == client.member)
    yield from (span.since for span in period.history.certificates if span.value == client.id)


def _client_at(period: _Period, spans: list[Span[Client]], moment: datetime) -> Client | None:
    """Return the client as it was at `moment`, with its member's standing; None without a certificate to call with."""
    client = next((span.value for span in spans if span.holds(moment)), None)
    if client is None:
        return None
    has_certificate = any(span.value == client.id and span.holds(moment) for span in period.history.certificates)
    members = (span.value for span in period.history.members if span.holds(moment))
    member = next((each for each in members if each.code == client.member), None)
    if member is None or not has_certificate:
        return None
    return replace(client, member_standing=member.standing)


async def _view(services: Services, then: Call, period: _Period, client: Client, pause: Pause) -> View | None:
    """Return how much `client` could read at `then.now`, for the best of its purposes."""
    report = next((span.value for span in period.reports if span.holds(then.now)), None)
    if report is None:
        return None  # its keys were destroyed
    facts = report.facts
    agreement = next((span.value for span in period.history.agreements if span.holds(then.now)), None)
    known = None if agreement is None else as_it_was(agreement, then.now)
    scope = scope_facts(known, facts.scope, then.now, facts.edition)
    status = status_of(ReportStatus.CURRENT, report.valid_until, then.now)
    row = RowFacts(is_recalled=False, is_expired=status is ReportStatus.EXPIRED)
    law = next((span.value for span in period.laws if span.holds(then.now)), services.law)
    views = set()
    for purpose in registered_purposes(client):
        reader = reader_facts(client, purpose=purpose, call=then)
        match decide(reader, facts, scope, row, Use.READ, law):
            case Permit(view=view):
                views.add(view)
            case Refusal():
                pass
            case other:
                assert_never(other)
        await pause.after(facts)
    return View.FULL if View.FULL in views else next(iter(views), None)


async def _did(
    services: Services, gaze: Gaze, report: ReportRecord, since: datetime, until: datetime
) -> tuple[DidRead, ...]:
    criteria = Criteria(since=since, until=until, subject=report.id, outcome=Outcome.PERMITTED.value)
    found: dict[str, DidRead] = {}
    sought = await within_slice(services, gaze, criteria, newest_first=False)
    async for hits in services.store.found_entries(sought, at_a_time=_AT_A_TIME):
        for hit in hits:
            entry = whole_entry(hit.content)
            if entry is None or entry["type"] not in _READS or view_of(entry, gaze.auditor) is None:
                continue
            at = datetime.fromisoformat(entry["ts"])
            client = entry["actor"].get("id", "")
            first = DidRead(client, entry.get("member", ""), entry.get("agency", ""), 0, at, at, entry["id"])
            kept = found.get(client, first)
            found[client] = replace(kept, count=kept.count + 1, last=at)
    return tuple(sorted(found.values(), key=lambda each: (each.first, each.client)))


async def _laws(services: Services, since: datetime, until: datetime) -> tuple[str, ...]:
    """Return the digests of the policy files that were in force at some moment, oldest first.

    Of the whole log and not of a slice: which law was in force is no secret of any member.
    """
    digests: list[str] = []
    sought = Sought(Criteria(event=EventName.POLICY_CHANGED.value, until=until), None)
    async for hits in services.store.found_entries(sought, at_a_time=_AT_A_TIME):
        for hit in hits:
            entry = whole_entry(hit.content)
            if entry is None:
                continue
            digests.append(entry["object"]["id"])
            if datetime.fromisoformat(entry["ts"]) <= since:
                return tuple(dict.fromkeys(reversed(digests)))
    return tuple(dict.fromkeys(reversed(digests)))
