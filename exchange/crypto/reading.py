"""What the exchange reads from anybody's certificate.

Chains and revocation are checked by TLS, not here; `strict_fault` tells beforehand of what no chain makes up for.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from exchange.kernel import MalformedError

UNREADABLE = (
    *(ValueError, TypeError, KeyError, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
"""What the library raises for what is none of them; for a name in bits, too, and for a feature without a name."""

ExtensionT = TypeVar("ExtensionT", bound=x509.ExtensionType)

_PEM_BEGIN, _PEM_END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A certificate in brief. `thumbprint` is the SHA-256 of its DER in lower-case hex (RFC 8705 `x5t#S256`).

    `public_key` is the SHA-256 of its SubjectPublicKeyInfo, in the same form: certificates of one key pair have one.
    Common names are None where there is not exactly one; they are for display and identify nobody. `der` is all of it.
    """

    thumbprint: str
    subject_common_name: str | None
    not_before: datetime
    not_after: datetime
    is_authority: bool
    public_key: str
    der: bytes = field(default=b"", repr=False, compare=False)


def thumbprint_of_der(der: bytes) -> str:
    """Return the SHA-256 of a certificate's DER in lower-case hex: what names a client."""
    return hashlib.sha256(der).hexdigest()


def subject_of_der(der: bytes) -> str | None:
    """Return a certificate's subject as RFC 4514 writes it; None where it has none, or none that can be read.

    For the record alone: it identifies nobody.
    """
    try:
        return x509.load_der_x509_certificate(der).subject.rfc4514_string() or None
    except UNREADABLE:
        return None


def issuer_of_der(der: bytes) -> str:
    """Return the SHA-256 of a certificate's issuer name in lower-case hex; empty where it cannot be read."""
    try:
        return hashlib.sha256(x509.load_der_x509_certificate(der).issuer.public_bytes()).hexdigest()
    except UNREADABLE:
        return ""


def organisation_of_der(der: bytes) -> str | None:
    """Return the organisation in a certificate's subject; None where there is not exactly one, or it cannot be read."""
    try:
        subject = x509.load_der_x509_certificate(der).subject
    except UNREADABLE:
        return None
    named = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(named[0].value) if len(named) == 1 else None


def public_key_of_der(der: bytes) -> str | None:
    """Return the SHA-256 of a certificate's SubjectPublicKeyInfo in lower-case hex; None where it cannot be read."""
    try:
        return _public_key(x509.load_der_x509_certificate(der))
    except UNREADABLE:
        return None


def read_certificate(pem_or_der: bytes) -> CertificateFacts:
    """Return what is to know of one certificate.

    Raises MalformedError for anything but exactly one certificate, in PEM or DER.
    """
    certificate = _loaded(pem_or_der)
    der = certificate.public_bytes(Encoding.DER)
    return CertificateFacts(
        thumbprint=thumbprint_of_der(der),
        subject_common_name=_common_name(certificate.subject),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        is_authority=_is_authority(certificate),
        public_key=_public_key(certificate),
        der=der,
    )


def read_certificates(pem: bytes) -> tuple[CertificateFacts, ...]:
    """Return what is to know of each certificate in a PEM file, in order; MalformedError where one of them is none."""
    return tuple(read_certificate((piece + _PEM_END).strip()) for piece in pem.split(_PEM_END)[:-1])


def strict_fault(pem_or_der: bytes) -> str | None:
    """Return why a handshake refuses a certificate, or whoever comes with one of this authority, whatever its chain.

    None where nothing in it alone is wrong. What is asked is what OpenSSL asks of clients and their authorities with
    X509_V_FLAG_X509_STRICT (RFC 5280 §4.2.1), as a node does.
    """
    certificate = _loaded(pem_or_der)
    signer = _extension(certificate, x509.AuthorityKeyIdentifier)
    is_named = signer is not None and signer.value.key_identifier is not None
    if certificate.version is x509.Version.v3 and not is_named and certificate.issuer != certificate.subject:
        return "it does not say which key signed it (`authorityKeyIdentifier`)"
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if purposes is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in purposes.value:
        return "its `extendedKeyUsage` is not for clients (`clientAuth`)"
    basic, usage = _extension(certificate, x509.BasicConstraints), _extension(certificate, x509.KeyUsage)
    if basic is not None and basic.value.ca:
        if not basic.critical:
            return "its `basicConstraints` are not `critical`"
        if usage is None or not usage.value.key_cert_sign:
            return "its `keyUsage` does not say that it signs certificates (`keyCertSign`)"
        is_named = _extension(certificate, x509.SubjectKeyIdentifier) is not None
        return None if is_named else "it does not say which key is its own (`subjectKeyIdentifier`)"
    if usage is not None and not (usage.value.digital_signature or usage.value.key_agreement):
        return "its `keyUsage` is not for signatures (`digitalSignature`)"
    return None


def first_end(pem_or_der: bytes) -> datetime:
    """Return when the first of the certificates in a file ends; MalformedError where there is none.

    A server's may be followed by its chain, and an authority by another one: what is in the file holds until then.
    """
    return min(facts.not_after for facts in read_certificates(pem_or_der) or (read_certificate(pem_or_der),))


def host_names(pem_or_der: bytes) -> tuple[str, ...]:
    """Return the names and addresses that a server's certificate is for, the first one of a chain.

    Raises MalformedError for what is none.
    """
    first, end, _ = pem_or_der.partition(_PEM_END)
    try:
        named = _loaded(first + end).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(each.value) for each in named if isinstance(each, x509.DNSName | x509.IPAddress))


def _loaded(pem_or_der: bytes) -> x509.Certificate:
    count = pem_or_der.count(_PEM_BEGIN)
    if count > 1:
        raise MalformedError(f"{count} certificates at once: give the one that is meant")
    try:
        if count == 1:
            certificate = x509.load_pem_x509_certificate(pem_or_der)
        else:
            certificate = x509.load_der_x509_certificate(pem_or_der)
        # Names, times and extensions are parsed late; hostile ones shall fail here.
        _ = certificate.subject, certificate.issuer, certificate.extensions, certificate.not_valid_after_utc
        _ = certificate.public_key()
    except UNREADABLE as exc:
        if b"CERTIFICATE REQUEST-----" in pem_or_der:
            raise MalformedError("a signing request, and not a certificate yet: give what its authority made") from exc
        raise MalformedError("not a certificate: give an X.509 certificate in PEM") from exc
    return certificate


def _public_key(certificate: x509.Certificate) -> str:
    written = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(written).hexdigest()


def _common_name(name: x509.Name) -> str | None:
    values = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(values[0].value) if len(values) == 1 else None


def _is_authority(certificate: x509.Certificate) -> bool:
    basic = _extension(certificate, x509.BasicConstraints)
    return basic is not None and basic.value.ca


def _extension(certificate: x509.Certificate, kind: type[ExtensionT]) -> x509.Extension[ExtensionT] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
