"""What a revocation list says of itself, and whose it is."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import x25519

from exchange.crypto import (
    Authority,
    KeyAndCertificate,
    RevocationList,
    empty_crl,
    issue_client,
    issuer_and_serial,
    new_authority,
    read_authorities,
    read_revocation_lists,
    readable_authorities,
)
from exchange.kernel import MalformedError

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
AUTHORITY = new_authority("Test authority", NOW)


def made(
    *extensions: tuple[x509.ExtensionType, bool],
    number: int | None = 1,
    issued_at: datetime = NOW,
    revoked: tuple[int, ...] = (),
    name: x509.Name | None = None,
    authority: KeyAndCertificate = AUTHORITY,
    entry_extension: tuple[x509.ExtensionType, bool] | None = None,
) -> RevocationList:
    own = x509.load_pem_x509_certificate(authority.certificate_pem).subject
    listing = x509.CertificateRevocationListBuilder().issuer_name(name or own)
    listing = listing.last_update(issued_at).next_update(issued_at + timedelta(days=1))
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(issued_at)
        if entry_extension is not None:
            entry = entry.add_extension(*entry_extension)
        listing = listing.add_revoked_certificate(entry.build())
    if number is not None:
        listing = listing.add_extension(x509.CRLNumber(number), critical=False)
    for extension, is_critical in extensions:
        listing = listing.add_extension(extension, critical=is_critical)
    signed = listing.sign(serialization.load_pem_private_key(authority.key_pem, None), hashes.SHA256())
    (found,) = read_revocation_lists(signed.public_bytes(serialization.Encoding.PEM))
    return found


def point(**said: object) -> tuple[x509.ExtensionType, bool]:
    fields: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**fields, **said}), True  # type: ignore[arg-type]


def test_list_tells_number_time_and_serials() -> None:
    found = made(number=7, revoked=(3, 5))

    assert (found.issuer, found.number, found.issued_at) == ("cn=test authority", 7, NOW)
    assert found.ends_at == NOW + timedelta(days=1)
    assert found.revoked == {3, 5}
    assert (found.is_whole, found.is_understood, found.scope) == (True, True, "")


def test_lists_of_one_file_are_read_all() -> None:
    first, second = made(number=1), made(number=2)

    assert read_revocation_lists(b"text\n" + first.pem + b"\n" + second.pem) == (first, second)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no revocation list: give an X.509 CRL in PEM"),
        (AUTHORITY.certificate_pem, "no revocation list: give an X.509 CRL in PEM"),
        (made().pem + b"\n" + made().pem[:-30], "a revocation list is cut off"),
        (
            b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----",
            "not a revocation list: give an X.509 CRL in PEM",
        ),
    ],
    ids=["empty", "certificate", "cut", "nonsense"],
)
def test_what_is_no_list_is_named(content: bytes, told: str) -> None:
    with pytest.raises(MalformedError, match=f"^{told}$"):
        read_revocation_lists(content)


@pytest.mark.parametrize(
    ("number", "hours", "other_number", "is_newer"),
    [
        (2, -1, 1, True),
        (1, 1, 2, False),
        (1, 1, 1, True),
        (1, 0, 1, False),
        (None, 1, 9, True),
        (9, -1, None, False),
        (None, 0, None, False),
    ],
)
def test_newer_is_by_number_and_without_one_by_date(
    number: int | None, hours: int, other_number: int | None, is_newer: bool
) -> None:
    one, other = made(number=number, issued_at=NOW + timedelta(hours=hours)), made(number=other_number)

    assert one.is_newer_than(other) is is_newer


@pytest.mark.parametrize(
    ("extension", "is_whole"),
    [
        (point(only_contains_user_certs=True), True),
        (point(only_contains_ca_certs=True), False),
        (point(only_contains_attribute_certs=True), False),
        (point(only_contains_user_certs=True, indirect_crl=True), False),
        (point(only_some_reasons=frozenset([x509.ReasonFlags.key_compromise])), False),
        ((x509.DeltaCRLIndicator(1), True), False),
    ],
    ids=["users", "authorities", "attributes", "indirect", "reasons", "changes"],
)
def test_list_that_is_not_for_every_client_is_not_whole(
    extension: tuple[x509.ExtensionType, bool], is_whole: bool
) -> None:
    found = made(extension)

    assert found.is_whole is is_whole
    assert found.scope != made().scope


def test_lists_of_one_authority_for_several_clients_are_told_apart() -> None:
    places = [
        x509.DistributionPoint([x509.UniformResourceIdentifier(f"http://{each}/")], None, None, None) for each in "ab"
    ]
    scopes = {made(point(full_name=each.full_name)).scope for each in places}

    assert len(scopes) == 2


def test_lists_of_changes_to_several_lists_are_one_after_the_other() -> None:
    scopes = {made((x509.DeltaCRLIndicator(base), True)).scope for base in (1, 2)}

    assert len(scopes) == 1


def test_key_that_a_list_names_is_told() -> None:
    extension = x509.AuthorityKeyIdentifier(b"key", None, None)

    named, other = (made((each, False)) for each in (extension, x509.AuthorityKeyIdentifier(b"other", None, None)))

    assert len({named.key_id, other.key_id, made().key_id, ""}) == 3
    assert named.scope == made().scope


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
NAMES = [x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Other")]))]
UNLISTED_REASON = x509.UnrecognizedExtension(x509.CRLReason.oid, b"\x0a\x01\x07")


@pytest.mark.parametrize("extension", [UNKNOWN, x509.IssuerAlternativeName(NAMES), x509.FreshestCRL([])])
def test_only_what_tls_heeds_may_be_critical(extension: x509.ExtensionType) -> None:
    heeded = (
        (x509.AuthorityKeyIdentifier(b"key", None, None), True),
        point(only_contains_user_certs=True),
        (x509.DeltaCRLIndicator(1), True),
    )

    assert made(*heeded).is_understood
    assert not made((extension, True)).is_understood
    assert made((extension, False)).is_understood


def test_number_that_is_critical_is_not_understood() -> None:
    assert not made((x509.CRLNumber(2), True), number=None).is_understood


@pytest.mark.parametrize(
    ("extension", "is_heeded"),
    [
        (x509.CertificateIssuer(NAMES), True),
        (x509.CRLReason(x509.ReasonFlags.key_compromise), False),
        (x509.InvalidityDate(NOW), False),
        (UNKNOWN, False),
        (UNLISTED_REASON, True),
    ],
)
def test_entries_are_asked_too(extension: x509.ExtensionType, *, is_heeded: bool) -> None:
    assert made(revoked=(3,), entry_extension=(extension, True)).is_understood == is_heeded
    assert made(revoked=(3,), entry_extension=(extension, False)).is_understood


def test_names_are_compared_whatever_their_letters_and_blanks() -> None:
    spelt = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TEST  Authority")])

    assert made(name=spelt).issuer == made().issuer


def test_authority_knows_what_it_signed_and_issued() -> None:
    namesake = new_authority("Test authority", NOW)
    (own,), (other,) = read_authorities(AUTHORITY.certificate_pem), read_authorities(namesake.certificate_pem)
    pem = issue_client(AUTHORITY, "reader", organisation="GBR", now=NOW).certificate_pem
    issued = x509.load_pem_x509_certificate(pem)
    der = issued.public_bytes(serialization.Encoding.DER)

    assert own.name == other.name == made().issuer
    assert own.not_after == x509.load_pem_x509_certificate(AUTHORITY.certificate_pem).not_valid_after_utc
    assert own != other
    assert own.public_key != other.public_key
    assert (own.has_signed(made()), other.has_signed(made())) == (True, False)
    assert (own.has_issued(der), other.has_issued(der), own.has_issued(b"nothing")) == (True, False, False)
    assert issuer_and_serial(der) == (own.name, issued.serial_number)
    assert issuer_and_serial(b"nothing") is None


def test_list_that_names_another_key_is_not_the_authority_s() -> None:
    (own,) = read_authorities(AUTHORITY.certificate_pem)
    certificate = x509.load_pem_x509_certificate(AUTHORITY.certificate_pem)
    true = x509.AuthorityKeyIdentifier.from_issuer_public_key(certificate.public_key())  # type: ignore[arg-type]
    names = [x509.DirectoryName(certificate.subject)]
    serial = certificate.serial_number

    assert own.has_signed(made((true, False)))
    assert own.has_signed(made((x509.AuthorityKeyIdentifier(None, names, serial), False)))
    assert not own.has_signed(made((x509.AuthorityKeyIdentifier(b"other", None, None), False)))
    assert own.has_signed(made((x509.AuthorityKeyIdentifier(None, [x509.DNSName("other"), *names], serial), False)))
    assert not own.has_signed(made((x509.AuthorityKeyIdentifier(None, names, serial + 1), False)))
    assert not own.has_signed(made((x509.AuthorityKeyIdentifier(None, NAMES, serial), False)))


def issuing(public_key: object, *usages: x509.ExtensionType) -> Authority:
    """Return an authority of the same name, with the key of that one as its issuer's."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).serial_number(1)
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1)).public_key(public_key)  # type: ignore[arg-type]
    for usage in usages:
        builder = builder.add_extension(usage, critical=True)
    key = serialization.load_pem_private_key(AUTHORITY.key_pem, None)
    certificate = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    (found,) = read_authorities(certificate.public_bytes(serialization.Encoding.PEM))
    return found


def test_authority_whose_key_signs_nothing_has_signed_nothing() -> None:
    assert not issuing(x25519.X25519PrivateKey.generate().public_key()).has_signed(made())


def test_authority_that_cannot_be_read_whole_has_signed_nothing() -> None:
    own = x509.load_pem_x509_certificate(AUTHORITY.certificate_pem).public_key()
    broken = x509.UnrecognizedExtension(x509.KeyUsage.oid, b"none")

    assert not issuing(own, broken).has_signed(made())


def test_certificate_of_a_version_that_there_is_not_was_issued_by_nobody() -> None:
    (own,) = read_authorities(AUTHORITY.certificate_pem)
    pem = issue_client(AUTHORITY, "reader", organisation="GBR", now=NOW).certificate_pem
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    version = der.index(b"\xa0\x03\x02\x01\x02")

    assert not own.has_issued(der[:version] + b"\xa0\x03\x02\x01\x05" + der[version + 5 :])


def test_authority_that_may_sign_no_list_has_signed_none() -> None:
    own = x509.load_pem_x509_certificate(AUTHORITY.certificate_pem).public_key()
    fields = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    fields |= {"key_cert_sign": True, "encipher_only": False, "decipher_only": False}

    assert issuing(own).has_signed(made())
    assert issuing(own, x509.KeyUsage(crl_sign=True, **fields)).has_signed(made())
    assert not issuing(own, x509.KeyUsage(crl_sign=False, **fields)).has_signed(made())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no certificate: give an X.509 certificate in PEM"),
        (AUTHORITY.certificate_pem[:-30], "a certificate is cut off"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "not a certificate: give an X.509 certificate in PEM",
        ),
    ],
    ids=["empty", "cut", "nonsense"],
)
def test_what_is_no_authority_is_named(content: bytes, told: str) -> None:
    with pytest.raises(MalformedError, match=f"^{told}$"):
        read_authorities(content)

    assert readable_authorities(content) == ()


def test_who_is_vouched_for_is_read_where_it_can_be() -> None:
    assert readable_authorities(AUTHORITY.certificate_pem) == read_authorities(AUTHORITY.certificate_pem)


def test_empty_list_of_the_demonstration_is_one() -> None:
    (found,) = read_revocation_lists(empty_crl(AUTHORITY, NOW))

    assert found.revoked == frozenset()
    assert read_authorities(AUTHORITY.certificate_pem)[0].has_signed(found)
