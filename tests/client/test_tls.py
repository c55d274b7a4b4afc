"""Files that a client refuses to connect with."""

import shutil
import ssl

import pytest

from exchange.client import ConnectionFailedError, ExchangeClient, UnsafeKeyError, client_context


@pytest.fixture
def files(certificates, tmp_path):
    for name in ("client.pem", "client.key", "ca.pem"):
        shutil.copy(certificates / name, tmp_path / name)
    return tmp_path


def connect(files):
    return client_context(files / "client.pem", files / "client.key", files / "ca.pem")


def test_good_files_make_a_context_that_believes_no_more_than_it_must(files):
    context = connect(files)

    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.verify_flags & ssl.VERIFY_X509_STRICT


@pytest.mark.parametrize(("name", "option"), [("client.pem", "--cert"), ("client.key", "--key"), ("ca.pem", "--ca")])
def test_missing_file_names_its_option(files, name, option):
    (files / name).unlink()

    with pytest.raises(UnsafeKeyError, match=option):
        connect(files)


def test_world_readable_key_refuses(files):
    (files / "client.key").chmod(0o644)

    with pytest.raises(UnsafeKeyError, match="chmod 600"):
        connect(files)


def test_key_of_another_certificate_refuses(files, certificates, tmp_path_factory):
    from datetime import UTC, datetime

    from exchange.crypto import issue_client, new_authority

    other = issue_client(new_authority("x", datetime.now(UTC)), "x", organisation="NOR/X", now=datetime.now(UTC))
    (files / "client.key").write_bytes(other.key_pem)

    with pytest.raises(UnsafeKeyError, match="not a certificate and its key"):
        connect(files)


def test_encrypted_key_refuses_instead_of_asking(files):
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key((files / "client.key").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    (files / "client.key").write_bytes(locked)

    with pytest.raises(UnsafeKeyError, match="the key is encrypted"):
        connect(files)


def test_authority_that_is_none_refuses(files):
    (files / "ca.pem").write_text("hello")

    with pytest.raises(UnsafeKeyError, match="holds no certificate"):
        connect(files)


@pytest.mark.parametrize("url", ["http://localhost:1", "localhost:8443", "ftp://localhost"])
def test_address_without_tls_refuses(files, url):
    with pytest.raises(ConnectionFailedError, match="begins with `https://`"):
        ExchangeClient(url, files / "client.pem", files / "client.key", files / "ca.pem")
