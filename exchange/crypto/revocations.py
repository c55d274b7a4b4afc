"""Revocation lists and whose they are: what is needed to tell whether a list may take the place of another.

Promises: of a file with several lists each is read, or none. Serial numbers of what is revoked are all there.
Does not: decide who is let in; TLS does, with the same lists.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from exchange.crypto.reading import UNREADABLE
from exchange.kernel import LAST_MOMENT, MalformedError

_PEM_LIST = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)
_BEGIN = b"-----BEGIN X509 CRL-----"
_PEM_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_BEGIN_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY_ID = x509.AuthorityKeyIdentifier.oid
_HEEDED = frozenset({x509.IssuingDistributionPoint.oid, x509.DeltaCRLIndicator.oid, _KEY_ID})
"""Extensions of a list that may be critical: OpenSSL heeds these, and of an entry the issuer alone."""
_NO_SIGNATURE = (InvalidSignature, *UNREADABLE)


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list. `issuer` compares with an authority's `name`; `number` is its CRL number, None where it has none.

    `key_id` is what it says of the key that signed it, empty where it says nothing; `scope` tells several lists of one
    authority apart (RFC 5280 §5.2.5). `is_whole` where by itself it says who is
    revoked: a list of changes does not, nor one for some reasons, for authorities or for other issuers; TLS passes
    these over. `is_understood` unless it, or an entry of it, has a critical extension that TLS does not heed, known or
    not: it then refuses everybody.
    """

    pem: bytes
    issuer: str
    key_id: str
    scope: str
    number: int | None
    issued_at: datetime
    ends_at: datetime
    revoked: frozenset[int] = field(repr=False)
    is_whole: bool
    is_understood: bool

    def is_newer_than(self, other: "RevocationList") -> bool:
        """Return whether it was issued behind the other, by its number where both have one (RFC 5280 §5.2.3)."""
        if self.number is not None and other.number is not None and self.number != other.number:
            return self.number > other.number
        return self.issued_at > other.issued_at


@dataclass(frozen=True, slots=True)
class Authority:
    """One certificate of an authority, as far as lists and the certificates it issued are concerned."""

    name: str
    public_key: str
    """SHA-256 of its SubjectPublicKeyInfo: a renewed certificate may keep it, and what it signed."""
    not_after: datetime
    _certificate: x509.Certificate = field(repr=False)

    def has_signed(self, listing: RevocationList) -> bool:
        """Return whether the list bears the signature of this authority, which may give it, and names no other key.

        TLS asks all three, and refuses everybody for the sake of one.
        """
        found = x509.load_pem_x509_crl(listing.pem)
        try:
            is_signed = found.is_signature_valid(self._certificate.public_key())  # type: ignore[arg-type]  # others raise
            return is_signed and self._may_sign() and self._is_named(found)
        except _NO_SIGNATURE:
            return False

    def _may_sign(self) -> bool:
        try:
            return self._certificate.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
        except x509.ExtensionNotFound:
            return True

    def _is_named(self, listing: x509.CertificateRevocationList) -> bool:
        try:
            named = listing.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
            own = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        except x509.ExtensionNotFound:
            return True
        issuers = [each.value for each in named.authority_cert_issuer or () if isinstance(each, x509.DirectoryName)]
        is_issuer = not issuers or _name(issuers[0]) == _name(self._certificate.issuer)
        serials = {None, self._certificate.serial_number}
        return is_issuer and named.key_identifier in {None, own} and named.authority_cert_serial_number in serials

    def has_issued(self, der: bytes) -> bool:
        """Return whether a certificate names this authority as its issuer and bears its signature."""
        try:
            x509.load_der_x509_certificate(der).verify_directly_issued_by(self._certificate)
        except _NO_SIGNATURE:
            return False
        return True


def read_revocation_lists(pem: bytes) -> tuple[RevocationList, ...]:
    """Return each list in a PEM file; MalformedError where there is none, or one of them is cut or something else."""
    pieces = _PEM_LIST.findall(pem)
    if len(pieces) != pem.count(_BEGIN):
        raise MalformedError("a revocation list is cut off")
    if not pieces:
        raise MalformedError("no revocation list: give an X.509 CRL in PEM")
    return tuple(_read(piece) for piece in pieces)


def revocations_end(pem: bytes) -> datetime:
    """Return when the first revocation list in a PEM file runs out (RFC 5280 §5.1.2.5): from then on it admits nobody.

    Raises MalformedError as `read_revocation_lists` does.
    """
    return min(each.ends_at for each in read_revocation_lists(pem))


def read_authorities(pem: bytes) -> tuple[Authority, ...]:
    """Return each certificate in a PEM file; MalformedError where there is none, or one of them cannot be read."""
    pieces = _PEM_CERTIFICATE.findall(pem)
    if len(pieces) != pem.count(_BEGIN_CERTIFICATE):
        raise MalformedError("a certificate is cut off")
    try:
        found = [x509.load_pem_x509_certificate(piece) for piece in pieces]
        named = tuple(_authority(each) for each in found)
    except UNREADABLE as exc:
        raise MalformedError("not a certificate: give an X.509 certificate in PEM") from exc
    if not named:
        raise MalformedError("no certificate: give an X.509 certificate in PEM")
    return named


def readable_authorities(pem: bytes) -> tuple[Authority, ...]:
    """Return what `read_authorities` does, or nobody where it cannot be read: such a file vouches for nobody.

    For whoever only asks who is vouched for; what takes a file up, and `exchange doctor`, tell of it.
    """
    try:
        return read_authorities(pem)
    except MalformedError:
        return ()


def issuer_and_serial(der: bytes) -> tuple[str, int] | None:
    """Return what a certificate stands on a list by; None where it cannot be read."""
    try:
        found = x509.load_der_x509_certificate(der)
        return _name(found.issuer), found.serial_number
    except UNREADABLE:
        return None


def _authority(found: x509.Certificate) -> Authority:
    key = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Authority(_name(found.subject), hashlib.sha256(key).hexdigest(), found.not_valid_after_utc, found)


def _read(pem: bytes) -> RevocationList:
    try:
        found = x509.load_pem_x509_crl(pem)
        extensions = {each.oid: each for each in found.extensions}
        number = extensions.get(x509.CRLNumber.oid)
        return RevocationList(
            pem=pem,
            issuer=_name(found.issuer),
            key_id=repr(extensions[_KEY_ID].value) if _KEY_ID in extensions else "",
            scope=_scope(extensions),
            number=None if number is None else number.value.crl_number,
            issued_at=found.last_update_utc,
            # Lists from before RFC 5280 need not say when they end.
            ends_at=found.next_update_utc or LAST_MOMENT,
            revoked=frozenset(each.serial_number for each in found),
            is_whole=_is_whole(extensions),
            is_understood=not any(each.critical and oid not in _HEEDED for oid, each in extensions.items())
            and not any(map(_is_beyond_us, found)),
        )
    except UNREADABLE as exc:
        raise MalformedError("not a revocation list: give an X.509 CRL in PEM") from exc


_Extensions = dict[x509.ObjectIdentifier, x509.Extension]  # type: ignore[type-arg]  # of whatever kind


def _scope(extensions: _Extensions) -> str:
    point = extensions.get(x509.IssuingDistributionPoint.oid)
    told = "" if point is None else repr(point.value)
    # A list of changes names the one that it is to, each time another: that tells no two apart.
    return f"{told} changes" if x509.DeltaCRLIndicator.oid in extensions else told


def _is_beyond_us(entry: x509.RevokedCertificate) -> bool:
    try:
        return any(each.critical and each.oid != x509.CertificateIssuer.oid for each in entry.extensions)
    except UNREADABLE:
        return False  # a reason that the library does not know, and OpenSSL lets be


def _is_whole(extensions: _Extensions) -> bool:
    if x509.DeltaCRLIndicator.oid in extensions:
        return False
    found = extensions.get(x509.IssuingDistributionPoint.oid)
    if found is None:
        return True
    point = found.value
    is_for_others = point.only_contains_ca_certs or point.only_contains_attribute_certs
    return not (point.indirect_crl or point.only_some_reasons or is_for_others)


def _name(name: x509.Name) -> str:
    """Return a name as names are compared (RFC 5280 §7.1): whatever its letters' case, blanks and encoding."""
    return " ".join(name.rfc4514_string().casefold().split())
