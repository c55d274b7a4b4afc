"""Signatures of agreements, the keys they are made with, and the file that proves an agreement, as JSON."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from exchange.agreements import SignatoryKey, SignedText, TextSignature, TreatyText, terms_as_json, terms_from_stored
from exchange.audit.strict_text import base64_text
from exchange.crypto import CryptoError, ObjectSignature, ObjectSigningKey, ObjectVerifyingKey
from exchange.kernel import InvalidError, MalformedError
from exchange.wire.acts import Digest
from exchange.wire.base import AnswerModel, Instant, WireModel, pointer_to, read_json
from exchange.wire.lists import ListAnswer
from exchange.wire.words import Id, MemberCodeText

_FORMAT = 1


def _base64(text: str) -> str:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError("this is no base64") from exc
    if base64_text(content) != text:
        raise ValueError("this is not how base64 spells it")
    return text


Base64 = Annotated[str, Field(max_length=8192, examples=["AAAA"]), AfterValidator(_base64)]
"""The largest is an ML-DSA-65 signature: 3,309 bytes, 4,412 characters."""


class ObjectSignatureBody(WireModel):
    """Both signatures over one object, in base64."""

    ed25519: Base64
    ml_dsa_65: Base64

    @classmethod
    def of(cls, signature: ObjectSignature) -> "ObjectSignatureBody":
        """Return `signature` as it is sent."""
        return cls(ed25519=base64_text(signature.ed25519), ml_dsa_65=base64_text(signature.ml_dsa_65))

    def to_signature(self) -> ObjectSignature:
        """Return the signature."""
        return ObjectSignature(_bytes(self.ed25519), _bytes(self.ml_dsa_65))


class AgreementSignature(WireModel):
    """A signatory's signature under a text: its digest, the name of the key, and both signatures.

    Each signs one line, `exchange object signature v1: agreement`, its line feed, and the canonical form (RFC 8785) of
    an object of `format` (1), `agreement`, `edition`, `text`, `member` and `signatory` (the client's id). `key` is the
    SHA-256 over `exchange object key v1`, a line feed, and both public keys.
    """

    text: Digest
    key: Digest
    signature: ObjectSignatureBody


class SignatoryKeyOffer(WireModel):
    """Public keys to enrol for a signatory, in base64, and the proof that their holder has the private ones.

    The proof signs one line, `exchange object signature v1: key possession`, its line feed, and the key's name.
    """

    ed25519: Base64
    ml_dsa_65: Base64
    proof: ObjectSignatureBody

    @classmethod
    def of(cls, key: ObjectSigningKey) -> "SignatoryKeyOffer":
        """Return what the holder of `key` gives to the operator."""
        public = key.verifying_key
        proof = ObjectSignatureBody.of(key.prove_possession())
        return cls(ed25519=base64_text(public.ed25519.raw), ml_dsa_65=base64_text(public.ml_dsa_65.raw), proof=proof)

    def raw(self) -> tuple[bytes, bytes]:
        """Return the bytes of both public keys."""
        return _bytes(self.ed25519), _bytes(self.ml_dsa_65)


class KeyRetirement(WireModel):
    """A key to be used no longer."""

    key: Digest


class SignatoryKeyBody(AnswerModel):
    """A signatory's keys; `entry` is the log's entry of their enrolment, `enrolled_by` null for the host."""

    key: Digest
    client: Id
    member: MemberCodeText
    ed25519: Base64
    ml_dsa_65: Base64
    enrolled_at: Instant
    enrolled_by: Id | None
    entry: Id
    retired_at: Instant | None

    @classmethod
    def of(cls, enrolled: SignatoryKey) -> "SignatoryKeyBody":
        """Return `enrolled` as it is shown."""
        return cls(
            key=enrolled.key.key_id,
            client=enrolled.client,
            member=enrolled.member,
            ed25519=base64_text(enrolled.key.ed25519.raw),
            ml_dsa_65=base64_text(enrolled.key.ml_dsa_65.raw),
            enrolled_at=enrolled.enrolled_at,
            enrolled_by=enrolled.enrolled_by,
            entry=enrolled.entry,
            retired_at=enrolled.retired_at,
        )

    def to_key(self) -> SignatoryKey:
        """Return the keys, under the name that they have and not the one that is written beside them."""
        key = _verifying_key(self.ed25519, self.ml_dsa_65)
        return SignatoryKey(
            key, self.client, self.member, self.enrolled_at, self.enrolled_by, self.entry, self.retired_at
        )


class SignatoryKeyListBody(ListAnswer):
    """Every key that a signatory ever had, the oldest first."""

    items: list[SignatoryKeyBody]


class TextSignatureBody(AnswerModel):
    """A signature under a text, and the public keys that it was made with."""

    member: MemberCodeText
    signatory: Id
    signed_at: Instant
    ed25519_key: Base64
    ml_dsa_65_key: Base64
    signature: ObjectSignatureBody


class SignedTextBody(AnswerModel):
    """A text of an agreement and its signatures.

    `text` is the SHA-256 over the canonical form (RFC 8785) of an object of `format` (1), `agreement`, `edition`,
    `previous` and `terms`.
    """

    edition: int
    previous: Digest | None
    text: Digest
    terms: dict[str, Any]
    signatures: list[TextSignatureBody]

    @classmethod
    def of(cls, signed: SignedText) -> "SignedTextBody":
        """Return `signed` as it is written."""
        return cls(
            edition=signed.text.edition,
            previous=signed.text.previous,
            text=signed.digest,
            terms=dict(signed.text.terms),
            signatures=[_signature_body(each) for each in signed.signatures],
        )

    def to_signed(self, agreement: str) -> SignedText:
        """Return the text and its signatures; nothing of it is verified."""
        text = TreatyText(agreement, self.edition, self.previous, self.terms)
        return SignedText(text, self.text, tuple(_signature_of(self.text, each) for each in self.signatures))


class AmendmentPartyBody(AnswerModel):
    """One who has to sign an amendment, and whether it has."""

    member: MemberCodeText
    state: Literal["pending", "signed"]


class AgreementAmendmentBody(AnswerModel):
    """An amendment: its text, who has to sign it, and in words what it changes, as far as the caller may know."""

    number: int
    edition: int
    previous: Digest
    text: Digest
    state: Literal["proposed", "in_force", "overtaken"]
    terms: dict[str, Any]
    parties: list[AmendmentPartyBody]
    changes: list[str]

    def to_text(self, agreement: str) -> TreatyText:
        """Return the text to be signed, made from what this answer says and not from the digest in it."""
        return TreatyText(agreement, self.edition, self.previous, terms_as_json(terms_from_stored(self.terms)))


class AgreementAmendmentListBody(ListAnswer):
    """Every amendment that was proposed to an agreement, the first one first."""

    items: list[AgreementAmendmentBody]


class AgreementEvidenceBody(ListAnswer):
    """An agreement as evidence: every text with its signatures, and the keys with their enrolment.

    Keys of these signatures that cannot be read any more are under `unopened`.
    """

    format: int
    agreement: Id
    texts: list[SignedTextBody]
    keys: list[SignatoryKeyBody]

    @classmethod
    def of(cls, agreement: str, texts: Sequence[SignedText], keys: Sequence[SignatoryKey]) -> "AgreementEvidenceBody":
        """Return the evidence as it is written."""
        return cls(
            format=_FORMAT,
            agreement=agreement,
            texts=[SignedTextBody.of(each) for each in texts],
            keys=[SignatoryKeyBody.of(each) for each in keys],
        )

    def to_texts(self) -> tuple[SignedText, ...]:
        """Return the texts; InvalidError where a key in them is none."""
        return tuple(each.to_signed(self.agreement) for each in self.texts)

    def to_keys(self) -> dict[str, SignatoryKey]:
        """Return the keys under their names; InvalidError where one is none, has another's name, or stands twice."""
        keys: dict[str, SignatoryKey] = {}
        for body in self.keys:
            key = body.to_key()
            if key.key.key_id != body.key or body.key in keys:
                raise InvalidError(f"key {body.key[:16]} stands twice, or is another one than its name says")
            keys[body.key] = key
        return keys


def read_evidence(content: bytes) -> AgreementEvidenceBody:
    """Return what `AgreementEvidenceBody` wrote, from a file that somebody brings.

    Raises InvalidError for what says two things in one place, and for what says more than was written: what no
    signature covers must not stand beside what was verified.
    """
    try:
        value = read_json(content)
        body = AgreementEvidenceBody.model_validate_json(content)
    except MalformedError as exc:
        raise InvalidError(exc.message) from exc
    except ValidationError as exc:
        raise InvalidError(f"`{pointer_to(exc.errors()[0]['loc'])}` is not as an export has it") from exc
    if body.format != _FORMAT:
        raise InvalidError(f"it is of format {body.format}: this version reads {_FORMAT}")
    # Written only where something is lacking.
    unwritten = set() if isinstance(value, dict) and "unopened" in value else {"unopened"}
    place = _strange(value, body.model_dump(mode="json", exclude=unwritten), ())
    if place is not None:
        raise InvalidError(f"`{pointer_to(place)}` is nothing that an export has there")
    return body


def _strange(value: object, known: object, place: tuple[str | int, ...]) -> tuple[str | int, ...] | None:
    """Return where `value` says something else than `known`, None where it does nowhere."""
    if isinstance(value, dict) and isinstance(known, dict):
        for name in value:
            if name not in known:
                return (*place, name)
        inner: list[tuple[str | int, object, object]] = [(name, value.get(name), known[name]) for name in known]
    elif isinstance(value, list) and isinstance(known, list):
        inner = [(index, *pair) for index, pair in enumerate(zip(value, known, strict=True))]
    else:
        return None if value == known else place
    found = (_strange(one, other, (*place, step)) for step, one, other in inner)
    return next((each for each in found if each is not None), None)


def _signature_body(signature: TextSignature) -> TextSignatureBody:
    return TextSignatureBody(
        member=signature.member,
        signatory=signature.signatory,
        signed_at=signature.signed_at,
        ed25519_key=base64_text(signature.key.ed25519.raw),
        ml_dsa_65_key=base64_text(signature.key.ml_dsa_65.raw),
        signature=ObjectSignatureBody.of(signature.signature),
    )


def _signature_of(text: str, body: TextSignatureBody) -> TextSignature:
    key = _verifying_key(body.ed25519_key, body.ml_dsa_65_key)
    return TextSignature(text, body.member, body.signatory, key, body.signature.to_signature(), body.signed_at)


def _verifying_key(ed25519: str, ml_dsa_65: str) -> ObjectVerifyingKey:
    try:
        return ObjectVerifyingKey.from_raw(_bytes(ed25519), _bytes(ml_dsa_65))
    except CryptoError as exc:
        raise InvalidError(f"a key is damaged: {exc.message}") from exc


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
