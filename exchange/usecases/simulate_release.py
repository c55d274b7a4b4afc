"""Who could read a report with these attributes, if it were posted so: the real rules, and no report."""

from dataclasses import dataclass

from exchange.agreements import AgreementId
from exchange.audit import EventName, Outcome
from exchange.markings import Label
from exchange.members import Client, Role
from exchange.release import ReaderFacts, Simulation, class_facts
from exchange.reports import PostedPart, PostedReport, Precedence
from exchange.store import PolicyState, Unread
from exchange.usecases.authenticate import admit, required_thumbprint
from exchange.usecases.context import Call, Recorded, Services
from exchange.usecases.facts import reader_facts, registered_purposes
from exchange.usecases.in_between import simulate_readers
from exchange.usecases.judging import law_in_force, require_same_law
from exchange.usecases.post_checks import compose, require_in_force
from exchange.usecases.recording import draft, on_record
from exchange.usecases.unread import known_agreements, require_read


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


async def simulate_release(services: Services, call: Call, simulated: SimulatedReport) -> Recorded[Simulation]:
    """Return who could read such a report now: by member, the number of clients of each agency.

    Refused exactly as the post itself would be: InvalidError, NotFoundError, ConflictError, ForbiddenError.
    """
    event = EventName.RELEASE_SIMULATED
    row = await services.store.caller(required_thumbprint(call))
    client = await admit(services, call, row.client, Role.CONTRIBUTOR, event=event)
    require_same_law(services, row.state)
    async with on_record(services, draft(call, client, event, Outcome.REFUSED)):
        simulation = await _simulate(services, call, client, simulated, row.state)
    entry = draft(
        call,
        client,
        event,
        Outcome.PERMITTED,
        label=simulated.label.as_json(),
        agreement=simulated.agreement,
        scope=simulated.scope,
    )
    return Recorded(simulation, await services.store.append(entry))


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
