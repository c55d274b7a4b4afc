import base64
import re

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.crypto import SEED_BYTES, CryptoError, SignatureError, SignatureScheme, SigningKey, VerifyingKey

SEED = bytes(range(32))
KEYS = {scheme: SigningKey.from_seed(scheme, SEED) for scheme in SignatureScheme}
SIZES = {
    SignatureScheme.ED25519: (32, 64),
    SignatureScheme.ML_DSA_44: (1312, 2420),
    SignatureScheme.ML_DSA_65: (1952, 3309),
}
EACH_SCHEME = pytest.mark.parametrize("scheme", SignatureScheme)


def test_scheme_ids_never_change():
    assert [scheme.value for scheme in SignatureScheme] == ["ed25519", "ml-dsa-44", "ml-dsa-65"]
    assert SEED_BYTES == 32


@EACH_SCHEME
def test_key_and_signature_have_the_sizes_of_the_standard(scheme):
    key = KEYS[scheme]

    assert (len(key.verifying_key.raw), len(key.sign(b"message"))) == SIZES[scheme]
    assert (key.scheme, key.verifying_key.scheme) == (scheme, scheme)


@EACH_SCHEME
@settings(max_examples=20)
@given(message=st.binary(max_size=500))
def test_signature_verifies(scheme, message):
    key = KEYS[scheme]

    VerifyingKey(scheme, key.verifying_key.raw).verify(key.sign(message), message)


# RFC 8032 §7.1, TEST 1 to TEST 3.
@pytest.mark.parametrize(
    ("seed", "public", "message", "signature"),
    [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ],
)
def test_published_ed25519_vectors(seed, public, message, signature):
    key = SigningKey.from_seed(SignatureScheme.ED25519, bytes.fromhex(seed))

    assert key.verifying_key.raw.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature


@EACH_SCHEME
def test_key_grows_from_its_seed_alone(scheme):
    again = SigningKey.from_seed(scheme, SEED)

    assert again.verifying_key == KEYS[scheme].verifying_key
    assert again.to_pem() == KEYS[scheme].to_pem()
    assert SigningKey.from_seed(scheme, bytes(32)).verifying_key != again.verifying_key


@EACH_SCHEME
def test_key_comes_back_from_its_file(scheme):
    pem = KEYS[scheme].to_pem()
    again = SigningKey.from_pem(pem)

    assert pem.startswith(b"-----BEGIN " + b"PRIVATE KEY-----\n")
    assert (again.scheme, again.to_pem()) == (scheme, pem)
    assert again.verifying_key == KEYS[scheme].verifying_key


@EACH_SCHEME
@pytest.mark.parametrize("damage", ["message", "signature", "shorter", "longer", "empty", "other key"])
def test_wrong_signature_is_refused(scheme, damage):
    key, message = KEYS[scheme].verifying_key, b"message"
    signature = KEYS[scheme].sign(message)
    if damage == "message":
        message = b"massage"
    if damage == "other key":
        key = SigningKey.from_seed(scheme, bytes(32)).verifying_key
    signature = {
        "signature": bytes([signature[0] ^ 1]) + signature[1:],
        "shorter": signature[:-1],
        "longer": signature + b"\0",
        "empty": b"",
    }.get(damage, signature)

    with pytest.raises(SignatureError) as caught:
        key.verify(signature, message)
    assert str(caught.value) == f"the signature is not of this `{scheme.value}` key over this message"
    assert caught.value.code == "bad-signature"


@pytest.mark.parametrize("size", [0, 31, 33, 64])
@EACH_SCHEME
def test_seed_of_another_length_is_refused(scheme, size):
    with pytest.raises(CryptoError, match=f"^seed has {size} bytes: give 32$"):
        SigningKey.from_seed(scheme, bytes(size))


@EACH_SCHEME
def test_public_key_of_another_length_is_refused(scheme):
    right = SIZES[scheme][0]
    for size in {0, right - 1, right + 1, *(each[0] for each in SIZES.values())} - {right}:
        with pytest.raises(CryptoError, match=f"^{size} bytes are no public key of `{scheme.value}`$"):
            VerifyingKey(scheme, bytes(size))


def pem_of(key, encryption=None):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption or serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"\0",
        SEED,
        b"-----BEGIN " + b"PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        KEYS[SignatureScheme.ED25519].to_pem()[:-40],
        pem_of(ed25519.Ed25519PrivateKey.from_private_bytes(SEED), serialization.BestAvailableEncryption(b"secret")),
    ],
)
def test_what_is_no_key_file_is_refused(pem):
    with pytest.raises(CryptoError, match=r"^not a signing key: give the PKCS #8 file that this exchange wrote$"):
        SigningKey.from_pem(pem)


@pytest.mark.parametrize("known", ["06082a8648ce3d030107", "06072a8648ce3d0201"], ids=["curve", "kind of key"])
def test_key_file_of_a_curve_or_kind_that_the_library_does_not_know_is_refused(known):
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    unknown = base64.encodebytes(der.replace(bytes.fromhex(known), bytes.fromhex(known[:-2] + "7f")))
    pem = b"-----BEGIN " + b"PRIVATE KEY-----\n" + unknown + b"-----END PRIVATE KEY-----\n"

    with pytest.raises(CryptoError, match=r"^not a signing key: give the PKCS #8 file that this exchange wrote$"):
        SigningKey.from_pem(pem)


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP256R1()), mldsa.MLDSA87PrivateKey.from_seed_bytes(SEED)]
)
def test_key_of_another_scheme_is_refused(key):
    with pytest.raises(CryptoError) as caught:
        SigningKey.from_pem(pem_of(key))

    known = "`ed25519`, `ml-dsa-44`, `ml-dsa-65`"
    assert str(caught.value) == f"not a signing key of a known scheme: this version signs with {known}"


@EACH_SCHEME
def test_text_of_a_key_holds_no_secret(scheme):
    key = KEYS[scheme]
    public = f"VerifyingKey({scheme.value}, {key.verifying_key.raw.hex()[:16]}…)"

    assert repr(key.verifying_key) == public
    assert repr(key) == f"SigningKey({public})"
    assert SEED.hex()[:16] not in repr(key) + str(key)
    assert re.search("[0-9a-f]{17}", repr(key)) is None


def test_public_keys_are_equal_by_what_they_are():
    raw = KEYS[SignatureScheme.ED25519].verifying_key.raw
    key = VerifyingKey(SignatureScheme.ED25519, raw)

    assert key == VerifyingKey(SignatureScheme.ED25519, raw)
    assert len({key, VerifyingKey(SignatureScheme.ED25519, raw)}) == 1
    assert key != VerifyingKey(SignatureScheme.ED25519, bytes(range(32)))
    assert key != raw
    assert hash(key) != hash(VerifyingKey(SignatureScheme.ED25519, bytes(range(32))))


SMALL_ORDERS = [
    "00" * 32,
    "01" + "00" * 31,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
]


@pytest.mark.parametrize("sign", [0x00, 0x80])
@pytest.mark.parametrize("spelt", SMALL_ORDERS, ids=lambda spelt: spelt[:8])
def test_key_that_anybody_signs_for_refuses(spelt, sign):
    raw = bytearray.fromhex(spelt)
    raw[-1] |= sign
    nobodys = bytes([1]) + bytes(63)
    library = ed25519.Ed25519PublicKey.from_public_bytes(bytes(raw))

    def is_forged(message):
        try:
            library.verify(nobodys, message)
        except InvalidSignature:
            return False
        return True

    # The library takes it up, and what nobody signed verifies.
    assert any(is_forged(b"%d" % number) for number in range(500))
    with pytest.raises(
        CryptoError, match=r"^this public key of `ed25519` belongs to nobody: anybody could sign for it$"
    ):
        VerifyingKey(SignatureScheme.ED25519, bytes(raw))


def test_keys_of_the_other_schemes_are_not_asked_for_that():
    assert VerifyingKey(SignatureScheme.ML_DSA_65, bytes(1952)).raw == bytes(1952)
