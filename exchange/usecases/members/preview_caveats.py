"""What a member's caveats would change before they are in force; nothing of it is kept.

Told are the reports of the caller's own member that would be stopped, narrowed or opened, by member and class: those
that the caller is cleared for. It says nothing of any client: see `exchange.release.national_effects`.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

from exchange.agreements import next_change
from exchange.audit import Detail, EventName, Outcome
from exchange.kernel import to_micros
from exchange.markings import render_marking
from exchange.members import Client, Role
from exchange.release import (
    Change,
    ClassChange,
    ClassFacts,
    Law,
    NationalText,
    Spoken,
    check_national,
    national_changes,
)
from exchange.store import PolicyState, ReportRow
from exchange.usecases.steps.altered_classes import whole_classes
from exchange.usecases.steps.authenticate import authenticated_row
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.in_between import batches_of, deciding
from exchange.usecases.steps.judging import law_in_force
from exchange.usecases.steps.log_words import LogWord
from exchange.usecases.steps.originating import may_know
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.slices import MOST_SECONDS, Slices
from exchange.usecases.steps.tallies import Tally
from exchange.usecases.steps.uncounted import is_cleared_by_log, uncounted_reports
from exchange.usecases.steps.unread import known_agreements

_WHAT: Final = "what these caveats would change is"

_LABELS_AT_ONCE = 16
"""Twice, for one kind of readers of some ten: others are served in between."""


@dataclass(frozen=True, slots=True)
class ChangedRelease:
    """What would change for readers of `member` about so many current `reports` that are alike in the rest."""

    member: str
    change: Change
    reports: int
    agreement: str
    scope: str
    topic: str
    kind: str
    marking: str


@dataclass(frozen=True, slots=True)
class CaveatPreview:
    """The guards as read (id and reason), how many examples have shown them, and what would change."""

    guards: tuple[tuple[str, str], ...]
    examples: int
    changes: tuple[ChangedRelease, ...]


async def preview_caveats(services: Services, call: Call, text: NationalText) -> Recorded[CaveatPreview]:
    """Return what these guards in place of those in force would change (releaser).

    `unopened` is of how many reports it cannot say it. Raises InvalidError with every fault, as the proposal would, and
    NotCountedYetError where there is more to count than one request takes: asked again it goes on where it stopped.
    """
    event = EventName.CAVEATS_CHECKED
    client, row = await authenticated_row(services, call, Role.RELEASER, event=event)

    async def is_counted(_: ReportRow, word: LogWord) -> bool:
        return word.originator == client.member and is_cleared_by_log(services, call, client, word)

    async with on_record(services, draft(call, client, event, Outcome.REFUSED, owner=client.member)):
        before = await law_in_force(services, row.state)
        checked = await asyncio.to_thread(check_national, client.member, text, services.law)
        # Of others' caveats none: only the member's own reports are asked about.
        after = services.law.with_national([checked.national])
        digest = text.digest(client.member)
        changes = await _changes(services, call, client, row.state, before=before, after=after, digest=digest)
    told = tuple((guard.id, guard.reason) for guard in checked.national.guards)
    detail: Detail = {"guards": len(told), "changes": len(changes)}
    lacking = await uncounted_reports(services, call, client, is_counted)
    entry = draft(call, client, event, Outcome.PERMITTED, owner=client.member, detail=detail)
    receipt = await services.store.append(entry)
    return Recorded(CaveatPreview(told, checked.examples, changes), receipt, lacking)


async def _changes(  # noqa: PLR0913  what is compared, and for whom
    services: Services, call: Call, client: Client, state: PolicyState, *, before: Law, after: Law, digest: str
) -> tuple[ChangedRelease, ...]:
    knowledge = services.knowledge
    await known_agreements(services, state)
    classes = await whole_classes(services, state)
    # INVARIANT: a report above a releaser's clearance is absent for it, and counted nowhere.
    own = {
        each.id: each.facts
        for each in classes.values()
        if each.facts.originator == client.member and may_know(services, call, client, each)
    }
    async with services.store.unit_of_work() as unit:
        counts = await unit.amendments().current_reports(sorted(own))
    spoken = Spoken.of(
        guard for law in (before, after) for guard in law.guards.guards.values() if guard.member == client.member
    )
    slices = Slices.of(services, call, client, state, about=f"caveats {digest}", until=monotonic() + MOST_SECONDS)
    decided = slices.tally.of("everybody", "decided").decided
    seen = frozenset(decided)
    waiting = ((each, facts) for each, facts in own.items() if counts.get(each) and each not in seen)
    async with deciding(services, client) as pause:
        for batch in batches_of(waiting, _LABELS_AT_ONCE):
            slices.require_time(_WHAT)
            found: list[ClassChange] = []
            for changes in national_changes(
                batch,
                lambda each: knowledge.scope(each.agreement, each.scope, call.now, each.edition),
                before=before,
                after=after,
                spoken=spoken,
                at_micros=to_micros(call.now),
            ):
                found += changes
                await pause.now()
            for each in found:
                slices.tally.of(each.member, each.change.value).permitted.append(each.class_id)
            _end_with(services, slices, batch.values(), call)
            decided.extend(batch)
    return _lines(services, slices.tally, own, counts)


def _lines(
    services: Services, tally: Tally, own: Mapping[int, ClassFacts], counts: Mapping[int, int]
) -> tuple[ChangedRelease, ...]:
    """Return what was found to change, a line for all that is told alike, with how many reports that is."""
    # One that somebody else counted at the same moment stands twice.
    changed = {
        ClassChange(class_id, member, Change(change))
        for (member, change), progress in tally.progress.items()
        for class_id in progress.permitted
        if counts.get(class_id)
    }
    # Classes that differ in what is not told, as by parts or a crisis, are one line.
    lines = Counter[ChangedRelease]()
    for each in changed:
        lines[_told(services, own[each.class_id], each)] += counts[each.class_id]
    return tuple(sorted((replace(line, reports=reports) for line, reports in lines.items()), key=_order))


def _end_with(services: Services, slices: Slices, classes: Collection[ClassFacts], call: Call) -> None:
    """Hold what was counted no longer than time alone changes nothing of it."""
    slices.end_with_consents(classes, call.now)
    for agreement in filter(None, map(services.knowledge.agreement, {each.agreement for each in classes})):
        slices.tally.end_by(next_change(agreement, call.now), call.now)


def _told(services: Services, facts: ClassFacts, change: ClassChange) -> ChangedRelease:
    return ChangedRelease(
        member=change.member,
        change=change.change,
        reports=0,
        agreement=facts.agreement,
        scope=facts.scope,
        topic=facts.topic,
        kind=facts.kind,
        marking=render_marking(facts.label, services.law.catalogue, originator=facts.originator),
    )


def _order(each: ChangedRelease) -> tuple[str, ...]:
    return (each.member, each.change.value, each.agreement, each.scope, each.topic, each.kind, each.marking)
