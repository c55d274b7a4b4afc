"""What a proxy at the edge needs, made by the operator, renewed by the same words."""

import fcntl
import json
import os
import sqlite3
import stat
from datetime import timedelta

import pytest

from exchange.app import _places
from exchange.cli import audit_log
from exchange.cli import edge as edge_module
from exchange.crypto import empty_crl, issue_client, issue_server, new_authority, read_certificate
from exchange.kernel import system_clock
from exchange.settings import InstanceLayout, load_settings
from tests.entrypoints.certificates import YESTERDAY, listed


def make(exchange, instance, out, *words):
    ran = exchange("ca", "edge", "--dir", instance, "--out", out, "--json", *words)
    assert ran.code == 0, ran.err
    return ran.json["made"]


def test_edge_is_believed_from_then_on_and_on_the_record(exchange, instance, tmp_path):
    assert load_settings(instance).edge_certificates_file is None

    assert make(exchange, instance, tmp_path / "edge") == ["server.pem", "client.pem"]

    believed = load_settings(instance).edge_certificates_file
    own = read_certificate((tmp_path / "edge" / "client.pem").read_bytes())
    assert read_certificate(believed.read_bytes()).thumbprint == own.thumbprint
    with sqlite3.connect(instance / "exchange.db") as database:
        entries = [json.loads(row[0]) for row in database.execute("SELECT content FROM audit_entry")]
    added = [entry["object"] for entry in entries if entry["type"] == "certificate.added"]
    assert added == [{"type": "edge", "id": own.thumbprint}]


def test_pipe_among_the_authorities_is_told_and_not_waited_for(exchange, instance, tmp_path):
    os.mkfifo(load_settings(instance).authorities_folder / "another.pem")

    ran = exchange("ca", "edge", "--dir", instance, "--out", tmp_path / "edge")

    assert ran.code == 1
    assert "another.pem` cannot be read: it is no plain file" in ran.err


def test_edges_are_made_one_after_the_other(exchange, instance, tmp_path, monkeypatch):
    """Of two at once the one took from the list of those whom nodes believe whom the other had just named."""

    def while_another_waits(*words, **named):
        handle = os.open(instance / "tls", os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
        return issue_client(*words, **named)

    monkeypatch.setattr(edge_module, "issue_client", while_another_waits)
    assert "client.pem" in make(exchange, instance, tmp_path / "edge")


def test_keys_are_for_their_owner_alone(exchange, instance, tmp_path):
    out = tmp_path / "edge"
    make(exchange, instance, out)

    assert {stat.S_IMODE((out / name).stat().st_mode) for name in ("server.key", "client.key")} == {0o600}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700


def test_made_again_it_changes_nothing_but_the_lists(exchange, instance, tmp_path):
    out = tmp_path / "edge"
    make(exchange, instance, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    layout = InstanceLayout(instance.absolute())
    other = new_authority("NSM", system_clock())
    (layout.authorities_folder / "NOR.pem").write_bytes(other.certificate_pem)

    assert make(exchange, instance, out) == []

    after = {path.name: path.read_bytes() for path in out.iterdir()}
    assert [name for name in before if before[name] != after[name]] == ["authorities.pem"]
    assert after["authorities.pem"].count(b"BEGIN CERTIFICATE") == 2


def test_revocation_lists_are_looked_at_where_there_are_any(exchange, instance, tmp_path):
    out, layout = tmp_path / "edge", InstanceLayout(instance.absolute())
    make(exchange, instance, out)
    assert (out / "crl.conf").read_bytes() == b""
    authority = new_authority("NSM", system_clock())
    layout.crl_folder.mkdir()
    (layout.crl_folder / "NOR.pem").write_bytes(empty_crl(authority, system_clock()))

    make(exchange, instance, out)

    assert b"ssl_crl" in (out / "crl.conf").read_bytes()
    assert b"BEGIN X509 CRL" in (out / "crl.pem").read_bytes()


def test_list_that_a_node_would_refuse_leaves_the_former_at_the_edge(exchange, instance, tmp_path):
    """The proxy takes what it is given: a cut list left it with what it had, unsaid, and a forged one shut everybody out."""
    out, layout = tmp_path / "edge", InstanceLayout(instance.absolute())
    nsm, other = new_authority("NSM", YESTERDAY), new_authority("NSM", YESTERDAY)
    (layout.authorities_folder / "NOR.pem").write_bytes(nsm.certificate_pem)
    layout.crl_folder.mkdir()
    path = layout.crl_folder / "NOR.pem"
    path.write_bytes(listed(nsm, number=5))
    make(exchange, instance, out)
    first = (out / "crl.pem").read_bytes()
    told = []
    for worse in (b"cut", listed(other, number=9), listed(nsm, number=4), listed(nsm, number=9, ends_at=YESTERDAY)):
        path.write_bytes(worse)
        told.append(exchange("ca", "edge", "--dir", instance, "--out", out).err)
    path.unlink()
    told.append(exchange("ca", "edge", "--dir", instance, "--out", out).err)

    assert (out / "crl.pem").read_bytes() == layout.edge_lists_file.read_bytes() == first
    for said, why in zip(told, ("no revocation list", "signature", "not newer", "ran out", "no longer"), strict=True):
        assert "the edge is not given" in said
        assert why in said
    path.write_bytes(listed(nsm, number=6))
    make(exchange, instance, out)
    assert (out / "crl.pem").read_bytes() == path.read_bytes() != first


def test_end_of_the_lists_at_the_edge_is_told(exchange, instance, tmp_path):
    """Where `make edge` was forgotten, the next list lies at the nodes and the edge shuts everybody out."""
    out, layout, now = tmp_path / "edge", InstanceLayout(instance.absolute()), system_clock()
    nsm = new_authority("NSM", YESTERDAY)
    layout.crl_folder.mkdir()
    (layout.crl_folder / "NOR.pem").write_bytes(listed(nsm, number=5, ends_at=now + timedelta(days=1)))
    make(exchange, instance, out)
    (layout.crl_folder / "NOR.pem").write_bytes(listed(nsm, number=6, ends_at=now + timedelta(days=9)))

    found = {each["id"]: each for each in exchange("doctor", "--dir", instance, "--json").json}

    assert found["revocation list NOR.pem"]["state"] == "ok"
    told = found["revocation list edge-crl.pem"]
    assert (told["state"], "make edge" in told["mend"]) == ("warning", True)
    assert _places(load_settings(instance)).edge_lists == layout.edge_lists_file


def test_certificates_that_end_soon_are_renewed_and_the_old_ones_stay_believed(
    exchange, instance, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "edge"
    make(exchange, instance, out)
    first = read_certificate((out / "client.pem").read_bytes())
    monkeypatch.setattr(edge_module, "_RENEWED_BEFORE", timedelta(days=366))

    assert make(exchange, instance, out) == ["server.pem", "client.pem"]

    second = read_certificate((out / "client.pem").read_bytes())
    believed = InstanceLayout(instance.absolute()).edge_certificates_file.read_bytes()
    assert first.thumbprint != second.thumbprint
    assert believed.count(b"BEGIN CERTIFICATE") == 2


def test_end_of_what_members_see_is_told_of_whoever_issued_it(exchange, instance, tmp_path):
    out, layout = tmp_path / "edge", InstanceLayout(instance.absolute())
    make(exchange, instance, out)
    assert layout.edge_server_certificate_file.read_bytes() == (out / "server.pem").read_bytes()
    now = system_clock()
    another = new_authority("another", now)
    # With its chain, as a proxy shows it.
    foreign = issue_server(another, ["edge.example"], now=now, days=20).certificate_pem + another.certificate_pem
    (out / "server.pem").write_bytes(foreign)

    assert make(exchange, instance, out) == []

    found = {each["id"]: each for each in exchange("doctor", "--dir", instance, "--json").json}
    told = found["certificate edge-server.pem"]
    assert (told["state"], "make edge" in told["mend"]) == ("warning", True)
    assert _places(load_settings(instance)).edge_server.read_bytes() == foreign


def test_certificate_of_another_authority_is_its_operator_s_to_renew(exchange, instance, tmp_path):
    """Its clients would have believed no other, and a month before its end each `make up` put the demonstration's there."""
    out, now = tmp_path / "edge", system_clock()
    make(exchange, instance, out)
    theirs = issue_server(new_authority("NSM", now), ["exchange.example"], now=now - timedelta(days=350))
    for name, content in (("server.pem", theirs.certificate_pem), ("server.key", theirs.key_pem)):
        (out / name).write_bytes(content)

    ran = exchange("ca", "edge", "--dir", instance, "--out", out, "--json")

    assert (ran.code, ran.json["made"], "of another authority ends on" in ran.err) == (0, [], True)
    assert (out / "server.pem").read_bytes() == theirs.certificate_pem
    assert (out / "server.key").read_bytes() == theirs.key_pem


def test_revocations_reach_the_edge_without_the_authority_s_key(exchange, instance, tmp_path):
    """An exchange whose members bring their own authorities need not keep the one that `init` made."""
    out, layout = tmp_path / "edge", InstanceLayout(instance.absolute())
    make(exchange, instance, out)
    layout.authority_key_file.unlink()
    layout.crl_folder.mkdir()
    (layout.crl_folder / "NOR.pem").write_bytes(empty_crl(new_authority("NSM", system_clock()), system_clock()))

    assert make(exchange, instance, out) == []

    assert b"BEGIN X509 CRL" in (out / "crl.pem").read_bytes()


def test_edge_that_is_believed_no_more_gets_another_certificate(exchange, instance, tmp_path):
    out, believed = tmp_path / "edge", InstanceLayout(instance.absolute()).edge_certificates_file
    make(exchange, instance, out)
    before = (out / "client.pem").read_bytes()
    believed.unlink()

    assert make(exchange, instance, out) == ["client.pem"]

    assert before != (out / "client.pem").read_bytes() == believed.read_bytes()


def test_names_are_those_asked_for(exchange, instance, tmp_path):
    make(exchange, instance, tmp_path / "edge", "--host-name", "a.example b.example", "--host-name", "192.0.2.7")

    shown = (tmp_path / "edge" / "server.pem").read_bytes()
    assert read_certificate(shown).subject_common_name == "a.example"


def test_init_where_there_is_an_instance_changes_nothing_if_told_so(exchange, instance):
    before = {path: path.read_bytes() for path in instance.rglob("*.key")}

    assert exchange("init", "--dir", instance, "--if-absent").code == 0
    assert exchange("init", "--dir", instance, "--if-absent", "--json").json["id"] == str(instance)
    assert exchange("init", "--dir", instance).code == 1
    assert {path: path.read_bytes() for path in instance.rglob("*.key")} == before


def test_init_makes_one_if_there_is_none(exchange, tmp_path):
    assert exchange("init", "--dir", tmp_path / "new", "--if-absent").code == 0
    assert (tmp_path / "new" / "exchange.toml").exists()


def test_sequencing_is_checked_without_an_entry(exchange, instance, monkeypatch: pytest.MonkeyPatch):
    def entries() -> int:
        with sqlite3.connect(instance / "exchange.db") as database:
            return database.execute("SELECT count(*) FROM audit_entry").fetchone()[0]

    before = entries()
    monkeypatch.setattr(audit_log, "_LATE_SECONDS", 3600.0)
    fine = exchange("audit", "sequence", "--check", "--dir", instance)
    monkeypatch.setattr(audit_log, "_LATE_SECONDS", -1.0)
    late = exchange("audit", "sequence", "--check", "--dir", instance)

    assert (fine.code, late.code, "no sequencer is at work" in late.err) == (0, 1, True)
    assert entries() == before
