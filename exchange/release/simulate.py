"""Who could read a report with these attributes, without posting it: counts by agency, never single clients.

Readers are decided for one by one, so that whoever asks can let others in between: a report has up to a hundred labels.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from exchange.members import Role
from exchange.release.crises import applicable_crises
from exchange.release.decide import in_order, judged_labels
from exchange.release.decision import Decision, Permit, Reason, Refusal, View
from exchange.release.facts import ClassFacts, ReaderFacts, ScopeFacts


@dataclass(frozen=True, slots=True)
class AgencyOutlook:
    """How many clients of an agency could read it: whole (`full`), or some of its parts only (`tear_line`)."""

    agency: str
    full: int
    tear_line: int


@dataclass(frozen=True, slots=True)
class MemberOutlook:
    """A member's agencies that could read it. `reasons` say why none could, and are empty where one can."""

    member: str
    agencies: tuple[AgencyOutlook, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Simulation:
    """The outlook of every member concerned, sorted by code."""

    members: tuple[MemberOutlook, ...]


def readers_asked(cls: ClassFacts, scope: ScopeFacts | None, readers: Iterable[ReaderFacts]) -> tuple[ReaderFacts, ...]:
    """Return which of `readers` are to be decided for: a client without the role says nothing about its member."""
    parties = _parties(cls, scope)
    return tuple(each for each in readers if each.member in parties and Role.READER in each.roles)


def simulation_of(
    cls: ClassFacts, scope: ScopeFacts | None, decided: Iterable[tuple[ReaderFacts, Decision]]
) -> Simulation:
    """Return who could read a current report of class `cls`: what the decisions for `readers_asked` come to.

    Concerned are the originator, the readers of the scope, those that an open crisis adds, and the members the labels
    name: who else has clients here is not the poster's to know. A member without any reading client is refused for
    `role-missing`; one that only a label names for `not-a-party`, whatever its clients are: those are not the poster's
    to know either.
    """
    decisions: defaultdict[str, list[tuple[str, Decision]]] = defaultdict(list)
    parties = _parties(cls, scope)
    for reader, decision in decided:
        decisions[reader.member].append((reader.agency.removeprefix(f"{reader.member}/"), decision))
    outsiders = tuple(MemberOutlook(member, (), (Reason.NOT_A_PARTY,)) for member in _concerned(cls) - parties)
    insiders = tuple(_outlook(member, decisions[member]) for member in parties)
    return Simulation(tuple(sorted((*outsiders, *insiders), key=lambda outlook: outlook.member)))


def _parties(cls: ClassFacts, scope: ScopeFacts | None) -> frozenset[str]:
    return _concerned(cls) if scope is None else scope.readers.union({cls.originator}, _in_crisis(cls, scope))


def _concerned(cls: ClassFacts) -> frozenset[str]:
    named = {member for label in judged_labels(cls) for member in label.releasable_to}
    return frozenset({cls.originator, *named})


def _in_crisis(cls: ClassFacts, scope: ScopeFacts) -> frozenset[str]:
    return frozenset(member for crisis in applicable_crises(cls, scope) for member in crisis.readers)


def _outlook(member: str, decisions: list[tuple[str, Decision]]) -> MemberOutlook:
    full: Counter[str] = Counter()
    tear_line: Counter[str] = Counter()
    refused: list[frozenset[Reason]] = []
    for agency, decision in decisions:
        match decision:
            case Permit(view=View.FULL):
                full[agency] += 1
            case Permit():
                tear_line[agency] += 1
            case Refusal(reasons):
                refused.append(frozenset(reasons))
            case other:
                assert_never(other)
    agencies = tuple(AgencyOutlook(agency, full[agency], tear_line[agency]) for agency in sorted(full | tear_line))
    return MemberOutlook(member, agencies, () if agencies else _why_none(refused))


def _why_none(refused: list[frozenset[Reason]]) -> tuple[Reason, ...]:
    if not refused:
        return (Reason.ROLE_MISSING,)
    # What stops all of its clients is the member's reason; where they differ, all of their reasons are.
    common = frozenset.intersection(*refused)
    return in_order(common or frozenset.union(*refused))
