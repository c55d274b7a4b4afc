import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from exchange.crypto import (
    CertificateFacts,
    first_end,
    host_names,
    issue_client,
    issue_server,
    issuer_and_serial,
    issuer_of_der,
    new_authority,
    organisation_of_der,
    public_key_of_der,
    read_certificate,
    read_certificates,
    revocations_end,
    subject_of_der,
    thumbprint_of_der,
)
from exchange.kernel import MalformedError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
AUTHORITY = new_authority("Exchange demo authority", NOW)
CLIENT = issue_client(AUTHORITY, "gbr-desk", organisation="GBR/NCSC", now=NOW)
KEY = x509.load_pem_x509_certificate(CLIENT.certificate_pem).public_key()
KEY_DIGEST = hashlib.sha256(
    KEY.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).hexdigest()
DER = x509.load_pem_x509_certificate(CLIENT.certificate_pem).public_bytes(serialization.Encoding.DER)


def foreign(common_names, extensions=()):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in common_names])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    for one in extensions:
        builder = builder.add_extension(one, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("form", [CLIENT.certificate_pem, DER, b"a remark\n" + CLIENT.certificate_pem])
def test_certificate_is_read_in_either_form(form):
    assert read_certificate(form) == CertificateFacts(
        thumbprint=hashlib.sha256(DER).hexdigest(),
        subject_common_name="gbr-desk",
        not_before=NOW - timedelta(minutes=5),
        not_after=NOW + timedelta(days=365),
        is_authority=False,
        public_key=KEY_DIGEST,
    )
    # Which `==` leaves out.
    assert read_certificate(form).der == DER


def test_organisation_is_the_one_in_the_subject_and_none_where_there_is_not_just_one():
    name = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, text) for text in ("GBR/NCSC", "NOR/NSM")]
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().subject_name(x509.Name(name)).issuer_name(x509.Name([])).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    of_two = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    assert organisation_of_der(DER) == "GBR/NCSC"
    assert [organisation_of_der(each) for each in (of_two, foreign(["GBR"]), b"none")] == [None] * 3


def test_key_is_named_alike_in_every_certificate_that_holds_it_and_in_no_other_one():
    again = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name([])).public_key(KEY)
    again = again.serial_number(2).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    renewed = again.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    of_renewed = public_key_of_der(renewed.public_bytes(serialization.Encoding.DER))

    assert public_key_of_der(DER) == of_renewed == KEY_DIGEST
    assert public_key_of_der(foreign(["a"])) != KEY_DIGEST
    assert public_key_of_der(b"none") is None


def test_authority_is_told_from_a_leaf():
    assert read_certificate(AUTHORITY.certificate_pem).is_authority


def test_certificate_without_constraints_is_no_authority():
    assert read_certificate(foreign(["a"])).is_authority is False


def test_names_of_a_server_are_those_in_its_certificate():
    server = issue_server(AUTHORITY, ("exchange.example", "127.0.0.1", "::1"), now=NOW)

    assert host_names(server.certificate_pem) == ("exchange.example", "127.0.0.1", "::1")
    assert host_names(DER) == ()
    others = [x509.RFC822Name("desk@exchange.example"), x509.UniformResourceIdentifier("https://exchange.example")]
    named = x509.SubjectAlternativeName([*others, x509.DNSName("exchange.example")])
    assert host_names(foreign(["exchange"], [named])) == ("exchange.example",)
    assert host_names(server.certificate_pem + CLIENT.certificate_pem) == host_names(server.certificate_pem)
    with pytest.raises(MalformedError, match="not a certificate"):
        host_names(b"hello\n-----END CERTIFICATE-----\n" + server.certificate_pem)


def test_thumbprint_is_lower_case_hex_of_sha256():
    assert thumbprint_of_der(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_subject_is_written_as_the_rfc_says():
    assert subject_of_der(DER) == "CN=gbr-desk,O=GBR/NCSC"
    assert subject_of_der(foreign(["a,b", "c"])) == "CN=c,CN=a\\,b"


@pytest.mark.parametrize("octets", [b"", b"x", DER.replace(b"gbr-desk", b"\xff" * 8), foreign([])])
def test_subject_that_is_none_or_cannot_be_read_is_none(octets):
    assert subject_of_der(octets) is None


def test_issuer_is_told_by_the_hash_of_its_whole_name():
    name = x509.load_der_x509_certificate(DER).issuer.public_bytes()

    assert issuer_of_der(DER) == hashlib.sha256(name).hexdigest() != issuer_of_der(foreign(["gbr-desk"]))


@pytest.mark.parametrize(
    "octets",
    [b"", b"x", DER[:-1], DER.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05")],
    ids=["empty", "text", "cut", "of a version that there is not"],
)
def test_issuer_that_cannot_be_read_is_empty(octets):
    assert issuer_of_der(octets) == ""


@pytest.mark.parametrize("names", [[], ["a", "b"]])
def test_name_that_is_not_one_is_none(names):
    assert read_certificate(foreign(names)).subject_common_name is None


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"x",
        DER[:-1],
        DER + b"\0",
        CLIENT.key_pem,
        CLIENT.certificate_pem[:200],
        CLIENT.certificate_pem.replace(b"M", b"!"),
        DER.replace(b"\x55\x1d\x0f", b"\x55\x1d\x13"),
        DER.replace(b"gbr-desk", b"\xff" * 8),
        DER.replace(b"Exchange demo authority", b"\xff" * 23),
        DER.replace(b"270301000000Z", b"279901000000Z"),
    ],
    ids=[
        *("empty", "text", "cut", "longer", "key", "cut PEM", "no base64", "extension twice", "name not UTF-8"),
        *("issuer not UTF-8", "end in no month"),
    ],
)
def test_what_is_no_certificate_refuses(octets):
    with pytest.raises(MalformedError, match=r"^not a certificate: give an X\.509 certificate in PEM$") as caught:
        read_certificate(octets)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("known", ["06082a8648ce3d030107", "06072a8648ce3d0201"], ids=["curve", "kind of key"])
def test_certificate_of_a_key_that_the_library_does_not_know_is_none_that_can_be_read(known):
    der = DER.replace(bytes.fromhex(known), bytes.fromhex(known[:-2] + "7f"))

    assert public_key_of_der(der) is None
    assert subject_of_der(der) == "CN=gbr-desk,O=GBR/NCSC"
    with pytest.raises(MalformedError, match=r"^not a certificate: give an X\.509 certificate in PEM$"):
        read_certificate(der)


def test_certificate_with_a_name_of_a_kind_that_the_library_does_not_know_refuses():
    # Tag 5 of a general name (RFC 5280 §4.2.1.6) is ediPartyName, which nobody uses.
    name = x509.SubjectAlternativeName([x509.RFC822Name("a@b.example")])
    der = foreign(["a"], [name]).replace(b"\x81\x0ba@b.example", b"\xa5\x0ba@b.example")

    with pytest.raises(MalformedError, match=r"^not a certificate: give an X\.509 certificate in PEM$"):
        read_certificate(der)


def test_certificate_of_a_version_that_there_is_not_refuses():
    version = DER.index(b"\xa0\x03\x02\x01\x02")
    other = DER[:version] + b"\xa0\x03\x02\x01\x05" + DER[version + 5 :]

    with pytest.raises(MalformedError, match=r"^not a certificate: give an X\.509 certificate in PEM$"):
        read_certificate(other)
    assert (subject_of_der(other), public_key_of_der(other), issuer_and_serial(other)) == (None, None, None)


def test_certificate_that_asks_for_a_feature_without_a_name_refuses():
    # RFC 7633: a list of numbers of TLS extensions, any of them.
    feature = x509.UnrecognizedExtension(x509.TLSFeature.oid, b"\x30\x03\x02\x01\x63")

    with pytest.raises(MalformedError, match=r"^not a certificate: give an X\.509 certificate in PEM$"):
        read_certificate(foreign(["a"], [feature]))


def test_certificate_with_a_name_in_bits_refuses():
    der = DER.replace(b"\x0c\x08gbr-desk", b"\x03\x08\x00br-desk").replace(b"\x0c\x17Exch", b"\x03\x17\x00xch")

    assert (subject_of_der(der), issuer_of_der(der), issuer_and_serial(der)) == (None, "", None)
    assert public_key_of_der(der) == KEY_DIGEST
    with pytest.raises(MalformedError, match=r"^not a certificate: give an X\.509 certificate in PEM$"):
        read_certificate(der)


def test_two_certificates_refuse():
    with pytest.raises(MalformedError, match="2 certificates at once: give the one that is meant"):
        read_certificate(CLIENT.certificate_pem + AUTHORITY.certificate_pem)


def test_signing_request_is_no_certificate_yet() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())

    with pytest.raises(
        MalformedError, match=r"^a signing request, and not a certificate yet: give what its authority made$"
    ):
        read_certificate(asked.public_bytes(serialization.Encoding.PEM))


def revocation_list(days: int) -> bytes:
    key = serialization.load_pem_private_key(AUTHORITY.key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(AUTHORITY.certificate_pem).subject
    listing = x509.CertificateRevocationListBuilder().issuer_name(issuer).last_update(NOW)
    signed = listing.next_update(NOW + timedelta(days=days)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def test_each_certificate_of_a_file_is_read_in_order() -> None:
    both = AUTHORITY.certificate_pem + b"\n" + CLIENT.certificate_pem + b"\n"

    assert read_certificates(both) == tuple(map(read_certificate, (AUTHORITY.certificate_pem, CLIENT.certificate_pem)))
    assert read_certificates(b"") == ()


def test_file_with_something_else_between_certificates_is_refused() -> None:
    with pytest.raises(MalformedError, match="not a certificate"):
        read_certificates(CLIENT.certificate_pem + b"hello\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize("days", [(9, 5), (5, 9), (5,)])
def test_first_certificate_to_end_says_when_the_file_does(days) -> None:
    shown = b"".join(issue_server(AUTHORITY, ("x",), now=NOW, days=each).certificate_pem for each in days)

    assert first_end(shown) == NOW + timedelta(days=5)


def test_file_without_a_whole_certificate_has_no_end() -> None:
    assert first_end(DER) == read_certificate(DER).not_after
    for cut in (b"", b"hello", CLIENT.certificate_pem[:-30]):
        with pytest.raises(MalformedError, match="not a certificate"):
            first_end(cut)


def test_first_list_to_run_out_says_when_the_file_does() -> None:
    assert revocations_end(revocation_list(7)) == NOW + timedelta(days=7)
    assert revocations_end(revocation_list(7) + revocation_list(3)) == NOW + timedelta(days=3)


def test_list_that_does_not_say_when_it_ends_never_does() -> None:
    der = x509.load_pem_x509_crl(revocation_list(7)).public_bytes(serialization.Encoding.DER)
    end = der.index(b"\x17\x0d", der.index(b"\x17\x0d") + 1)
    # Both lengths before it (X.690 §8.1.3) shrink by the time that is left out.
    assert (der[:2], der[3:4]) == (b"\x30\x81", b"\x30")
    endless = bytes([*der[:2], der[2] - 15, der[3], der[4] - 15]) + der[5:end] + der[end + 15 :]
    pem = x509.load_der_x509_crl(endless).public_bytes(serialization.Encoding.PEM)

    assert revocations_end(pem) == datetime.max.replace(tzinfo=UTC)
    assert revocations_end(pem + revocation_list(3)) == NOW + timedelta(days=3)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no revocation list"),
        (CLIENT.certificate_pem, "no revocation list"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "not a revocation list"),
    ],
)
def test_what_is_no_revocation_list_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(MalformedError, match=told):
        revocations_end(content)
