"""What signatures prove: where an agreement's parties stand by them, whatever else is written down."""

from dataclasses import replace

from exchange.agreements.model import Agreement, Party, PartyState
from exchange.agreements.terms import text_of
from exchange.agreements.treaty import TreatyText, is_signed


def proven(agreement: Agreement) -> Agreement:
    """Return `agreement` as its signatures prove it: who has no valid one under this very text has not signed.

    INVARIANT: whatever stands in a database, an agreement is in force by signatures that verify.
    """
    text = text_of(agreement)
    digest = text.digest
    parties = tuple(_proven_party(text, digest, party) for party in agreement.parties)
    return replace(agreement, parties=parties)


def _proven_party(text: TreatyText, digest: str, party: Party) -> Party:
    signature = party.signature
    is_own = signature is not None and signature.member == party.member
    # A signature that was taken back with a draft stands in the log, and counts no more.
    if signature is not None and is_own and party.signed_at is not None and is_signed(text, digest, signature):
        return replace(party, signed_at=signature.signed_at)
    state = party.state if party.state is PartyState.WITHDRAWN else PartyState.PENDING
    return Party(party.member, state)
