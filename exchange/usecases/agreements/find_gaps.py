"""What the agreements of a member leave open: what no scope lets it post to another, or another to it.

Only agreements that the caller's member is a party of count, and only what goes to or comes from that member: of what
others agreed between themselves nothing is said, and a member that shares nothing is answered like one there is not.
"""

from dataclasses import dataclass

from exchange.agreements import Agreement, is_known_to
from exchange.audit import EventName, Outcome
from exchange.kernel import Fault, InvalidError
from exchange.members import Client, check_member_code
from exchange.release import Clause, Gap, Law, Matter, find_gaps
from exchange.usecases.steps.authenticate import authenticated_row
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.in_between import deciding
from exchange.usecases.steps.judging import law_in_force
from exchange.usecases.steps.knowledge import scope_facts
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.unread import known_agreements


@dataclass(frozen=True, slots=True)
class GapQuestion:
    """What is asked. None: every member that an agreement is shared with, every topic, any kind, any region.

    `level` is the level up to which reports should go; None is the highest there is.
    """

    member: str | None = None
    topic: str | None = None
    kind: str | None = None
    region: str | None = None
    level: str | None = None


async def search_gaps(services: Services, call: Call, question: GapQuestion) -> Recorded[tuple[Gap, ...]]:
    """Return the gaps between the caller's member and others, both ways; InvalidError for unknown words."""
    event = EventName.RELEASE_SEARCHED
    client, row = await authenticated_row(services, call, event=event)
    law = await law_in_force(services, row.state)
    async with on_record(services, draft(call, client, event, Outcome.REFUSED)):
        _require_known(services.law, question)
    agreements = await known_agreements(services, row.state)
    own = [each for each in agreements.values() if is_known_to(each, client.member)]
    gaps = await _gaps(services, law, call, client, own, question=question)
    entry = draft(call, client, event, Outcome.PERMITTED, detail={"count": len(gaps)})
    return Recorded(gaps, await services.store.append(entry))


async def _gaps(  # noqa: PLR0913  whose gaps, and by which law
    services: Services, law: Law, call: Call, client: Client, own: list[Agreement], *, question: GapQuestion
) -> tuple[Gap, ...]:
    files = services.law.known_to(client.member)
    # INVARIANT: by the texts that name it: who has left knows of nobody who acceded since.
    texts = (each.texts[max(each.editions_of(client.member), default=each.edition) - 1] for each in own)
    parties = {party for terms in texts for party in terms.parties}
    others = parties - {client.member} if question.member is None else {question.member}
    topics = sorted(files.vocabulary.topics) if question.topic is None else [question.topic]
    matters = [Matter(topic, question.kind, question.region) for topic in topics]
    wanted = question.level or files.catalogue.base.levels[-1].name
    clauses = _clauses(own, call)
    found: list[Gap] = []
    async with deciding(services, client) as pause:
        for contributor, reader in (way for other in sorted(others) for way in _ways(client.member, other)):
            # INVARIANT: a member's own caveats count for its own people, and are nothing that others are told of.
            asked = law if contributor == client.member else files
            for gap in find_gaps(clauses, contributor, reader, matters, wanted=wanted, law=asked):
                if gap is None:
                    await pause.now()
                else:
                    found.append(gap)
    return tuple(found)


def _ways(member: str, other: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (member, other), (other, member)


def _clauses(agreements: list[Agreement], call: Call) -> list[Clause]:
    # As reports posted now would stand: under the newest text.
    found = (
        (scope_facts(each, scope.name, call.now, each.edition), scope)
        for each in agreements
        for scope in each.terms.scopes
    )
    # What is not in force opens nothing, and there may be much of it: anybody proposes.
    return [
        Clause(facts, frozenset(scope.contributors)) for facts, scope in found if facts is not None and facts.in_force
    ]


def _require_known(law: Law, question: GapQuestion) -> None:
    words = law.vocabulary
    levels = {level.name for level in law.catalogue.base.levels}
    checks = (
        ("topic", question.topic, words.topics),
        ("kind", question.kind, words.kinds),
        ("region", question.region, words.regions),
        ("level", question.level, levels),
    )
    faults = [
        Fault(f"/{name}", f"unknown-{name}", f"no such {name}: see GET /v1/vocabulary")
        for name, value, known in checks
        if value is not None and value not in known
    ]
    if faults:
        raise InvalidError("the query has faults", tuple(faults))
    if question.member is not None:
        check_member_code(question.member, pointer="/member")
