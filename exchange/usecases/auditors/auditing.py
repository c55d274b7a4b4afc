"""Auditors: who they are, whose slice they see, and how a search is carried through it.

Every entry that comes from the store passes `views_of` and `matches` before anything of it is known: the store only
proposes.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from exchange.agreements import Agreement, Crisis, Terms
from exchange.audit import (
    Auditor,
    Criteria,
    Entry,
    EntryView,
    EventName,
    Receipt,
    Subject,
    hash_leaf,
    matches,
    parse_entry,
    reports_named,
    view_of,
    without_hidden,
)
from exchange.audit.slice import Label as EntryLabel
from exchange.crypto import OpeningError
from exchange.kernel import EPOCH, MalformedError, is_uuid7
from exchange.markings import Label
from exchange.members import EXCHANGE_MEMBER, Clearance, Client, Role
from exchange.release import covers_label, levels_covered
from exchange.store import Hit, Place, PolicyState, Sought
from exchange.store.rows.log_rows import FoundBy
from exchange.usecases.auditors.personal import Revealed, reveal_personal
from exchange.usecases.steps.altered_classes import class_of
from exchange.usecases.steps.authenticate import admit, required_thumbprint
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.entry_labels import label_of, label_told
from exchange.usecases.steps.judging import require_same_law
from exchange.usecases.steps.unread import known_agreements
from exchange.usecases.steps.whole_entries import whole_entry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """An entry as one auditor sees it, and the receipt that proves it: also where the view is narrower than the bytes.

    `leaf` is over the whole bytes. `personal` is what the auditor may read of who it was and from where.
    """

    view: EntryView
    receipt: Receipt
    personal: Revealed = None


@dataclass(frozen=True, slots=True)
class Gaze:
    """An auditor's client with all that decides what it sees, as of one call."""

    client: Client
    state: PolicyState
    auditor: Auditor
    treaties: tuple[str, ...]
    levels: frozenset[str] | None
    is_cleared_for_all: bool

    def may_see(self, found_by: FoundBy) -> bool:
        """Return whether what an entry is found by lets it be in this auditor's slice; `views_of` has the last word."""
        member = self.auditor.member
        is_covered = self.levels is None or found_by.level is None or found_by.level in self.levels
        is_about_own = member in {None, found_by.owner} or found_by.subject_id in self.treaties
        # What an own client was refused is shown whatever its level.
        return member == found_by.member is not None or (is_covered and is_about_own)


async def admit_auditor(services: Services, call: Call, *, event: EventName, subject: Subject | None = None) -> Gaze:
    """Return the calling auditor; else record why not and raise as `authenticate` does."""
    row = await services.store.caller(required_thumbprint(call))
    client = await admit(services, call, row.client, Role.AUDITOR, event=event, subject=subject)
    require_same_law(services, row.state)
    member = None if client.member == EXCHANGE_MEMBER else client.member
    treaties: tuple[str, ...] = ()
    agreements = await known_agreements(services, row.state)
    if member is not None:
        # Parties stay parties of record when they leave, by notice or with a text: what concerned them then still does.
        treaties = tuple(each.id for each in agreements.values() if each.editions_of(member))
    clearance = client.clearance if client.clearance.is_current(call.now) else None
    auditor = Auditor(member, _covers(services, clearance))
    is_for_all = await _is_cleared_for_all(services, auditor, row.state, agreements.values())
    return Gaze(client, row.state, auditor, treaties, _levels(services, clearance), is_for_all)


async def views_of(services: Services, gaze: Gaze, entries: Sequence[Entry]) -> list[EntryView | None]:
    """Return what an auditor may see of entries, in order; None for each that does not exist for it."""
    views = [view_of(entry, gaze.auditor) for entry in entries]
    if gaze.is_cleared_for_all:
        return views
    hidden = await _hidden(services, gaze, {each for view in views if view is not None for each in reports_named(view)})
    return [
        None if view is None else without_hidden(entry, view, hidden)
        for entry, view in zip(entries, views, strict=True)
    ]


async def within_slice(
    services: Services, gaze: Gaze, criteria: Criteria, *, place: Place | None = None, newest_first: bool
) -> Sought:
    """Return `criteria` within this auditor's slice, as the store looks for it."""
    member = gaze.auditor.member
    own = frozenset[str]() if member is None else await _own_of(services, gaze, criteria, member)
    narrowed, under = criteria, None
    if criteria.crisis is not None:
        narrowed, under = await _during(services, gaze, criteria)
    return Sought(
        narrowed,
        member,
        gaze.treaties,
        gaze.levels,
        own,
        under=under,
        place=place,
        newest_first=newest_first,
        asker=gaze.client.id,
    )


async def found_entries(
    services: Services, gaze: Gaze, sought: Sought, *, most: int, is_meant: Callable[[EntryView], bool] | None = None
) -> list[tuple[Hit, FoundEntry]]:
    """Return the first `most` entries that `gaze` sees and `sought` means, in order.

    One that is damaged keeps nobody from the others: it is passed over, and `exchange audit verify` tells which it is.
    """
    found: list[tuple[Hit, FoundEntry]] = []
    async for hits in services.store.found_entries(sought, at_a_time=most):
        whole = [(hit, entry) for hit in hits if (entry := whole_entry(hit.content)) is not None]
        views = await views_of(services, gaze, [entry for _, entry in whole])
        for (hit, _), view in zip(whole, views, strict=True):
            if view is None or not matches(view, sought.criteria) or (is_meant is not None and not is_meant(view)):
                continue
            found.append((hit, shown_as(view, hit.id, hit.content)))
            if len(found) == most:
                return found
    return found


def shown_as(view: EntryView, entry_id: str, content: bytes) -> FoundEntry:
    """Return a view with the receipt of the bytes it is of."""
    return FoundEntry(view, Receipt.of(entry_id, hash_leaf(content)))


async def with_personal(
    services: Services, gaze: Gaze, found: Sequence[tuple[bytes, FoundEntry]]
) -> tuple[FoundEntry, ...]:
    """Return the entries, given with their bytes, with the personal data that `gaze` may read in them."""
    revealed = await reveal_personal(services, [parse_entry(content) for content, _ in found], gaze.client)
    return tuple(replace(entry, personal=each) for (_, entry), each in zip(found, revealed, strict=True))


async def _own_of(services: Services, gaze: Gaze, criteria: Criteria, member: str) -> frozenset[str]:
    """Return those ids in the filters that belong to `member`; asked alike of ids that are nobody's."""
    own = {member, *gaze.treaties}
    if criteria.subject is not None and await services.store.first_owner(criteria.subject) == member:
        # A request, a consent, what is under way: it has no row among clients and reports.
        own.add(criteria.subject)
    for asked in {criteria.client, criteria.subject} - {None}:
        # INVARIANT: a row that was altered so that it cannot be read hides from nobody what the log tells of it.
        own |= {str(asked)} if member in await services.store.history.owners_of(str(asked)) else set()
    return frozenset(own)


def _concerned(agreement: Agreement, crisis: Crisis, member: str) -> bool:
    return crisis.edition in agreement.editions_of(member) and not agreement.was_away(member, crisis.opened_at)


async def _during(services: Services, gaze: Gaze, criteria: Criteria) -> tuple[Criteria, str | None]:
    """Return `criteria` within the time that the crisis asked for could be open, and its agreement.

    A crisis that nobody opened and one of others' agreement are alike: nothing is walked.
    """
    agreements = await known_agreements(services, gaze.state)
    member = gaze.auditor.member
    found = [
        (each.id, crisis)
        for each in agreements.values()
        for crisis in each.crises
        if crisis.id == criteria.crisis and (member is None or _concerned(each, crisis, member))
    ]
    if not found:
        return replace(criteria, until=EPOCH), None
    ((agreement, crisis),) = found
    # Not its end before the time: a node whose clock is ahead may have read a moment after it.
    since = max(criteria.since or crisis.opened_at, crisis.opened_at)
    until = min(criteria.until or crisis.until, crisis.until)
    return replace(criteria, since=since, until=until), agreement


async def _hidden(services: Services, gaze: Gaze, reports: Collection[str]) -> frozenset[str]:
    """Return those of `reports` that the auditor's clearance does not cover as they are labelled now.

    INVARIANT: so are those of which no label is known: of one that was begun and never completed nothing else is kept.
    """
    # What an altered entry names may be no id: no database is asked for that.
    ids = sorted(filter(is_uuid7, reports))
    classes = await services.store.history.classes_of(ids)
    covered = {each: await _is_covered(services, gaze, each) for each in set(classes.values())}
    return frozenset(reports) - {report for report, class_id in classes.items() if covered[class_id]}


async def _is_covered(services: Services, gaze: Gaze, class_id: int) -> bool:
    try:
        kept = await class_of(services, class_id)
    except OpeningError:
        return False  # altered: whoever asks for such a report records it
    return gaze.auditor.covers(label_told(services.law.catalogue, kept.facts, gaze.auditor.member).as_json())


async def _is_cleared_for_all(
    services: Services, auditor: Auditor, state: PolicyState, agreements: Collection[Agreement]
) -> bool:
    """Return whether a clearance covers every report of which an auditor's member may know and all that may come.

    INVARIANT: what others promised each other, and what they share, alters no view: it would tell that it is there.
    """
    last: dict[str, int] = {each.id: _last_text(each, auditor.member) for each in agreements}
    try:
        protections = await services.knowledge.protections(services.store, state)
    except OpeningError:
        return False  # altered: whoever lists reports next records it
    if services.knowledge.unread:
        return False  # what its agreement lets be asked for cannot be said
    labels = {label for each in agreements for terms in each.texts[: last[each.id]] for label in _highest(terms)}
    for whose, edition, label in protections:
        if auditor.member in {None, whose} or edition <= last.get(whose, -1):
            labels.add(label)
    return all(auditor.covers(label.as_json()) for label in labels)


def _last_text(agreement: Agreement, member: str | None) -> int:
    """Return the number of the last text that names `member`, 0 where none does; of all texts, to the exchange."""
    return len(agreement.texts) if member is None else max(agreement.editions_of(member), default=0)


def _highest(terms: Terms) -> Iterator[Label]:
    """Yield what nothing is above that may be posted or asked for under a text, in a crisis too."""
    for scope in terms.scopes:
        ceilings = (scope.ceiling, *(each.ceiling for each in terms.crisis if each.scope == scope.name))
        for ceiling in filter(None, ceilings):
            yield Label(terms.policy, ceiling, tuple(sorted(scope.compartments)))


def _covers(services: Services, clearance: Clearance | None) -> Callable[[EntryLabel], bool]:
    def covers(fields: EntryLabel) -> bool:
        if clearance is None:
            return False
        try:
            return covers_label(clearance, label_of(fields), services.law.catalogue)
        except MalformedError:
            return False

    return covers


def _levels(services: Services, clearance: Clearance | None) -> frozenset[str] | None:
    """Return the level names that may be covered, None where all are."""
    catalogue = services.law.catalogue
    covered = frozenset[str]() if clearance is None else levels_covered(clearance, catalogue)
    return None if covered == {name for _, name in catalogue.protection} else covered
