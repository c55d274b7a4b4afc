"""Crypto: what is encrypted, bound, sealed, signed and certified, each with what the library offers for it.

Promises: every ciphertext is bound to its label and place and names its suite; opening gives the whole
truth or an OpeningError that says nothing. Randomness and keys come in as arguments; the nonces and salts
inside Cobblestone and the keys of certificates are the library's own.
Does not: keep keys (custody does), decide who may open, or invent a mode or container.
"""

from exchange.crypto.certificates import (
    KeyAndCertificate,
    empty_crl,
    is_issued_by,
    issue_client,
    issue_server,
    new_authority,
    sign_request,
)
from exchange.crypto.contexts import (
    CONTEXT_BYTES,
    digest_context,
    header_context,
    part_context,
    personal_context,
    request_context,
    upload_context,
    webhook_context,
)
from exchange.crypto.errors import CryptoError, OpeningError, SignatureError
from exchange.crypto.headers import HeaderCipher
from exchange.crypto.keys import DATA_KEY_BYTES, NONCE_BYTES, derive_key
from exchange.crypto.object_signatures import ObjectSignature, ObjectSigningKey, ObjectVerifyingKey
from exchange.crypto.parts import PartDecryptor, PartEncryptor, decrypt_part, encrypt_part
from exchange.crypto.personal import PersonalKey, SearchTokens
from exchange.crypto.reading import (
    CertificateFacts,
    first_end,
    host_names,
    issuer_of_der,
    organisation_of_der,
    public_key_of_der,
    read_certificate,
    read_certificates,
    strict_fault,
    subject_of_der,
    thumbprint_of_der,
)
from exchange.crypto.revocations import (
    Authority,
    RevocationList,
    issuer_and_serial,
    read_authorities,
    read_revocation_lists,
    readable_authorities,
    revocations_end,
)
from exchange.crypto.signatures import SEED_BYTES, SignatureScheme, SigningKey, VerifyingKey
from exchange.crypto.suites import HEADER_SUITE, PART_SUITE, WRAP_SUITE, Suite, require_suite, suite_named
from exchange.crypto.tokens import open_token, seal_token
from exchange.crypto.webhooks import WebhookKey

__all__ = [
    "CONTEXT_BYTES",
    "DATA_KEY_BYTES",
    "HEADER_SUITE",
    "NONCE_BYTES",
    "PART_SUITE",
    "SEED_BYTES",
    "WRAP_SUITE",
    "Authority",
    "CertificateFacts",
    "CryptoError",
    "HeaderCipher",
    "KeyAndCertificate",
    "ObjectSignature",
    "ObjectSigningKey",
    "ObjectVerifyingKey",
    "OpeningError",
    "PartDecryptor",
    "PartEncryptor",
    "PersonalKey",
    "RevocationList",
    "SearchTokens",
    "SignatureError",
    "SignatureScheme",
    "SigningKey",
    "Suite",
    "VerifyingKey",
    "WebhookKey",
    "decrypt_part",
    "derive_key",
    "digest_context",
    "empty_crl",
    "encrypt_part",
    "first_end",
    "header_context",
    "host_names",
    "is_issued_by",
    "issue_client",
    "issue_server",
    "issuer_and_serial",
    "issuer_of_der",
    "new_authority",
    "open_token",
    "organisation_of_der",
    "part_context",
    "personal_context",
    "public_key_of_der",
    "read_authorities",
    "read_certificate",
    "read_certificates",
    "read_revocation_lists",
    "readable_authorities",
    "request_context",
    "require_suite",
    "revocations_end",
    "seal_token",
    "sign_request",
    "strict_fault",
    "subject_of_der",
    "suite_named",
    "thumbprint_of_der",
    "upload_context",
    "webhook_context",
]
