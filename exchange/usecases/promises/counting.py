"""What is counted to see whether promises were kept: who could read what, who acknowledged it, what was in force."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from exchange.agreements import Agreement, InForce, PostedFact
from exchange.members import Client, Role
from exchange.release import ClassFacts, ScopeFacts
from exchange.store import Countable, CountedReport, PolicyState, Unread
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.facts import reader_facts, registered_purposes
from exchange.usecases.steps.in_between import readable_among
from exchange.usecases.steps.judging import law_in_force
from exchange.usecases.steps.knowledge import scope_facts
from exchange.usecases.steps.slices import Slices, readable_in_slices

Readers = Mapping[str, Mapping[int, datetime]]
"""By member and class: since when one of its readers has had the clearance by which it may read that class now."""


@dataclass(frozen=True, slots=True)
class Counting:
    """How who could read is asked: in which call, as of which state.

    `under` is the version of the agreement that all of the classes are of, where that is not the one of now. `slices`
    bound what one request takes; None for the exchange itself, which takes as long as it takes. What is lacking, for
    what stands in its row cannot be read, is noted in `unread`.
    """

    call: Call
    state: PolicyState
    under: Agreement | None = None
    slices: Slices | None = None
    unread: Unread = field(default_factory=Unread)


async def readers_since(
    services: Services, counting: Counting, members: Collection[str], classes: Mapping[int, ClassFacts]
) -> Readers:
    """Return since when each member has had a reader that may read each class now; what nobody may read is left out.

    So are clients of which the rows cannot be read.
    """
    found: dict[str, dict[int, datetime]] = {member: {} for member in members}
    if not classes:
        return found
    for client in await services.store.clients(counting.unread):
        if client.member not in found or Role.READER not in client.roles or not client.is_active:
            continue
        purpose = registered_purposes(client)[0]
        since, of_member = client.clearance.since, found[client.member]
        what = f"the acknowledgements of {client.member} are"
        for class_id in await readable_under(services, counting, client, classes, purpose=purpose, what=what):
            of_member[class_id] = min(since, of_member.get(class_id, since))
    return found


async def readable_under(  # noqa: PLR0913  who reads what, for what, and what it is counted for
    services: Services,
    counting: Counting,
    client: Client,
    classes: Mapping[int, ClassFacts],
    *,
    purpose: str,
    what: str,
) -> frozenset[int]:
    """Return the classes that a client may read; NotCountedYetError, of `what` (with its verb), where time is over."""
    # With national caveats: who cannot read owes nothing, and is told of nothing that is hidden from it.
    law, call, under = await law_in_force(services, counting.state), counting.call, counting.under

    def scope_of(facts: ClassFacts) -> ScopeFacts | None:
        if under is not None:
            return scope_facts(under, facts.scope, call.now, facts.edition)
        return services.knowledge.scope(facts.agreement, facts.scope, call.now, facts.edition)

    reader, slices = reader_facts(client, purpose=purpose, call=call), counting.slices
    if slices is None:
        version = counting.state.policy_version
        permits = await readable_among(services, None, reader, classes, scope_of, policy_version=version, law=law)
        return frozenset(permits)
    for moment in (client.clearance.since, client.clearance.until):
        slices.tally.end_by(moment, call.now)
    place = (f"{client.id} {purpose}", "as it stands" if under is None else "as if all were bound")
    return await readable_in_slices(services, slices, reader, classes, scope_of, law=law, place=place, what=what)


def could_read(readers: Readers, report: CountedReport) -> frozenset[str]:
    """Return the members one of whose readers could read a report when it was posted, and may still."""
    # What was lowered or released since was not there for whom it is there now.
    classes = {report.class_id, report.posted_class_id}
    return frozenset(
        member
        for member, since in readers.items()
        if classes <= since.keys() and all(since[each] <= report.posted_at for each in classes)
    )


async def versions_of(services: Services, agreement_id: str) -> tuple[InForce, ...]:
    """Return every version of an agreement with when it was the current one, oldest first."""
    spans = await services.store.history.agreement(agreement_id)
    return tuple(InForce(span.value, span.since, span.until) for span in spans)


async def acknowledged_by_member(
    services: Services, asked: Countable, since: datetime
) -> dict[str, dict[str, datetime]]:
    """Return by report and member when the first of the member's clients acknowledged it."""
    # Whatever else of a client cannot be read: what it acknowledged was acknowledged.
    members = await services.store.members_of_clients()
    found: dict[str, dict[str, datetime]] = {}
    for report, client_id, at in await services.store.duties.acknowledged(asked, since):
        by_member, member = found.setdefault(report, {}), members.get(client_id, "")
        by_member[member] = min(at, by_member.get(member, at))
    return found


def posted_fact(
    report: CountedReport, facts: ClassFacts, acknowledged: Mapping[str, datetime], owed_by: frozenset[str]
) -> PostedFact:
    """Return what is counted of a report."""
    return PostedFact(
        facts.scope,
        facts.originator,
        report.precedence,
        report.posted_at,
        report.valid_until,
        report.is_recalled,
        acknowledged,
        owed_by,
        report.was,
    )
