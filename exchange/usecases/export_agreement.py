"""An agreement as evidence: every text that was in force or lies before the parties, with its signatures and keys."""

from dataclasses import dataclass

from exchange.agreements import Agreement, SignatoryKey, SignedText, text_of
from exchange.audit import EventName, Outcome
from exchange.usecases.agreements import record_agreement, visible_agreement
from exchange.usecases.authenticate import admit_anyone
from exchange.usecases.context import Call, Recorded, Services
from exchange.usecases.recording import draft, named, on_record


@dataclass(frozen=True, slots=True)
class AgreementEvidence:
    """All that somebody needs who verifies an agreement without the exchange. `texts` are the oldest first."""

    agreement: Agreement
    texts: tuple[SignedText, ...]
    keys: tuple[SignatoryKey, ...]


async def export_agreement(services: Services, call: Call, agreement_id: str) -> Recorded[AgreementEvidence]:
    """Return the evidence to a party, the host or an operator of the exchange; to others there is none."""
    event = EventName.AGREEMENT_EXPORTED
    client = await admit_anyone(services, call, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        agreement = await visible_agreement(unit, client, agreement_id)
        texts = tuple(_signed(edition) for edition in await unit.editions(agreement.id))
        keys = await unit.signatory_keys().signature_keys([signed.digest for signed in texts])
        receipt = await record_agreement(unit, call, client, event, agreement)
    return Recorded(AgreementEvidence(agreement, texts, tuple(keys)), receipt)


def _signed(agreement: Agreement) -> SignedText:
    text = text_of(agreement)
    signatures = tuple(party.signature for party in agreement.parties if party.signature is not None)
    return SignedText(text, text.digest, signatures)
