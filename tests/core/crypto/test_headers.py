import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from exchange.crypto import CryptoError, OpeningError, decrypt_header, encrypt_header

KEY = bytes(range(32))
CONTEXT = bytes(range(32, 64))
NONCE = bytes(range(64, 76))
BLOB = encrypt_header(KEY, CONTEXT, b'{"subject":"x"}', NONCE)

keys = st.binary(min_size=32, max_size=32)


@given(keys, keys, st.binary(max_size=2000), st.binary(min_size=12, max_size=12))
def test_header_opens_to_what_went_in(key, context, plaintext, nonce):
    assert decrypt_header(key, context, encrypt_header(key, context, plaintext, nonce)) == plaintext


@given(st.binary(max_size=100))
def test_header_is_aes_256_gcm_under_a_key_of_its_own(plaintext):
    own_key = hmac.digest(KEY, b"exchange header v1", hashlib.sha256)

    assert encrypt_header(KEY, CONTEXT, plaintext, NONCE) == NONCE + AESGCM(own_key).encrypt(NONCE, plaintext, CONTEXT)


def test_stored_header_opens():
    stored = bytes.fromhex("000000000000000000000000e1c5f8aecfe04627965d83f2d5bc0e0583508253a47310")

    assert decrypt_header(KEY, CONTEXT, stored) == b"subject"


@pytest.mark.parametrize(
    ("key", "context", "blob"),
    [
        pytest.param(bytes(32), CONTEXT, BLOB, id="other key"),
        pytest.param(KEY, bytes(32), BLOB, id="other context"),
        pytest.param(KEY, CONTEXT[:-1], BLOB, id="shorter context"),
        pytest.param(KEY, b"", BLOB, id="no context"),
        pytest.param(KEY, CONTEXT, b"", id="nothing"),
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
        decrypt_header(key, context, blob)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ((31, 32, 12), "key has 31 bytes: 32 are needed"),
        ((32, 0, 12), "context has 0 bytes: use a digest of 32"),
        ((32, 32, 8), "nonce has 8 bytes: 12 are needed"),
        ((32, 32, 16), "nonce has 16 bytes: 12 are needed"),
    ],
)
def test_wrong_size_refuses(sizes, fault):
    key, context, nonce = map(bytes, sizes)

    with pytest.raises(CryptoError, match=fault):
        encrypt_header(key, context, b"", nonce)
