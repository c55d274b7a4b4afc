"""What an agreement would do before anybody proposes it: who could post what to whom, and who of one's own could read.

As if all parties had signed the draft and its first day had come. A draft binds nobody, so it asks nothing of anybody
either: of other members it says what its text lets them do, never how many of their clients could. A caller would
otherwise learn of any member's clearances by writing it into a draft.

A draft may ask for very much: one at a time is answered, and between any two of its answers others are.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from exchange.agreements import Agreement, AgreementId, Scope, Terms, propose
from exchange.audit import EventName, Outcome
from exchange.kernel import Fault, InvalidError
from exchange.markings import Label
from exchange.members import Client
from exchange.release import AgencyOutlook, ClassFacts, Clause, Law, Matter, ScopeFacts, highest_level
from exchange.store import Unread
from exchange.usecases.agreements.agreements import PROPOSING_ROLES, logged_text, read_terms, require_own_agreement
from exchange.usecases.steps.authenticate import admit_or_host
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.facts import reader_facts, registered_purposes
from exchange.usecases.steps.in_between import simulate_readers, turn_of
from exchange.usecases.steps.judging import ABSENT_ID
from exchange.usecases.steps.knowledge import scope_facts
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.unread import require_read

ItemT = TypeVar("ItemT")

MOST_LINES = 20_000
"""Of one draft: ten scopes among 45 members that all post and read. Each takes the third of a millisecond."""


@dataclass(frozen=True, slots=True)
class DraftLine:
    """Up to which level of the base policy `contributor` could post to `reader`; `highest` None: not at all."""

    scope: str
    contributor: str
    reader: str
    highest: str | None


@dataclass(frozen=True, slots=True)
class OwnReach:
    """How many of the caller's own member's clients could read a report of that level, released to all readers."""

    scope: str
    level: str
    agencies: tuple[AgencyOutlook, ...]


@dataclass(frozen=True, slots=True)
class AgreementOutlook:
    """What a draft would do. `own` is empty for the host and operators of the exchange: they read nothing."""

    title: str
    lines: tuple[DraftLine, ...]
    own: tuple[OwnReach, ...]


async def simulate_agreement(services: Services, call: Call, document: object) -> Recorded[AgreementOutlook]:
    """Return what the draft (a YAML text, or the same as a JSON value) would do; nothing of it is kept.

    Refused exactly as its proposal would be: InvalidError with every fault, ForbiddenError.
    """
    event = EventName.AGREEMENT_SIMULATED
    client = await admit_or_host(services, call, *PROPOSING_ROLES, event=event)
    async with on_record(services, draft(call, client, event, Outcome.REFUSED)):
        async with services.store.unit_of_work() as unit:
            terms = await read_terms(services, unit, document)
        require_own_agreement(client, terms)
        proposed = propose(AgreementId(ABSENT_ID), terms)
        logged_text(proposed)
        _require_bearable(terms)
        async with services.drafting.turn(*turn_of(client)):
            outlook = await _outlook(services, call, client, proposed)
    entry = draft(call, client, event, Outcome.PERMITTED, detail={"parties": list(terms.parties)})
    return Recorded(outlook, await services.store.append(entry))


async def _outlook(services: Services, call: Call, client: Client | None, proposed: Agreement) -> AgreementOutlook:
    # INVARIANT: nobody tries out, by drafts of its own, what another member keeps to itself. The host has the files.
    law = services.law if client is None else services.law.known_to(client.member)
    terms = proposed.terms
    clauses = [(scope, _as_signed(proposed, scope, call)) for scope in terms.scopes]
    lines = await _one_by_one(line for scope, facts in clauses for line in _lines(law, scope, facts))
    if client is None or client.member not in terms.parties:
        return AgreementOutlook(terms.title, lines, ())
    unread = Unread()
    readers = [each for each in await services.store.clients(unread) if each.member == client.member]
    require_read(unread, {client.member})
    own = [
        reach
        for scope, facts in clauses
        if client.member in scope.readers
        for reach in await _own(services, client, law, call, scope, facts, readers)
    ]
    return AgreementOutlook(terms.title, lines, tuple(own))


def _require_bearable(terms: Terms) -> None:
    count = sum(len(scope.contributors) * len(scope.readers) for scope in terms.scopes)
    if count > MOST_LINES:
        told = f"{count} pairs of who posts and who reads, at most {MOST_LINES}: simulate some of the scopes at a time"
        raise InvalidError("the draft is too large to be simulated", (Fault("/scopes", "too-large", told),))


async def _one_by_one(items: Iterator[ItemT]) -> tuple[ItemT, ...]:
    found = []
    for each in items:
        found.append(each)
        await asyncio.sleep(0)
    return tuple(found)


def _as_signed(proposed: Agreement, scope: Scope, call: Call) -> ScopeFacts:
    facts = scope_facts(proposed, scope.name, call.now, proposed.edition)
    assert facts is not None  # noqa: S101  the scope is the terms' own
    return replace(facts, in_force=True, active_parties=frozenset(proposed.terms.parties))


def _lines(law: Law, scope: Scope, facts: ScopeFacts) -> Iterator[DraftLine]:
    clause, matter = Clause(facts, frozenset(scope.contributors)), Matter(scope.topics[0])
    for contributor in scope.contributors:
        for reader in scope.readers:
            if reader != contributor:
                highest = highest_level(clause, contributor, reader, matter, law)
                yield DraftLine(scope.name, contributor, reader, highest)


async def _own(  # noqa: PLR0913, PLR0917  who asks, and what is asked about, by which law
    services: Services,
    asker: Client,
    law: Law,
    call: Call,
    scope: Scope,
    facts: ScopeFacts,
    clients: list[Client],
) -> list[OwnReach]:
    found = []
    readers = [reader_facts(each, purpose=registered_purposes(each)[0], call=call) for each in clients]
    for level in reversed(law.catalogue.base.levels):
        label = Label(law.catalogue.base.id, level.name, releasable_to=tuple(sorted(scope.readers)))
        if law.catalogue.exceeds_ceiling(label, scope.ceiling, facts.policy):
            continue
        cls = ClassFacts(
            agreement=facts.agreement,
            scope=scope.name,
            originator=scope.contributors[0],
            topic=scope.topics[0],
            regions=(scope.regions[0],),
            kind=scope.kinds[0],
            label=label,
            part_labels=(label,),
        )
        simulation = await simulate_readers(services, asker, cls, facts, readers, law)
        outlook = {each.member: each for each in simulation.members}
        own = outlook.get(clients[0].member) if clients else None
        found.append(OwnReach(scope.name, level.name, () if own is None else own.agencies))
        await asyncio.sleep(0)
    return found
