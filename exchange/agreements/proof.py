"""What signatures prove: where an agreement's parties stand by them, and which texts there were before its own.

The text in force is proven by its signatures, those before it by the chain of digests that it names: what a database
says besides is no promise of anybody.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from exchange.agreements.model import Agreement, OlderReports, Party, PartyState, Terms
from exchange.agreements.terms import text_of
from exchange.agreements.treaty import TreatyText, is_signed


@dataclass(frozen=True, slots=True)
class KeptText:
    """A former text as it was kept: the number of its edition, the digest of the one before it, and its terms."""

    edition: int
    previous: str | None
    terms: Terms


def proven(agreement: Agreement) -> Agreement:
    """Return `agreement` as its signatures prove it: who has no valid one under this very text has not signed.

    INVARIANT: whatever stands in a database, an agreement is in force by signatures that verify.
    """
    text = text_of(agreement)
    digest = text.digest
    parties = tuple(_proven_party(text, digest, party) for party in agreement.parties)
    return replace(agreement, parties=parties)


def with_proven_texts(agreement: Agreement, kept: Iterable[KeptText]) -> Agreement:
    """Return `agreement` with the terms before its own, of those that were kept the ones whose digests were signed.

    INVARIANT: an older report stands under no text but one that the signed ones after it name: an altered one names no
    party and has no scope, and neither has any before it.
    """
    candidates = list(kept)
    found: list[Terms] = []
    expected = agreement.previous
    for number in range(agreement.edition - 1, 0, -1):
        named = [each for each in candidates if each.edition == number and _digest(agreement, each) == expected]
        found.append(named[0].terms if named else _silent(agreement.terms))
        expected = named[0].previous if named else None
    return replace(agreement, earlier=tuple(reversed(found)))


def _digest(agreement: Agreement, kept: KeptText) -> str:
    return text_of(replace(agreement, terms=kept.terms, edition=kept.edition, previous=kept.previous)).digest


def _silent(terms: Terms) -> Terms:
    return replace(terms, parties=(), scopes=(), obligations=(), older_reports=OlderReports.EXCLUDED, crisis=())


def _proven_party(text: TreatyText, digest: str, party: Party) -> Party:
    signature = party.signature
    is_own = signature is not None and signature.member == party.member
    # A signature that was taken back with a draft stands in the log, and counts no more.
    if signature is not None and is_own and party.signed_at is not None and is_signed(text, digest, signature):
        return replace(party, signed_at=signature.signed_at)
    state = party.state if party.state is PartyState.WITHDRAWN else PartyState.PENDING
    return Party(party.member, state)
