"""What one process remembers between calls: agreements, release classes, who may read which class.

Nothing here is trusted by age. Each piece carries the policy version, class version or moment up to
which it is true, and the row that a request reads anyway says which version holds now.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeVar

from exchange.agreements import Agreement, active_parties, away_since, clause_of, in_force, next_change, open_crises
from exchange.audit import Entry
from exchange.crypto import OpeningError
from exchange.kernel import MalformedError, from_micros
from exchange.markings import Label
from exchange.members import Client, Member, is_member_code
from exchange.release import ClassFacts, CrisisFacts, DecisionCache, Permit, PostedUnder, ScopeFacts, class_digest
from exchange.store import CallerRow, ClassRow, PolicyState, ReportRow, Store, Unread, UnreadRow
from exchange.usecases.steps.national_law import NationalLaw
from exchange.usecases.steps.tallies import Tallies

K = TypeVar("K")
V = TypeVar("V")

_READERS_KEPT = 512
"""Readable sets in memory; with 5,000 classes one takes about 1 MB, most take a few KB."""

ReaderKey = tuple[str, int, str, str]
"""Client id, client version, purpose, assurance."""


@dataclass(frozen=True, slots=True)
class Readable:
    """The classes one reader may read, true for these versions, from `since` and before `not_after` (None = for ever).

    Not before: a clock that was ahead may have been set right, and what had begun by then, or ended, has not.
    Of the classes in `whole` the reader sees the full header and every part; those in `crises` it reads, or reads more
    of, only because of these crises.
    """

    policy_version: int
    class_version: int
    since: datetime
    not_after: datetime | None
    permits: dict[int, Permit]
    whole: frozenset[int]
    crises: dict[int, tuple[str, ...]]
    unknown: frozenset[int] = frozenset()
    """Classes of which nothing is known: who may read their reports, the log alone can tell."""
    unread: frozenset[UnreadRow] = frozenset()
    """Agreements that could not be read when this was computed."""

    @property
    def is_partial(self) -> bool:
        """Return whether something could not be known: it is looked at again, for it may have been mended."""
        return bool(self.unknown or self.unread)

    def holds(self, state: PolicyState, now: datetime) -> bool:
        """Return whether nothing has changed since this was computed."""
        is_same_law = (self.policy_version, self.class_version) == (state.policy_version, state.class_version)
        return is_same_law and _is_within(self.since, self.not_after, now)


class _ScopeThen(NamedTuple):
    """What holds in a scope from `since` and before `until`, as `Readable` has it."""

    since: datetime
    until: datetime | None
    facts: ScopeFacts | None


class Protection(NamedTuple):
    """A level with compartments, and whose: of reports posted under a text of an agreement, or given to a member.

    What went on to a member by consent has its code in `whose`, and no `edition` but 0.
    """

    whose: str
    edition: int
    label: Label


def _is_within(since: datetime, until: datetime | None, now: datetime) -> bool:
    return since <= now and (until is None or now < until)


@dataclass(slots=True)
class Knowledge:
    """The caches of one process. Not shared between event loops."""

    decisions: DecisionCache = field(default_factory=DecisionCache)
    readable: "OrderedDict[ReaderKey, Readable]" = field(default_factory=OrderedDict)
    last_seen: "OrderedDict[str, CallerRow]" = field(default_factory=OrderedDict)
    """Thumbprint to the caller as last read: a guess, to be confirmed by the next statement."""
    decoy: ReportRow | None = None
    """A report that opened lately, which stands for those that are not there: see `open_decoy`."""
    tallies: Tallies = field(default_factory=Tallies)
    """How far counts of very much have come."""
    words_of_log: "OrderedDict[str, tuple[datetime, Entry]]" = field(default_factory=OrderedDict)
    """Of reports that do not open: the newest entry that says what each is, and when it was looked for."""
    proxies_untaken: dict[str, int] = field(default_factory=dict)
    """Consents to posting on behalf: under which policy version the log did not say that one was taken back."""
    national: NationalLaw = field(default_factory=NationalLaw)
    """The law together with what members put in force for their own reports."""
    _classes: dict[int, ClassRow] = field(default_factory=dict)
    class_version: int = 0
    """Up to which version every class is known, or known to be none that can be read."""
    unknown_classes: frozenset[int] = frozenset()
    """Classes whose rows were altered and of which nothing sealed speaks; another object where they have changed."""
    told_altered: dict[int, datetime] = field(default_factory=dict)
    """Classes of which this process has put on record that their rows were altered, and when it last did."""
    told_tampered: dict[str, datetime] = field(default_factory=dict)
    """What the jobs of this process met that is not what was put there, and when they last put that on record."""
    _protections: set[Protection] = field(default_factory=set)
    _agreements: dict[str, Agreement] = field(default_factory=dict)
    _agreements_version: int = -1
    unread: frozenset[UnreadRow] = frozenset()
    """Agreements, and crises of them, that cannot be read: nothing stands under them until they are mended."""
    told_unread: frozenset[UnreadRow] = frozenset()
    """Those of them that are on record as that."""
    _member_codes: frozenset[str] = frozenset()
    _members_version: int = -1
    _scopes: dict[tuple[str, str, int], _ScopeThen] = field(default_factory=dict)

    async def agreements(self, store: Store, state: PolicyState) -> dict[str, Agreement]:
        """Return every agreement by id that can be read, as of the policy version in `state`; see `unread`."""
        if self._agreements_version < state.policy_version or self.unread:
            unread = Unread()
            rows = await store.agreements(unread)
            # INVARIANT: never back to an older version: while these were read, a later call may have read newer ones.
            if self._agreements_version <= state.policy_version:
                self._agreements = {agreement.id: agreement for agreement in rows}
                self._scopes = {}
                self._agreements_version = state.policy_version
                self.unread = frozenset(unread.rows)
        return self._agreements

    def agreement(self, agreement_id: str) -> Agreement | None:
        """Return an agreement from those last loaded, or None."""
        return self._agreements.get(agreement_id)

    def posted_under(self, agreement_id: str, scope_name: str, now: datetime) -> PostedUnder:
        """Return what a report that is posted at `now` stands under for ever, from the agreements last loaded."""
        agreement = self._agreements.get(agreement_id)
        if agreement is None:
            return PostedUnder()
        crises = (crisis.id for crisis, clause in open_crises(agreement, now) if clause.scope == scope_name)
        return PostedUnder(agreement.edition, tuple(sorted(crises)))

    async def member_codes(self, store: Store, state: PolicyState) -> frozenset[str]:
        """Return the codes of all members, as of the policy version in `state`; see `codes_of`."""
        if self._members_version < state.policy_version:
            unread = Unread()
            members = await store.members(unread)
            if self._members_version < state.policy_version:
                self._member_codes = codes_of(members, unread)
                self._members_version = state.policy_version
        return self._member_codes

    async def classes(self, store: Store, state: PolicyState) -> dict[int, ClassRow]:
        """Return every release class by id, up to the class version in `state`; OpeningError as `release_class`."""
        if self.class_version < state.class_version:
            try:
                rows = await store.release_classes(self.class_version)
            except (MalformedError, ValueError, TypeError) as exc:
                raise _altered_class() from exc
            # What somebody wrote ahead is none yet: behind it, those that come would be read by nobody.
            for row in (each for each in rows if each.version <= state.class_version):
                self._classes[row.id] = _unaltered(row)
                self._protections.update(_protections(row.facts))
            self.class_version = max(self.class_version, state.class_version)
        if self.unknown_classes:
            raise _altered_class()
        return self._classes

    @property
    def known_classes(self) -> dict[int, ClassRow]:
        """Return the classes known so far."""
        return self._classes

    def take(self, rows: Iterable[ClassRow], unknown: Iterable[int], version: int) -> None:
        """Know these classes, of rows that told it or of what is sealed, and those that are none up to `version`."""
        for row in rows:
            self._classes[row.id] = row
            self._protections.update(_protections(row.facts))
        left = self.unknown_classes.union(unknown).difference(self._classes)
        if left != self.unknown_classes:
            self.unknown_classes = left
        self.class_version = max(self.class_version, version)

    async def protections(self, store: Store, state: PolicyState) -> Collection[Protection]:
        """Return every level with compartments that any report has, as `classes` does: what a clearance must cover."""
        await self.classes(store, state)
        return self._protections

    async def release_class(self, store: Store, class_id: int) -> ClassRow:
        """Return one release class; OpeningError where it is not what its digest names."""
        kept = self._classes.get(class_id)
        if kept is None:
            try:
                kept = _unaltered(await store.release_class(class_id))
            except (MalformedError, ValueError, TypeError) as exc:
                raise _altered_class() from exc
            self._classes[class_id] = kept
        return kept

    def scope(self, agreement_id: str, scope_name: str, now: datetime, edition: int) -> ScopeFacts | None:
        """Return what reports of one edition stand under in a scope at `now`, from the agreements last loaded."""
        kept = self._scopes.get((agreement_id, scope_name, edition))
        if kept is not None and _is_within(kept.since, kept.until, now):
            return kept.facts
        agreement = self._agreements.get(agreement_id)
        facts = scope_facts(agreement, scope_name, now, edition)
        until = None if agreement is None else next_change(agreement, now)
        self._scopes[agreement_id, scope_name, edition] = _ScopeThen(now, until, facts)
        return facts

    def hear(self, report_id: str, word: tuple[datetime, Entry]) -> None:
        """Remember what the log said of a report, and when."""
        _keep(self.words_of_log, report_id, word)

    def keep_readable(self, key: ReaderKey, readable: Readable) -> None:
        """Remember what a reader may read; the reader unheard of for longest is forgotten."""
        _keep(self.readable, key, readable)

    def see(self, thumbprint: str, row: CallerRow) -> None:
        """Remember who held `thumbprint`, as the next call's guess."""
        _keep(self.last_seen, thumbprint, row)


def codes_of(members: Iterable[Member], unread: Unread) -> frozenset[str]:
    """Return the codes of members, those among them that `unread` notes: whatever else of one cannot be read.

    A label, or a text of an agreement, names a member; what else its row says is asked when its own clients call.
    """
    noted = {code for row in unread.rows for code in row.members if is_member_code(code)}
    return frozenset(noted.union(member.code for member in members))


def _protections(facts: ClassFacts) -> Iterator[Protection]:
    yield Protection(facts.agreement, facts.edition, _protection(facts.label))
    for consent in facts.consents:
        yield from (Protection(consent.member, 0, _protection(label)) for label in consent.labels)


def _protection(label: Label) -> Label:
    # Few there are, where labels differ by whom they are for.
    return Label(label.policy, label.classification, label.compartments)


def _unaltered(row: ClassRow) -> ClassRow:
    # INVARIANT: the facts that decide are the facts that the ciphertexts are bound to.
    if class_digest(row.facts) != row.digest:
        raise _altered_class()
    return row


def _altered_class() -> OpeningError:
    return OpeningError("a release class is not what its digest names")


def _keep(kept: "OrderedDict[K, V]", key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _READERS_KEPT:
        kept.popitem(last=False)


def earliest_change(
    client: Client, agreements: dict[str, Agreement], now: datetime, *, classes: Iterable[ClassFacts]
) -> datetime | None:
    """Return the next moment at which time alone changes an answer for `client`; None where there is none."""
    consents = [consent for facts in classes if facts.consents for consent in facts.consents]
    moments = [client.clearance.since, client.clearance.until]
    moments += [next_change(agreement, now) for agreement in agreements.values()]
    moments += [from_micros(each.until_micros) for each in consents if each.until_micros is not None]
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def scope_facts(agreement: Agreement | None, scope_name: str, now: datetime, edition: int) -> ScopeFacts | None:
    """Return what reports of one edition stand under in a scope at `now`; None without such an agreement or scope.

    Older reports stand under the clause that they were posted under, as later texts have narrowed it.
    """
    clause = None if agreement is None else clause_of(agreement.texts, scope_name, edition, agreement.absences)
    if agreement is None or clause is None:
        return None
    scope = clause.scope
    return ScopeFacts(
        agreement=agreement.id,
        agreement_version=agreement.version,
        scope=scope.name,
        in_force=in_force(agreement, now),
        active_parties=active_parties(agreement, now),
        readers=frozenset(scope.readers),
        topics=scope.topics,
        regions=frozenset(scope.regions),
        kinds=frozenset(scope.kinds),
        purposes=frozenset(scope.purposes),
        policy=agreement.terms.policy,
        ceiling=scope.ceiling,
        compartments=frozenset(scope.compartments),
        onward_release=scope.onward_release,
        ceilings=clause.ceilings,
        crises=_crises(agreement, scope_name, now),
        came_back=away_since(agreement.texts, edition, agreement.absences),
    )


def _crises(agreement: Agreement, scope_name: str, now: datetime) -> tuple[CrisisFacts, ...]:
    return tuple(
        CrisisFacts(
            id=crisis.id,
            readers=frozenset(clause.readers),
            ceiling=clause.ceiling,
            reaches_older=clause.reaches_older,
        )
        for crisis, clause in open_crises(agreement, now)
        if clause.scope == scope_name
    )
