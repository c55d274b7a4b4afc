"""Signatures of the world's signatories: each has a key of its own, grown from the name it is known by."""

import hashlib
from functools import cache

from exchange import usecases
from exchange.agreements import Agreement, sign_text, text_of
from exchange.crypto import ObjectSignature, ObjectSigningKey, SignatureScheme, SigningKey
from exchange.kernel import is_uuid7
from exchange.members import Client
from exchange.usecases import AgreementView, Call, GivenSignature, OfferedKey, Recorded, Services


@cache
def signing_key(name: str) -> ObjectSigningKey:
    """Return the key that grows from a name: the same each time, so that worlds can be copied."""
    seeds = (hashlib.sha256(f"{kind} {name}".encode()).digest() for kind in ("ed25519", "ml-dsa-65"))
    schemes = (SignatureScheme.ED25519, SignatureScheme.ML_DSA_65)
    return ObjectSigningKey(*(SigningKey.from_seed(*pair) for pair in zip(schemes, seeds, strict=True)))


def offered(key: ObjectSigningKey) -> OfferedKey:
    """Return what the holder of `key` gives to an operator."""
    public = key.verifying_key
    return OfferedKey(public.ed25519.raw, public.ml_dsa_65.raw, key.prove_possession())


def signed(agreement: Agreement, client: Client, key: ObjectSigningKey, *, member: str | None = None) -> GivenSignature:
    """Return the signature of `client` under the text of `agreement`, as it is sent."""
    text = text_of(agreement)
    signature = sign_text(text, key, member=member or client.member, signatory=client.id)
    return GivenSignature(text.digest, key.verifying_key.key_id, signature)


NOTHING_SIGNED = GivenSignature("0" * 64, "0" * 64, ObjectSignature(b"", b""))


async def sign_by_call(services: Services, call: Call, agreement_id: str) -> Recorded[AgreementView]:
    """Sign as the caller, with the key that grows from its thumbprint, whatever text lies there now."""
    client = (await services.store.caller(call.thumbprint or "")).client
    agreement = await services.store.agreement(agreement_id) if is_uuid7(agreement_id) else None
    given = NOTHING_SIGNED
    if client is not None and agreement is not None:
        given = signed(agreement, client, signing_key(call.thumbprint or ""))
    return await usecases.sign_agreement(services, call, agreement_id, given)


async def enrol_key(services: Services, call: Call, client: Client, thumbprint: str) -> ObjectSigningKey:
    """Enrol for `client` the key that grows from its thumbprint."""
    key = signing_key(thumbprint)
    await usecases.enrol_signatory_key(services, call, client.id, offered(key))
    return key
