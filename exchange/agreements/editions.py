"""Editions: what an amendment makes of an agreement, and which clause an older report stands under.

Promises: a report keeps the clause it was posted under, narrowed by every later text and widened by none, unless that
text says that it reaches older reports; who had left and accedes anew is as new to older reports as anybody. An amended
text binds once every party of the old text and of the new one has signed it.
Does not: know levels; of several ceilings all hold.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from exchange.agreements.lifecycle import state_of
from exchange.agreements.model import (
    Absence,
    Agreement,
    AgreementState,
    AmendmentState,
    AnswersTo,
    Departure,
    OlderReports,
    OnwardRelease,
    Party,
    PartyState,
    Scope,
    SharedReports,
    Terms,
)
from exchange.agreements.terms import text_of
from exchange.agreements.treaty import TextSignature
from exchange.agreements.vocabulary import covers
from exchange.kernel.errors import ConflictError, Fault
from exchange.members import MemberCode

AMENDABLE = frozenset({AgreementState.SIGNED, AgreementState.IN_FORCE, AgreementState.SUSPENDED})

# A text never leaves where it has come to: what was overtaken is proposed anew.
AMENDMENT_MOVES: Mapping[tuple[AmendmentState, str], AmendmentState] = MappingProxyType(
    {
        (AmendmentState.PROPOSED, "last one signs"): AmendmentState.IN_FORCE,
        (AmendmentState.PROPOSED, "another text comes first"): AmendmentState.OVERTAKEN,
        (AmendmentState.IN_FORCE, "the next text is concluded"): AmendmentState.OVERTAKEN,
    }
)
# The narrower one of two holds.
_NARROWEST_FIRST = (OnwardRelease.NEVER, OnwardRelease.ORIGINATOR_CONSENT, OnwardRelease.PARTIES)


@dataclass(frozen=True, slots=True)
class Amendment:
    """A text that was proposed to follow the one with the digest `previous`; `text` is its own digest."""

    number: int
    previous: str
    text: str
    terms: Terms
    proposed_by: str
    proposed_at: datetime


@dataclass(frozen=True, slots=True)
class Clause:
    """The clause that reports of one edition stand under now: `scope`, and earlier ceilings that still hold too."""

    scope: Scope
    ceilings: frozenset[str] = frozenset()


def amendment_state(agreement: Agreement, amendment: Amendment) -> AmendmentState:
    """Return where a proposed text of `agreement` stands, which may be as `gone_on_without` gives it."""
    digest = text_of(agreement).digest
    if amendment.text == digest:
        return AmendmentState.IN_FORCE
    is_left = any(each.edition > agreement.edition for each in agreement.departures)
    return AmendmentState.PROPOSED if amendment.previous == digest and not is_left else AmendmentState.OVERTAKEN


def amended(agreement: Agreement, terms: Terms, now: datetime) -> Agreement:
    """Return the agreement that `terms` would make of `agreement`: the text to sign, and who has to sign it by `now`.

    Parties that the new text leaves out have to sign it too; where they stand is theirs until then.
    """
    members = signatories_of(agreement, terms, now)
    parties = tuple(Party(member, PartyState.PENDING) for member in members)
    return replace(
        agreement, terms=terms, parties=parties, edition=agreement.edition + 1, previous=text_of(agreement).digest
    )


def signatories_of(agreement: Agreement, terms: Terms, now: datetime) -> tuple[MemberCode, ...]:
    """Return who has to sign an amendment: the parties of the new text, and those of the old one that have not left."""
    parties = agreement.parties
    remaining = [party.member for party in parties if party.standing(now) is not PartyState.WITHDRAWN]
    return tuple(dict.fromkeys((*terms.parties, *remaining)))


def amendment_faults(agreement: Agreement, terms: Terms) -> list[Fault]:
    """Return why `terms` cannot amend `agreement`, whoever proposes them."""
    faults = []
    if terms == agreement.terms:
        faults.append(Fault("", "unchanged", "this is the text in force: change something"))
    if terms.policy != agreement.terms.policy:
        faults.append(
            Fault("/policy", "policy-changed", "an amendment keeps the security policy: propose an agreement")
        )
    if terms.validity.first_day != agreement.terms.validity.first_day:
        told = "an amendment binds with its last signature: keep the first day of the agreement"
        faults.append(Fault("/validity/from", "first-day-changed", told))
    return faults


def require_amendable(agreement: Agreement, now: datetime) -> None:
    """Raise ConflictError where `agreement` is a draft still, or at its end."""
    state = state_of(agreement, now)
    if state not in AMENDABLE:
        raise ConflictError(f"the agreement is {state.value}: only a concluded one is amended")


def conclude(
    agreement: Agreement, terms: Terms, signatures: Mapping[str, TextSignature], now: datetime
) -> Agreement | None:
    """Return the next version of `agreement`, under `terms`, where everybody has signed those; None where not.

    A party keeps its own standing: one that has suspended its part takes no part in the amended agreement either, and
    one that has given notice leaves it too. Who had left before and signs this text accedes anew.
    """
    signatures = standing_signatures(agreement, signatures, now)
    if not signatures.keys() >= set(signatories_of(agreement, terms, now)):
        return None
    draft = amended(agreement, terms, now)
    parties = tuple(
        replace(party, signed_at=signatures[party.member].signed_at, signature=signatures[party.member])
        for party in _standings(agreement, terms, now)
    )
    absences, departures = _absences(agreement, terms, now), _departures(agreement, terms, now)
    return replace(draft, version=agreement.version + 1, parties=parties, absences=absences, departures=departures)


def standing_signatures(
    agreement: Agreement, signatures: Mapping[str, TextSignature], now: datetime
) -> dict[str, TextSignature]:
    """Return, of the signatures under a proposed text, those that bind at `now`.

    INVARIANT: who has left is out: what it signed before brings it back by no act of others.
    """
    return {
        member: signature
        for member, signature in signatures.items()
        if not _has_left_since(agreement.party(member), signature, now)
    }


def as_if_concluded(agreement: Agreement, terms: Terms, now: datetime) -> Agreement:
    """Return what `agreement` would be under `terms`, had everybody signed those at `now`; no signature proves it."""
    parties, absences = _standings(agreement, terms, now), _absences(agreement, terms, now)
    return replace(amended(agreement, terms, now), parties=parties, earlier=agreement.texts, absences=absences)


def clause_of(texts: Sequence[Terms], name: str, edition: int, absences: Collection[Absence] = ()) -> Clause | None:
    """Return the clause `name` for reports posted under `edition`; None where any text on the way has none.

    `texts` are all editions in their order, the first one's number being 1.
    """
    if not 1 <= edition <= len(texts):
        return None
    scope = texts[edition - 1].scope(name)
    clause = None if scope is None else Clause(scope)
    for number, terms in enumerate(texts[edition:], start=edition + 1):
        later = terms.scope(name)
        if later is None:
            return None
        if terms.older_reports is OlderReports.INCLUDED:
            clause = Clause(later)
        elif clause is None:
            return None
        else:
            # INVARIANT: an older text that names who was away while reports came gives it none of them.
            returning = {absence.member for absence in absences if absence.edition == number}
            clause = _narrowed(clause, later, returning)
    return clause


def away_since(texts: Sequence[Terms], edition: int, absences: Collection[Absence] = ()) -> frozenset[str]:
    """Return the parties to the text `edition` that were none any more for a time since: by notice, or with a text.

    What they shared before is given to others again where a text that they came back with says so, and not else.
    """
    away: set[str] = set()
    for number, terms in enumerate(texts[edition:], start=edition + 1):
        if terms.older_reports is OlderReports.INCLUDED:
            away.clear()
        else:
            away |= {absence.member for absence in absences if absence.edition == number}
        away |= set(texts[edition - 1].parties).difference(terms.parties)
    return frozenset(away)


def is_recalled_since(agreement: Agreement, originator: str, edition: int) -> bool:
    """Return whether reports of `originator` from a text were to be recalled when it left, though it came back since.

    Keys are destroyed for good: every text from theirs on that bound it has to say so.
    """
    if not agreement.is_proven:
        return False
    texts = agreement.texts
    bound = [texts[number - 1] for number in agreement.bound(originator) if number >= edition]
    if any(terms.termination.shared_reports is SharedReports.KEPT for terms in bound):
        return False
    return originator in away_since(texts, edition, agreement.absences)


def _narrowed(clause: Clause, later: Scope, returning: Collection[str]) -> Clause:
    earlier = clause.scope
    contributors = [member for member in earlier.contributors if member not in returning]
    readers = [member for member in earlier.readers if member not in returning]
    scope = replace(
        later,
        topics=_common_topics(earlier.topics, later.topics),
        regions=_common(earlier.regions, later.regions),
        kinds=_common(earlier.kinds, later.kinds),
        purposes=_common(earlier.purposes, later.purposes),
        compartments=_common(earlier.compartments, later.compartments),
        contributors=tuple(member for member in later.contributors if member in contributors),
        readers=tuple(member for member in later.readers if member in readers),
        onward_release=min(earlier.onward_release, later.onward_release, key=_NARROWEST_FIRST.index),
        answers=later.answers if earlier.answers is AnswersTo.ASKED else AnswersTo.ASKER,
    )
    return Clause(scope, (clause.ceilings | {earlier.ceiling}) - {later.ceiling})


def _common(earlier: Collection[str], later: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each in later if each in earlier)


def _common_topics(earlier: tuple[str, ...], later: tuple[str, ...]) -> tuple[str, ...]:
    # A topic that one text names and the other one covers is common to both, in its narrower form.
    narrower = [topic for topic in later if covers(earlier, topic)]
    narrower += [topic for topic in earlier if covers(later, topic)]
    return tuple(dict.fromkeys(narrower))


def left_behind(editions: Sequence[Agreement], member: str) -> Agreement | None:
    """Return an agreement as it was when the others went on without `member`, which had left it by its notice.

    `editions` are the last versions of all of its texts, the first one first. None for a member that the newest one
    names, that none ever named, and that left with a text: it agreed to be told of nothing more.
    """
    own = [each for each in editions if each.party(member) is not None]
    if not own or Departure(member, own[-1].edition + 1) not in editions[-1].departures:
        return None
    last = own[-1]
    crises = tuple(each for each in last.crises if each.edition <= last.edition)
    return replace(last, crises=crises, earlier=tuple(each.terms for each in editions[: last.edition - 1]))


def gone_on_without(agreement: Agreement, member: str) -> Agreement:
    """Return an agreement that `member` is `left_behind` with as one that the others gave another text since."""
    return replace(agreement, departures=(*agreement.departures, Departure(MemberCode(member), agreement.edition + 1)))


def is_known_to(agreement: Agreement, member: str) -> bool:
    """Return whether `member` is a party of an agreement, or the others went on without it once it had left."""
    last = max(agreement.editions_of(member), default=agreement.edition)
    return agreement.party(member) is not None or Departure(member, last + 1) in agreement.departures


def _has_left_since(party: Party | None, signature: TextSignature, now: datetime) -> bool:
    leaves_at = None if party is None else party.leaves_at
    return leaves_at is not None and leaves_at <= now and signature.signed_at < leaves_at


def _absences(agreement: Agreement, terms: Terms, now: datetime) -> tuple[Absence, ...]:
    """Return the absences that there are once `terms` bind: who had left and is named by them comes back."""
    ended = [
        Absence(party.member, party.leaves_at, now, agreement.edition + 1)
        for party in agreement.parties
        if party.member in terms.parties and party.leaves_at is not None and party.leaves_at <= now
    ]
    return (*agreement.absences, *ended)


def _departures(agreement: Agreement, terms: Terms, now: datetime) -> tuple[Departure, ...]:
    """Return who will have left, once `terms` bind, without having signed those."""
    left = [party.member for party in agreement.parties if party.standing(now) is PartyState.WITHDRAWN]
    gone = [Departure(member, agreement.edition + 1) for member in left if member not in terms.parties]
    return (*agreement.departures, *gone)


def _standings(agreement: Agreement, terms: Terms, now: datetime) -> tuple[Party, ...]:
    return tuple(_standing(agreement, member, now) for member in terms.parties)


def _standing(agreement: Agreement, member: MemberCode, now: datetime) -> Party:
    before = agreement.party(member)
    if before is None or before.standing(now) is PartyState.WITHDRAWN:
        return Party(member, PartyState.SIGNED, now)
    state = PartyState.SUSPENDED if before.state is PartyState.SUSPENDED else PartyState.SIGNED
    return Party(member, state, now, leaves_at=before.leaves_at)
