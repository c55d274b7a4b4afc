"""How an agreement moves: the moves of its parties are a table, its state is computed from them and the day.

Promises: one function of (agreement, now) per question, so that an agreement comes into force and expires
by itself; a party suspends or withdraws for its own part only.
Does not: check who may act for a member, or store anything.

Decided here. A party that suspends leaves the others in force; with fewer than two active parties the agreement is
suspended. A withdrawal before all have signed ends the draft: the others consented to an agreement with that party.
A withdrawal afterwards is a notice: the party stays bound, with all its rights, until the notice that the text says has
passed; it then leaves by itself, and the rest stays bound while two remain. A notice is not taken back. Withdrawn and
expired are final.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import MappingProxyType

from exchange.agreements.crisis import crisis_turns, open_crises, unfinished_crises
from exchange.agreements.durations import moved_by
from exchange.agreements.model import (
    Agreement,
    AgreementId,
    AgreementState,
    CrisisClause,
    Party,
    PartyState,
    SharedReports,
    Terms,
)
from exchange.agreements.treaty import TextSignature
from exchange.kernel.clock import first_moment, rfc3339
from exchange.kernel.errors import ConflictError, NotFoundError

# An agreement between fewer is none.
FEWEST_PARTIES = 2


class Move(Enum):
    """What changes an agreement: an act of a party, or a day that comes."""

    SIGN = "sign"
    SUSPEND = "suspend"
    RESUME = "resume"
    WITHDRAW = "withdraw"
    FIRST_DAY = "first day comes"
    LAST_DAY = "last day passes"
    NOTICE = "notice passes"


PARTY_MOVES: Mapping[tuple[PartyState, Move], PartyState] = MappingProxyType(
    {
        (PartyState.PENDING, Move.SIGN): PartyState.SIGNED,
        (PartyState.PENDING, Move.WITHDRAW): PartyState.WITHDRAWN,
        (PartyState.SIGNED, Move.SUSPEND): PartyState.SUSPENDED,
        (PartyState.SIGNED, Move.WITHDRAW): PartyState.WITHDRAWN,
        (PartyState.SUSPENDED, Move.RESUME): PartyState.SIGNED,
        (PartyState.SUSPENDED, Move.WITHDRAW): PartyState.WITHDRAWN,
    }
)

# Where an agreement may go by each move of a party or the calendar; staying where it is needs no row.
AGREEMENT_MOVES: Mapping[tuple[AgreementState, Move], frozenset[AgreementState]] = MappingProxyType(
    {
        (AgreementState.DRAFT, Move.SIGN): frozenset({AgreementState.SIGNED, AgreementState.IN_FORCE}),
        (AgreementState.DRAFT, Move.WITHDRAW): frozenset({AgreementState.WITHDRAWN}),
        (AgreementState.DRAFT, Move.LAST_DAY): frozenset({AgreementState.EXPIRED}),
        (AgreementState.SIGNED, Move.SUSPEND): frozenset(),
        (AgreementState.SIGNED, Move.RESUME): frozenset(),
        (AgreementState.SIGNED, Move.WITHDRAW): frozenset(),
        (AgreementState.SIGNED, Move.NOTICE): frozenset({AgreementState.WITHDRAWN}),
        (AgreementState.SIGNED, Move.FIRST_DAY): frozenset({AgreementState.IN_FORCE, AgreementState.SUSPENDED}),
        (AgreementState.IN_FORCE, Move.SUSPEND): frozenset({AgreementState.SUSPENDED}),
        (AgreementState.IN_FORCE, Move.RESUME): frozenset(),
        (AgreementState.IN_FORCE, Move.WITHDRAW): frozenset(),
        (AgreementState.IN_FORCE, Move.NOTICE): frozenset({AgreementState.SUSPENDED, AgreementState.WITHDRAWN}),
        (AgreementState.IN_FORCE, Move.LAST_DAY): frozenset({AgreementState.EXPIRED}),
        (AgreementState.SUSPENDED, Move.SUSPEND): frozenset(),
        (AgreementState.SUSPENDED, Move.RESUME): frozenset({AgreementState.IN_FORCE}),
        (AgreementState.SUSPENDED, Move.WITHDRAW): frozenset(),
        (AgreementState.SUSPENDED, Move.NOTICE): frozenset({AgreementState.WITHDRAWN}),
        (AgreementState.SUSPENDED, Move.LAST_DAY): frozenset({AgreementState.EXPIRED}),
    }
)


def propose(agreement_id: AgreementId, terms: Terms) -> Agreement:
    """Return the first version of an agreement on `terms`, unsigned."""
    parties = tuple(Party(member=member, state=PartyState.PENDING) for member in terms.parties)
    return Agreement(id=agreement_id, version=1, terms=terms, parties=parties)


def state_of(agreement: Agreement, now: datetime) -> AgreementState:
    """Return where `agreement` stands at `now`."""
    # 1. Too few remain, or a party left before all had signed.
    # 2. The last day (UTC, inclusive) has passed.
    # 3. A signature is missing.
    # 4. The first day has not come.
    # 5. Fewer than two parties are active.
    # 6. Otherwise it is in force.
    today = now.astimezone(UTC).date()
    remaining = [party for party in agreement.parties if party.standing(now) is not PartyState.WITHDRAWN]
    unsigned = [party for party in agreement.parties if not _has_signed(party, now)]
    if len(remaining) < FEWEST_PARTIES or any(party not in remaining for party in unsigned):  # (1)
        return AgreementState.WITHDRAWN
    if today > agreement.terms.validity.last_day:  # (2)
        return AgreementState.EXPIRED
    if unsigned:  # (3)
        return AgreementState.DRAFT
    if today < agreement.terms.validity.first_day:  # (4)
        return AgreementState.SIGNED
    if len(active_parties(agreement, now)) < FEWEST_PARTIES:  # (5)
        return AgreementState.SUSPENDED
    return AgreementState.IN_FORCE  # (6)


def in_force(agreement: Agreement, now: datetime) -> bool:
    """Return whether `agreement` binds at `now`; which parties take part, `active_parties` says."""
    return state_of(agreement, now) is AgreementState.IN_FORCE


def active_parties(agreement: Agreement, now: datetime) -> frozenset[str]:
    """Return the members whose own standing is signed at `now`, whatever the state of the whole."""
    signed = (party for party in agreement.parties if party.standing(now) is PartyState.SIGNED)
    return frozenset(party.member for party in signed if _has_signed(party, now))


def is_party(agreement: Agreement, member: str, now: datetime) -> bool:
    """Return whether `member` is a party that has not left by `now`, whether it has signed or not."""
    party = agreement.party(member)
    return party is not None and party.standing(now) is not PartyState.WITHDRAWN


def is_recalled_by_text(agreement: Agreement, originator: str, now: datetime) -> bool:
    """Return whether the agreement's own terms recall the reports of `originator` that were shared under it, at `now`.

    A party leaves by notice, or with the text that names it no more. Where the terms say `kept` nothing is destroyed:
    who was given a report keeps it, and the exchange gives it to nobody. Of who has left they are the last terms that
    bound it: what the others agree upon afterwards destroys nothing of its own, and saves nothing.
    """
    bound = agreement.bound(originator)
    # INVARIANT: where no text is proven that bound it, nothing is destroyed.
    if (
        not agreement.is_proven
        or not bound
        or agreement.texts[bound[-1] - 1].termination.shared_reports is SharedReports.KEPT
    ):
        return False
    if state_of(agreement, now) in {AgreementState.EXPIRED, AgreementState.WITHDRAWN}:
        return True
    return not is_party(agreement, originator, now)


def next_change(agreement: Agreement, now: datetime) -> datetime | None:
    """Return the first moment after `now` at which state, active parties or crises change by themselves, or None."""
    signed = (party.signed_at for party in agreement.parties if party.signed_at)
    left = (party.leaves_at for party in agreement.parties if party.leaves_at)
    moments = (*_turning_days(agreement), *signed, *left, *crisis_turns(agreement))
    before = _standing(agreement, now)
    for moment in sorted(moment for moment in moments if moment > now):
        if _standing(agreement, moment) != before:
            return moment
    return None


def require_openable(agreement: Agreement, clause: CrisisClause, member: str, now: datetime) -> None:
    """Raise ConflictError where people of `member` open no crisis at `now`: of one clause one is open at a time."""
    if not is_party(agreement, member, now):
        raise ConflictError("your member has left the agreement", code="agreement-not-in-force")
    state = state_of(agreement, now)
    if state is not AgreementState.IN_FORCE:
        message = f"the agreement is {state.value}: a crisis is opened only while it is in force"
        raise ConflictError(message, code="agreement-not-in-force")
    if member not in active_parties(agreement, now):
        raise ConflictError("your member has suspended its own part: resume it first", code="agreement-not-in-force")
    if any(each.name == clause.name for _, each in unfinished_crises(agreement, now)):
        raise ConflictError(f"a crisis under `{clause.name}` is open already", code="crisis-open")


def sign(agreement: Agreement, signature: TextSignature) -> Agreement:
    """Return the next version, signed as `signature` says; NotFoundError, ConflictError.

    The caller has checked the signature: `proven` takes back what it does not find under the text.
    """
    moved = _moved(agreement, signature.member, Move.SIGN, signature.signed_at)
    signed = {signature.member: signature}
    parties = tuple(replace(each, signature=signed.get(each.member, each.signature)) for each in moved.parties)
    return replace(moved, parties=parties)


def suspend_party(agreement: Agreement, member: str, now: datetime) -> Agreement:
    """Return the next version, in which `member` takes no part until it resumes; NotFoundError, ConflictError."""
    return _moved(agreement, member, Move.SUSPEND, now)


def resume_party(agreement: Agreement, member: str, now: datetime) -> Agreement:
    """Return the next version, in which `member` takes part again; NotFoundError, ConflictError."""
    return _moved(agreement, member, Move.RESUME, now)


def withdraw_party(agreement: Agreement, member: str, now: datetime) -> Agreement:
    """Return the next version, which `member` leaves for good: a draft at once, else when its notice has passed.

    Raises NotFoundError, ConflictError.
    """
    return _moved(agreement, member, Move.WITHDRAW, now)


def suspend_anyway(agreement: Agreement, member: str, now: datetime) -> Agreement:
    """Return the next version, in which `member` takes no part, wherever this one says that the parties stand.

    As if all had signed and none had left; but for that each stands as it stood. NotFoundError, ConflictError.
    """
    party = _party_of(agreement, member)
    leaves_at = None if party.standing(now) is PartyState.WITHDRAWN else party.leaves_at
    return _moved_as_if_bound(
        agreement, replace(party, state=PartyState.SIGNED, leaves_at=leaves_at), Move.SUSPEND, now
    )


def leave_anyway(agreement: Agreement, member: str, now: datetime) -> Agreement:
    """Return the next version, which `member` leaves when its notice has passed, as `suspend_anyway` does.

    Who has left, as this one says, takes no part in the next.
    """
    party = _party_of(agreement, member)
    takes_part = party.signed_at is not None and party.standing(now) in {PartyState.PENDING, PartyState.SIGNED}
    state = PartyState.SIGNED if takes_part else PartyState.SUSPENDED
    return _moved_as_if_bound(agreement, replace(party, state=state, leaves_at=None), Move.WITHDRAW, now)


def leave_draft(agreement: Agreement, member: str) -> Agreement:
    """Return the next version, in which `member` has taken a draft back, wherever this one says that it stands."""
    left = Party(_party_of(agreement, member).member, PartyState.WITHDRAWN)
    return replace(_with_party(agreement, left), version=agreement.version + 1)


def _standing(agreement: Agreement, now: datetime) -> tuple[AgreementState, frozenset[str], tuple[str, ...]]:
    crises = tuple(crisis.id for crisis, _ in open_crises(agreement, now))
    return state_of(agreement, now), active_parties(agreement, now), crises


def _has_signed(party: Party, now: datetime) -> bool:
    # INVARIANT: a party without the moment of its signature has not signed, whatever its state says.
    return party.state is not PartyState.PENDING and party.signed_at is not None and party.signed_at <= now


def _turning_days(agreement: Agreement) -> tuple[datetime, ...]:
    validity = agreement.terms.validity
    first = first_moment(validity.first_day)
    if validity.last_day == validity.last_day.max:
        return (first,)
    return (first, first_moment(validity.last_day + timedelta(days=1)))


def _moved(agreement: Agreement, member: str, move: Move, now: datetime) -> Agreement:
    party = _party_of(agreement, member)
    state = state_of(agreement, now)
    after = PARTY_MOVES.get((party.standing(now), move))
    is_leaving = move is Move.WITHDRAW and party.leaves_at is not None
    if after is None or (state, move) not in AGREEMENT_MOVES or is_leaving:
        raise _impossible(move, state, party, now)
    if move is Move.WITHDRAW and state is not AgreementState.DRAFT:
        leaves_at = moved_by(now, agreement.terms.termination.notice)
        # INVARIANT: who leaves by the act itself has left for every node, whatever its clock says.
        changed = replace(party, leaves_at=leaves_at, state=after if leaves_at <= now else party.state)
    else:
        changed = replace(party, state=after, signed_at=_signature_after(party, move, now))
    return replace(_with_party(agreement, changed), version=agreement.version + 1)


def _moved_as_if_bound(agreement: Agreement, party: Party, move: Move, now: datetime) -> Agreement:
    """Return the next version, in which `party` has moved from where it is given, as if all others had signed."""
    others = tuple(Party(each.member, PartyState.SIGNED, now) for each in agreement.parties)
    bound = _with_party(replace(agreement, parties=others), replace(party, signed_at=now))
    after = _moved(bound, party.member, move, now)
    # INVARIANT: nobody has signed by this: its signature alone proves that (`proven`). Of whom there is none it may be
    # put back, and counts then; what else its row said is not known, so that it takes no part until it resumes.
    kept = tuple(_to_be_proven(each, now) for each in agreement.parties)
    changed = replace(_party_of(after, party.member), signed_at=party.signed_at or now)
    return replace(_with_party(replace(agreement, parties=kept), changed), version=after.version)


def _to_be_proven(party: Party, now: datetime) -> Party:
    is_unproven = party.state is PartyState.PENDING and party.signed_at is None
    return replace(party, state=PartyState.SUSPENDED, signed_at=now) if is_unproven else party


def _party_of(agreement: Agreement, member: str) -> Party:
    party = agreement.party(member)
    if party is None:
        message = f"`{member}` is no party of the agreement"
        raise NotFoundError(message)
    return party


def _with_party(agreement: Agreement, changed: Party) -> Agreement:
    parties = tuple(changed if each.member == changed.member else each for each in agreement.parties)
    return replace(agreement, parties=parties)


def _signature_after(party: Party, move: Move, now: datetime) -> datetime | None:
    if move is Move.SIGN:
        return now
    if move is Move.WITHDRAW:
        # A draft, taken back: what was never concluded leaves no signature, and `state_of` sees the draft end.
        return None
    return party.signed_at


def _impossible(move: Move, state: AgreementState, party: Party, now: datetime) -> ConflictError:
    standing = party.standing(now)
    if party.leaves_at is not None and standing is PartyState.WITHDRAWN:
        # INVARIANT: who has left is told nothing of where the others stand since.
        return ConflictError(f"`{party.member}` cannot {move.value}: it has left the agreement; possible now: nothing")
    by_party = {each for before, each in PARTY_MOVES if before is standing}
    if party.leaves_at is not None:
        by_party -= {Move.WITHDRAW}
    possible = [each.value for each in Move if each in by_party and (state, each) in AGREEMENT_MOVES]
    notice = "" if party.leaves_at is None else f", and by its notice leaves at {rfc3339(party.leaves_at)}"
    is_concluded = move is Move.SIGN and bool(possible) and state is not AgreementState.DRAFT
    amended = "; to sign an amendment, name it" if is_concluded else ""
    message = (
        f"`{party.member}` cannot {move.value}: the agreement is {state.value}, the party {standing.value}{notice}; "
        f"possible now: {', '.join(possible) or 'nothing'}{amended}"
    )
    return ConflictError(message)
