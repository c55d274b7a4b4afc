"""What the operator does at the host: members, clients, certificates, authorities, the state of things."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from exchange.cli import serving
from exchange.cli.enrolment import demo_authority
from exchange.cli.instance import policies_folder
from exchange.crypto import issue_client, issue_server, new_authority, read_certificate
from exchange.release import AgencyOutlook, MemberOutlook, Simulation
from exchange.settings import InstanceLayout, load_settings
from exchange.store import Migrated, head
from exchange.usecases import HostSimulation, Recorded

ABSENT = "01a206dc-85dc-7553-b174-629c9b01e720"


def names(folder):
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def last_refusal(instance):
    """The event and the codes of the newest entry that is a refusal."""
    with closing(sqlite3.connect(instance / "exchange.db")) as database:
        rows = database.execute("SELECT content FROM audit_entry ORDER BY id")
        refused = [entry for (row,) in rows if (entry := json.loads(row))["decision"] == "refused"]
    return [(entry["type"], entry["detail"]["codes"]) for entry in refused][-1:]


def test_member_is_added_suspended_and_resumed(operate):
    assert operate("member", "add", "DNK", "--name", "Denmark", "--json").json["standing"] == "active"
    assert operate("member", "suspend", "DNK", "--json").json["standing"] == "suspended"
    assert operate("member", "resume", "DNK", "--json").json["standing"] == "active"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["add", "GBR", "--name", "again"], "exists already"),
        (["add", "gbr", "--name", "x"], "`gbr`"),
        (["add", "XXX", "--name", "x"], "`XXX`"),
        (["add", "DNK", "--name", "\u202eevil"], "name"),
        (["suspend", "FRA"], "`FRA`"),
    ],
)
def test_wrong_member_is_refused_with_its_fault(operate, words, told):
    ran = operate("member", *words)

    assert ran.code == 1
    assert told in ran.err


def test_enrolled_client_gets_three_files(enrol, tmp_path):
    ran = enrol("--compartment", "EXERCISE-AURORA", "--nationality", "SWE", "--purpose", "law-enforcement", "--json")

    assert ran.json["member"] == "NOR"
    assert ran.json["clearance"]["compartments"] == ["EXERCISE-AURORA"]
    assert ran.json["nationality"] == "SWE"
    assert ran.json["purposes"] == ["law-enforcement"]
    assert names(tmp_path / "desk") == {"client.pem", "client.key", "ca.pem"}
    assert (tmp_path / "desk" / "client.key").stat().st_mode & 0o777 == 0o600
    thumbprint = read_certificate((tmp_path / "desk" / "client.pem").read_bytes()).thumbprint
    assert ran.json["certificates"] == [thumbprint]


def test_nationality_unset_is_the_members(enrol):
    assert enrol("--json").json["nationality"] == "NOR"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--member", "FRA"], "/member"),
        (["--clearance", "SECRETT"], "/clearance/level"),
        (["--clearance", "secret"], "/clearance/level"),
        (["--compartment", "NOPE"], "/clearance/compartments"),
        (["--role", "boss"], "/roles/0"),
        (["--role", "operator", "--role", "reader"], "/roles"),
        (["--purpose", "fun"], "/purposes/0"),
        (["--agency", ""], "agency"),
        (["--until", "tomorrow"], "is no date"),
        (["--until", "2030-W48-6"], "is no date: write 2030-12-31 or"),
        (["--until", "20301231T120000Z"], "is no date: write 2030-12-31 or"),
        (["--until", "9999-12-31T23:59:59-01:00"], "is no date: write 2030-12-31 or"),
        (["--until", "2030-12-31T12:00:00+00:99"], "is no date: write 2030-12-31 or"),
        (["--until", "2030-01-01T00:00:00"], "has no offset"),
    ],
)
def test_wrong_enrolment_is_refused_and_writes_nothing(enrol, operate, tmp_path, words, told):
    ran = enrol(*words)

    # A time is read before anything is asked.
    assert ran.code == (2 if words[0] == "--until" else 1)
    assert told in ran.err
    assert not (tmp_path / "desk").exists()
    assert operate("client", "list", "--json").json == []


@pytest.mark.parametrize("there", ["client.pem", "client.key", "ca.pem"])
def test_existing_file_is_not_overwritten(enrol, tmp_path, there):
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / there).write_text("precious")

    ran = enrol()

    assert ran.code == 1
    assert (tmp_path / "desk" / there).read_text() == "precious"
    assert names(tmp_path / "desk") == {there}


def test_past_end_is_taken_with_a_warning(enrol):
    ran = enrol("--until", "2020-01-01", "--json")

    assert ran.code == 0
    assert ran.json["clearance"]["until"] == "2020-01-01T00:00:00Z"
    assert ran.err.startswith("warning: the clearance ended on 2020-01-01")


def test_signed_request_keeps_the_key_with_its_agency(enrol, tmp_path):
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", tmp_path / "own.key", "-out", tmp_path / "own.csr", "-subj", "/CN=own"],
        check=True, capture_output=True,
    )  # fmt: skip

    assert enrol("--csr", tmp_path / "own.csr").code == 0
    assert names(tmp_path / "desk") == {"client.pem", "ca.pem"}


def test_signed_request_may_come_back_beside_its_key(enrol, tmp_path):
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", tmp_path / "own.key", "-out", tmp_path / "own.csr", "-subj", "/CN=own"],
        check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "client.key").write_text("the agency's own")

    assert enrol("--csr", tmp_path / "own.csr").code == 0
    assert names(tmp_path / "desk") == {"client.pem", "client.key", "ca.pem"}
    assert (tmp_path / "desk" / "client.key").read_text() == "the agency's own"


def test_request_that_is_none_is_refused(enrol, instance, tmp_path):
    (tmp_path / "own.csr").write_text("hello")

    ran = enrol("--csr", tmp_path / "own.csr")

    assert ran.code == 1
    assert "not a certificate signing request" in ran.err
    assert not (tmp_path / "desk").exists()
    assert last_refusal(instance) == [("client.enrolled", ["malformed"])]


def test_client_is_revoked_for_good(enrol, operate):
    client = enrol("--json").json["id"]

    assert operate("client", "revoke", client, "--json").json["standing"] == "revoked"
    assert operate("client", "resume", client).code == 1


def test_client_is_suspended_and_resumed(enrol, operate):
    client = enrol("--json").json["id"]

    assert operate("client", "suspend", client, "--json").json["standing"] == "suspended"
    assert operate("client", "resume", client, "--json").json["standing"] == "active"


def test_clearance_is_replaced_whole(enrol, operate):
    client = enrol("--compartment", "EXERCISE-AURORA", "--json").json["id"]

    changed = operate("client", "clearance", client, "--level", "RESTRICTED", "--json").json

    assert changed["clearance"]["level"] == "RESTRICTED"
    assert changed["clearance"]["compartments"] == []
    assert changed["version"] == 2


def test_unknown_level_leaves_the_clearance(enrol, operate):
    client = enrol("--json").json["id"]

    assert operate("client", "clearance", client, "--level", "COSMIC").code == 1
    assert operate("client", "show", client, "--json").json["clearance"]["level"] == "SECRET"


@pytest.mark.parametrize("verb", ["revoke", "suspend", "show"])
@pytest.mark.parametrize("client", [ABSENT, "nonsense"])
def test_unknown_client_is_refused(operate, verb, client):
    refused = operate("client", verb, client)

    assert refused.code == 1
    assert ("is no id: copy it whole" in refused.err) is (client == "nonsense")


def test_decision_about_what_is_no_client_says_what_is_wrong_with_it(operate):
    refused = operate("policy", "explain", ABSENT, "--client", "nonsense")

    assert refused.code == 1
    assert refused.err.count("is no id: copy it whole") == 1
    assert "`nonsense` is no id" in refused.err


def other_certificate(path, authority=None):
    now = datetime.now(UTC)
    pair = issue_client(authority or new_authority("x", now), "second", organisation="NOR/NSM", now=now)
    path.write_bytes(pair.certificate_pem)
    return path


def test_certificates_overlap_for_rotation(enrol, operate, tmp_path, instance):
    client = enrol("--json").json["id"]
    second = other_certificate(tmp_path / "second.pem")

    added = operate("client", "certificate", "add", client, second, "--json")
    assert (len(added.json["certificates"]), "no authority that nodes know issued" in added.err) == (2, True)
    both = operate("client", "show", client, "--json").json["certificates"]
    assert len(both) == 2
    assert f"certificates  {', '.join(both)}\n" in operate("client", "show", client).out
    assert operate("client", "certificate", "add", client, other_certificate(tmp_path / "third.pem")).code == 1
    removed = operate("client", "certificate", "remove", client, tmp_path / "desk" / "client.pem", "--json")
    left = operate("client", "show", client, "--json").json["certificates"]
    assert removed.json["certificates"] == left == [read_certificate(second.read_bytes()).thumbprint]
    known = other_certificate(tmp_path / "known.pem", demo_authority(InstanceLayout(instance)))
    assert operate("client", "certificate", "add", client, known).err == ""


def test_second_certificate_is_issued_before_the_first_one_ends(enrol, operate, tmp_path):
    client = enrol("--json").json["id"]

    ran = operate("client", "certificate", "issue", client, "--out", tmp_path / "next", "--json")

    issued, first = (read_certificate((tmp_path / name / "client.pem").read_bytes()) for name in ("next", "desk"))
    assert ran.code == 0
    assert set(ran.json["certificates"]) == {issued.thumbprint, first.thumbprint}
    assert (issued.subject_common_name, {path.name for path in (tmp_path / "next").iterdir()}) == (
        "desk",
        {"client.pem", "client.key", "ca.pem"},
    )
    # A third one is refused, and nothing of it is left.
    assert operate("client", "certificate", "issue", client, "--out", tmp_path / "third").code == 1
    assert not (tmp_path / "third").exists()


def test_certificate_is_removed_by_its_thumbprint(enrol, operate):
    shown = enrol("--json").json

    assert operate("client", "certificate", "remove", shown["id"], shown["certificates"][0]).code == 0
    assert operate("client", "show", shown["id"], "--json").json["certificates"] == []


def test_certificate_that_no_handshake_takes_is_warned_of(enrol, operate, tmp_path):
    now = datetime.now(UTC)
    (tmp_path / "x.pem").write_bytes(issue_server(new_authority("x", now), ("desk",), now=now).certificate_pem)

    ran = operate("client", "certificate", "add", enrol("--json").json["id"], tmp_path / "x.pem")

    assert (ran.code, "x.pem` in a handshake: its `extendedKeyUsage` is not for clients" in ran.err) == (0, True)


def test_member_brings_its_own_authority(operate, instance, tmp_path):
    authority = new_authority("Norwegian authority", datetime.now(UTC))
    (tmp_path / "nor.pem").write_bytes(authority.certificate_pem)

    ran = operate("ca", "add", "NOR", tmp_path / "nor.pem", "--json")

    assert ran.code == 0
    folder = load_settings(instance).authorities_folder
    assert (folder / f"NOR-{ran.json['id'][:16]}.pem").read_bytes() == authority.certificate_pem


@pytest.mark.parametrize("form", ["DER", "with its key"])
def test_authority_is_kept_as_services_read_it_and_without_what_else_was_in_its_file(operate, instance, tmp_path, form):
    """In DER it was said to be used, and no service started any more; a key beside it was there for all to read."""
    authority = new_authority("Norwegian authority", datetime.now(UTC))
    pem = authority.certificate_pem.decode()
    given = PEM_cert_to_DER_cert(pem) if form == "DER" else authority.key_pem + authority.certificate_pem
    (tmp_path / "nor.pem").write_bytes(given)

    ran = operate("ca", "add", "NOR", tmp_path / "nor.pem", "--json")

    assert ran.code == 0
    assert Path(ran.json["file"]).read_text("ascii") == pem


def test_authority_is_added_whole_or_not_at_all(operate, tmp_path, monkeypatch):
    """Killed amid it, half of its file was left: TLS started nowhere, and it was there already for the next try."""
    (tmp_path / "nor.pem").write_bytes(new_authority("Norwegian authority", datetime.now(UTC)).certificate_pem)
    opened, begun = os.fdopen, []

    def begin(handle, *given, **named):
        begun.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        return opened(handle, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", begin)
        assert operate("ca", "add", "NOR", tmp_path / "nor.pem").code == 0

    assert [name for name in begun if name.startswith("NOR-")] == []


def test_authority_that_is_there_already_is_on_record_as_refused(operate, instance, tmp_path):
    """The log told of it as added, though the verb said that it was not."""
    (tmp_path / "nor.pem").write_bytes(new_authority("Norwegian authority", datetime.now(UTC)).certificate_pem)
    assert operate("ca", "add", "NOR", tmp_path / "nor.pem").code == 0

    again = operate("ca", "add", "NOR", tmp_path / "nor.pem")

    assert (again.code, "exists already: nothing is overwritten" in again.err) == (1, True), again.err
    assert last_refusal(instance) == [("certificate.added", ["conflict"])]


def test_certificate_of_a_client_is_no_authority(operate, instance, tmp_path):
    ran = operate("ca", "add", "NOR", other_certificate(tmp_path / "x.pem"))

    assert ran.code == 1
    assert "is no certificate of an authority" in ran.err
    assert last_refusal(instance) == [("certificate.added", ["invalid"])]


def test_authority_of_which_no_handshake_takes_anybody_is_warned_of(operate, tmp_path):
    """As `openssl req -x509` makes one: it was added, and its clients were not answered, and nothing said why."""
    key, named = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    bare = x509.CertificateBuilder().subject_name(named).issuer_name(named).public_key(key.public_key())
    bare = bare.serial_number(1).not_valid_before(datetime.now(UTC)).not_valid_after(datetime.now(UTC) + timedelta(9))
    bare = bare.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    (tmp_path / "nor.pem").write_bytes(bare.sign(key, SHA256()).public_bytes(Encoding.PEM))

    added, looked = operate("ca", "add", "NOR", tmp_path / "nor.pem"), operate("doctor", "--json")

    assert (added.code, "no node takes a certificate of it in a handshake: its `keyUsage`" in added.err) == (0, True)
    bundle = next(found for found in looked.json if found["id"] == "trust bundle")
    assert (bundle["state"], "`keyCertSign`" in bundle["told"]) == ("warning", True)


def test_authority_of_nobody_is_refused(operate, tmp_path):
    (tmp_path / "fra.pem").write_bytes(new_authority("x", datetime.now(UTC)).certificate_pem)

    assert operate("ca", "add", "FRA", tmp_path / "fra.pem").code == 1


def test_agreement_that_is_no_text_is_refused(operate, instance, tmp_path):
    (tmp_path / "bad.yaml").write_bytes(b"title: \xff")

    ran = operate("agreement", "propose", tmp_path / "bad.yaml")

    assert ran.code == 1
    assert "is not UTF-8 text: byte 7 is wrong" in ran.err
    assert last_refusal(instance) == [("agreement.proposed", ["invalid"])]


def test_agreement_with_faults_names_each_line(operate, tmp_path):
    (tmp_path / "bad.yaml").write_text("title: x\nparties: [GBR, XXX]\npolicy: NATO\nfrob: 1\n")

    ran = operate("agreement", "propose", tmp_path / "bad.yaml")

    assert ran.code == 1
    assert "line 2: /parties/1" in ran.err
    assert "line 4: /frob" in ran.err
    assert operate("agreement", "list", "--json").json == []


def test_agreement_is_shown_with_what_is_owed_and_what_a_crisis_opens(operate, tmp_path):
    assert operate("member", "add", "DNK", "--name", "Denmark").code == 0
    text = Path("policies/agreements/north-sea-cyber.yaml").read_text(encoding="utf-8")
    clause = "{name: cut-cable, scope: cyber-threats, ceiling: TOP SECRET, at_most: PT72H, signatories: "
    named = "[{member: GBR, name: ada}, {member: NOR, name: kari}]}"
    (tmp_path / "crisis.yaml").write_text(f"{text}crisis:\n  - {clause}{named}\n")

    ran = operate("agreement", "propose", tmp_path / "crisis.yaml")

    shown = [line.split("  ", 1) for line in ran.out.splitlines()[1:]]
    told = {name: value.strip() for name, value in shown}
    assert told["obligation 1"] == "NOR in cyber-threats: reports every P7D"
    assert told["obligation 2"] == (
        "all in cyber-threats: acknowledges FLASH in PT10M, IMMEDIATE in PT30M, PRIORITY in PT3H"
    )
    assert told["crisis cut-cable"] == (
        "cyber-threats up to TOP SECRET, for PT72H at most: by two of ada (GBR), kari (NOR)"
    )
    assert told["on leaving"] == "notice P90D, shared reports are recalled"
    assert "has passed" not in ran.err


def test_agreement_that_has_ended_before_it_is_proposed_is_taken_with_a_warning(operate, tmp_path):
    assert operate("member", "add", "DNK", "--name", "Denmark").code == 0
    text = Path("policies/agreements/north-sea-cyber.yaml").read_text(encoding="utf-8")
    past = "from: 2020-01-01, until: 2020-12-31"
    (tmp_path / "past.yaml").write_text(re.sub("from: [0-9-]+, until: [0-9-]+", past, text))
    ran = operate("agreement", "propose", tmp_path / "past.yaml", "--json")

    assert (ran.code, ran.json["state"]) == (0, "expired")
    assert (
        "the last day of this text, 2020-12-31, has passed: the agreement has expired, and nobody can sign" in ran.err
    )


def test_draft_is_simulated_without_a_table_of_nobody(operate):
    assert operate("member", "add", "DNK", "--name", "Denmark").code == 0

    ran = operate("agreement", "simulate", "policies/agreements/north-sea-cyber.yaml")
    told = operate("agreement", "simulate", "policies/agreements/north-sea-cyber.yaml", "--json").json

    assert (ran.code, told["id"]) == (0, "policies/agreements/north-sea-cyber.yaml")
    assert ["cyber-threats", "GBR", "NOR", "SECRET"] in [line.split() for line in ran.out.splitlines()]
    assert "nothing to show" not in ran.out


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: [", b"", b"a: &x 1\nb: *x\n"])
def test_unreadable_agreement_is_refused(operate, tmp_path, content):
    (tmp_path / "bad.yaml").write_bytes(content)

    assert operate("agreement", "propose", tmp_path / "bad.yaml").code == 1


def test_missing_agreement_file_is_named(operate, tmp_path):
    ran = operate("agreement", "propose", tmp_path / "none.yaml")

    assert ran.code == 1
    assert "none.yaml" in ran.err


def test_status_counts_what_there_is(operate, enrol):
    enrol()

    shown = operate("status", "--json").json

    assert shown["members"] == {"active": 3}
    assert shown["clients"] == {"active": 1}
    assert shown["reports"] == 0
    assert shown["audit_entries"] > 0
    assert shown["database"] == "sqlite"


def test_migrate_is_safe_twice_and_says_what_it_came_from(operate):
    told, shown = operate("migrate"), operate("migrate", "--json").json

    assert told.out == f"the schema was at `{head()}` already\n"
    assert (shown["was"], shown["schema"]) == (head(), head())
    assert serving._moved(Migrated("0001", head())) == f"is at `{head()}` now, from `0001`"
    assert serving._moved(Migrated(None, head())) == f"is at `{head()}` now, new"
    assert serving._moved(Migrated("9999", "9999")) == "is newer, `9999`, and left as it is"


def test_foreign_text_cannot_steer_the_terminal(operate):
    from exchange.cli.output import shown

    assert shown("a\x1b[31mb\u202ec\nd") == "a\ufffd[31mb\ufffdc\ufffdd"


def test_policy_check_is_of_the_instance_that_the_environment_names(exchange, instance, tmp_path, monkeypatch):
    monkeypatch.setenv("EXCHANGE_DIR", str(instance))
    own = tmp_path / "policies"
    shutil.copytree(policies_folder(), own)
    (own / "vocabulary.yaml").unlink()
    with (instance / "exchange.toml").open("a") as settings:
        settings.write(f'policies_dir = "{own}"\n')
    faulty = exchange("policy", "check")
    monkeypatch.setenv("EXCHANGE_DIR", str(tmp_path / "nowhere"))
    absent = exchange("policy", "check")

    assert (faulty.code, "vocabulary.yaml" in faulty.out + faulty.err) == (1, True)
    assert (absent.code, "nowhere" in absent.err) == (1, True)


def test_policy_check_passes_on_the_law_that_came_along(exchange):
    ran = exchange("policy", "check", "--json")

    assert ran.code == 0
    assert ran.json["ok"] is True
    assert ran.json["examples"] > 0


def test_policy_explain_of_an_absent_report_is_refused(operate, enrol):
    client = enrol("--json").json["id"]

    assert operate("policy", "explain", ABSENT, "--client", client).code == 1


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("client", "roles", ("client", "list")),
        ("member", "standing", ("member", "list")),
        ("agreement", "terms", ("agreement", "list")),
    ],
)
def test_list_that_lacks_what_cannot_be_read_is_not_taken_for_whole(operate, enrol, instance, table, column, words):
    """Whoever reviewed the clients that there are was not shown the one that somebody had written to."""
    assert enrol(name="desk").code == enrol(name="other").code == 0
    assert operate("member", "add", "DNK", "--name", "Denmark").code == 0
    assert operate("agreement", "propose", "policies/agreements/north-sea-cyber.yaml").code == 0
    before = operate(*words, "--json")
    with closing(sqlite3.connect(instance / "exchange.db")) as database:
        guards = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,))
        for (name,) in guards.fetchall():
            database.execute(f"DROP TRIGGER {name}")
        (first,) = database.execute(f"SELECT min(rowid) FROM {table}").fetchone()
        database.execute(f"UPDATE {table} SET {column} = 'x' WHERE rowid = ?", (first,))
        database.commit()

    ran, shown = operate(*words), operate(*words, "--json")

    assert before.code == 0
    assert (ran.code, shown.code, len(shown.json)) == (1, 1, len(before.json) - 1)
    assert "1 of the" in ran.err
    assert "are not listed" in ran.err


@pytest.mark.parametrize(
    ("use_case", "words", "what"),
    [
        ("list_subscriptions", ("webhook", "list"), "subscriptions"),
        ("list_signatory_keys", ("client", "signature-key", "list", ABSENT), "keys"),
    ],
)
def test_list_of_which_nothing_can_be_read_is_not_taken_for_whole(operate, monkeypatch, use_case, words, what):
    async def lacking(*_given):
        return Recorded([], None, 2)

    monkeypatch.setattr(f"exchange.usecases.{use_case}", lacking)
    ran = operate(*words, "--json")

    assert (ran.code, ran.json, f"2 of the {what} are not listed" in ran.err) == (1, [], True)


def test_policy_simulate_under_no_agreement_is_refused(operate):
    ran = operate(
        "policy", "simulate", "--agreement", ABSENT, "--scope", "s", "--kind", "intrep", "--topic", "cyber",
        "--region", "EUR", "--marking", "NATO SECRET//REL TO GBR, NOR", "--originator", "GBR",
    )  # fmt: skip

    assert ran.code == 1
    assert "there is no agreement" in ran.err


def test_client_that_cannot_be_read_is_named_beside_what_is_simulated(operate, monkeypatch):
    async def simulate(*_given):
        reach = MemberOutlook("NOR", (AgencyOutlook("NIS", 2, 0),), ())
        return Recorded(HostSimulation(Simulation((reach,)), ("client 7",)), None)

    monkeypatch.setattr("exchange.cli.policy.simulate_for_host", simulate)
    words = (
        "policy", "simulate", "--agreement", ABSENT, "--scope", "s", "--kind", "intrep", "--topic", "cyber",
        "--region", "EUR", "--marking", "NATO SECRET", "--originator", "GBR",
    )  # fmt: skip
    ran, told = operate(*words), operate(*words, "--json")

    assert (ran.code, told.code) == (1, 1)
    assert "NIS: 2 full" in ran.out
    assert "client 7" in ran.err
    assert (told.json["members"][0]["can_read"], told.json["unopened"]) == (True, [{"id": "client 7"}])


@pytest.mark.parametrize("login", ["app", "app:exchange_service", "app::file", ":exchange_service:file"])
def test_login_without_role_or_password_is_refused(operate, login):
    ran = operate("migrate", "--login", login)

    assert ran.code == 2
    assert "LOGIN:ROLE:FILE" in ran.err


def test_login_of_sqlite_is_refused(operate, tmp_path):
    (tmp_path / "password").write_text("0123456789abcdef" * 4)
    (tmp_path / "password").chmod(0o600)

    ran = operate("migrate", "--login", f"app:exchange_service:{tmp_path / 'password'}")

    assert ran.code == 1
    assert "SQLite has no logins" in ran.err
