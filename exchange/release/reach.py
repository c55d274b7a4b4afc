"""How far a clause reaches: up to which level one member could post to another under it, and where nothing does.

Asked of the real rules and guards, for a reader that lacks nothing: cleared for everything, of its own nationality.
What such a reader is refused, every client of that member is; so an answer speaks of the agreement, never of clients.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import assert_never

from exchange.agreements import covers
from exchange.markings import Label
from exchange.release.cache import CURRENT_ROW
from exchange.release.decide import decide
from exchange.release.decision import Permit, Reason, Refusal
from exchange.release.facts import ClassFacts, ScopeFacts, Use, cleared_reader
from exchange.release.law import Law

_OF_A_GUARD = frozenset({Reason.NATIONAL_CAVEAT, Reason.RULE_FAILED})
"""What may be said against one purpose, kind or region of a clause and not against another one."""
_SPOKEN = re.compile(r'"(purpose|regions)"|"attr": ?"(kind)"')
"""In a guard's JSON, where every condition has a kind of its own."""
_MOST_USES = 48
"""Tried of those for one level, where guards speak of all three: 10 ms, and each word of the vocabulary by itself."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A scope as decisions read it, and who may post under it."""

    scope: ScopeFacts
    contributors: frozenset[str]


@dataclass(frozen=True, slots=True)
class Matter:
    """What reports would be about. `kind` and `region` None: any that the clause names."""

    topic: str
    kind: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """What no clause lets `contributor` post to `reader`: anything of `topic` above `highest` (None: at all).

    `agreement` and `scope` name the clause that reaches highest, where one does.
    """

    contributor: str
    reader: str
    topic: str
    highest: str | None
    agreement: str | None
    scope: str | None

    @property
    def sentence(self) -> str:
        """Return the gap in words."""
        end = "at all" if self.highest is None else f"above {self.highest}"
        return f"no scope lets {self.contributor} post `{self.topic}` reports to {self.reader} {end}"


def highest_level(clause: Clause, contributor: str, reader: str, matter: Matter, law: Law) -> str | None:
    """Return the highest level of the base policy that `contributor` could post to `reader` so; None for none."""
    scope = clause.scope
    may_post = contributor in clause.contributors and contributor in scope.active_parties
    if not may_post or not covers(scope.topics, matter.topic):
        return None
    uses = _uses(scope, contributor, matter, law)
    for level in reversed(law.catalogue.base.levels):
        label = Label(law.catalogue.base.id, level.name, releasable_to=tuple(sorted({contributor, reader})))
        if _is_reached(scope, contributor, reader, uses, label, law):
            return level.name
    return None


def find_gaps(  # noqa: PLR0913  whom, what, up to where, and by which law
    clauses: Iterable[Clause], contributor: str, reader: str, matters: Iterable[Matter], *, wanted: str, law: Law
) -> Iterator[Gap | None]:
    """Yield where the clauses do not let `contributor` post to `reader` up to the level `wanted`, by topic.

    And None behind each clause that was asked, for others to be let in: under some guards one takes 40 ms. A topic that
    reaches as far as the one above it is not named again. UnknownMarkingError for an unknown level.
    """
    between = [clause for clause in clauses if contributor in clause.contributors]
    ranks = {level.name: law.catalogue.clearance_rank(level.name) for level in law.catalogue.base.levels}
    least = law.catalogue.clearance_rank(wanted)
    reached: dict[str, str | None] = {}
    for matter in matters:
        best: tuple[str, Clause] | None = None
        for clause in between:
            level = highest_level(clause, contributor, reader, matter, law)
            if level is not None and (best is None or ranks[level] > ranks[best[0]]):
                best = level, clause
            yield None
        highest = None if best is None else best[0]
        above = matter.topic.rpartition(".")[0]
        reached[matter.topic] = highest
        if (highest is not None and ranks[highest] >= least) or (above in reached and reached[above] == highest):
            continue
        scope = None if best is None else best[1].scope
        place = (None, None) if scope is None else (scope.agreement, scope.scope)
        yield Gap(contributor, reader, matter.topic, highest, *place)


def _uses(scope: ScopeFacts, contributor: str, matter: Matter, law: Law) -> list[tuple[str, Matter]]:
    """Return what reports may be read for, and be: of what no guard asked speaks of, one word stands for all."""
    asked = [each.policy_json for each in law.guards.guards.values() if each.member in {None, contributor}]
    spoken = {word for text in asked for found in _SPOKEN.findall(text) for word in found}
    words = {
        "purpose": scope.purposes,
        "kind": scope.kinds if matter.kind is None else {matter.kind},
        "regions": scope.regions if matter.region is None else {matter.region},
    }
    tried = [sorted(each) if name in spoken else [min(each)] for name, each in words.items()]
    # What differs in one word alone comes first: where not all are tried, most guards speak of one.
    places = sorted(product(*(range(len(each)) for each in tried)), key=lambda place: sum(map(bool, place)))
    purposes, kinds, regions = tried
    return [
        (purposes[at], Matter(matter.topic, kinds[kind], regions[region])) for at, kind, region in places[:_MOST_USES]
    ]


def _is_reached(  # noqa: PLR0913, PLR0917  whom, what, and by which law
    scope: ScopeFacts, contributor: str, reader: str, uses: Iterable[tuple[str, Matter]], label: Label, law: Law
) -> bool:
    for purpose, matter in uses:
        faultless = cleared_reader(reader, law.catalogue, compartments=scope.compartments, purpose=purpose)
        facts = _facts(scope, contributor, matter, label)
        match decide(faultless, facts, scope, CURRENT_ROW, Use.READ, law):
            case Permit():
                return True
            # All of them lie inside the clause: what is said besides a guard's word is said of each.
            case Refusal(reasons) if not _OF_A_GUARD.issuperset(reasons):
                return False
            case Refusal():
                pass
            case other:
                assert_never(other)
    return False


def _facts(scope: ScopeFacts, contributor: str, matter: Matter, label: Label) -> ClassFacts:
    return ClassFacts(
        agreement=scope.agreement,
        scope=scope.scope,
        originator=contributor,
        topic=matter.topic,
        regions=(matter.region or "",),
        kind=matter.kind or "",
        label=label,
        part_labels=(label,),
    )
