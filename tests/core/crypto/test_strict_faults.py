"""What a certificate lacks, held against whether OpenSSL takes it in a handshake as a node asks for one."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from exchange.crypto import strict_fault

NOW = datetime.now(UTC)
ROOT_KEY, LEAF_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
PURPOSES = {"clients": ExtendedKeyUsageOID.CLIENT_AUTH, "servers": ExtendedKeyUsageOID.SERVER_AUTH}


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(*allowed):
    kinds = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{kind: kind in allowed for kind in kinds}), True


def purposes(*named):
    return x509.ExtendedKeyUsage([PURPOSES[each] for each in named]), False


IS_AUTHORITY = (x509.BasicConstraints(ca=True, path_length=None), True)
IS_NONE = (x509.BasicConstraints(ca=False, path_length=None), True)
OWN_KEY = (x509.SubjectKeyIdentifier.from_public_key(ROOT_KEY.public_key()), False)
SIGNER = (x509.AuthorityKeyIdentifier.from_issuer_public_key(ROOT_KEY.public_key()), False)
BY_NUMBER = (x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(name("root"))], 1), False)
ROOT = (IS_AUTHORITY, usage("key_cert_sign"), OWN_KEY)
LEAF = (SIGNER, usage("digital_signature"), purposes("clients"))
SIGNS_NOTHING = "its `keyUsage` does not say that it signs certificates (`keyCertSign`)"


def made(subject, key, extensions):
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name("root"))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(ROOT_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def is_taken(root: bytes, leaf: bytes, folder) -> bool:
    """Return whether a handshake ends well that asks for clients' certificates as a node does."""
    key = LEAF_KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "leaf.pem").write_bytes(key + leaf)
    asking, coming = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    coming.check_hostname, coming.verify_mode = False, ssl.CERT_NONE
    for context in (asking, coming):
        context.load_cert_chain(folder / "leaf.pem")
    asking.load_verify_locations(cadata=root.decode())
    asking.verify_mode = ssl.CERT_REQUIRED
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = asking.wrap_bio(to_server, to_client, server_side=True)
    client = coming.wrap_bio(to_client, to_server)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError:
            return False
    return server.getpeercert(binary_form=True) is not None


@pytest.mark.parametrize(
    ("root", "fault"),
    [
        (ROOT, None),
        ((*ROOT, purposes("clients", "servers")), None),
        ((IS_AUTHORITY, OWN_KEY), SIGNS_NOTHING),
        ((IS_AUTHORITY, usage("crl_sign"), OWN_KEY), SIGNS_NOTHING),
        (((IS_AUTHORITY[0], False), *ROOT[1:]), "its `basicConstraints` are not `critical`"),
        (ROOT[:2], "it does not say which key is its own (`subjectKeyIdentifier`)"),
        ((*ROOT, purposes("servers")), "its `extendedKeyUsage` is not for clients (`clientAuth`)"),
    ],
)
def test_authority_of_which_nobody_is_taken_is_told_beforehand(tmp_path, root, fault) -> None:
    authority = made("root", ROOT_KEY, root)

    assert strict_fault(authority) == fault
    assert is_taken(authority, made("leaf", LEAF_KEY, LEAF), tmp_path) is (fault is None)


@pytest.mark.parametrize(
    ("leaf", "fault"),
    [
        (LEAF, None),
        ((*LEAF, IS_NONE), None),
        ((SIGNER,), None),
        ((SIGNER, usage("key_agreement")), None),
        (LEAF[1:], "it does not say which key signed it (`authorityKeyIdentifier`)"),
        ((BY_NUMBER, *LEAF[1:]), "it does not say which key signed it (`authorityKeyIdentifier`)"),
        ((SIGNER, usage("key_encipherment")), "its `keyUsage` is not for signatures (`digitalSignature`)"),
        ((SIGNER, purposes("servers")), "its `extendedKeyUsage` is not for clients (`clientAuth`)"),
    ],
)
def test_certificate_that_no_handshake_takes_is_told_beforehand(tmp_path, leaf, fault) -> None:
    shown = made("leaf", LEAF_KEY, leaf)

    assert strict_fault(shown) == fault
    assert is_taken(made("root", ROOT_KEY, ROOT), shown, tmp_path) is (fault is None)
