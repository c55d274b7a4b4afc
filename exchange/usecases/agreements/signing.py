"""Sign an agreement for a member: an object signature under the very text, made where the signatory keeps its key.

Checked, in this order: (1) the text signed is the one that lies before the parties; (2) the key is enrolled for this
signatory and in use; (3) both signatures verify; (4) the party may sign now. The log keeps the signature.
"""

import base64
from dataclasses import dataclass

from exchange.agreements import SIGNING_PURPOSE, Agreement, TextSignature, is_signed, sign, state_of, text_of
from exchange.audit import Detail, EventName, in_pieces
from exchange.crypto import ObjectSignature
from exchange.kernel import ConflictError, Fault, InvalidError
from exchange.members import Client
from exchange.store import UnitOfWork
from exchange.usecases.agreements.agreements import AgreementView, record_agreement
from exchange.usecases.steps.context import Call, Recorded


@dataclass(frozen=True, slots=True)
class GivenSignature:
    """A signature as a signatory gives it: under the text with this digest, made with the key of this name."""

    text: str
    key_id: str
    signature: ObjectSignature


async def sign_own_text(
    unit: UnitOfWork, call: Call, client: Client, agreement: Agreement, given: GivenSignature
) -> Recorded[AgreementView]:
    """Take a signature under the text that `agreement` has; after the last one it is in force on its first day."""
    signature = await checked_signature(unit, call, client, agreement, given)
    moved = sign(agreement, signature)
    if client.member in (await unit.amendments().signers([given.text])).get(given.text, ()):
        # No entry tells of it, and it stays: who signs again signs another proposal.
        told = "what is kept of your member's signature is not what it signed: have the agreement proposed anew"
        raise ConflictError(told, code="conflict")
    await unit.signatory_keys().add_signature(agreement.id, signature)
    await unit.put_agreement(moved)
    receipt = await record_agreement(unit, call, client, EventName.AGREEMENT_SIGNED, moved, told=told_of(signature))
    return Recorded(AgreementView(moved, state_of(moved, call.now)), receipt)


async def checked_signature(  # noqa: PLR0913  who signs what of which agreement
    unit: UnitOfWork,
    call: Call,
    client: Client,
    agreement: Agreement,
    given: GivenSignature,
    *,
    purpose: str = SIGNING_PURPOSE,
) -> TextSignature:
    """Return the signature of `client` under the text of `agreement`; ConflictError and InvalidError where it is none.

    `agreement` is the one to be signed: as proposed, or as an amendment would make it. By its `purpose` it may say that
    another one is taken back.
    """
    text = text_of(agreement)
    digest = text.digest
    # (1) what was signed is what is here
    if given.text != digest:
        raise ConflictError("the text to sign is another one: read it again", code="text-differs")
    # (2) whose key
    key = await unit.signatory_keys().find(given.key_id, for_update=True)
    if key is None or key.client != client.id or key.retired_at is not None:
        told = "this key is not enrolled for you: ask your member's operator to enrol it"
        raise InvalidError("the agreement cannot be signed so", (Fault("/key", "unknown-key", told),))
    if call.now < key.enrolled_at:
        # Enrolled at a node whose clock is ahead: nobody could tell this signature from a backdated one.
        raise ConflictError("the key was enrolled at a later time than this node has yet: sign again in a moment")
    # (3) both schemes
    signature = TextSignature(digest, client.member, client.id, key.key, given.signature, call.now)
    if not is_signed(text, digest, signature, purpose=purpose):
        told = "the signature is not this key's under this text, for your member, by you"
        raise InvalidError("the agreement cannot be signed so", (Fault("", "bad-signature", told),))
    return signature


def told_of(signature: TextSignature) -> Detail:
    """Return what the log keeps of a signature: all that somebody needs who verifies it from the log alone."""
    return {
        "text": signature.text,
        "signatory": signature.signatory,
        "key": signature.key.key_id,
        "ed25519": base64.b64encode(signature.signature.ed25519).decode(),
        "ml_dsa_65": in_pieces(base64.b64encode(signature.signature.ml_dsa_65).decode()),
    }
