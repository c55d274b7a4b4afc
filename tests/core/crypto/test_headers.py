import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from exchange.crypto import CryptoError, HeaderCipher, OpeningError

KEY = bytes(range(32))
CONTEXT = b"exchange header/of a place"
NONCE = bytes(range(64, 76))
BLOB = HeaderCipher(KEY).seal(CONTEXT, b'{"subject":"x"}', NONCE)

keys = st.binary(min_size=32, max_size=32)


@given(keys, st.binary(min_size=1, max_size=200), st.binary(max_size=2000), st.binary(min_size=12, max_size=12))
def test_header_opens_to_what_went_in(key, context, plaintext, nonce):
    cipher = HeaderCipher(key)

    assert cipher.open(context, cipher.seal(context, plaintext, nonce)) == plaintext


@given(st.binary(max_size=100))
def test_header_is_aes_256_gcm_with_its_nonce_before_it(plaintext):
    assert HeaderCipher(KEY).seal(CONTEXT, plaintext, NONCE) == NONCE + AESGCM(KEY).encrypt(NONCE, plaintext, CONTEXT)


def test_stored_header_opens():
    stored = bytes.fromhex("0000000000000000000000007dc9d7b4d04ff74fcb3900784ab481c48839efd6754843")

    assert HeaderCipher(KEY).open(CONTEXT, stored) == b"subject"


@pytest.mark.parametrize(
    ("key", "context", "blob"),
    [
        pytest.param(bytes(32), CONTEXT, BLOB, id="other key"),
        pytest.param(KEY, bytes(32), BLOB, id="other context"),
        pytest.param(KEY, CONTEXT[:-1], BLOB, id="shorter context"),
        pytest.param(KEY, b"", BLOB, id="no context"),
        pytest.param(KEY, CONTEXT, b"", id="nothing"),
        pytest.param(KEY, CONTEXT, 7, id="a number"),
        pytest.param(KEY, CONTEXT, BLOB[:5], id="part of a nonce"),
        pytest.param(KEY, CONTEXT, BLOB[:12], id="nonce alone"),
        pytest.param(KEY, CONTEXT, BLOB[:20], id="part of a tag"),
        pytest.param(KEY, CONTEXT, BLOB[:-1], id="cut"),
        pytest.param(KEY, CONTEXT, BLOB + b"\0", id="longer"),
        *[
            pytest.param(KEY, CONTEXT, BLOB[:at] + bytes([BLOB[at] ^ 128]) + BLOB[at + 1 :], id=f"octet {at}")
            for at in range(len(BLOB))
        ],
    ],
)
def test_what_does_not_belong_together_never_opens(key, context, blob):
    with pytest.raises(OpeningError, match=r"^header, key, class or place do not belong together$") as caught:
        HeaderCipher(key).open(context, blob)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("size", [0, 8, 11, 13, 16])
def test_nonce_of_a_wrong_size_refuses(size):
    with pytest.raises(CryptoError, match=f"nonce has {size} bytes: 12 are needed"):
        HeaderCipher(KEY).seal(CONTEXT, b"", bytes(size))


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_key_of_a_wrong_size_refuses(size):
    with pytest.raises(CryptoError, match=f"key has {size} bytes: 32 are needed"):
        HeaderCipher(bytes(size))


def test_nothing_is_sealed_without_its_place():
    with pytest.raises(CryptoError, match=r"^a header needs a context: nothing is sealed without its place$"):
        HeaderCipher(KEY).seal(b"", b"subject", NONCE)
