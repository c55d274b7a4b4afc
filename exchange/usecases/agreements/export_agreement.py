"""An agreement as evidence: texts that were in force or lie before the parties, with their signatures and keys.

A member is given what it has bound itself to: every text that names it, and the one that it signed to leave. Nothing
of the texts before it joined, nor of those after it left: of these it never knew, or knows no more.
"""

from dataclasses import dataclass

from exchange.agreements import Agreement, SignatoryKey, SignedText, text_of
from exchange.audit import EventName, Outcome
from exchange.members import Client
from exchange.store import UnitOfWork, Unread
from exchange.usecases.agreements.agreements import record_look
from exchange.usecases.steps.as_it_left import agreement_not_found
from exchange.usecases.steps.authenticate import admit_or_host, kept_to
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.unread import record_unread


@dataclass(frozen=True, slots=True)
class AgreementEvidence:
    """All that somebody needs who verifies an agreement without the exchange. `texts` are the oldest first."""

    agreement: Agreement
    texts: tuple[SignedText, ...]
    keys: tuple[SignatoryKey, ...]


async def export_agreement(services: Services, call: Call, agreement_id: str) -> Recorded[AgreementEvidence]:
    """Return the evidence to the host or an operator of the exchange, and to a member of its own time.

    To others there is none.
    """
    event = EventName.AGREEMENT_EXPORTED
    client, unread = await admit_or_host(services, call, event=event), Unread()
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        editions = await _own_editions(unit, client, agreement_id)
        texts = tuple(_signed(edition) for edition in editions)
        keys = await unit.signatory_keys().signature_keys([signed.digest for signed in texts], unread)
        # Under the newest text that was given.
        receipt = await record_look(unit, call, client, event, editions[-1])
    # INVARIANT: evidence that lacks something says so.
    unopened = await record_unread(services, unread, client, is_own=True)
    return Recorded(AgreementEvidence(editions[-1], texts, tuple(keys)), receipt, unopened)


async def _own_editions(unit: UnitOfWork, client: Client | None, agreement_id: str) -> list[Agreement]:
    of = kept_to(client)
    editions = await unit.agreements().editions(sought_id(agreement_id), of=of)
    own = editions
    if of is not None:
        digests = [text_of(each).digest for each in editions]
        # Asked where there is none, too: what may not be seen costs what an absent one costs.
        signers = await unit.amendments().signers(digests)
        signed = [of in signers.get(digest, ()) for digest in digests]
        own = [
            each
            for each, has_signed in zip(editions, signed, strict=True)
            if each.party(of) is not None or (has_signed and not _had_left(each, of))
        ]
        if all(each.party(of) is None for each in own):
            own = []
    if not own:
        raise agreement_not_found()
    return own


def _had_left(edition: Agreement, member: str) -> bool:
    """Return whether `member` had left by its notice when this text was concluded, whatever it had signed before."""
    # INVARIANT: what the others conclude once it is out is theirs, though it lay before it and has its signature.
    return any((gone.member, gone.edition) == (member, edition.edition) for gone in edition.departures)


def _signed(agreement: Agreement) -> SignedText:
    text = text_of(agreement)
    signatures = tuple(party.signature for party in agreement.parties if party.signature is not None)
    return SignedText(text, text.digest, signatures)
