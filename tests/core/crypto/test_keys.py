import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.crypto import DATA_KEY_BYTES, NONCE_BYTES, CryptoError, derive_key

ROOT = bytes(range(32))


def rfc5869(root, info):
    extracted = hmac.digest(bytes(64), root, hashlib.sha512)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha512)[:32]


@given(st.binary(min_size=32, max_size=64), st.text(min_size=1))
def test_derived_key_is_hkdf_with_sha512(root, label):
    assert derive_key(root, label) == rfc5869(root, label.encode())


def test_sizes_are_those_of_aes_256_gcm():
    assert (DATA_KEY_BYTES, NONCE_BYTES) == (32, 12)


def test_labels_give_unrelated_keys():
    assert derive_key(ROOT, "a") != derive_key(ROOT, "b")


@pytest.mark.parametrize("size", [0, 1, 31])
def test_short_root_refuses(size):
    with pytest.raises(CryptoError, match=f"root key has {size} bytes: at least 32 are needed"):
        derive_key(bytes(size), "cursor")


def test_empty_label_refuses():
    with pytest.raises(CryptoError, match=r"^a derived key needs a label: name what it is for$"):
        derive_key(ROOT, "")
