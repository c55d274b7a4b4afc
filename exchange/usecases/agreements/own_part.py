"""A party's own part in an agreement: it suspends that, takes it up again, and leaves.

Who narrows its part is refused, as it stands so already, only where the log says so of all parties.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final

from exchange.agreements import (
    Agreement,
    AgreementState,
    Party,
    PartyState,
    is_party,
    leave_anyway,
    leave_draft,
    proven,
    resume_party,
    state_of,
    suspend_anyway,
    suspend_party,
    text_of,
    withdraw_party,
)
from exchange.audit import Detail, Entry, EventName, Outcome
from exchange.audit.rows_told import AGREEMENT_EVENTS, LastWords, rows_told
from exchange.kernel import ConflictError, parse_rfc3339, rfc3339
from exchange.members import MemberCode, Role
from exchange.usecases.agreements.agreements import AgreementView, record_agreement, visible_agreement
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft, named
from exchange.usecases.steps.taken_away_again import SaidByRowError, taken_away
from exchange.usecases.steps.told_entries import all_told_until_now

Move = Callable[[Agreement, str, datetime], Agreement]

_ANYWAY: Final[Mapping[Move, Move]] = MappingProxyType({suspend_party: suspend_anyway, withdraw_party: leave_anyway})
"""By what narrows a party's part, how that is done whatever rows say of where the parties stand."""

_LEAVES_ALREADY: Final = "the agreement is no draft, as the log says: your member leaves it already, or it has ended"


async def suspend_agreement(services: Services, call: Call, agreement_id: str) -> Recorded[AgreementView]:
    """Suspend the agreement for the caller's member's own part."""
    return await _moved(services, call, agreement_id, suspend_party, event=EventName.AGREEMENT_SUSPENDED)


async def resume_agreement(services: Services, call: Call, agreement_id: str) -> Recorded[AgreementView]:
    """End the caller's member's own suspension."""
    return await _moved(services, call, agreement_id, resume_party, event=EventName.AGREEMENT_RESUMED)


async def withdraw_agreement(services: Services, call: Call, agreement_id: str) -> Recorded[AgreementView]:
    """Withdraw the caller's member from the agreement, for good: a draft at once, else when its notice has passed."""
    return await _moved(services, call, agreement_id, withdraw_party, event=EventName.AGREEMENT_WITHDRAWN)


async def _moved(
    services: Services, call: Call, agreement_id: str, move: Move, *, event: EventName
) -> Recorded[AgreementView]:
    client = await authenticate(services, call, Role.SIGNATORY, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id))
    step = _Step(services, client.member, move, call.now)

    async def moved(*, is_again: bool) -> Recorded[AgreementView]:
        async with services.store.unit_of_work() as unit:
            # Held to the end, so that two parties may sign at once.
            agreement = await visible_agreement(unit, client, agreement_id, for_update=True)
            after = step.taken(agreement, is_again=is_again)
            await unit.put_agreement(after)
            told = leaving(after, client.member)
            after = proven(after) if is_again else after
            receipt = await record_agreement(unit, call, client, event, after, told=told)
        return Recorded(AgreementView(after, state_of(after, call.now)), receipt)

    return await taken_away(services, attempt, moved)


@dataclass(slots=True)
class _Step:
    """A party's move, and what the log told of the agreement where it was asked."""

    services: Services
    member: MemberCode
    move: Move
    now: datetime
    draft_version: int | None = None
    """The version that was a draft by what the log told."""
    bound_version: int | None = None
    """The version that was none by what the log told."""

    def taken(self, agreement: Agreement, *, is_again: bool) -> Agreement:
        """Return what the step makes of an agreement; raises as `Narrowing`, ConflictError where it cannot be taken."""
        try:
            moved = self.move(agreement, self.member, self.now)
        except ConflictError as refusal:
            return self._taken_anyway(agreement, refusal, is_again=is_again)
        if self.move is not withdraw_party or state_of(agreement, self.now) is not AgreementState.DRAFT:
            return moved
        if not is_again:
            raise SaidByRowError(ConflictError(_LEAVES_ALREADY), partial(self._is_told_bound, agreement))
        # INVARIANT: what rows alone say is a draft still is not ended by who leaves it, at once and for all.
        is_bound = self.bound_version == agreement.version
        return leave_anyway(agreement, self.member, self.now) if is_bound else moved

    def _taken_anyway(self, agreement: Agreement, refusal: ConflictError, *, is_again: bool) -> Agreement:
        if self.move not in _ANYWAY:
            raise refusal
        try:
            moved = _ANYWAY[self.move](agreement, self.member, self.now)
        except ConflictError:
            raise refusal from None  # its last day has passed
        if not is_again:
            in_doubt = not self._stands(agreement)
            raise SaidByRowError(refusal, partial(self._is_told, agreement), in_doubt=in_doubt) from None
        # INVARIANT: nobody whose row alone took a draft back is bound by it for a notice, nor lets others conclude
        # it. Whoever has signed since the log was asked made another version of it.
        is_draft = self.draft_version == agreement.version
        return leave_draft(agreement, self.member) if is_draft else moved

    def _stands(self, agreement: Agreement) -> bool:
        """Return whether the party has signed, as its row says, and neither left nor, to leave, given notice."""
        # A notice that is given anew is a later one: where one may have been given, none is. Nor is a draft suspended.
        party = agreement.party(self.member)
        is_leaving = party is not None and party.leaves_at is not None and self.move is withdraw_party
        has_signed = party is not None and party.signed_at is not None
        return is_party(agreement, self.member, self.now) and has_signed and not is_leaving

    async def _is_told_bound(self, agreement: Agreement) -> bool:
        """Return whether by what the log tells the agreement is no draft, and the party cannot leave it."""
        return await self._is_told(agreement) and self.bound_version == agreement.version

    async def _is_told(self, agreement: Agreement) -> bool:
        """Return whether the party cannot take this step by what the log tells of where all parties stand either."""
        words, signatures = LastWords(), _Signatures(agreement)
        try:
            async for entry in all_told_until_now(self.services, *AGREEMENT_EVENTS, subject=agreement.id):
                signatures.take(entry)
                for told in rows_told(entry):
                    words.take(told)
        finally:
            # Who has signed, whatever the log lacks besides.
            if signatures.are_all:
                self.bound_version = agreement.version
        last = {place: str(value) for told in words.found() for place, value in told.says.items()}
        if f"leaving {self.member}" in last and not is_party(agreement, self.member, self.now):
            return True
        parties = tuple(
            _as_told(each.member, last, self.now, has_signed=each.member in signatures.of_row)
            for each in agreement.parties
        )
        as_told = replace(agreement, parties=parties)
        try:
            self.move(as_told, self.member, self.now)
        except ConflictError:
            return True
        if state_of(as_told, self.now) is AgreementState.DRAFT and not signatures.are_all:
            self.draft_version = agreement.version
        return False


class _Signatures:
    """Who has signed which text of an agreement, as entries tell: what a row says of text and parties may be false."""

    def __init__(self, row: Agreement) -> None:
        self._text = text_of(row).digest
        self._signed: dict[object, set[object]] = {}
        self._is_amended = False
        # As its row has it, where the entry of its proposal is from before entries named texts, or lost.
        self._first: tuple[object, object] = self._text, [each.member for each in row.parties]

    def take(self, entry: Entry) -> None:
        """Take an entry about the agreement."""
        detail = entry.get("detail", {})
        text = detail.get("text", self._text)
        self._is_amended |= entry["type"] == EventName.AGREEMENT_AMENDED.value
        if entry["type"] == EventName.AGREEMENT_PROPOSED.value:
            self._first = text, detail.get("parties")
        elif entry["type"] == EventName.AGREEMENT_SIGNED.value:
            self._signed.setdefault(text, set()).add(entry.get("member"))

    @property
    def of_row(self) -> Collection[object]:
        """Return who has signed the text that the row has."""
        return self._signed.get(self._text, ())

    @property
    def are_all(self) -> bool:
        """Return whether all have signed the first text: an agreement is amended no earlier."""
        text, parties = self._first
        return self._is_amended or (isinstance(parties, list) and self._signed.get(text, set()).issuperset(parties))


def _as_told(member: MemberCode, last: Mapping[str, str], now: datetime, *, has_signed: bool) -> Party:
    standing = PartyState.SIGNED if has_signed else PartyState.PENDING
    state, notice = PartyState(last.get(f"party {member}", standing.value)), last.get(f"leaving {member}")
    # Who withdrew without a notice took a draft back.
    signed_at = now if has_signed and state is not PartyState.WITHDRAWN else None
    return Party(member, state, signed_at, leaves_at=None if notice is None else parse_rfc3339(notice))


def leaving(agreement: Agreement, member: str) -> Detail:
    """Return what the entry of a withdrawal says besides: when the party is out, where it has to wait for that."""
    party = agreement.party(member)
    return {} if party is None or party.leaves_at is None else {"leaves_at": rfc3339(party.leaves_at)}
