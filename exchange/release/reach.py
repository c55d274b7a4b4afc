"""How far a clause reaches: up to which level one member could post to another under it, and where nothing does.

Asked of the real rules and guards, for a reader that lacks nothing: cleared for everything, of its own nationality.
What such a reader is refused, every client of that member is; so an answer speaks of the agreement, never of clients.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from exchange.agreements import covers
from exchange.markings import Label
from exchange.release.cache import CURRENT_ROW
from exchange.release.decide import decide
from exchange.release.decision import Permit
from exchange.release.facts import ClassFacts, ReaderFacts, ScopeFacts, Use, cleared_reader
from exchange.release.law import Law


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
    kinds = scope.kinds if matter.kind is None else {matter.kind}
    regions = scope.regions if matter.region is None else {matter.region}
    faultless = _faultless(reader, scope, law)
    for level in reversed(law.catalogue.base.levels):
        label = Label(law.catalogue.base.id, level.name, releasable_to=tuple(sorted({contributor, reader})))
        for kind in sorted(kinds):
            facts = _facts(scope, contributor, Matter(matter.topic, kind, min(regions)), label)
            if isinstance(decide(faultless, facts, scope, CURRENT_ROW, Use.READ, law), Permit):
                return level.name
    return None


def find_gaps(  # noqa: PLR0913  whom, what, up to where, and by which law
    clauses: Iterable[Clause], contributor: str, reader: str, matters: Iterable[Matter], *, wanted: str, law: Law
) -> Iterator[Gap]:
    """Yield where the clauses do not let `contributor` post to `reader` up to the level `wanted`, by topic.

    A topic that reaches as far as the one above it is not named again. UnknownMarkingError for an unknown level.
    """
    between = [clause for clause in clauses if contributor in clause.contributors]
    ranks = {level.name: law.catalogue.clearance_rank(level.name) for level in law.catalogue.base.levels}
    least = law.catalogue.clearance_rank(wanted)
    reached: dict[str, str | None] = {}
    for matter in matters:
        best = _furthest(between, contributor, reader, matter, ranks=ranks, law=law)
        highest = None if best is None else best[0]
        above = matter.topic.rpartition(".")[0]
        reached[matter.topic] = highest
        if (highest is not None and ranks[highest] >= least) or (above in reached and reached[above] == highest):
            continue
        scope = None if best is None else best[1].scope
        place = (None, None) if scope is None else (scope.agreement, scope.scope)
        yield Gap(contributor, reader, matter.topic, highest, *place)


def _furthest(  # noqa: PLR0913  whom, what, and by which law
    clauses: Iterable[Clause],
    contributor: str,
    reader: str,
    matter: Matter,
    *,
    ranks: Mapping[str, int],
    law: Law,
) -> tuple[str, Clause] | None:
    found = ((highest_level(clause, contributor, reader, matter, law), clause) for clause in clauses)
    reaching = [(level, clause) for level, clause in found if level is not None]
    return max(reaching, key=lambda each: ranks[each[0]], default=None)


def _faultless(member: str, scope: ScopeFacts, law: Law) -> ReaderFacts:
    return cleared_reader(
        member,
        level=law.catalogue.base.levels[-1].name,
        compartments=scope.compartments,
        purpose=min(scope.purposes),
    )


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
