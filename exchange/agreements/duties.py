"""What agreements oblige their parties to, and at which moments: rhythms of reports, times of acknowledgement.

Promises: who is not bound at a moment (the agreement is not in force, the party is suspended or gone) owes nothing
then; a text that leaves a duty as it was does not begin it anew.
Does not: know what was done; that is `compliance`.

Decided here. What several obligations ask of one party in one scope holds together, the shortest time of each kind. A
party that owes acknowledgements owes them of every precedence: those that no text names have the times of
`DEFAULT_ACKNOWLEDGE`. Only contributors of a scope owe reports in it, only its readers acknowledge, and to them alone
reports are owed, while they take part.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from exchange.agreements.durations import moved_by
from exchange.agreements.lifecycle import active_parties, in_force, next_change
from exchange.agreements.model import Agreement, Terms
from exchange.agreements.terms_reader import EVERY_PARTY
from exchange.kernel import EPOCH

DEFAULT_ACKNOWLEDGE: Final[Mapping[str, str]] = MappingProxyType(
    {"FLASH": "PT10M", "IMMEDIATE": "PT30M", "PRIORITY": "PT3H", "ROUTINE": "PT6H"}
)
"""How soon a report is acknowledged where the text names no time for its precedence."""


@dataclass(frozen=True, slots=True)
class Duty:
    """What one party owes in one scope: reports this often (None: no rhythm), and acknowledgements by precedence."""

    report_every: str | None = None
    acknowledge: tuple[tuple[str, str], ...] = ()

    def within(self, precedence: str) -> str | None:
        """Return how soon a report of this precedence is to be acknowledged; None where it need not be."""
        return dict(self.acknowledge).get(precedence)


NOTHING_OWED: Final = Duty()


@dataclass(frozen=True, slots=True)
class InForce:
    """One version of an agreement and when it was the current one; `until` is exclusive, None where it still is."""

    agreement: Agreement
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of time in which a party owed one and the same; `until` is exclusive, None where it still does."""

    since: datetime
    until: datetime | None
    duty: Duty

    def holds(self, moment: datetime) -> bool:
        """Return whether the duty held at `moment`."""
        return self.since <= moment and (self.until is None or moment < self.until)


def duty_of(terms: Terms, member: str, scope_name: str) -> Duty:
    """Return what `terms` oblige `member` to in a scope."""
    scope = terms.scope(scope_name)
    if scope is None or member not in terms.parties:
        return NOTHING_OWED
    meant = [each for each in terms.obligations if each.scope == scope_name and each.party in {EVERY_PARTY, member}]
    rhythms = [each.report_every for each in meant if each.report_every is not None]
    stated = [each.acknowledge for each in meant if each.acknowledge]
    return Duty(
        report_every=_shortest(rhythms) if rhythms and member in scope.contributors else None,
        acknowledge=_times(stated) if stated and member in scope.readers else (),
    )


def duty_spells(versions: Iterable[InForce], member: str, scope_name: str, now: datetime) -> tuple[Spell, ...]:
    """Return when `member` owed what in a scope, up to `now`; `versions` are those of one agreement, oldest first."""
    pieces = (
        Spell(since, until, duty_of(agreement.terms, member, scope_name))
        for agreement, since, until in _taking_part(versions, member, now)
    )
    return tuple(spell for spell in joined(pieces, lambda duty: duty) if spell.duty != NOTHING_OWED)


def reading_spells(versions: Iterable[InForce], member: str, scope_name: str, now: datetime) -> tuple[Spell, ...]:
    """Return when `member` took part as a reader of a scope, up to `now`; `versions` as `duty_spells`."""
    pieces = (
        Spell(since, until, NOTHING_OWED)
        for agreement, since, until in _taking_part(versions, member, now)
        if (scope := agreement.terms.scope(scope_name)) is not None and member in scope.readers
    )
    return tuple(joined(pieces, lambda duty: duty))


def owed_to(spells: Iterable[Spell], reading: Collection[Spell]) -> tuple[Spell, ...]:
    """Return when what `spells` say was owed to one reader: while it took part as that, as `reading_spells` has it.

    To who comes, or comes back, it begins anew: what was there before was not for it, or for nobody.
    """
    found = []
    for spell in spells:
        for part in reading:
            ends = [end for end in (spell.until, part.until) if end is not None]
            since, until = max(spell.since, part.since), min(ends, default=None)
            if until is None or since < until:
                found.append(Spell(since, until, spell.duty))
    return tuple(found)


def joined(spells: Iterable[Spell], alike: Callable[[Duty], object]) -> list[Spell]:
    """Return the stretches of `spells`, which are in order, that follow each other with duties `alike`, as one each."""
    found: list[Spell] = []
    for spell in spells:
        if found and found[-1].until == spell.since and alike(found[-1].duty) == alike(spell.duty):
            found[-1] = replace(found[-1], until=spell.until)
        else:
            found.append(spell)
    return found


def _taking_part(
    versions: Iterable[InForce], member: str, now: datetime
) -> Iterator[tuple[Agreement, datetime, datetime | None]]:
    """Yield the stretches in which `member` took part in an agreement in force, one for each time that it moved."""
    for version in versions:
        agreement, moment = version.agreement, version.since
        while moment <= now and (version.until is None or moment < version.until):
            # What will change by itself has not yet: a stretch that stands at `now` is open.
            turns = [version.until, next_change(agreement, moment)]
            until = min((turn for turn in turns if turn is not None and turn <= now), default=None)
            if in_force(agreement, moment) and member in active_parties(agreement, moment):
                yield agreement, moment, until
            if until is None:
                break
            moment = until


def _times(stated: Iterable[tuple[tuple[str, str], ...]]) -> tuple[tuple[str, str], ...]:
    by_precedence: dict[str, list[str]] = {}
    for times in stated:
        for precedence, within in times:
            by_precedence.setdefault(precedence, []).append(within)
    return tuple(
        (precedence, _shortest(by_precedence.get(precedence, [default])))
        for precedence, default in DEFAULT_ACKNOWLEDGE.items()
    )


def _shortest(durations: Iterable[str]) -> str:
    # From one moment: months have no length of their own. The text breaks a tie, so that no order of clauses matters.
    return min(durations, key=lambda duration: (moved_by(EPOCH, duration), duration))
