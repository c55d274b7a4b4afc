"""The doctor finds each fault and says its mend."""

import errno
import os
import shutil
import sqlite3
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exchange.audit import TreeHead
from exchange.cli import doctor_log
from exchange.cli.doctor import examine
from exchange.cli.instance import policies_folder
from exchange.crypto import issue_server, new_authority
from exchange.custody import CustodyUnavailableError, FileCustodian
from exchange.kernel import UnavailableError
from exchange.settings import InstanceLayout, load_settings
from exchange.store import Store
from exchange.store.database.faults import as_exchange_error
from exchange.store.log.last_signed import LastSigned, LastSignedFile, Signed
from exchange.store.log.log_reader import LogReader
from exchange.usecases import check_readiness
from exchange.usecases.upkeep import own_keys
from tests.support.instance_log import own, sequence


def test_new_instance_is_sound(exchange, tmp_path):
    # Made here: of one that was made some time ago, entries wait for a sequencer for longer than is sound.
    assert exchange("init", "--dir", tmp_path / "new").code == 0
    ran = exchange("doctor", "--json", "--dir", tmp_path / "new")
    found = {finding["id"]: finding for finding in ran.json}

    assert ran.code == 0
    assert {finding["state"] for finding in found.values()} == {"ok"}
    assert {"clock", "settings", "trust bundle", "law", "store", "policy", "custody"} <= found.keys()


@pytest.mark.parametrize(
    "secret", ["custody/roots.json", "secrets/cursor.key", "secrets/node.key", "tls/server.key", "tls/ca.key"]
)
def test_secret_that_others_can_read_must_be_mended(findings, instance, secret):
    (instance / secret).chmod(0o644)

    code, found = findings()

    finding = found[f"secret {secret.rpartition('/')[2]}"]
    assert code == 1
    assert finding["state"] == "mend"
    assert finding["mend"] == f"chmod 600 {instance / secret}"


def test_clock_that_leapt_is_a_warning_that_says_until_when(findings, instance):
    assert findings()[1]["clock leap"]["state"] == "ok"
    with sqlite3.connect(instance / "exchange.db") as database:
        database.execute("INSERT INTO timekeeping (id, believed_at) VALUES (1, 1780000000000000)")

    code, found = findings()

    assert code == 0
    assert found["clock leap"]["state"] == "warning"
    assert "it went on from 2026-05-28T20:26:40Z" in found["clock leap"]["told"]
    assert "set the clock if it is wrong" in found["clock leap"]["mend"]


def test_clock_that_was_set_back_must_be_mended_or_accepted(findings, operate, instance):
    """Decided by is what was believed, until somebody says that the clock was ahead."""
    with sqlite3.connect(instance / "exchange.db") as database:
        tomorrow = int((datetime.now(UTC) + timedelta(days=1)).timestamp() * 1_000_000)
        database.execute("INSERT INTO timekeeping (id, believed_at) VALUES (1, ?)", (tomorrow,))
    code, found = findings()
    accepted = operate("clock", "accept", "--reason", "a wrong time server", "--json")
    again = operate("clock", "accept", "--reason", "once more")

    assert (code, found["clock set back"]["state"]) == (1, "mend")
    assert "exchange clock accept" in found["clock set back"]["mend"]
    assert accepted.json["id"] == accepted.json["clock"] < accepted.json["decided_by"]
    assert findings()[1]["clock set back"]["state"] == "ok"
    assert (again.code, "nothing to accept" in again.err) == (1, True)


@pytest.mark.parametrize("secret", ["custody/roots.json", "secrets/cursor.key", "tls/server.key"])
def test_missing_secret_must_be_mended(findings, instance, secret):
    (instance / secret).unlink()

    code, found = findings()

    assert code == 1
    finding = found[f"secret {secret.rpartition('/')[2]}"]
    assert finding["state"] == "mend"
    assert "exchange keys restore" in finding["mend"]


def test_instance_of_an_older_version_is_told_how_to_make_its_node_key(exchange, findings, instance):
    (instance / "secrets/node.key").unlink()

    code, found = findings()
    mended = exchange("migrate", "--dir", instance)

    assert code == 1
    assert found["secret node.key"]["mend"] == "exchange migrate"
    assert mended.code == 0
    assert findings()[0] == 0


def test_open_folder_is_a_warning_only(findings, instance):
    instance.chmod(0o755)

    code, found = findings()

    assert code == 0
    assert found["folder"]["state"] == "warning"


@pytest.mark.parametrize(("days", "state", "code"), [(10, "warning", 0), (-1, "mend", 1)])
def test_ending_certificate_is_told(findings, instance, days, state, code):
    layout = InstanceLayout(instance)
    now = datetime.now(UTC)
    issued = now - timedelta(days=100)
    pair = issue_server(new_authority("x", issued), ["localhost"], now=issued, days=100 + days)
    layout.server_certificate_file.write_bytes(pair.certificate_pem)
    layout.server_key_file.write_bytes(pair.key_pem)

    found_code, found = findings()

    assert found_code == code
    assert found["certificate server.pem"]["state"] == state
    assert found["certificate server.pem"]["told"].startswith("ended on" if state == "mend" else "valid until")


def test_edge_s_certificate_is_looked_at_and_the_newest_counts(findings, instance):
    layout = InstanceLayout(instance)
    assert "certificate edges.pem" not in findings()[1]
    now = datetime.now(UTC)
    issued = now - timedelta(days=100)
    ending, fresh = (
        issue_server(new_authority("x", issued), ["edge"], now=issued, days=100 + days).certificate_pem
        for days in (10, 200)
    )

    layout.edge_certificates_file.write_bytes(ending)
    assert findings()[1]["certificate edges.pem"]["state"] == "warning"
    layout.edge_certificates_file.write_bytes(ending + fresh)
    assert findings()[1]["certificate edges.pem"]["state"] == "ok"
    layout.edge_certificates_file.write_bytes(b"")
    assert findings()[1]["certificate edges.pem"]["state"] == "mend"


def test_certificate_that_is_none_must_be_mended(findings, instance):
    InstanceLayout(instance).server_certificate_file.write_text("hello")

    code, found = findings()

    assert code == 1
    assert found["certificate server.pem"]["state"] == "mend"
    assert found["trust bundle"]["state"] == "mend"
    assert "_ssl.c" not in found["trust bundle"]["told"]


def test_no_authority_must_be_mended(findings, instance):
    for path in InstanceLayout(instance).authorities_folder.iterdir():
        path.unlink()

    code, found = findings()

    assert code == 1
    assert "exchange ca add" in found["trust bundle"]["mend"]


def test_damaged_database_must_be_mended(findings, instance):
    database = InstanceLayout(instance).database_file
    for beside in ("-wal", "-shm"):
        database.with_name(database.name + beside).unlink(missing_ok=True)
    database.write_bytes(b"garbage" * 1000)

    code, found = findings()

    assert code == 1
    assert found["schema"]["mend"].startswith("make room where the disk is full; else look at the disk")
    assert "exchange restore" in found["schema"]["mend"]


def test_nobody_is_told_to_put_a_database_aside_that_cannot_be_written(findings, instance, monkeypatch):
    for beside in ("-wal", "-shm"):
        (instance / f"exchange.db{beside}").unlink(missing_ok=True)
    (instance / "exchange.db").write_bytes(b"garbage" * 1000)
    monkeypatch.setattr(os, "access", lambda place, _mode: place != instance / "exchange.db")
    code, found = findings()

    assert code == 1
    assert found["schema"]["mend"] == (
        "let the service's user write the file and its folder; see whether the disk is mounted read-only"
    )


def test_vanished_database_must_be_mended(findings, instance):
    InstanceLayout(instance).database_file.unlink()

    code, found = findings()

    assert code == 1
    assert "exchange migrate" in found["service"]["told"]
    # A tired person runs what stands under `mend`.
    assert found["schema"]["mend"].startswith("put the database back, or `exchange restore` a backup")
    assert not InstanceLayout(instance).database_file.exists()


def test_other_law_than_the_one_in_force_must_be_mended(findings, monkeypatch, tmp_path):
    other = shutil.copytree(policies_folder(), tmp_path / "law")
    vocabulary = other / "classification" / "NATO.yaml"
    text = vocabulary.read_text(encoding="utf-8")
    vocabulary.write_text(text.replace("title: NATO security policy", "title: another"), encoding="utf-8")
    monkeypatch.setenv("EXCHANGE_POLICIES_DIR", str(other))

    code, found = findings()

    assert code == 1
    assert found["policy"]["state"] == "mend"


def test_no_law_in_a_new_database_is_not_another_one(findings, instance):
    own(instance, "UPDATE policy_state SET policy_digest = ''")

    assert findings()[1]["policy"]["mend"].startswith("`exchange serve`")
    # What is in force is gone with its row: to look at the database's address mends nothing.
    own(instance, "DELETE FROM policy_state")
    assert findings()[1]["policy"]["mend"].startswith("put a backup back with `exchange restore`")


def test_broken_law_must_be_mended(findings, monkeypatch, tmp_path):
    (tmp_path / "vocabulary.yaml").write_text("frob: 1")
    monkeypatch.setenv("EXCHANGE_POLICIES_DIR", str(tmp_path))

    code, found = findings()

    assert code == 1
    assert found["law"]["state"] == "mend"
    # One line, as each of the table.
    assert found["law"]["told"].count("\n") == 0
    assert ": `" in found["law"]["told"]


def test_hours_of_nobody_here_are_told(findings, monkeypatch, tmp_path):
    other = shutil.copytree(policies_folder(), tmp_path / "law")
    text = (other / "alerts.yaml").read_text(encoding="utf-8")
    hours = '{zone: UTC, days: [mon], from: "07:00", until: "19:00"}'
    text = text.replace("members: {}", f"members: {{DNK: {hours}, EXCHANGE: {hours}, NER: {hours}}}")
    (other / "alerts.yaml").write_text(text, encoding="utf-8")
    before = findings()[1]
    monkeypatch.setenv("EXCHANGE_POLICIES_DIR", str(other))

    code, found = findings()

    assert code == 0
    assert "alert hours" not in before
    assert found["alert hours"]["state"] == "warning"
    assert found["alert hours"]["told"] == "no member here has the code DNK, NER"


def test_wrong_settings_are_told_alone(findings, instance):
    (instance / "exchange.toml").write_text("frob = 1")

    code, found = findings()

    assert code == 1
    assert "frob" in found["settings"]["told"]


def test_schema_of_another_version_is_told_with_its_mend(findings, instance):
    with sqlite3.connect(InstanceLayout(instance).database_file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()

    code, found = findings()

    assert code == 1
    assert (found["schema"]["state"], found["schema"]["mend"]) == ("mend", "exchange migrate")


def test_place_of_large_parts_is_tried(findings, instance, monkeypatch):
    assert findings()[1]["large parts"]["told"] == "in the database"

    place = instance / "blobs"
    monkeypatch.setenv("EXCHANGE_BLOB_STORE_URL", place.as_uri())
    code, found = findings()
    assert (code, found["large parts"]["told"]) == (0, f"in {place.as_uri()}")
    assert [path for path in place.rglob("*") if path.is_file()] == []

    monkeypatch.setenv("EXCHANGE_BLOB_STORE_URL", (instance / "exchange.toml").as_uri())
    code, found = findings()
    assert (code, found["large parts"]["state"]) == (1, "mend")


def test_secret_of_each_webhook_is_looked_at_as_the_service_reads_it(findings, instance):
    settings = instance / "exchange.toml"
    for name in ("soc", "lost", "shared", "none"):
        hook = f'url = "https://soc.example/alerts"\nsecret_file = "secrets/{name}.hook"\n'
        settings.write_text(f'{settings.read_text()}\n[[alert_webhooks]]\nname = "{name}"\n{hook}')
    good = f"whsec_{b64encode(bytes(range(32))).decode()}"
    for name, secret in (("soc", good), ("shared", good), ("none", "abc")):
        (instance / "secrets" / f"{name}.hook").write_text(secret)
        (instance / "secrets" / f"{name}.hook").chmod(0o644 if name == "shared" else 0o600)

    code, found = findings()

    states = {name: found[f"webhook {name}"]["state"] for name in ("soc", "lost", "shared", "none")}
    assert (code, states) == (1, {"soc": "ok", "lost": "mend", "shared": "mend", "none": "mend"})
    assert found["webhook shared"]["mend"] == f"chmod 600 {instance / 'secrets' / 'shared.hook'}"
    assert "docs/alerts.md" in found["webhook lost"]["mend"]


def test_clock_behind_the_newest_entry_must_be_mended(findings, monkeypatch):
    back = datetime.now(UTC) - timedelta(hours=3)
    monkeypatch.setattr("exchange.services.system_clock", lambda: back)

    code, found = findings()

    assert code == 1
    assert found["clock and log"]["state"] == "mend"
    assert "NTP" in found["clock and log"]["mend"]


def test_log_that_nobody_sequences_is_a_warning(findings, monkeypatch):
    later = datetime.now(UTC) + timedelta(minutes=2)
    monkeypatch.setattr("exchange.services.system_clock", lambda: later)

    found = findings()[1]

    assert found["log backlog"]["state"] == "warning"
    assert "exchange audit sequence" in found["log backlog"]["mend"]


def test_database_older_than_what_was_signed_must_be_mended(findings, instance):
    path = load_settings(instance).last_signed_file
    ahead = Signed(TreeHead(1_000_000, bytes(32)), 1, b"note")
    path.parent.mkdir(exist_ok=True)
    LastSignedFile(path).write(LastSigned("somewhere/log/1", ahead))

    code, found = findings()

    assert code == 1
    assert "1000000 entries" in found["last signed"]["told"]
    assert "exchange audit resume" in found["last signed"]["mend"]


def test_damaged_record_of_what_was_signed_is_told_with_both_ways_on(findings, instance):
    path = load_settings(instance).last_signed_file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"{torn")

    code, found = findings()

    assert code == 1
    assert {found[name]["mend"] for name in ("log", "last signed")} == {
        "put it aside and run `exchange audit resume` where the database is no older one, else `exchange audit recover`"
    }
    assert found["last signed"]["told"] == f"`{path}` is damaged: what was signed last is not known"


def test_log_that_grows_while_it_is_looked_at_is_no_older_one(findings, instance, monkeypatch):
    file = LastSignedFile(load_settings(instance).last_signed_file)
    file.path.parent.mkdir(exist_ok=True)
    read, reads = LogReader.state, []

    async def grown(reader):
        """Return the log as it was, and sign what came since: as a sequencer does beside whoever looks."""
        reads.append(await read(reader))
        if len(reads) > 1:  # the first one is readiness'
            file.write(LastSigned("somewhere/log/1", Signed(TreeHead(1_000_000, bytes(32)), 1, b"note")))
        return reads[-1]

    monkeypatch.setattr(LogReader, "state", grown)

    assert "last signed" not in findings()[1]
    assert len(reads) > 1


@pytest.mark.parametrize("host", ["", " ", "x" * 70])
def test_service_listens_nowhere_where_no_address_is_named(operate, host):
    """As `--host "$HOST"` says where the variable is empty: it listened on every address there was."""
    ran = operate("serve", "--port", "0", "--host", host)

    assert (ran.code, ran.out, "unexpected" in ran.err) == (1, "", False)
    assert "to listen on" in ran.err or "cannot listen on" in ran.err


def test_setting_that_cannot_hold_starts_nothing_and_is_told_with_its_mend(findings, operate, instance):
    with (instance / "exchange.toml").open("a") as file:
        file.write('\ncrl_folder = "tls/clr"\n')

    code, found = findings()
    ran = operate("serve", "--port", "0")

    assert (code, found["setting"]["state"]) == (1, "mend")
    assert found["setting"]["mend"] == "make it, or unset it"
    assert (ran.code, ran.out, "`crl_folder`" in ran.err) == (1, "", True)


async def test_custody_out_of_reach_is_told_with_its_mend(instance, monkeypatch):
    async def away(_self):
        raise CustodyUnavailableError("the token is gone")

    monkeypatch.setattr(FileCustodian, "check", away)

    found = {each.name: each for each in await examine(instance)}

    assert (found["custody"].state, found["custody"].told) == ("mend", "the token is gone")
    assert found["custody"].mend == "bring the keys back within reach: the root file of the escrow, or the token"


async def test_key_file_of_another_instance_is_told_with_where_its_own_one_is(instance, monkeypatch):
    """It was looked for in the backup, which holds no keys."""

    async def nothing_opens(_services):
        raise UnavailableError(own_keys._NOT_ITS_KEYS)

    monkeypatch.setitem(check_readiness.__globals__, "require_own_keys", nothing_opens)

    found = {each.name: each for each in await examine(instance)}

    told = "the key file here is of another instance: nothing that was looked at in the database opens with it"
    assert (found["custody"].state, found["custody"].told) == ("mend", told)
    assert found["custody"].mend == "put its own back, from the escrow or from another node"


async def test_policy_is_not_at_fault_where_the_store_is_silent(instance, monkeypatch):
    async def silent(*_given):
        raise as_exchange_error(TimeoutError())

    monkeypatch.setattr(Store, "caller", silent)

    found = {each.name: each for each in await examine(instance)}

    assert "was silent for too long" in found["policy"].told
    assert "see that the database runs" in found["policy"].mend


@pytest.mark.parametrize("secret", ["custody/roots.json", "secrets/cursor.key", "tls/server.key"])
@pytest.mark.parametrize("fault", ["shared", "missing"])
def test_service_refuses_to_start_on_an_unsafe_secret(operate, instance, secret, fault):
    path = instance / secret
    if fault == "shared":
        path.chmod(0o640)
    else:
        path.unlink()

    ran = operate("serve", "--port", "0")

    assert ran.code == 1
    assert ran.out == ""
    assert str(path) in ran.err
    assert ("exchange ca server" in ran.err) == ((secret, fault) == ("tls/server.key", "missing"))


def test_row_that_is_not_what_the_log_says_is_named_with_its_entry(findings, instance):
    sequence(instance, is_searchable=True)
    assert findings()[1]["rows"]["state"] == "ok"
    own(instance, "UPDATE member SET standing = 'suspended'")

    code, found = findings()

    assert code == 1
    assert found["rows"]["told"].startswith("member EXCHANGE: `standing` in version 1 is another than `member.added`")


def test_entries_that_the_log_lacks_accuse_no_row_and_are_told_beside_one_that_is_not_what_it_says(
    findings, instance, operate
):
    operate("member", "add", "GBR", "--name", "United Kingdom")
    sequence(instance, is_searchable=True)
    own(instance, "DELETE FROM audit_entry WHERE CAST(content AS TEXT) LIKE '%EXCHANGE%\"member.added\"%'")
    lacks = findings()[1]["rows"]["told"]
    own(instance, "UPDATE member SET standing = 'suspended' WHERE code = 'GBR'")
    both = findings()[1]["rows"]["told"]

    assert lacks == "the log lacks 1 of the entries that rows are held against: they are damaged or gone"
    assert both == f"member GBR: `standing` in version 1 is another than `member.added` put there; {lacks}"


@pytest.mark.parametrize(("table", "column"), [("policy_state", "policy_version"), ("member", "recorded_at")])
def test_text_where_a_number_belongs_is_named_by_row_and_column(findings, instance, table, column):
    own(instance, f"UPDATE {table} SET {column} = 'x'")

    code, found = findings()

    assert code == 1
    assert found["rows"]["told"].startswith(f"no number where one belongs: {table} ")
    assert found["rows"]["told"].endswith(f": {column}")
    assert {"disk", "store"} <= found.keys()


def test_backup_that_broke_off_is_none_and_an_old_one_is_told(
    exchange, findings, operate, instance, tmp_path, monkeypatch
):
    recipient = exchange("keys", "recipient", "--out", tmp_path / "identity").out.strip()
    assert findings()[1]["backup"]["state"] == "ok"  # there was no time for one yet
    monkeypatch.setattr(doctor_log, "_OLD_BACKUP", timedelta(0))
    assert operate("backup", tmp_path / "away" / "backup", "--to", recipient).code == 1
    broken = findings()[1]["backup"]
    assert operate("backup", tmp_path / "backup", "--to", recipient).code == 0
    old = findings()[1]["backup"]
    sequence(instance, is_searchable=True)
    found = findings()[1]["backup"]
    monkeypatch.undo()

    assert (broken["state"], broken["told"]) == ("warning", "none was written yet")
    assert "exchange backup FILE" in broken["mend"]
    assert (old["state"], old["told"]) == (found["state"], found["told"])
    assert (old["state"], old["told"][:25]) == ("warning", "the newest was written at")
    assert findings()[1]["backup"]["state"] == "ok"


def test_client_that_soon_can_connect_no_more_is_named(enrol, findings, operate, monkeypatch):
    client = enrol("--json").json["id"]
    assert findings()[1]["client certificates"]["state"] == "ok"
    monkeypatch.setattr(doctor_log, "_NEAR", timedelta(days=400))

    code, found = findings()

    assert (code, found["client certificates"]["state"]) == (0, "warning")
    assert f"desk (NOR, {client}) 20" in found["client certificates"]["told"]
    assert operate("client", "revoke", client).code == 0
    assert findings()[1]["client certificates"]["state"] == "ok"


@pytest.fixture
def refuse(monkeypatch):
    """Let a folder be another user's, for root too: nothing in it can be asked or opened."""

    def shut(folder: Path) -> None:
        def refused(act):
            def asked(path, *words, **more):
                if isinstance(path, str | Path) and folder in Path(path).parents:
                    raise PermissionError(errno.EACCES, "Permission denied", str(path))
                return act(path, *words, **more)

            return asked

        for name in ("lstat", "stat", "open"):
            monkeypatch.setattr(Path, name, refused(getattr(Path, name)))
        for name in ("open", "listdir", "scandir"):
            monkeypatch.setattr(os, name, refused(getattr(os, name)))
        access = os.access
        monkeypatch.setattr(
            os, "access", lambda path, mode, **more: Path(path) != folder and access(path, mode, **more)
        )

    return shut


@pytest.mark.parametrize("name", ["secrets", "tls", "log"])
def test_folder_of_another_user_is_told_and_nothing_in_it_made_anew(findings, instance, refuse, name):
    """As whom one runs is what to mend: what is there is not restored, nor made once more in its place."""
    refuse(instance / name)

    code, found = findings()

    told = [each for each in found.values() if f"`{instance / name}` is user {os.geteuid()}'s" in each["told"]]
    assert code == 1
    assert {each["mend"] for each in told if each["id"] != "service"} == {
        "run this as the user of the service, to whom all of the instance belongs"
    }
    assert not any("migrate" in (each["mend"] or "") for each in found.values())


def test_settings_and_database_of_another_user_are_told(exchange, instance, refuse, monkeypatch):
    monkeypatch.setenv("EXCHANGE_DIR", str(instance))
    refuse(instance)

    settings, database = exchange("status"), as_exchange_error(PermissionError())

    assert f"`{instance}` is user" in settings.err
    assert "run this as the user of the service" in settings.err
    assert "run this as the user of the service" in database.message


def test_who_lost_the_database_is_not_told_to_begin_an_empty_one_alone(operate, instance):
    """A volume that was not mounted looks like this: keys are there, and a file with nothing in it."""
    for path in instance.glob("exchange.db*"):
        path.unlink()
    (instance / "exchange.db").touch(mode=0o600)

    ran = operate("status")

    assert ran.code == 1
    assert "where there was one, put it back, or `exchange restore` a backup" in ran.err


def test_file_that_a_migration_cannot_make_is_named_with_the_reason(operate, instance):
    (instance / "none").touch()
    with (instance / "exchange.toml").open("a") as settings:
        settings.write(f'\ndatabase_url = "sqlite+aiosqlite:///{instance}/none/exchange.db"\n')

    ran = operate("migrate")

    assert ran.code == 1
    assert f"`{instance}/none/exchange.db` cannot be written: not a directory" in ran.err
