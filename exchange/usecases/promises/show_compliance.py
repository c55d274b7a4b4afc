"""What the parties of an agreement promised and did, counted over what the calling reader may read, and nothing else.

A count is an answer: whoever may not read a report must not learn from a number that there is one. So

- posts, rhythms and shares count the reports that the caller may read at this moment, by the rules of every list; of
  those that are gone (recalled, expired), such as came when its clearance stood already; of those that it reads no more
  because a party takes no part any more, such as it could read until then (`stood`);
- acknowledgements by another member count only reports of the caller's own member, and only where one of that member's
  readers could read them when they were posted: its originator may know as much by simulating the post;
- acknowledgements by the caller's own member count the others' reports that the caller may read.

Steps: (1) a reader of a party; (2) which classes it may read; (3) the versions of the agreement and what was posted and
acknowledged; (4) had the policy moved, begin again; (5) count; (6) what is lacking, and the entry, are durable;
(7) answer.

What cannot be read is not counted, and the answer says that something is lacking. What takes longer than one request
may is not told: who asks again goes on where it stopped (`slices`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from exchange.agreements import Agreement, InForce, PartyRecord, PostedFact, is_known_to, measure, next_change
from exchange.audit import EventName, Outcome, Receipt
from exchange.kernel import Fault, InvalidError, StalePolicyError, UnavailableError, rfc3339
from exchange.members import Client, Role
from exchange.release import ClassFacts
from exchange.store import Countable, PolicyState, ReportRow, Unread
from exchange.usecases.promises.counting import (
    Counting,
    Readers,
    acknowledged_by_member,
    could_read,
    posted_fact,
    readable_under,
    readers_since,
    versions_of,
)
from exchange.usecases.promises.stood import Stood, as_if_bound
from exchange.usecases.steps.altered_classes import whole_classes
from exchange.usecases.steps.as_it_left import agreement_not_found
from exchange.usecases.steps.authenticate import authenticated_row, required_thumbprint
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_anew
from exchange.usecases.steps.facts import stated_purpose
from exchange.usecases.steps.judging import require_same_law
from exchange.usecases.steps.log_words import LogWord
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.slices import MOST_SECONDS, Slices
from exchange.usecases.steps.uncounted import record_uncounted, uncounted_reports
from exchange.usecases.steps.unopened import Asker, may_read_by_log
from exchange.usecases.steps.unread import known_agreements

PERIOD: Final = timedelta(days=90)
"""What is counted where the caller names no beginning."""

LONGEST_PERIOD: Final = timedelta(days=366)
"""A year's reports are read row by row; whoever wants more asks year by year and keeps the answers."""

_WHAT_IS_READ: Final = "what you may read is"


@dataclass(frozen=True, slots=True)
class Compliance:
    """What each party of an agreement did from `since` to `now`, as far as the caller may know it.

    To who has left that is until it had: what was due by then and had not come is told as overdue, whatever came since.
    """

    agreement: Agreement
    since: datetime
    now: datetime
    parties: tuple[PartyRecord, ...]


@dataclass(frozen=True, slots=True)
class _Question:
    """Who asks, about which agreement, from when on, under one policy.

    How far it is decided, and what is not counted as it should be.
    """

    call: Call
    client: Client
    agreement: Agreement
    since: datetime
    state: PolicyState
    slices: Slices
    unread: Unread = field(default_factory=Unread)
    altered: set[str] = field(default_factory=set)

    def counting(self, under: Agreement | None = None) -> Counting:
        """Return how it is asked who could read, under the text as it stands or another one."""
        return Counting(self.call, self.state, under, self.slices, self.unread)


async def show_compliance(
    services: Services, call: Call, agreement_id: str, since: datetime | None = None
) -> Recorded[Compliance]:
    """Return what the parties of an agreement promised and did since a moment (None: `PERIOD` ago).

    `unopened` is how much of it is not counted, for it cannot be read. Raises NotFoundError alike for an absent
    agreement and one that the caller's member is no party of, InvalidError for a period that has not begun or is too
    long, NotCountedYetError where there is more to count than one request takes.
    """
    return await _counted(services, call, agreement_id, since, until=monotonic() + MOST_SECONDS)


@decided_anew("could be counted: ask again")
async def _counted(
    services: Services, call: Call, agreement_id: str, since: datetime | None, *, until: float
) -> Recorded[Compliance]:
    event = EventName.COMPLIANCE_READ
    # (1) a reader of a party
    client, row = await authenticated_row(services, call, Role.READER, event=event)
    require_same_law(services, row.state)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id))
    async with on_record(services, attempt):
        begin = _beginning(call, since)
        stated_purpose(services, call, client)
        agreement = await _own_agreement(services, client, row.state, agreement_id)
        # INVARIANT: who has left is told nothing of where the others stand since.
        end = _end(agreement, client.member, call.now)
        begin = min(begin, end)
        versions = await _laid_before(services, client, agreement, end)
    # (2) to (4)
    slices = _slices(services, call, client, row.state, agreement, until)
    question = _Question(call, client, agreement, begin, row.state, slices)
    facts = await _facts(services, question, versions)
    if await services.store.caller(required_thumbprint(call)) != row:
        raise StalePolicyError("the policy moved while it was counted: count again")
    # (5) counted
    parties = measure(versions, facts, begin, end, to=client.member)
    # (6) INVARIANT: no count leaves before its entry is durable, nor without a word of what it lacks
    lacking = await _lacking(services, question)
    receipt = await _record(services, question)
    return Recorded(Compliance(agreement, begin, end, parties), receipt, lacking)


async def _laid_before(services: Services, client: Client, agreement: Agreement, end: datetime) -> list[InForce]:
    """Return the versions up to `end` that name the caller's member; UnavailableError where this node has none yet."""
    # What others promised each other before the caller's member acceded was never laid before it.
    spans = await versions_of(services, agreement.id)
    versions = [each for each in spans if each.agreement.party(client.member) and each.since <= end]
    if not versions:
        # Recorded at a node whose clock is ahead, or its row says so.
        raise UnavailableError("the agreement is of a later time than this node has yet: ask again in a moment")
    return versions


def _beginning(call: Call, since: datetime | None) -> datetime:
    begin = call.now - PERIOD if since is None else since
    if begin > call.now or call.now - begin > LONGEST_PERIOD:
        message = f"name a moment of the last {LONGEST_PERIOD.days} days"
        raise InvalidError("that period cannot be counted", (Fault("/since", "invalid-value", message),))
    return begin


def _end(agreement: Agreement, member: str, now: datetime) -> datetime:
    """Return until when is counted: for who has left by its notice, until it had."""
    party = agreement.party(member)
    leaves_at = None if party is None else party.leaves_at
    return now if leaves_at is None else min(leaves_at, now)


async def _own_agreement(services: Services, client: Client, state: PolicyState, agreement_id: str) -> Agreement:
    agreement = (await known_agreements(services, state)).get(agreement_id)
    if agreement is not None and is_known_to(agreement, client.member):
        if agreement.party(client.member) is not None:
            return agreement
        async with services.store.unit_of_work() as unit:
            agreement = await unit.agreements().one(agreement.id, of=client.member)
    if agreement is None or agreement.party(client.member) is None:
        raise agreement_not_found()
    return agreement


def _slices(  # noqa: PLR0913, PLR0917  who counts what, and until when
    services: Services, call: Call, client: Client, state: PolicyState, agreement: Agreement, until: float
) -> Slices:
    about = f"{agreement.id} {stated_purpose(services, call, client)}"
    slices = Slices.of(services, call, client, state, about=about, until=until)
    slices.tally.end_by(next_change(agreement, call.now), call.now)
    return slices


async def _facts(services: Services, question: _Question, versions: Sequence[InForce]) -> list[PostedFact]:
    call, client, since, duties = question.call, question.client, question.since, services.store.duties
    # (2) what every list would show, and what it showed while all took part
    known = await whole_classes(services, question.state)
    treaty = {each.id: each.facts for each in known.values() if each.facts.agreement == question.agreement.id}
    purpose = stated_purpose(services, call, client)
    there = await readable_under(services, question.counting(), client, treaty, purpose=purpose, what=_WHAT_IS_READ)
    stood = await _stood(services, question, versions, treaty, there)
    # (3) what was done
    asked = Countable(list(there), client.clearance.since, call.now)
    given = Countable(list(stood.class_ids), client.clearance.since, call.now)
    posted = await duties.posted(asked, since)
    before = await duties.last_before(asked, since)
    question.altered.update(await duties.altered(list(there)))
    if stood.class_ids:
        for report in stood.of(await duties.posted(given, since - LONGEST_PERIOD)):
            if report.posted_at >= since:
                posted.append(stood.ended(report, treaty[report.class_id].originator, call.now))
            else:
                before[report.class_id] = max(report.posted_at, before.get(report.class_id, report.posted_at))
    # Of what is not known any more who could read it when it was posted, nobody owes an acknowledgement.
    question.altered.update(each.id for each in posted if each.posted_class_id not in known)
    posted_in = {each.posted_class_id for each in posted}
    former = {class_id: known[class_id].facts for class_id in posted_in if class_id in known}
    classes = {class_id: treaty[class_id] for class_id in there | stood.class_ids}
    readers = await _askable(services, question, classes | former)
    acknowledged = await acknowledged_by_member(services, asked, since)
    if stood.class_ids:
        acknowledged |= await acknowledged_by_member(services, given, since)
    found = []
    for report in posted:
        owed_by = could_read(readers, report)
        found.append(posted_fact(report, classes[report.class_id], acknowledged.get(report.id, {}), owed_by))
    for class_id, at in before.items():
        found.append(PostedFact(classes[class_id].scope, classes[class_id].originator, "", at))
    return found


async def _stood(
    services: Services,
    question: _Question,
    versions: Sequence[InForce],
    treaty: Mapping[int, ClassFacts],
    there: frozenset[int],
) -> Stood:
    """Return what is read no more because somebody takes no part; nothing where everybody does."""
    client = question.client
    bound, readable = as_if_bound(question.agreement), there
    if bound != question.agreement:
        counting, purpose = question.counting(bound), stated_purpose(services, question.call, client)
        readable |= await readable_under(services, counting, client, treaty, purpose=purpose, what=_WHAT_IS_READ)
    return Stood(client, versions, readable - there, readable)


async def _askable(services: Services, question: _Question, classes: Mapping[int, ClassFacts]) -> Readers:
    """Return whose acknowledgements are counted: of one's own reports the others', of others' one's own member's."""
    member = question.client.member
    own = {class_id: facts for class_id, facts in classes.items() if facts.originator == member}
    foreign = {class_id: facts for class_id, facts in classes.items() if facts.originator != member}
    others = [party for party in question.agreement.terms.parties if party != member]
    # Who has suspended its part since, or left, sheds nothing that it owed before: its spells say what that was.
    counting = question.counting(as_if_bound(question.agreement))
    return {
        **await readers_since(services, counting, others, own),
        **await readers_since(services, counting, [member], foreign),
    }


async def _lacking(services: Services, question: _Question) -> int:
    """Return how much is not counted, for it cannot be read, as far as the caller may know; on the record."""
    call, client, agreement = question.call, question.client, question.agreement
    asker, parties = Asker(call, client, question.state), frozenset(map(str, agreement.terms.parties))

    async def is_counted(row: ReportRow, word: LogWord) -> bool:
        return word.agreement == agreement.id and await may_read_by_log(services, asker, row, word)

    clients = {row.place for row in question.unread.rows if row.members & parties}
    reports = {f"report {report}" for report in question.altered}
    await record_uncounted(services, client, clients | reports)
    return len(clients) + len(reports) + await uncounted_reports(services, call, client, is_counted)


async def _record(services: Services, question: _Question) -> Receipt:
    entry = draft(
        question.call,
        question.client,
        EventName.COMPLIANCE_READ,
        Outcome.PERMITTED,
        subject=named("agreement", question.agreement.id),
        agreement=question.agreement.id,
        purpose=stated_purpose(services, question.call, question.client),
        detail={"since": rfc3339(question.since)},
    )
    return await services.store.append(entry)
