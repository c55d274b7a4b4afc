"""Finds what parties of agreements promised and did not do: each breach once, by any number of processes.

A promise is owed by one party to another one, and so is its breach: to the originator whose report was not
acknowledged, to each reader of a scope to which no report came that one of its clients may read. Nobody else is told;
who is told is cleared for whatever the breach may be about.

One round, for each agreement: (1) what each party owed when; (2) reports whose time to be acknowledged has run out
since the last round, though one of the member's readers could have acknowledged them; (3) readers to whom a report is
overdue; (4) what is not on the record yet is put there, with what subscribers are to be told, in one transaction that
holds the agreement: numbers of breaches grow in the order of commits.

What was due is looked at as it stood then: a party that suspends its part, or leaves, and a text that comes after it,
take back nothing that had fallen due. So (2) and (3) are asked for each stretch of the agreement since the last round,
as of the last moment of that stretch.

What is found by rows is asked of the log before anybody is accused, or let off (`sure_breaches`), and so is whether it
was found before (`known_breaches`).
"""

from bisect import bisect_right
from collections.abc import Awaitable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from exchange.agreements import (
    Agreement,
    InForce,
    Scope,
    Spell,
    Timeliness,
    acknowledgement_owed,
    as_it_was,
    duty_spells,
    in_force,
    moved_by,
    next_change,
    owed_to,
    reading_spells,
    rhythm_of,
    timeliness,
)
from exchange.audit import EntryDraft, EventName, Outcome, Subject
from exchange.crypto import OpeningError
from exchange.kernel import EPOCH, ExchangeError, UnavailableError, new_id, rfc3339, to_micros
from exchange.markings import Label
from exchange.members import Role
from exchange.release import ClassFacts
from exchange.store import (
    BreachKind,
    BreachRow,
    Countable,
    CountedReport,
    PolicyState,
    StreamKind,
    UnitOfWork,
    Unread,
    UnreadRow,
)
from exchange.store.log.archived import LogDamagedError
from exchange.store.rows.subscription_rows import DeliveryRow
from exchange.usecases.members.subscriptions import waiting
from exchange.usecases.promises.counting import (
    Counting,
    acknowledged_by_member,
    could_read,
    posted_fact,
    readers_since,
    versions_of,
)
from exchange.usecases.promises.given_then import silent_from
from exchange.usecases.promises.known_breaches import KnownBreaches, tell_unfound
from exchange.usecases.promises.sure_breaches import is_silent, is_unacknowledged, told_acknowledgements, unposted
from exchange.usecases.promises.sure_standing import Standings
from exchange.usecases.promises.told_breaches import breach_detail
from exchange.usecases.steps.altered_classes import whole_classes
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.entry_labels import label_told
from exchange.usecases.steps.judging import own_state
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.troubles import Causes
from exchange.usecases.steps.unread import known_agreements, unread_draft

LOOK_BACK: Final = timedelta(days=7)
"""How long after a deadline it is still noticed: longer than the jobs of an exchange stand still."""

_OVERLAP: Final = timedelta(minutes=5)
"""Between rounds of one process: what was under way in the last one is seen by this one."""

_AT_ONCE: Final = 200

_PASSED = frozenset({Timeliness.OVERDUE, Timeliness.LATE})


@dataclass(frozen=True, slots=True)
class _Treaty:
    """A stretch of an agreement in force: from `begin` up to `end`, looked at as of `call.now`, its last moment.

    `spells` has what each member owed when in each scope, up to `found_at`, when it is looked at; `reading` when each
    took part as a reader.
    """

    agreement: Agreement
    begin: datetime
    end: datetime
    spells: Mapping[tuple[str, str], tuple[Spell, ...]]
    reading: Mapping[tuple[str, str], tuple[Spell, ...]]
    classes: Mapping[int, ClassFacts]
    state: PolicyState
    call: Call
    found_at: datetime

    def rhythms(self, member: str, scope: Scope, to: str) -> tuple[Spell, ...]:
        """Return when `member` owed what to a reader, up to `end`, where a rhythm may be overdue; else nothing.

        One that goes on behind `end` is looked at there.
        """
        # INVARIANT: nothing is owed to who is no reader, or takes no part: it may read nothing that came in time.
        spells = owed_to(self.spells.get((scope.name, member), ()), self.reading.get((scope.name, to), ()))
        place = bisect_right(spells, self.call.now, key=lambda spell: spell.since) - 1
        every = None if place < 0 else spells[place].duty.report_every
        if every is None or not spells[place].holds(self.call.now):
            return ()
        begin = place
        while begin and (spells[begin - 1].until, spells[begin - 1].duty.report_every) == (spells[begin].since, every):
            begin -= 1
        goes_on = any(spell.holds(self.end) and spell.duty.report_every == every for spell in spells[place : place + 2])
        # Nothing posted at all is the longest silence there can be.
        if (goes_on and self.end < self.found_at) or self.call.now <= moved_by(spells[begin].since, every):
            return ()
        return (*spells[:place], replace(spells[place], until=None))


@dataclass(frozen=True, slots=True)
class _Ended:
    """That a member's time to acknowledge a report ran out at `due`, acknowledged or not.

    `precedence` is the one that it had then; it may be less urgent since.
    """

    report: CountedReport
    member: str
    spells: tuple[Spell, ...]
    precedence: str
    due: datetime

    @property
    def former(self) -> str | None:
        """Return the precedence of then where it is another one now."""
        return None if self.precedence == self.report.precedence else self.precedence


@dataclass(frozen=True, slots=True)
class _Found:
    """A breach as rows have it. What was not done was owed, and could have been done, from `since` on.

    `former` is the precedence that a report had when it was due, where it has another one since. `doubt` is why it is
    not known whether it is one.
    """

    row: BreachRow
    since: datetime
    former: str | None = None
    doubt: OpeningError | None = None


class DutyWatch:
    """Looks for breaches in one database; what it remembers saves work, and nothing rests on it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known = KnownBreaches(services)
        self._looked: dict[str, tuple[datetime, int]] = {}
        self._posts: dict[int, datetime] = {}
        """By class, the last post that was looked for in the log."""
        self._unposted: set[str] = set()
        self._given: dict[tuple[str, str, str, str, datetime], datetime] = {}
        """Of each silence as rows have it, when it is one by what was given."""
        self._acknowledged: dict[str, dict[str, dict[str, datetime]]] = {}
        """By agreement that is looked at again, what the log told of reports; before accusing it is asked anew."""
        self._troubles = Causes()

    async def round(self) -> bool:
        """Put on the record what is not there yet; return whether there may be more of it."""
        services, now = self._services, self._services.clock()
        state = await own_state(services)
        has_more, fault, unread = False, None, Unread()
        await services.store.clients(unread)
        members = {member for row in unread.rows for member in row.members}
        for agreement in (await known_agreements(services, state)).values():
            if not any(terms.obligations for terms in agreement.texts):
                continue
            try:
                _require_known(agreement, members)
                if self._may_have_moved(agreement, now):
                    has_more |= await self._look(agreement, state, now)
            except UnavailableError:
                raise  # nothing can be looked at
            except (ExchangeError, ArithmeticError, ValueError) as exc:
                # A row of it was altered: that is no other agreement's.
                fault = UnavailableError(f"agreement {agreement.id} is not looked at: {type(exc).__name__}")
        if fault is not None:
            raise fault
        return has_more

    def _since(self, agreement: Agreement, now: datetime) -> datetime:
        # INVARIANT: what stays in doubt is looked at for no longer than anything is noticed.
        return max(now - LOOK_BACK, self._looked.get(agreement.id, (EPOCH, 0))[0])

    def _may_have_moved(self, agreement: Agreement, now: datetime) -> bool:
        """Return whether an agreement was in force at any moment since it was last looked at."""
        since, (_, version) = self._since(agreement, now), self._looked.get(agreement.id, (EPOCH, 0))
        if version != agreement.version or in_force(agreement, now) or in_force(agreement, since):
            return True
        turn = next_change(agreement, since)
        return turn is not None and turn <= now

    async def _look(self, agreement: Agreement, state: PolicyState, now: datetime) -> bool:
        """Do the round for one agreement; return whether there may be more of it."""
        since = self._since(agreement, now)
        versions = await versions_of(self._services, agreement.id)
        stretches = await self._stretches(agreement, state, (since, now), versions)
        begin, due = await self._due(stretches, since, now)
        due_of = {(each.report.id, each.member): each for each in due}
        found: dict[tuple[str, str, str], _Found] = {}
        unable: set[str] = set()
        standings = Standings(self._services, agreement.id, versions)
        for stretch in stretches:
            ended = [each for each in due if stretch.begin <= each.due < stretch.end]
            late = (
                (row, due_of[row.subject, row.party])
                for row in await self._unacknowledged(stretch, begin, ended, unable)
            )
            unacknowledged = [_Found(row, of.report.posted_at, of.former) for row, of in late]
            for each in (*unacknowledged, *await self._silences(stretch, standings)):
                found.setdefault((each.row.party, each.row.owed_to, each.row.subject), each)
        rows, doubt = await self._sure_of(found.values(), standings)
        await self._keep(agreement, rows[:_AT_ONCE])
        if len(rows) > _AT_ONCE:
            return True
        # INVARIANT: nobody is passed over for a row by which it could not read what was due.
        for member in sorted(unable):
            if not await standings.is_as_told(member):
                doubt = OpeningError("who could read is not what the log says")
        if doubt is not None:
            raise doubt
        self._looked[agreement.id] = (now - _OVERLAP, agreement.version)
        self._acknowledged.pop(agreement.id, None)
        return False

    async def _sure_of(
        self, found: Iterable[_Found], standings: Standings
    ) -> tuple[list[BreachRow], OpeningError | None]:
        """Return those that the log bears out, one more than are kept at once at most, and why another one is in doubt.

        What is in doubt keeps no other from being put on record.
        """
        rows: list[BreachRow] = []
        doubt = None
        for each in found:
            if len(rows) > _AT_ONCE:
                break
            try:
                if await self._is_sure(each, standings):
                    rows.append(each.row)
            except OpeningError as exc:
                doubt = exc
        return rows, doubt

    async def _is_sure(self, found: _Found, standings: Standings) -> bool:
        """Return whether the log says so too; of a silence that is asked where its rhythm is known."""
        row = found.row

        async def is_sure() -> bool:
            if found.doubt is not None:
                raise found.doubt
            if row.kind is BreachKind.ACKNOWLEDGEMENT and not await is_unacknowledged(
                self._services, row.subject, by=row.party, due=row.due_at, former=found.former
            ):
                return False
            await standings.require_as_told(row, found.since)
            return True

        return await self._unless_lacking(row, is_sure())

    async def _unless_lacking(self, row: BreachRow, is_sure: Awaitable[bool]) -> bool:
        """Return what the log says of one breach; False where it lacks that, which takes no other one away."""
        try:
            return await is_sure
        except LogDamagedError as exc:
            tell_unfound(self._troubles, row.agreement, exc)
            return False

    async def _stretches(
        self,
        agreement: Agreement,
        state: PolicyState,
        period: tuple[datetime, datetime],
        versions: Sequence[InForce],
    ) -> list[_Treaty]:
        # (1) what is owed
        services, (since, now) = self._services, period
        known = await whole_classes(services, state)
        classes = {each.id: each.facts for each in known.values() if each.facts.agreement == agreement.id}
        members = {str(member) for terms in agreement.texts for member in terms.parties}
        scopes = {scope.name for terms in agreement.texts for scope in terms.scopes}
        spells = {(scope, member): duty_spells(versions, member, scope, now) for scope in scopes for member in members}
        rhythmic = {scope for (scope, _), owed in spells.items() if any(each.duty.report_every for each in owed)}
        reading = {
            (scope, member): reading_spells(versions, member, scope, now) for scope in rhythmic for member in members
        }
        made = []
        for version, begin, end in _in_force(versions, since, now):
            moment = end if end == now else end - datetime.resolution
            call = Call(new_id(now, services.randomness), "local", None, moment, is_service=True)
            made.append(_Treaty(as_it_was(version, moment), begin, end, spells, reading, classes, state, call, now))
        return made

    async def _unacknowledged(
        self, treaty: _Treaty, begin: datetime, ended: list[_Ended], unable: set[str]
    ) -> list[BreachRow]:
        # (2) reports whose time has run out since the last round; into `unable` come those who could not read one
        services, now = self._services, treaty.found_at
        if not ended:
            return []
        ids = {class_id for each in ended for class_id in (each.report.class_id, each.report.posted_class_id)}
        wanted = {class_id: treaty.classes[class_id] for class_id in ids}
        members = {each.member for each in ended}
        counting = Counting(treaty.call, treaty.state, treaty.agreement)
        readers = await readers_since(services, counting, members, wanted)
        rows = await acknowledged_by_member(services, Countable(list(wanted), EPOCH, now), begin)
        said = {each.report.id for each in ended if each.member in rows.get(each.report.id, {})}
        known = self._acknowledged.setdefault(treaty.agreement.id, {})
        new = said - known.keys()
        told = await told_acknowledgements(services, new)
        known |= {report: told.get(report, {}) for report in new}
        found = []
        for each in ended:
            report, facts = each.report, treaty.classes[each.report.class_id]
            fact = posted_fact(report, facts, known.get(report.id, {}), could_read(readers, report))
            if each.member not in fact.owed_by:
                unable.add(each.member)
            # Who is bound no more at its end has not missed what was due with the last moment before.
            is_bound = any(spell.holds(treaty.end) for spell in each.spells)
            moment = treaty.end if is_bound else treaty.call.now
            if timeliness(fact, each.member, each.spells, moment) in _PASSED:
                found.append(
                    self._row(
                        treaty,
                        kind=BreachKind.ACKNOWLEDGEMENT,
                        between=(each.member, facts.originator),
                        scope=facts.scope,
                        subject=(report.id, each.due),
                        label=label_told(services.law.catalogue, facts, each.member),
                    )
                )
        return await self._known.new_of(found)

    async def _due(self, stretches: list[_Treaty], since: datetime, now: datetime) -> tuple[datetime, list[_Ended]]:
        """Return which times to acknowledge ran out from `since` on, and when the first such report can have come."""
        spells_of = stretches[-1].spells if stretches else {}
        times = [within for spells in spells_of.values() for spell in spells for _, within in spell.duty.acknowledge]
        if not times:
            return now, []
        classes = stretches[-1].classes
        begin = min(moved_by(since, within, back=True) for within in times)
        found = []
        for report in await self._services.store.duties.posted(Countable(list(classes), EPOCH, now), begin):
            facts = classes[report.class_id]
            if report.posted_class_id not in classes:
                continue  # altered: who could read it when it was posted cannot be said any more
            for (scope, member), spells in spells_of.items():
                if scope == facts.scope and member != facts.originator:
                    owed = acknowledgement_owed(spells, report.precedence, report.posted_at, report.was)
                    if owed is not None and since <= owed[1] < now:
                        found.append(_Ended(report, member, spells, *owed))
        return begin, found

    async def _silences(self, treaty: _Treaty, standings: Standings) -> list[_Found]:
        # (3) nothing came that one of a member's readers may read
        found = []
        terms = treaty.agreement.terms
        for scope in terms.scopes:
            for member in scope.contributors:
                rhythms = {str(to): treaty.rhythms(member, scope, to) for to in scope.readers if to != member}
                if owed := {to: spells for to, spells in rhythms.items() if spells}:
                    found += await self._silences_of(treaty, standings, member, scope, owed)
        return found

    async def _silences_of(
        self, treaty: _Treaty, standings: Standings, member: str, scope: Scope, owed: Mapping[str, tuple[Spell, ...]]
    ) -> list[_Found]:
        """Return to whom of `owed`, readers with what is owed to each, nothing came in time."""
        services, now = self._services, treaty.call.now
        classes = {
            class_id: facts
            for class_id, facts in treaty.classes.items()
            if (facts.scope, facts.originator) == (scope.name, member)
        }
        others = await self._with_readers(set(owed), now)
        counting = Counting(treaty.call, treaty.state, treaty.agreement)
        readers = await readers_since(services, counting, others, classes)
        last = await services.store.duties.last_before(Countable(list(classes), EPOCH, now), now + _OVERLAP)
        since, found = {}, []
        in_time: set[datetime] = set()
        for other in sorted(others):
            posts = sorted(last[class_id] for class_id in readers[other] if class_id in last)
            rhythm = rhythm_of(owed[other], posts, now, now)
            if rhythm is None or rhythm.every is None or rhythm.due is None or not rhythm.is_overdue:
                in_time.update(posts[-1:])
                continue
            due, since[other] = rhythm.due, moved_by(rhythm.due, rhythm.every, back=True)
            found.append(
                self._row(
                    treaty,
                    kind=BreachKind.REPORT,
                    between=(member, other),
                    scope=scope.name,
                    subject=(rfc3339(due), due),
                    label=_label_of(treaty.agreement, scope, {member, other}),
                )
            )
        await self._tell_unposted({class_id: at for class_id, at in last.items() if at in in_time})
        silent = []
        for row in await self._known.new_of(found):
            asked = since[row.owed_to]
            every = owed[row.owed_to][-1].duty.report_every
            try:
                late = await self._not_given(treaty, counting, standings, row, asked, every)
            except OpeningError as exc:
                silent.append(_Found(row, asked, doubt=exc))
                continue
            if late is not None and await self._unless_lacking(
                late, is_silent(services, treaty.agreement.id, member, since=asked)
            ):
                silent.append(_Found(late, asked))
        return silent

    async def _not_given(  # noqa: PLR0913, PLR0917  which silence, and by what it is asked
        self,
        treaty: _Treaty,
        counting: Counting,
        standings: Standings,
        row: BreachRow,
        since: datetime,
        every: str | None,
    ) -> BreachRow | None:
        """Return a silence as of when the next report was due behind the last that was given then; None before that."""
        services = self._services
        place = (row.agreement, row.scope, row.party, row.owed_to, row.due_at)
        due = self._given.get(place, row.due_at)
        if treaty.call.now > due:
            try:
                given = await silent_from(services, counting, standings, row, treaty.classes, since)
            except UnavailableError as exc:
                # A silence is found again as long as it lasts.
                tell_unfound(self._troubles, row.agreement, exc)
                return None
            due = row.due_at if every is None else max(due, moved_by(given, every))
            self._given[place] = due
        return replace(row, subject=rfc3339(due), due_at=due) if treaty.call.now > due else None

    async def _tell_unposted(self, last: Mapping[int, datetime]) -> None:
        """Put on record which of the last posts no entry tells of: they hide a silence until a person has looked."""
        new = {class_id: at for class_id, at in last.items() if self._posts.get(class_id) != at}
        if not new:
            return
        # What cannot be said now is asked again in the next round.
        with suppress(UnavailableError):
            found = await unposted(self._services, await self._services.store.duties.posted_then(new))
            if untold := found - self._unposted:
                rows = [UnreadRow(f"report {each}") for each in untold]
                await self._services.store.append(unread_draft(self._services, rows))
            self._unposted |= untold
            self._posts |= new

    async def _with_readers(self, members: set[str], now: datetime) -> set[str]:
        clients = await self._services.store.clients(Unread())
        readers = [each for each in clients if Role.READER in each.roles and each.is_active]
        # Who lets all clearances end may read nothing, whoever posts it.
        return members & {each.member for each in readers if each.clearance.is_current(now)}

    async def _keep(self, agreement: Agreement, rows: Iterable[BreachRow]) -> None:
        # (4) on the record, once
        new = list(rows)
        if not new:
            return
        async with self._services.store.unit_of_work() as unit:
            await unit.agreements().one(agreement.id, for_update=True)
            # Asked again now that nobody else adds any.
            for row in await self._known.new_of(new):
                await unit.breaches().add(row)
                await unit.record(self._entry(row))
                await unit.streams().add(StreamKind.BREACH, row.id, {row.party, row.owed_to}, row.found_at)
                await self._tell(unit, row)

    async def _tell(self, unit: UnitOfWork, row: BreachRow) -> None:
        for subscription in await unit.subscriptions().of_members({row.party, row.owed_to}):
            message_id = new_id(row.found_at, self._services.randomness)
            told: DeliveryRow = waiting(message_id, subscription, None, to_micros(row.found_at), breach=row.id)
            await unit.subscriptions().queue(told)

    def _row(  # noqa: PLR0913  what a breach is
        self,
        treaty: _Treaty,
        *,
        kind: BreachKind,
        between: tuple[str, str],
        scope: str,
        subject: tuple[str, datetime],
        label: Label,
    ) -> BreachRow:
        """Return a breach by the first of `between` of what it owed the second; `subject` with when it was due."""
        now = treaty.found_at
        return BreachRow(
            id=new_id(now, self._services.randomness),
            agreement=treaty.agreement.id,
            kind=kind,
            party=between[0],
            owed_to=between[1],
            scope=scope,
            subject=subject[0],
            label=label.as_json(),
            due_at=subject[1],
            found_at=now,
        )

    def _entry(self, row: BreachRow) -> EntryDraft:
        made = service_draft(
            self._services, EventName.DUTY_BREACHED, Outcome.FAILED, subject=Subject("agreement", row.agreement)
        )
        return replace(made, label=row.label, agreement=row.agreement, scope=row.scope, detail=breach_detail(row))


def _require_known(agreement: Agreement, members: Collection[str]) -> None:
    """Raise OpeningError where a party's client cannot be read: whether that one could, or did, is not known.

    INVARIANT: nobody is found to have broken a promise by what is lacking.
    """
    if any(member in members for terms in agreement.texts for member in terms.parties):
        raise OpeningError("a client of a party cannot be read")


def _in_force(
    versions: Iterable[InForce], since: datetime, now: datetime
) -> Iterator[tuple[Agreement, datetime, datetime]]:
    """Yield the stretches from `since` to `now` in which an agreement was in force, one for each time that it moved.

    What ends by itself, on its last day or when a notice has passed, ends between two rounds, as what a party does.
    """
    for version in versions:
        moment = max(version.since, since)
        until = now if version.until is None else min(version.until, now)
        while moment < until:
            turn = next_change(version.agreement, moment)
            end = until if turn is None else min(turn, until)
            if in_force(version.agreement, moment):
                yield version.agreement, moment, end
            moment = end


def _label_of(agreement: Agreement, scope: Scope, members: set[str]) -> Label:
    """Return the label of a silence: whoever is cleared for all that the scope may hold may know that nothing came."""
    compartments = tuple(sorted(set(scope.compartments)))
    return Label(agreement.terms.policy, scope.ceiling, compartments, releasable_to=tuple(sorted(members)))
