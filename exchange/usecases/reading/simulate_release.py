"""Who could read a report with these attributes, if it were posted so: the real rules, and no report."""

from dataclasses import dataclass

from exchange.agreements import AgreementId
from exchange.audit import EntryDraft, EventName, Outcome
from exchange.kernel import NotFoundError
from exchange.markings import Label
from exchange.members import Client, Role
from exchange.release import ClassFacts, ReaderFacts, Simulation, class_facts
from exchange.reports import PostedPart, PostedReport, Precedence
from exchange.store import PolicyState, Unread
from exchange.usecases.posting.post_checks import compose, require_in_force
from exchange.usecases.steps.authenticate import authenticated_row
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.facts import reader_facts, registered_purposes
from exchange.usecases.steps.in_between import simulate_readers
from exchange.usecases.steps.judging import law_in_force, require_same_law
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.unread import known_agreements, record_unread, require_read


@dataclass(frozen=True, slots=True)
class SimulatedReport:
    """The attributes of a report that might be posted; one entry of `part_labels` per part, None = the report's."""

    agreement: str
    scope: str
    kind: str
    topic: str
    regions: tuple[str, ...]
    label: Label
    part_labels: tuple[Label | None, ...] = (None,)


@dataclass(frozen=True, slots=True)
class HostSimulation:
    """What the host is told: `unread` are the rows of clients that cannot be read, who read nothing themselves."""

    simulation: Simulation
    unread: tuple[str, ...]


async def simulate_release(services: Services, call: Call, simulated: SimulatedReport) -> Recorded[Simulation]:
    """Return who could read such a report now: by member, the number of clients of each agency.

    Refused exactly as the post itself would be: InvalidError, NotFoundError, ConflictError, ForbiddenError.
    """
    event = EventName.RELEASE_SIMULATED
    client, row = await authenticated_row(services, call, Role.CONTRIBUTOR, event=event)
    require_same_law(services, row.state)
    async with on_record(services, draft(call, client, event, Outcome.REFUSED)):
        simulation = await _simulate(services, call, client, simulated, row.state)
    return Recorded(simulation, await services.store.append(_permitted(call, client, simulated)))


async def simulate_for_host(
    services: Services, call: Call, simulated: SimulatedReport, originator: str
) -> Recorded[HostSimulation]:
    """Return the same for a report of any member's; whether that one may post it so is not asked.

    Raises NotFoundError for an agreement or a scope that there is none of. A client whose row cannot be read takes
    nothing from what is true of the others.
    """
    state = (await services.store.caller("")).state
    agreement = (await known_agreements(services, state)).get(simulated.agreement)
    if agreement is None:
        raise NotFoundError(f"there is no agreement `{simulated.agreement[:60]}`: see `exchange agreement list`")
    # As of one posted now: an older one would stand under what its own text said.
    scope = services.knowledge.scope(agreement.id, simulated.scope, call.now, agreement.edition)
    if scope is None:
        raise NotFoundError(f"the agreement has no scope `{simulated.scope[:60]}`: see `exchange agreement show`")
    under = services.knowledge.posted_under(agreement.id, simulated.scope, call.now)
    facts = ClassFacts(
        agreement=agreement.id,
        scope=simulated.scope,
        originator=originator,
        topic=simulated.topic,
        regions=tuple(sorted(set(simulated.regions))),
        kind=simulated.kind,
        label=simulated.label,
        part_labels=(simulated.label,),
        edition=under.edition,
        crises=under.crises,
    )
    unread = Unread()
    readers = [_as_reader(reader, call) for reader in await services.store.clients(unread)]
    lacking = tuple(sorted(row.place for row in unread.rows))
    simulation = await simulate_readers(services, None, facts, scope, readers, await law_in_force(services, state))
    await record_unread(services, unread, None)
    receipt = await services.store.append(_permitted(call, None, simulated))
    return Recorded(HostSimulation(simulation, lacking), receipt)


def _permitted(call: Call, client: Client | None, simulated: SimulatedReport) -> EntryDraft:
    return draft(
        call,
        client,
        EventName.RELEASE_SIMULATED,
        Outcome.PERMITTED,
        label=simulated.label.as_json(),
        agreement=simulated.agreement,
        scope=simulated.scope,
    )


async def _simulate(
    services: Services, call: Call, client: Client, simulated: SimulatedReport, state: PolicyState
) -> Simulation:
    agreements = await known_agreements(services, state)
    agreement = require_in_force(agreements.get(AgreementId(simulated.agreement)), client, call)
    members = await services.knowledge.member_codes(services.store, state)
    header = compose(services, call, client, _as_posted(simulated), agreement=agreement, members=members)
    scope = services.knowledge.scope(agreement.id, simulated.scope, call.now, agreement.edition)
    law = await law_in_force(services, state)
    unread = Unread()
    clients = await services.store.clients(unread)
    facts = class_facts(header, under=services.knowledge.posted_under(agreement.id, simulated.scope, call.now))
    readers = [_as_reader(reader, call) for reader in clients]
    simulation = await simulate_readers(services, client, facts, scope, readers, law)
    # How many could read it is true of all of a member's clients, or not at all.
    require_read(unread, {each.member for each in simulation.members})
    return simulation


def _as_reader(client: Client, call: Call) -> ReaderFacts:
    return reader_facts(client, purpose=registered_purposes(client)[0], call=call)


def _as_posted(simulated: SimulatedReport) -> PostedReport:
    # What is checked of a post is checked of its simulation; only the contents stand in for none.
    parts = tuple(
        PostedPart(label, "text/plain", f"part-{number}.txt", b"")
        for number, label in enumerate(simulated.part_labels or (None,), start=1)
    )
    return PostedReport(
        agreement=simulated.agreement,
        scope=simulated.scope,
        kind=simulated.kind,
        topic=simulated.topic,
        regions=simulated.regions,
        precedence=Precedence.ROUTINE,
        subject=None,
        label=simulated.label,
        valid_until=None,
        declassify_on=None,
        supersedes=None,
        references=(),
        parts=parts,
    )
