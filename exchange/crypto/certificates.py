"""Certificates that the exchange's own authority issues (RFC 5280): for its server, and for clients enrolled with it.

Does not keep what it issued, and does not revoke: the client's row does, from the next request on.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from exchange.crypto.errors import CryptoError
from exchange.crypto.reading import UNREADABLE
from exchange.kernel import InvalidError, MalformedError, rfc3339

AUTHORITY_DAYS: Final = 3650
CERTIFICATE_DAYS: Final = 365

# Clocks differ; a certificate made now must work now on the other machine too.
_CLOCK_TOLERANCE = timedelta(minutes=5)

# RFC 5280 appendix A: upper bound of a common name; the library counts octets of UTF-8.
_LONGEST_NAME = 64

# 128 bits of strength (NIST SP 800-57 part 1, table 2): whoever breaks this key reads what its client may read.
_SMALLEST_RSA_BITS = 3072
_HOST_NAME = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)

# No backup holds a key, and whoever was enrolled was given the certificate.
_PUT_BACK = "put back the key, which the escrow has, and the certificate, which each client has as `ca.pem`"


@dataclass(frozen=True, slots=True)
class KeyAndCertificate:
    """A private key (PKCS #8, not encrypted) and its certificate, both PEM."""

    key_pem: bytes
    certificate_pem: bytes


def new_authority(name: str, now: datetime, days: int = AUTHORITY_DAYS) -> KeyAndCertificate:
    """Return a new root: it signs certificates and revocation lists, and no further authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = (
        _builder(subject, key.public_key())
        .issuer_name(subject)
        .not_valid_before(now - _CLOCK_TOLERANCE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_authority=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return KeyAndCertificate(_key_pem(key), _pem(builder.sign(key, hashes.SHA256())))


def issue_server(
    authority: KeyAndCertificate, hosts: Sequence[str], *, now: datetime, days: int = CERTIFICATE_DAYS
) -> KeyAndCertificate:
    """Return a key and certificate for a server that answers at `hosts`, names or addresses."""
    if not hosts:
        raise InvalidError("a server certificate needs at least one host name or address")
    key = ec.generate_private_key(ec.SECP256R1())
    extensions = (
        x509.SubjectAlternativeName([_host(host) for host in hosts]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    )
    builder = _leaf(_builder(_name(hosts[0][:_LONGEST_NAME]), key.public_key()), extensions)
    return KeyAndCertificate(_key_pem(key), _signed(authority, builder, now=now, days=days))


def issue_client(
    authority: KeyAndCertificate, common_name: str, *, organisation: str, now: datetime, days: int = CERTIFICATE_DAYS
) -> KeyAndCertificate:
    """Return a key and certificate for a client; `organisation` is whom it belongs to, such as `GBR/NCSC`."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _client(_name(common_name, organisation), key.public_key())
    return KeyAndCertificate(_key_pem(key), _signed(authority, builder, now=now, days=days))


def sign_request(
    authority: KeyAndCertificate,
    request_pem: bytes,
    *,
    organisation: str,
    now: datetime,
    days: int = CERTIFICATE_DAYS,
) -> bytes:
    """Return the client certificate (PEM) for a signing request whose key never left its agency.

    Takes the public key and the common name from it and nothing else: no extension, no organisation.
    Raises MalformedError for what is no request; InvalidError where its own key did not sign it, where the
    key is weaker than P-256 or 3072-bit RSA, and where it does not give one common name.
    """
    try:
        # (1) It is a request, in an algorithm that we know.
        request = x509.load_pem_x509_csr(request_pem)
        public_key, is_signed = request.public_key(), request.is_signature_valid
        common_names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except UNREADABLE as exc:
        raise MalformedError("not a certificate signing request: give the PEM that `openssl req -new` writes") from exc
    # (2) Who asks holds the key.
    if not is_signed:
        raise InvalidError("the signing request is not signed by its own key: make it again where the key is")
    # (3) The key is strong enough, (4) and there is one name.
    _check_strength(public_key)
    if len(common_names) != 1:
        raise InvalidError(f"the signing request has {len(common_names)} common names: give one")
    builder = _client(_name(str(common_names[0].value), organisation), public_key)
    return _signed(authority, builder, now=now, days=days)


def is_issued_by(certificate_pem: bytes, authority_pem: bytes) -> bool:
    """Return whether the authority signed the certificate, the first in `certificate_pem`. Its days are not asked."""
    authority = x509.load_pem_x509_certificate(authority_pem)
    try:
        x509.load_pem_x509_certificate(certificate_pem).verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def empty_crl(authority: KeyAndCertificate, now: datetime) -> bytes:
    """Return a revocation list (PEM) of the authority that revokes nothing, valid as long as the authority.

    TLS with revocation checks refuses everybody where no list is; this one is the beginning.
    """
    key, certificate = _loaded(authority)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(now - _CLOCK_TOLERANCE)
        .next_update(certificate.not_valid_after_utc)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _check_strength(key: CertificatePublicKeyTypes) -> None:
    match key:
        case ed25519.Ed25519PublicKey():
            return
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, _CURVES):
            return
        case rsa.RSAPublicKey() if key.key_size >= _SMALLEST_RSA_BITS:
            return
        case _:
            raise InvalidError("the signing request's key is too weak or of no known kind: use P-256 or 3072-bit RSA")


def _name(common_name: str, organisation: str | None = None) -> x509.Name:
    texts = {NameOID.ORGANIZATION_NAME: organisation, NameOID.COMMON_NAME: common_name}
    for text in texts.values():
        # isprintable first: a lone surrogate is not printable, and could not be encoded.
        if text is not None and not (text and text.isprintable() and len(text.encode()) <= _LONGEST_NAME):
            raise InvalidError(f"`{text[:80]}` cannot name a certificate: use 1 to {_LONGEST_NAME} printable octets")
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in texts.items() if text is not None])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        # Not an address, so a name; the pattern leaves nothing for the library to refuse.
        if _HOST_NAME.fullmatch(host) is None:
            raise InvalidError(f"`{host[:80]}` is neither a host name nor an address: write names in ASCII") from None
        return x509.DNSName(host)


def _client(subject: x509.Name, public_key: CertificatePublicKeyTypes) -> x509.CertificateBuilder:
    return _leaf(_builder(subject, public_key), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),))


def _builder(subject: x509.Name, public_key: CertificatePublicKeyTypes) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _leaf(builder: x509.CertificateBuilder, extensions: Sequence[x509.ExtensionType]) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(is_authority=False), critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder


def _signed(authority: KeyAndCertificate, builder: x509.CertificateBuilder, *, now: datetime, days: int) -> bytes:
    key, certificate = _loaded(authority)
    # A certificate that outlives its authority fails on the day the authority ends, and nobody knows why.
    end = min(now + timedelta(days=days), certificate.not_valid_after_utc)
    begin = max(now - _CLOCK_TOLERANCE, certificate.not_valid_before_utc)
    if end <= begin:
        told = f"from {rfc3339(certificate.not_valid_before_utc)} until {rfc3339(certificate.not_valid_after_utc)}"
        raise InvalidError(f"the authority is valid {told}, and issues nothing now: see the clock, or use another one")
    builder = (
        builder.issuer_name(certificate.subject)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return _pem(builder.sign(key, hashes.SHA256()))


def _loaded(authority: KeyAndCertificate) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    try:
        key = serialization.load_pem_private_key(authority.key_pem, password=None)
        certificate = x509.load_pem_x509_certificate(authority.certificate_pem)
        public_key = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise CryptoError(f"the authority's key or certificate cannot be read: {_PUT_BACK}") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != public_key:
        raise CryptoError(f"the authority's key does not belong to its certificate: {_PUT_BACK}")
    return key, certificate


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
