"""List the headers a reader may see: a page of the permitted release classes, oldest first after the cursor.

Steps: (1) which classes this reader may read, remembered while nothing that bears on it has changed;
(2) one query gives caller, policy state and the page; (3) had the state moved, begin again; (4) open the
headers, and leave out, told and recorded, what does not open; (5) the entry with every id shown is durable; (6) answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from exchange.agreements import covers
from exchange.audit import EventName, Outcome
from exchange.crypto import OpeningError
from exchange.custody import KeyMissingError
from exchange.kernel import NOT_AN_ID, Fault, InvalidError, MalformedError, UnavailableError, is_uuid7, meant
from exchange.kernel.spans import Mark, SpanName
from exchange.members import Client, Role
from exchange.release import ClassFacts, Permit
from exchange.reports import Precedence
from exchange.store import CallerRow, PageRow, PolicyState, ReportRow
from exchange.usecases.steps.altered_classes import whole_classes
from exchange.usecases.steps.authenticate import admit, required_thumbprint
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.facts import reader_facts, stated_purpose
from exchange.usecases.steps.in_between import readable_among
from exchange.usecases.steps.judging import law_in_force, require_same_law
from exchange.usecases.steps.knowledge import Readable, ReaderKey, earliest_change
from exchange.usecases.steps.opening import is_whole, open_headers
from exchange.usecases.steps.positions import open_position, seal_position
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.sealed_headers import UNOPENED
from exchange.usecases.steps.unopened import Lister, UnopenedReport, require_own_version, tell_unopened
from exchange.usecases.steps.unread import known_agreements

_TRIES = 5
"""How often a page is begun again because the policy moved under it; more means it moves faster than one can read."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a reader asks for. `limit` is 1..500; the filters narrow, each by exact value, `topic` with all below it.

    `only` keeps to these classes, among those that the reader may read.
    """

    cursor: str | None = None
    limit: int = 100
    agreement: str | None = None
    topic: str | None = None
    kind: str | None = None
    precedence: str | None = None
    since: datetime | None = None
    only: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class ListedReports:
    """Headers as JSON bytes, oldest first, and the cursor to resume from (always present).

    `unopened` are reports of this page that do not open, as far as the reader may know. Inside stay `rows`, those of
    the headers, and `is_full`: whether more may lie behind it.
    """

    items: list[bytes]
    next: str
    rows: tuple[ReportRow, ...] = ()
    unopened: tuple[UnopenedReport, ...] = ()
    is_full: bool = False


async def list_reports(services: Services, call: Call, query: ListQuery) -> Recorded[ListedReports]:
    """Return one page of the headers this client may see.

    Raises MalformedError for a foreign or forged cursor, InvalidError for a filter that names nothing of
    the vocabulary, ForbiddenError without the reader's role.
    """
    recorded, lacking = await _listed(services, call, query)
    while lacking:
        # INVARIANT: a page is not shorter for what its reader may not know of: what follows takes its place.
        rest = replace(query, cursor=recorded.value.next, limit=lacking)
        more, lacking = await _listed(services, call, rest)
        recorded = Recorded(_joined(recorded.value, more.value), recorded.receipt)
    return recorded


async def _listed(services: Services, call: Call, query: ListQuery) -> tuple[Recorded[ListedReports], int]:
    """Return a page, and how many reports it lacks that would have had a place on it."""
    # (1) to (3): the page and under which law it was read
    client, page, readable = await _settled_page(services, call, query)
    # (4) only what is on the page
    classes, lister = services.knowledge.known_classes, Lister(call, client, page.state, readable)
    try:
        rows = [(row, classes[row.class_id], readable.permits[row.class_id]) for row in page.rows]
        items = await open_headers(services, rows, call, client, whole=readable.whole) if rows else []
    except (KeyError, *UNOPENED):
        return await _list_without(services, query, lister, page)
    return await _recorded(services, query, lister, page, items), 0


async def _recorded(
    services: Services, query: ListQuery, lister: Lister, page: PageRow, items: list[bytes]
) -> Recorded[ListedReports]:
    call, client, readable = lister.call, lister.client, lister.readable
    # (5) INVARIANT: no header leaves before its entry is durable.
    entry = draft(
        call,
        client,
        EventName.REPORT_LISTED,
        Outcome.PERMITTED,
        purpose=stated_purpose(services, call, client),
        result_ids=tuple(row.id for row in page.rows),
        **_in_crisis(page.rows, readable.crises),
    )
    receipt = await services.store.append(entry)
    # (6) the answer
    cursor = seal_position(services, client, page.position)
    return Recorded(ListedReports(items, cursor, page.rows, is_full=len(page.rows) == query.limit), receipt)


async def _list_without(
    services: Services, query: ListQuery, lister: Lister, page: PageRow
) -> tuple[Recorded[ListedReports], int]:
    """Return the page without what does not open, and say that it is there to whoever may know."""
    shown, items, damaged = [], [], []
    call, client, readable = lister.call, lister.client, lister.readable
    for row in page.rows:
        kept, permit = services.knowledge.known_classes.get(row.class_id), readable.permits.get(row.class_id)
        try:
            if kept is None or permit is None:
                raise OpeningError("its release class is not known")
            items += await open_headers(services, [(row, kept, permit)], call, client, whole=readable.whole)
        except UNOPENED as exc:
            if isinstance(exc, KeyMissingError):
                await require_own_version(services, lister, row, exc)
            damaged.append(row)
        else:
            shown.append(row)
    told = await tell_unopened(services, lister, damaged)
    without = replace(page, rows=tuple(shown))
    recorded = await _recorded(services, query, lister, without, items)
    is_full = len(page.rows) == query.limit
    listed = replace(recorded.value, unopened=tuple(told), is_full=is_full)
    return Recorded(listed, recorded.receipt), len(damaged) - len(told) if is_full else 0


def _joined(first: ListedReports, more: ListedReports) -> ListedReports:
    return ListedReports(
        [*first.items, *more.items],
        more.next,
        (*first.rows, *more.rows),
        (*first.unopened, *more.unopened),
        more.is_full,
    )


async def readable_for(services: Services, call: Call, client: Client, state: PolicyState) -> Readable:
    """Return the classes `client` may read in this call, computed anew only where something bearing on it changed."""
    knowledge = services.knowledge
    purpose = stated_purpose(services, call, client)
    key: ReaderKey = (client.id, client.version, purpose, call.assurance.value)
    kept = knowledge.readable.get(key)
    if kept is not None and kept.holds(state, call.now) and not kept.is_partial:
        return kept
    agreements = await known_agreements(services, state)
    classes = await whole_classes(services, state)
    unknown, unread = knowledge.unknown_classes, knowledge.unread
    if kept is not None and kept.holds(state, call.now) and (kept.unknown, kept.unread) == (unknown, unread):
        return kept
    facts = {row.id: row.facts for row in classes.values()}
    with services.tracer.span(SpanName.DECISION) as span:
        span.note(Mark.COUNT, len(facts))
        permits = await _permits(services, call, client, facts, state)
    not_after = earliest_change(client, agreements, call.now, classes=facts.values())
    whole = frozenset(class_id for class_id, permit in permits.items() if is_whole(classes[class_id], permit))
    crises = {class_id: named for class_id, permit in permits.items() if (named := permit.crises)}
    versions = (state.policy_version, state.class_version)
    readable = Readable(*versions, call.now, not_after, permits, whole, crises, unknown, unread)
    knowledge.keep_readable(key, readable)
    return readable


async def _permits(
    services: Services, call: Call, client: Client, facts: Mapping[int, ClassFacts], state: PolicyState
) -> dict[int, Permit]:
    knowledge, purpose = services.knowledge, stated_purpose(services, call, client)
    law = await law_in_force(services, state)
    # Thousands of classes take half a second when nothing is remembered: others are served in between.
    return await readable_among(
        services,
        client,
        reader_facts(client, purpose=purpose, call=call),
        facts,
        lambda each: knowledge.scope(each.agreement, each.scope, call.now, each.edition),
        policy_version=state.policy_version,
        law=law,
    )


async def _settled_page(services: Services, call: Call, query: ListQuery) -> tuple[Client, PageRow, Readable]:
    event, thumbprint = EventName.REPORT_LISTED, required_thumbprint(call)
    # A guess saves a query; it is believed only once the page's own statement has confirmed it.
    guess = services.knowledge.last_seen.get(thumbprint)
    row = guess or await services.store.caller(thumbprint)
    for _ in range(_TRIES):
        client = await admit(services, call, row.client, Role.READER, event=event)
        require_same_law(services, row.state)
        try:
            readable, wanted, after = await _asked(services, call, query, client, row.state)
        except (MalformedError, InvalidError):
            if row is guess:
                # No page's statement will confirm it: who asks wrongly is told so as who it is now.
                row = await services.store.caller(thumbprint)
                continue
            async with on_record(services, draft(call, client, event, Outcome.REFUSED)):
                raise
        page = await services.store.page(
            thumbprint,
            wanted,
            after=after,
            limit=query.limit,
            now=call.now,
            precedence=query.precedence,
            since=query.since,
        )
        if page.state == row.state and page.client == client:
            services.knowledge.see(thumbprint, row)
            return client, page, readable
        row = CallerRow(state=page.state, client=page.client)
    raise UnavailableError("the policy changed faster than the list could be read: ask again")


async def _asked(
    services: Services, call: Call, query: ListQuery, client: Client, state: PolicyState
) -> tuple[Readable, list[int], int]:
    """Return what the client may read, the classes it asks for among these, and the position it asks from."""
    readable = await readable_for(services, call, client, state)
    after = open_position(services, client, query.cursor)
    return readable, _wanted_classes(services, query, readable), after


def _wanted_classes(services: Services, query: ListQuery, readable: Readable) -> list[int]:
    faults = _unknown_filters(services, query)
    if faults:
        raise InvalidError("the list cannot be filtered so", faults)
    if query.only is not None:
        return sorted(query.only.intersection(readable.permits))
    # Nothing tells what reports of unknown classes are about: whatever is asked for, they may be among it.
    if query.agreement is None and query.topic is None and query.kind is None:
        return [*readable.permits, *readable.unknown] if readable.unknown else list(readable.permits)
    classes = services.knowledge.known_classes
    return [
        *(class_id for class_id in readable.permits if _matches(classes[class_id].facts, query)),
        *readable.unknown,
    ]


def _unknown_filters(services: Services, query: ListQuery) -> tuple[Fault, ...]:
    vocabulary = services.law.vocabulary
    faults = []
    # Of what is an id nothing is told: one that is foreign finds as little as one that is absent.
    if query.agreement is not None and not is_uuid7(query.agreement):
        faults.append(Fault("/agreement", "not-an-id", NOT_AN_ID))
    if query.topic is not None and query.topic not in vocabulary.topics:
        faults.append(
            Fault(
                "/topic",
                "unknown-topic",
                f"not a topic of the vocabulary: {meant(query.topic, vocabulary.topics)}see GET /v1/vocabulary",
            )
        )
    if query.kind is not None and query.kind not in vocabulary.kinds:
        faults.append(
            Fault(
                "/kind",
                "unknown-kind",
                f"not a kind of the vocabulary: {meant(query.kind, vocabulary.kinds)}see GET /v1/vocabulary",
            )
        )
    if query.precedence is not None and query.precedence not in Precedence.__members__:
        faults.append(Fault("/precedence", "unknown-precedence", f"use one of {', '.join(Precedence.__members__)}"))
    return tuple(faults)


class _InCrisis(TypedDict, total=False):
    policies: tuple[str, ...]
    detail: dict[str, str | int | list[str]]


def _in_crisis(rows: Sequence[ReportRow], crises: Mapping[int, tuple[str, ...]]) -> _InCrisis:
    """Return which headers were shown only because of a crisis, for the review after it; mostly there is none."""
    shown = [row for row in rows if row.class_id in crises] if crises else []
    if not shown:
        return {}
    named = tuple(sorted({crisis for row in shown for crisis in crises[row.class_id]}))
    return {"policies": named, "detail": {"in_crisis": [row.id for row in shown]}}


def _matches(facts: ClassFacts, query: ListQuery) -> bool:
    return (
        (query.agreement is None or facts.agreement == query.agreement)
        and (query.topic is None or covers((query.topic,), facts.topic))
        and (query.kind is None or facts.kind == query.kind)
    )
