"""What an amendment would do to the reports that there are: for each member, how many it opens, closes and cuts.

Asked of the real rules and guards, of each class and never of each report, for readers that are nobody: of each member,
cleared for everything, and with whichever purpose of the clause gives most. Before is the agreement as it stands, after
is what its parties' signatures would make of it: who has suspended its part reads nothing under the new text either.
Counted are reports that the caller's own member may read or has originated and that the caller's clearance covers, and
no others.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, assert_never

from exchange.agreements import Agreement, Terms, as_if_concluded, next_change, text_of
from exchange.kernel import to_micros
from exchange.markings import Label
from exchange.members import Client
from exchange.release import (
    CURRENT_ROW,
    ClassFacts,
    Law,
    Permit,
    ReaderFacts,
    Reason,
    Refusal,
    ScopeFacts,
    Use,
    View,
    cleared_reader,
    decide,
)
from exchange.store import PolicyState, ReportRow
from exchange.usecases.steps.altered_classes import whole_classes
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.facts import is_cleared_for
from exchange.usecases.steps.in_between import Pause, deciding
from exchange.usecases.steps.judging import law_in_force
from exchange.usecases.steps.knowledge import scope_facts
from exchange.usecases.steps.log_words import LogWord
from exchange.usecases.steps.slices import Slices
from exchange.usecases.steps.tallies import Tally
from exchange.usecases.steps.uncounted import is_cleared_by_log, uncounted_reports

_OF_A_PURPOSE = frozenset({Reason.HANDLING_CAVEAT, Reason.NATIONAL_CAVEAT, Reason.RULE_FAILED})
"""What may be said against one purpose of a clause and not against another one."""

_WHAT: Final = "what a text would do to reports is"

Reach = frozenset[Label | View]
"""What somebody is given of reports of a class: the labels of their parts, and the whole header; empty for nothing."""


class _Moves:
    """Classes by what changes about them for one member, as a tally keeps them; one may stand there twice."""

    __slots__ = ("cut", "gained", "lost", "opened")

    def __init__(self, tally: Tally, member: str) -> None:
        self.gained, self.lost, self.cut, self.opened = (
            tally.of(member, kind).permitted for kind in ("gained", "lost", "cut", "opened")
        )

    def note(self, class_id: int, before: Reach, after: Reach) -> None:
        """Keep what a class is to the member before and after."""
        if bool(before) != bool(after):
            (self.lost if before else self.gained).append(class_id)
            return
        if before - after:
            self.cut.append(class_id)
        if after - before:
            self.opened.append(class_id)

    @property
    def all(self) -> Iterable[int]:
        """Return every class that moves."""
        return (*self.gained, *self.lost, *self.cut, *self.opened)

    def told(self, member: str, reports: Mapping[int, int]) -> Iterator[str]:
        """Yield it in words, given how many reports each class has."""
        gained, lost, cut, opened = (
            sum(reports[each] for each in frozenset(ids)) for ids in (self.gained, self.lost, self.cut, self.opened)
        )
        yield f"{gained} current reports become readable to {member}, {lost} are lost"
        if cut:
            yield f"of {cut} current reports {member} keeps some parts only"
        if opened:
            yield f"of {opened} current reports that {member} reads already it may read more"


async def impact_of(  # noqa: PLR0913  what is compared, for whom, and until when
    services: Services,
    call: Call,
    client: Client,
    agreement: Agreement,
    *,
    terms: Terms,
    state: PolicyState,
    until: float,
) -> tuple[str, ...]:
    """Return for each member how many current reports become readable and are lost, and of how many a part is.

    Called outside of any unit: it takes as long as there are classes, and opens one of its own. Raises
    NotCountedYetError where that is longer than `until`; asked again it goes on where it stopped.
    """
    classes = await whole_classes(services, state)
    own = {each.id: each.facts for each in classes.values() if each.facts.agreement == agreement.id}
    after = as_if_concluded(agreement, terms, call.now)
    law, known = await law_in_force(services, state), services.law.known_to(client.member)
    slices = Slices.of(services, call, client, state, about=f"text {text_of(after).digest}", until=until)
    for turn in (next_change(agreement, call.now), next_change(after, call.now)):
        slices.tally.end_by(turn, call.now)
    decided = slices.tally.of("everybody", "decided").decided
    seen = frozenset(decided)
    moves = {
        member: _Moves(slices.tally, member) for member in dict.fromkeys((*agreement.terms.parties, *terms.parties))
    }
    async with deciding(services, client) as pause:
        for class_id, facts in own.items():
            if class_id in seen:
                continue
            slices.require_time(_WHAT)
            # INVARIANT: nobody is told of reports that it may not know of.
            if await _may_know(law, call, client, agreement, facts, pause):
                for member, moved in moves.items():
                    # Nor of others' national caveats, as far as they concern third ones, wherever they are kept.
                    told = law if client.member in {facts.originator, member} else known
                    was, will = [await _reach(told, call, each, facts, member, pause) for each in (agreement, after)]
                    moved.note(class_id, was, will)
            slices.end_with_consents([facts], call.now)
            decided.append(class_id)
    moved_ids = sorted({each for one in moves.values() for each in one.all})
    async with services.store.unit_of_work() as unit:
        counts = Counter(await unit.amendments().current_reports(moved_ids))
    sentences = tuple(sentence for member, moved in moves.items() for sentence in moved.told(member, counts))
    return (*sentences, *await _lacking(services, call, client, agreement))


async def _lacking(services: Services, call: Call, client: Client, agreement: Agreement) -> tuple[str, ...]:
    """Return the sentence about reports that are not counted, for nothing tells what they are; none where all are."""

    async def is_counted(_: ReportRow, word: LogWord) -> bool:
        is_for = word.label is not None and client.member in {word.originator, *word.label.releasable_to}
        return word.agreement == agreement.id and is_for and is_cleared_by_log(services, call, client, word)

    lacking = await uncounted_reports(services, call, client, is_counted)
    return (f"of {lacking} reports what is stored cannot be read: they are not counted",) if lacking else ()


async def _may_know(  # noqa: PLR0913, PLR0917  who asks about what, by which law
    law: Law, call: Call, client: Client, agreement: Agreement, facts: ClassFacts, pause: Pause
) -> bool:
    """Return whether reports of a class are counted for this signatory: its member's affair, and within its clearance.

    A text may be proposed for the sake of its counts alone, so they hold nothing that its auditor would not be shown.
    """
    if not is_cleared_for(client, facts.label, law.catalogue, call.now):
        return False
    return facts.originator == client.member or bool(await _reach(law, call, agreement, facts, client.member, pause))


async def _reach(  # noqa: PLR0913, PLR0917  who reads what, by which law
    law: Law, call: Call, agreement: Agreement, facts: ClassFacts, member: str, pause: Pause
) -> Reach:
    """Return what readers of `member`, with every clearance and one purpose or another, have of a class at most."""
    scope = scope_facts(agreement, facts.scope, call.now, facts.edition)
    if scope is None:
        return frozenset()
    found: set[Label | View] = set()
    for purpose in sorted(scope.purposes):
        decision = decide(_reader(law, call, scope, member, purpose), facts, scope, CURRENT_ROW, Use.READ, law)
        await pause.after(facts)
        match decision:
            case Permit(labels, view):
                found |= labels
                found |= {view} & {View.FULL}
                if View.FULL in found and found.issuperset(facts.part_labels):
                    break
            case Refusal(reasons):
                # Most classes are decided once. Reasons are of all parts together: where one is of a purpose, some part
                # may have none against it but that.
                if not facts.consents and _OF_A_PURPOSE.isdisjoint(reasons):
                    break
            case other:
                assert_never(other)
    return frozenset(found)


def _reader(law: Law, call: Call, scope: ScopeFacts, member: str, purpose: str) -> ReaderFacts:
    moment = to_micros(call.now)
    return cleared_reader(member, law.catalogue, compartments=scope.compartments, purpose=purpose, at_micros=moment)
