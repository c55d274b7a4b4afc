"""Object signatures: both schemes, one purpose, and nothing else verifies."""

import dataclasses

import pytest

from exchange.crypto import (
    CryptoError,
    ObjectSignature,
    ObjectSigningKey,
    ObjectVerifyingKey,
    SignatureError,
    SignatureScheme,
    SigningKey,
)


def key(number: int = 0) -> ObjectSigningKey:
    schemes = (SignatureScheme.ED25519, SignatureScheme.ML_DSA_65)
    return ObjectSigningKey(*(SigningKey.from_seed(scheme, bytes([number]) * 32) for scheme in schemes))


KEY = key()
SIGNED = KEY.sign(b"content", purpose="agreement")


def flipped(raw: bytes) -> bytes:
    return bytes([raw[0] ^ 1]) + raw[1:]


def test_signature_verifies_for_its_content_and_purpose():
    KEY.verifying_key.verify(SIGNED, b"content", purpose="agreement")


@pytest.mark.parametrize(
    ("signature", "content", "purpose", "by"),
    [
        (dataclasses.replace(SIGNED, ed25519=flipped(SIGNED.ed25519)), b"content", "agreement", KEY),
        (dataclasses.replace(SIGNED, ml_dsa_65=flipped(SIGNED.ml_dsa_65)), b"content", "agreement", KEY),
        (dataclasses.replace(SIGNED, ml_dsa_65=b""), b"content", "agreement", KEY),
        (ObjectSignature(b"", b""), b"content", "agreement", KEY),
        (SIGNED, b"contents", "agreement", KEY),
        (SIGNED, b"content", "onward release", KEY),
        (SIGNED, b"content", "agreement", key(1)),
        (
            dataclasses.replace(SIGNED, ed25519=key(1).sign(b"content", purpose="agreement").ed25519),
            b"content",
            "agreement",
            KEY,
        ),
    ],
)
def test_anything_else_does_not(signature, content, purpose, by):
    with pytest.raises(SignatureError):
        by.verifying_key.verify(signature, content, purpose=purpose)


@pytest.mark.parametrize("purpose", ["", "agreement\nmore"])
def test_purpose_is_one_line(purpose):
    with pytest.raises(CryptoError, match=r"^a purpose is one line$"):
        KEY.sign(b"", purpose=purpose)


def test_key_comes_back_from_its_file_and_hides_itself():
    again = ObjectSigningKey.from_pem(KEY.to_pem())

    assert again.verifying_key == KEY.verifying_key
    assert repr(KEY) == f"ObjectSigningKey({KEY.verifying_key.key_id[:16]}…)"


@pytest.mark.parametrize(
    ("pem", "told"),
    [
        (b"", "not a key for signing objects: give the file that this exchange's verb wrote"),
        (b"no key", "not a key for signing objects: give the file that this exchange's verb wrote"),
        (KEY.to_pem().partition(b"-----END")[0], "not a key for signing objects: give the file"),
        (KEY.to_pem()[:120], "not a signing key"),
    ],
)
def test_what_is_no_key_file_is_refused(pem, told):
    with pytest.raises(CryptoError, match=f"^{told}"):
        ObjectSigningKey.from_pem(pem)


def test_keys_in_the_wrong_order_are_refused():
    first = SigningKey.from_seed(SignatureScheme.ED25519, bytes(32))

    with pytest.raises(CryptoError, match="`ed25519` and then `ml-dsa-65`"):
        ObjectSigningKey(first, first)


def test_new_keys_grow_from_the_randomness_given():
    assert ObjectSigningKey.new(bytes).verifying_key == KEY.verifying_key


def test_name_of_a_key_is_over_both_halves():
    public = KEY.verifying_key
    mixed = ObjectVerifyingKey(public.ed25519, key(1).verifying_key.ml_dsa_65)

    assert ObjectVerifyingKey.from_raw(public.ed25519.raw, public.ml_dsa_65.raw).key_id == public.key_id
    assert len({public.key_id, mixed.key_id, key(1).verifying_key.key_id}) == 3


def test_name_and_proof_of_a_key_stay_what_they_are():
    # Names stand in signed agreements, and proofs are made by programs of other versions.
    name = "a3ce7600b234f2bdff50165e59d91fd9b22b65845f7b97a609bfde956505610e"

    assert KEY.verifying_key.key_id == name
    KEY.verifying_key.verify_possession(KEY.sign(name.encode(), purpose="key possession"))


def test_possession_is_proved_by_the_holder_alone():
    KEY.verifying_key.verify_possession(KEY.prove_possession())

    for proof in (key(1).prove_possession(), SIGNED, KEY.sign(KEY.verifying_key.key_id.encode(), purpose="agreement")):
        with pytest.raises(SignatureError):
            KEY.verifying_key.verify_possession(proof)
