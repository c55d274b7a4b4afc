"""The server's certificate made anew by the operator: for the same names, on the record, never in place of another's."""

import json
import sqlite3
import ssl
import stat
from datetime import timedelta

import pytest

from exchange.crypto import KeyAndCertificate, host_names, is_issued_by, issue_server, new_authority, read_certificate
from exchange.kernel import system_clock
from exchange.settings import InstanceLayout


@pytest.fixture
def layout(instance):
    return InstanceLayout(instance.absolute())


def own_authority(layout):
    return KeyAndCertificate(layout.authority_key_file.read_bytes(), layout.authority_certificate_file.read_bytes())


def assert_is_served(layout):
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(layout.server_certificate_file, layout.server_key_file)
    pem = layout.server_certificate_file.read_bytes()
    assert is_issued_by(pem, layout.authority_certificate_file.read_bytes())
    assert read_certificate(pem).not_after > system_clock() + timedelta(days=300)
    assert stat.S_IMODE(layout.server_key_file.stat().st_mode) == 0o600


def test_certificate_that_ends_is_made_anew_for_the_same_names_and_on_the_record(operate, layout):
    names = ("exchange.example", "localhost", "10.1.2.3")
    ending = issue_server(own_authority(layout), names, now=system_clock(), days=1)
    layout.server_certificate_file.write_bytes(ending.certificate_pem)
    layout.server_key_file.write_bytes(ending.key_pem)

    ran = operate("ca", "server", "--json")

    assert (ran.code, ran.json["names"]) == (0, list(names))
    assert_is_served(layout)
    assert host_names(layout.server_certificate_file.read_bytes()) == names
    with sqlite3.connect(layout.database_file) as database:
        entries = [json.loads(row[0]) for row in database.execute("SELECT content FROM audit_entry")]
    added = [entry["object"] for entry in entries if entry["type"] == "certificate.added"]
    assert added == [{"type": "server", "id": ran.json["id"]}]


def test_pair_that_was_lost_or_damaged_is_made_anew(operate, layout):
    layout.server_key_file.unlink()
    layout.server_certificate_file.write_text("hello")

    assert operate("ca", "server", "--host-name", "exchange.example").code == 0

    assert_is_served(layout)
    assert host_names(layout.server_certificate_file.read_bytes()) == ("localhost", "127.0.0.1", "exchange.example")
    layout.server_certificate_file.unlink()
    assert operate("ca", "server").code == 0
    assert host_names(layout.server_certificate_file.read_bytes()) == ("localhost", "127.0.0.1")


@pytest.mark.parametrize("with_chain", [False, True])
def test_certificate_of_another_authority_is_left(operate, layout, with_chain):
    """One that its chain followed was taken for damaged: another stood in its place, and its key was gone."""
    nsm = new_authority("NSM", system_clock())
    foreign = issue_server(nsm, ["exchange.example"], now=system_clock())
    shown = foreign.certificate_pem + nsm.certificate_pem * with_chain
    layout.server_certificate_file.write_bytes(shown)
    layout.server_key_file.write_bytes(foreign.key_pem)

    ran = operate("ca", "server")

    assert ran.code == 1
    assert "is of another authority" in ran.err
    assert layout.server_certificate_file.read_bytes() == shown
    assert layout.server_key_file.read_bytes() == foreign.key_pem


@pytest.mark.parametrize(
    "words",
    [
        ("ca", "server"),
        ("ca", "edge", "--out", "edge"),
        ("client", "enrol", "x", "--member", "GBR", "--agency", "MOD", "--role", "reader", "--clearance", "SECRET", "--out", "x"),
    ],
    ids=lambda words: " ".join(words[:2]),
)  # fmt: skip
def test_authority_s_certificate_that_is_gone_is_told_with_where_it_still_is(
    operate, layout, tmp_path, monkeypatch, words
):
    monkeypatch.chdir(tmp_path)
    layout.authority_certificate_file.unlink()

    ran = operate(*words)

    assert ran.code == 1
    assert f"`{layout.authority_certificate_file}` is missing: it is the `ca.pem` that each client was given" in ran.err
