import base64
import dataclasses
import ssl
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from exchange.crypto import (
    CryptoError,
    KeyAndCertificate,
    empty_crl,
    is_issued_by,
    issue_client,
    issue_server,
    new_authority,
    read_certificate,
    sign_request,
    thumbprint_of_der,
)
from exchange.crypto.certificates import _check_strength
from exchange.kernel import InvalidError, MalformedError

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def authority():
    return new_authority("Exchange demo authority", NOW)


def test_issuer_is_who_signed_and_nobody_of_its_name(authority, server):
    namesake, another = (new_authority(name, NOW) for name in ("Exchange demo authority", "Another"))

    signed = [is_issued_by(server.certificate_pem, each.certificate_pem) for each in (authority, namesake, another)]
    assert signed == [True, False, False]


def test_namesake_whose_key_signs_nothing_has_issued_nothing(authority, server):
    own = x509.load_pem_x509_certificate(authority.certificate_pem)
    builder = x509.CertificateBuilder().subject_name(own.subject).issuer_name(own.subject).serial_number(1)
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    builder = builder.public_key(x25519.X25519PrivateKey.generate().public_key())
    namesake = builder.sign(serialization.load_pem_private_key(authority.key_pem, None), hashes.SHA256())

    assert not is_issued_by(server.certificate_pem, namesake.public_bytes(serialization.Encoding.PEM))


@pytest.fixture
def server(authority):
    return issue_server(authority, ["localhost", "127.0.0.1", "::1"], now=NOW)


@pytest.fixture
def client(authority):
    return issue_client(authority, "gbr-desk", organisation="GBR/NCSC", now=NOW)


@pytest.fixture
def pair(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def signed(authority):
    return lambda pem: sign_request(authority, pem, organisation="NOR/NSM", now=NOW)


def loaded(pair):
    return x509.load_pem_x509_certificate(getattr(pair, "certificate_pem", pair))


def extension(pair, kind):
    return loaded(pair).extensions.get_extension_for_class(kind)


def request(key, names=(("CN", "nor-desk"),), extensions=(), algorithm=None):
    oids = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME}
    subject = x509.Name([x509.NameAttribute(oids[kind], text, _validate=False) for kind, text in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for one in extensions:
        builder = builder.add_extension(one, critical=False)
    edwards = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    signed = builder.sign(key, None if edwards else algorithm or hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


# ── TLS as the exchange runs it, without a socket ──


def files(tmp_path, name, pair):
    path = tmp_path / f"{name}.pem"
    path.write_bytes(pair.key_pem + pair.certificate_pem)
    return path


def context(side, authority, tmp_path):
    made = ssl.SSLContext(side)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=authority.certificate_pem.decode())
    crl = tmp_path / "crl.pem"
    crl.write_bytes(empty_crl(authority, NOW))
    made.load_verify_locations(crl)
    made.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_CRL_CHECK_LEAF
    return made


@pytest.fixture
def shaken(tmp_path, authority, server, client):
    """Shake hands; return the client certificate as the server saw it."""

    def shake(server=server, client=client, host="localhost"):
        return handshake(tmp_path, authority, (server, client), host)

    return shake


def handshake(tmp_path, authority, pairs, host):
    server, client = pairs
    theirs = context(ssl.PROTOCOL_TLS_SERVER, authority, tmp_path)
    theirs.load_cert_chain(files(tmp_path, "server", server))
    ours = context(ssl.PROTOCOL_TLS_CLIENT, authority, tmp_path)
    ours.load_cert_chain(files(tmp_path, "client", client))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = ours.wrap_bio(to_client, to_server, server_hostname=host)
    far = theirs.wrap_bio(to_server, to_client, server_side=True)
    pending = [near, far]
    for _ in range(10):
        for side in list(pending):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(side)
    assert not pending
    return far.getpeercert(binary_form=True)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_issued_certificates_pass_strict_mutual_tls(host, shaken, client):
    der = shaken(host=host)

    assert thumbprint_of_der(der) == read_certificate(client.certificate_pem).thumbprint


def test_certificate_for_a_signing_request_passes_strict_mutual_tls(shaken, signed):
    key = ec.generate_private_key(ec.SECP256R1())
    pem = signed(request(key))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    assert shaken(client=KeyAndCertificate(private, pem))


def test_client_certificate_serves_nobody(shaken, client):
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(server=client)


def test_server_certificate_connects_to_nobody(shaken, server):
    with pytest.raises(ssl.SSLError, match=r"unsuitable certificate purpose|CERTIFICATE_VERIFY_FAILED"):
        shaken(client=server)


def test_certificate_of_another_authority_fails(shaken, authority):
    other = new_authority("Exchange demo authority", NOW)
    with pytest.raises(ssl.SSLError):
        shaken(client=issue_client(other, "gbr-desk", organisation="GBR/NCSC", now=NOW))


def test_other_host_fails(shaken):
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname mismatch"):
        shaken(host="example.org")


def test_expired_certificate_fails(shaken, authority):
    gone = issue_client(authority, "gbr-desk", organisation="GBR", now=NOW, days=0)
    late = issue_client(authority, "gbr-desk", organisation="GBR", now=NOW + timedelta(days=2))
    assert loaded(gone).not_valid_after_utc == NOW
    with pytest.raises(ssl.SSLError):
        shaken(client=late)


# ── what they say ──


def test_authority_signs_certificates_and_lists_and_no_further_authority(authority):
    constraints = extension(authority, x509.BasicConstraints)
    usage = extension(authority, x509.KeyUsage)

    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    assert usage.critical
    assert usage.value == x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    assert loaded(authority).subject == loaded(authority).issuer


@pytest.mark.parametrize(
    ("pair", "purpose"),
    [("server", ExtendedKeyUsageOID.SERVER_AUTH), ("client", ExtendedKeyUsageOID.CLIENT_AUTH)],
    indirect=["pair"],
)
def test_leaf_is_good_for_one_thing(pair, purpose):
    constraints = extension(pair, x509.BasicConstraints)
    usage = extension(pair, x509.KeyUsage)

    assert list(extension(pair, x509.ExtendedKeyUsage).value) == [purpose]
    assert not extension(pair, x509.ExtendedKeyUsage).critical
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=False, path_length=None)
    assert usage.critical
    assert usage.value == x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


@pytest.mark.parametrize("pair", ["authority", "server", "client"], indirect=True)
def test_every_certificate_names_its_key_and_its_signers(pair, authority):
    signer = loaded(authority).public_key()

    assert extension(pair, x509.SubjectKeyIdentifier).value == x509.SubjectKeyIdentifier.from_public_key(
        loaded(pair).public_key()
    )
    assert extension(pair, x509.AuthorityKeyIdentifier).value == x509.AuthorityKeyIdentifier.from_issuer_public_key(
        signer
    )
    assert isinstance(loaded(pair).public_key().curve, ec.SECP256R1)
    loaded(pair).verify_directly_issued_by(loaded(authority))


def test_server_answers_at_every_host_given(server):
    names = extension(server, x509.SubjectAlternativeName).value

    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1"), ip_address("::1")]
    assert read_certificate(server.certificate_pem).subject_common_name == "localhost"


def test_long_host_is_named_in_full_where_it_counts(authority):
    host = ".".join(["a" * 60, "b" * 60, "example"])
    pair = issue_server(authority, [host], now=NOW)

    assert extension(pair, x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == [host]
    assert read_certificate(pair.certificate_pem).subject_common_name == host[:64]


def test_client_names_itself_and_its_organisation(client):
    assert loaded(client).subject.rfc4514_string() == "CN=gbr-desk,O=GBR/NCSC"


@pytest.mark.parametrize(("pair", "days"), [("authority", 3650), ("server", 365), ("client", 365)], indirect=["pair"])
def test_validity_ends_after_the_usual_days(pair, days):
    assert loaded(pair).not_valid_after_utc == NOW + timedelta(days=days)


@pytest.mark.parametrize(("days", "end"), [(0, 0), (2, 2), (3650, 3650), (3651, 3650)])
def test_validity_ends_after_its_days_or_with_the_authority(authority, days, end):
    until = NOW + timedelta(days=end)

    assert loaded(issue_server(authority, ["a"], now=NOW, days=days)).not_valid_after_utc == until
    assert loaded(issue_client(authority, "a", organisation="b", now=NOW, days=days)).not_valid_after_utc == until


def test_authority_lasts_as_long_as_asked():
    assert loaded(new_authority("a", NOW, 30)).not_valid_after_utc == NOW + timedelta(days=30)


def test_validity_begins_a_little_early_and_never_before_the_authority(authority):
    later = issue_client(authority, "a", organisation="b", now=NOW + timedelta(days=1))
    earlier = issue_client(authority, "a", organisation="b", now=NOW - timedelta(minutes=1))

    assert loaded(authority).not_valid_before_utc == NOW - timedelta(minutes=5)
    assert loaded(later).not_valid_before_utc == NOW + timedelta(days=1, minutes=-5)
    assert loaded(earlier).not_valid_before_utc == NOW - timedelta(minutes=5)


@pytest.mark.parametrize("days", [-400, 10])
def test_authority_that_is_not_valid_issues_nothing(days):
    other = new_authority("over, or to come", NOW + timedelta(days=days), 5)
    wanted = request(ec.generate_private_key(ec.SECP256R1()))

    for issue in (
        lambda: issue_client(other, "a", organisation="b", now=NOW, days=5),
        lambda: issue_server(other, ["a"], now=NOW, days=5),
        lambda: sign_request(other, wanted, organisation="b", now=NOW, days=5),
    ):
        with pytest.raises(InvalidError, match=r"^the authority is valid from .* until .*, and issues nothing now"):
            issue()


def test_serial_numbers_are_random(authority):
    serials = {loaded(issue_client(authority, "a", organisation="b", now=NOW)).serial_number for _ in range(5)}

    assert len(serials) == 5
    assert min(serials) > 2**64


def test_list_revokes_nothing_and_lasts_as_long_as_the_authority(authority):
    crl = x509.load_pem_x509_crl(empty_crl(authority, NOW))

    assert len(crl) == 0
    assert crl.is_signature_valid(loaded(authority).public_key())
    assert crl.issuer == loaded(authority).subject
    assert crl.last_update_utc == NOW - timedelta(minutes=5)
    assert crl.next_update_utc == loaded(authority).not_valid_after_utc
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 1
    assert not crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).critical


# ── signing requests ──


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate,
        lambda: rsa.generate_private_key(65537, 3072),
    ],
    ids=["P-256", "P-384", "P-521", "Ed25519", "RSA 3072"],
)
def test_strong_key_is_certified(make, signed, authority):
    key = make()

    certificate = loaded(signed(request(key)))

    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(loaded(authority))


def test_request_gives_its_key_and_common_name_and_nothing_else(signed):
    wishes = [
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectAlternativeName([x509.DNSName("exchange.example")]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    ]
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = signed(request(key, [("O", "GBR/NCSC"), ("CN", "nor-desk")], wishes))

    assert loaded(certificate).subject.rfc4514_string() == "CN=nor-desk,O=NOR/NSM"
    assert not read_certificate(certificate).is_authority
    assert list(extension(certificate, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(x509.ExtensionNotFound):
        extension(certificate, x509.SubjectAlternativeName)
    assert loaded(certificate).not_valid_after_utc == NOW + timedelta(days=365)


@pytest.mark.parametrize(("bits", "is_strong"), [(3071, False), (3072, True), (3073, True)])
def test_rsa_is_strong_from_3072_bits_on(bits, is_strong):
    # Any odd number of so many bits: the strength is read from its length.
    key = rsa.RSAPublicNumbers(65537, 2 ** (bits - 1) + 1).public_key()

    with nullcontext() if is_strong else pytest.raises(InvalidError):
        _check_strength(key)


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 2048),
        lambda: ec.generate_private_key(ec.SECP224R1()),
        lambda: ec.generate_private_key(ec.SECP256K1()),
        lambda: dsa.generate_private_key(2048),
        ed448.Ed448PrivateKey.generate,
    ],
    ids=["RSA 2048", "P-224", "secp256k1", "DSA", "Ed448"],
)
def test_weak_or_strange_key_refuses(make, signed):
    with pytest.raises(
        InvalidError, match=r"^the signing request's key is too weak or of no known kind: use P-256 or 3072-bit RSA$"
    ):
        signed(request(make()))


def test_request_that_its_key_did_not_sign_refuses(signed):
    pem = request(ec.generate_private_key(ec.SECP256R1()))
    der = bytearray(x509.load_pem_x509_csr(pem).public_bytes(serialization.Encoding.DER))
    der[der.index(b"nor-desk")] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)

    with pytest.raises(
        InvalidError, match=r"^the signing request is not signed by its own key: make it again where the key is$"
    ):
        signed(forged)


@pytest.mark.parametrize(
    "make",
    [
        lambda _: b"",
        lambda _: b"x",
        lambda pair: pair.certificate_pem,
        lambda pair: pair.key_pem,
        lambda _: b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END",
    ],
    ids=["empty", "text", "certificate", "key", "cut"],
)
def test_what_is_no_request_refuses(make, signed, client):
    with pytest.raises(
        MalformedError, match=r"^not a certificate signing request: give the PEM that `openssl req -new` writes$"
    ) as caught:
        signed(make(client))
    assert caught.value.__cause__ is not None


# The curve P-256, and elliptic curves at all: with another last octet, what the library does not know.
KNOWN = pytest.mark.parametrize("known", ["06082a8648ce3d030107", "06072a8648ce3d0201"], ids=["curve", "kind of key"])


def strange(pem, known):
    begin, *lines, end = pem.strip().splitlines()
    der = base64.b64decode(b"".join(lines)).replace(bytes.fromhex(known), bytes.fromhex(known[:-2] + "7f"))
    return b"\n".join([begin, base64.b64encode(der), end, b""])


@KNOWN
def test_request_of_a_key_that_the_library_does_not_know_refuses(known, signed):
    with pytest.raises(
        MalformedError, match=r"^not a certificate signing request: give the PEM that `openssl req -new` writes$"
    ):
        signed(strange(request(ec.generate_private_key(ec.SECP256R1())), known))


def der_of(tag, *contents):
    content = b"".join(contents)
    size = len(content)
    return bytes([tag, *([size] if size < 128 else [0x81, size])]) + content


@pytest.mark.parametrize(
    "name",
    [b"\x03\x08\x00or-desk", b"\x14\x08nor-d\xe9sk", b"\x0c\x08\xffor-desk"],
    ids=["bits", "Teletex", "not UTF-8"],
)
def test_request_whose_name_cannot_be_read_refuses(name, signed):
    """Its own key signed it: the name is what is wrong."""
    key = ec.generate_private_key(ec.SECP256R1())
    asked = x509.load_pem_x509_csr(request(key)).tbs_certrequest_bytes.replace(b"\x0c\x08nor-desk", name)
    assert name in asked
    signature = key.sign(asked, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    der = base64.b64encode(der_of(0x30, asked, algorithm, der_of(0x03, b"\0", signature)))

    with pytest.raises(MalformedError, match=r"^not a certificate signing request"):
        signed(b"-----BEGIN CERTIFICATE REQUEST-----\n" + der + b"\n-----END CERTIFICATE REQUEST-----\n")


@KNOWN
@pytest.mark.parametrize("half", ["key_pem", "certificate_pem"])
def test_authority_of_a_key_that_the_library_does_not_know_refuses(known, half, authority):
    broken = dataclasses.replace(authority, **{half: strange(getattr(authority, half), known)})
    with pytest.raises(CryptoError, match=r"^the authority's key or certificate cannot be read: put back the key"):
        empty_crl(broken, NOW)


@pytest.mark.parametrize(("names", "count"), [([], 0), ([("O", "x")], 0), ([("CN", "a"), ("CN", "b")], 2)])
def test_request_without_exactly_one_name_refuses(names, count, signed):
    with pytest.raises(InvalidError, match=f"the signing request has {count} common names: give one"):
        signed(request(ec.generate_private_key(ec.SECP256R1()), names))


@pytest.mark.filterwarnings("ignore:Attribute's length must be")
@pytest.mark.parametrize("name", ["a\nb", "a\0b", "\u202eb", "x" * 65, "ø" * 33])
def test_request_with_an_unfit_name_refuses(name, signed):
    with pytest.raises(InvalidError, match="cannot name a certificate: use 1 to 64 printable octets"):
        signed(request(ec.generate_private_key(ec.SECP256R1()), [("CN", name)]))


@pytest.mark.parametrize("name", ["", "x" * 65, "ø" * 33, "a\nb", "\u202e", "\ud800"])
def test_unfit_name_refuses(name, authority):
    with pytest.raises(InvalidError, match="cannot name a certificate: use 1 to 64 printable octets"):
        issue_client(authority, name, organisation="GBR", now=NOW)
    with pytest.raises(InvalidError, match="cannot name a certificate"):
        issue_client(authority, "a", organisation=name, now=NOW)
    with pytest.raises(InvalidError, match="cannot name a certificate"):
        new_authority(name, NOW)


def test_name_of_64_octets_is_fit(authority):
    assert issue_client(authority, "x" * 64, organisation="ø" * 32, now=NOW)


def test_server_without_a_host_refuses(authority, server):
    with pytest.raises(InvalidError, match=r"^a server certificate needs at least one host name or address$"):
        issue_server(authority, [], now=NOW)


@pytest.mark.parametrize(
    "host", ["", "høst", "a b", "-a", "a-", "a..b", "a.", ".a", "*.a", "a\n", "a" * 64, "1.2.3.4/8"]
)
@pytest.mark.parametrize("before", [[], ["localhost"]])
def test_host_that_is_none_refuses(host, before, authority):
    with pytest.raises(InvalidError) as caught:
        issue_server(authority, [*before, host], now=NOW)

    assert str(caught.value) == f"`{host}` is neither a host name nor an address: write names in ASCII"


@pytest.mark.parametrize("host", ["a", "a-b.c1", "A.example", "a" * 63, "10.0.0.1", "2001:db8::1"])
def test_host_is_certified(host, authority):
    assert issue_server(authority, [host], now=NOW)


def pem_of(key, encryption=None):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        encryption or serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    "breakage",
    [
        {"key_pem": b""},
        {"certificate_pem": b""},
        {
            "key_pem": pem_of(
                ec.generate_private_key(ec.SECP256R1()), serialization.BestAvailableEncryption(b"password")
            )
        },
    ],
    ids=["no key", "no certificate", "encrypted key"],
)
def test_authority_that_cannot_be_read_refuses(breakage, authority):
    with pytest.raises(
        CryptoError,
        match=r"^the authority's key or certificate cannot be read: put back the key, which the escrow has, and",
    ):
        empty_crl(dataclasses.replace(authority, **breakage), NOW)


def test_authority_of_another_kind_of_key_refuses_though_its_halves_belong_together():
    key, name = ed25519.Ed25519PrivateKey.generate(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1)).sign(key, None)
    other = KeyAndCertificate(pem_of(key), made.public_bytes(serialization.Encoding.PEM))

    with pytest.raises(CryptoError, match=r"^the authority's key does not belong to its certificate: put back the key"):
        issue_client(other, "a", organisation="b", now=NOW)


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()],
    ids=["another key", "another kind"],
)
def test_authority_of_two_halves_refuses(key, authority):
    halves = dataclasses.replace(authority, key_pem=pem_of(key))
    with pytest.raises(
        CryptoError, match=r"^the authority's key does not belong to its certificate: put back the key, .* as `ca.pem`$"
    ):
        issue_client(halves, "a", organisation="b", now=NOW)
