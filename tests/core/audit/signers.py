"""Keys that sign in tests: one log with both its keys, and witnesses."""

import hashlib

from exchange.audit import NoteSigner, SignatureType
from exchange.crypto import SigningKey


def signer(name, signature_type):
    seed = hashlib.sha256(f"{name} {signature_type.name}".encode()).digest()
    return NoteSigner(name, signature_type, SigningKey.from_seed(signature_type.scheme, seed))


ORIGIN = "exchange.example/log/1"
LOG = signer(ORIGIN, SignatureType.ED25519)
LOG_ML_DSA = signer(ORIGIN, SignatureType.ML_DSA_44_COSIGNATURE)
OTHER_LOG = signer("exchange.example/log/2", SignatureType.ED25519)
W1 = signer("witness.example/w1", SignatureType.ED25519_COSIGNATURE)
W2 = signer("witness.example/w2", SignatureType.ML_DSA_44_COSIGNATURE)
W3 = signer("witness.example/w3", SignatureType.ED25519_COSIGNATURE)
