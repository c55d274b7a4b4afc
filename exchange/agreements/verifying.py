"""Verify an agreement's texts and signatures with what an export holds, and without the exchange.

Steps for each text, the oldest first: (1) it is of this agreement and follows the one before, by number and by digest;
a party is given the texts of its own time alone, so a text before one of them may be missing: that is told, and what
the file holds is no less proven;
(2) every signature is of a party, by a key that was enrolled for that signatory of that member before it and not
retired before it, and verifies;
(3) every party has signed. What is trusted beyond the file itself are the keys that the verifier names.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from exchange.agreements.terms import terms_from_stored
from exchange.agreements.treaty import SignatoryKey, TextSignature, TreatyText, is_signed
from exchange.kernel import ExchangeError


@dataclass(frozen=True, slots=True)
class SignedText:
    """A text, the digest that it was given under, and the signatures."""

    text: TreatyText
    digest: str
    signatures: tuple[TextSignature, ...]


@dataclass(frozen=True, slots=True)
class TextFinding:
    """What one step found about one edition; `is_good` where it is as it must be."""

    edition: int
    told: str
    is_good: bool


def verify_texts(
    texts: Sequence[SignedText], keys: Mapping[str, SignatoryKey], *, trusted: Collection[str] = ()
) -> tuple[TextFinding, ...]:
    """Return what every step found. With `trusted`, the names of keys, a signature by another key is no good."""
    findings: list[TextFinding] = []
    if not texts:
        findings.append(TextFinding(0, "there is no text", is_good=False))
    before: SignedText | None = None
    for signed in texts:
        findings += _place(signed, before)
        findings += _signatures(signed, keys, trusted)
        before = signed
    return tuple(findings)


def _place(signed: SignedText, before: SignedText | None) -> list[TextFinding]:
    # (1) in its place
    text = signed.text
    told, is_in_place = _following(text, before)
    return [
        TextFinding(text.edition, f"text {signed.digest}", is_good=text.digest == signed.digest),
        TextFinding(text.edition, told, is_good=is_in_place),
    ]


def _following(text: TreatyText, before: SignedText | None) -> tuple[str, bool]:
    last = 0 if before is None else before.text.edition
    if text.edition > last + 1:
        # Left out here by who exported it: the number and the digest that were signed say that there was one.
        is_same = before is None or text.agreement == before.text.agreement
        return f"follows text {text.previous}, which this file does not hold", is_same and text.previous is not None
    if before is None:
        return "is the first text", (text.edition, text.previous) == (1, None)
    follows = (before.text.agreement, last + 1, before.digest)
    return "follows the text before", (text.agreement, text.edition, text.previous) == follows


def _signatures(signed: SignedText, keys: Mapping[str, SignatoryKey], trusted: Collection[str]) -> list[TextFinding]:
    edition = signed.text.edition
    try:
        parties = terms_from_stored(signed.text.terms).parties
    except ExchangeError as exc:
        return [TextFinding(edition, f"the terms cannot be read: {exc.message}", is_good=False)]
    # (2) what there is
    findings = [
        _signature(signed, signature, keys, trusted)
        if signature.member in parties
        else TextFinding(edition, f"signed by {signature.member}, which is no party", is_good=False)
        for signature in signed.signatures
    ]
    # (3) what there should be
    have = {signature.member for signature in signed.signatures}
    missing = [party for party in parties if party not in have]
    if missing:
        findings.append(TextFinding(edition, f"not signed by {', '.join(missing)}", is_good=False))
    return findings


def _signature(
    signed: SignedText, signature: TextSignature, keys: Mapping[str, SignatoryKey], trusted: Collection[str]
) -> TextFinding:
    key_id = signature.key.key_id
    enrolled = keys.get(key_id)
    told = f"signed by {signature.member} with key {key_id[:16]}"
    own = (signature.member, signature.signatory, signature.key)
    if enrolled is None or (enrolled.member, enrolled.client, enrolled.key) != own:
        return TextFinding(signed.text.edition, f"{told}, which is not that signatory's", is_good=False)
    if signature.signed_at < enrolled.enrolled_at:
        return TextFinding(signed.text.edition, f"{told}, which was enrolled only after that", is_good=False)
    if enrolled.retired_at is not None and enrolled.retired_at <= signature.signed_at:
        return TextFinding(signed.text.edition, f"{told}, which was retired before", is_good=False)
    if trusted and key_id not in trusted:
        return TextFinding(signed.text.edition, f"{told}, which you do not trust", is_good=False)
    return TextFinding(signed.text.edition, told, is_good=is_signed(signed.text, signed.digest, signature))
