"""`exchange audit recover` that does not come to its end: the log before it can be signed again, or the new one is."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from exchange.audit import parse_entry
from exchange.custody import load_log_key, replace_log_key
from exchange.settings import InstanceLayout
from exchange.usecases.log.sequence_log import Step
from tests.support.instance_log import sequence


@pytest.fixture
def frozen(instance, tmp_path):
    """An instance whose database was put back: its log is frozen, and what was there before is in the folder."""
    sequence(instance, 3)
    shutil.copy(instance / "exchange.db", tmp_path / "yesterday.db")
    sequence(instance, 3)
    shutil.copy(instance / "exchange.db", tmp_path / "right.db")
    shutil.copy(tmp_path / "yesterday.db", instance / "exchange.db")
    assert sequence(instance, 1) is Step.FROZEN
    return InstanceLayout(instance)


def test_refused_recovery_leaves_the_keys_of_the_log_that_may_go_on(frozen, instance, operate, tmp_path):
    before = load_log_key(frozen.log_key_file).verifier_keys
    (tmp_path / "note").write_bytes(b"no checkpoint")
    assert "this log is frozen: the database holds" in operate("audit", "verify").err

    refused = operate("audit", "recover", "--witnessed", tmp_path / "note")
    shutil.copy(tmp_path / "right.db", instance / "exchange.db")

    assert refused.code == 1
    assert load_log_key(frozen.log_key_file).verifier_keys == before
    assert sequence(instance, 1) is not Step.FROZEN


@pytest.mark.parametrize("stopped_at", ["cli.audit_log.take_log_key", "usecases.log.recover_log.recover_log"])
def test_recovery_that_was_stopped_is_finished_by_the_next_one(frozen, operate, instance, monkeypatch, stopped_at):
    class Killed(BaseException):
        pass

    def killed(*_given, **_named):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(f"exchange.{stopped_at}", killed)
        with pytest.raises(Killed):
            operate("audit", "recover")

    again = operate("audit", "recover")

    origin = load_log_key(frozen.log_key_file).origin
    assert (again.code, again.out.startswith(f"the log {origin} begins")) == (0, True)
    # An older database: nothing else says what it brings back.
    assert "(revoked clients, recalled reports, erased personal data): end it again" in again.out
    (claim,) = operate("restored", "list", "--json").json
    assert (claim["id"], claim["kind"]) == ("unknown-acts", "unknown-acts")
    assert claim["told"].startswith("what was revoked, recalled, suspended, withdrawn or erased, and which legal holds")
    assert origin.endswith("/2")
    assert load_log_key(frozen.log_key_file).verifier_keys in frozen.log_verifier_file.read_text("utf-8")
    assert not list(frozen.log_key_file.parent.glob("*.next"))
    assert sequence(instance, 1) is not Step.FROZEN
    assert operate("audit", "verify", "--key", frozen.log_verifier_file).code == 0


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "stolen"])
def test_log_whose_keys_are_given_up_is_followed_by_another(instance, operate, is_lost):
    """Where nobody has them any more nothing starts, and where somebody else has them they sign for him."""
    sequence(instance, 3)
    layout = InstanceLayout(instance)
    before = load_log_key(layout.log_key_file)
    if is_lost:
        layout.log_key_file.unlink()

    plain = operate("audit", "recover")
    given_up = operate("audit", "recover", "--new-keys", "the disk of node 1 is gone", "--json")

    assert plain.code == 1
    assert (given_up.code, given_up.json["id"]) == (0, f"{before.origin}/2")
    assert operate("restored", "list", "--json").json == [], "nothing came back"
    assert load_log_key(layout.log_key_file).verifier_keys != before.verifier_keys
    assert sequence(instance, 3) is Step.IDLE
    assert operate("audit", "verify", "--key", layout.log_verifier_file).code == 0
    assert [entry["detail"]["why"] for entry in _entries(instance, "log.frozen")] == [
        "its keys are given up: the disk of node 1 is gone"
    ]


def test_log_that_nothing_outside_its_database_is_held_against_may_be_of_before(instance, operate):
    """As on a new host, from a base backup: whoever was revoked since is alive again, and nobody here knows."""
    sequence(instance, 3)
    layout = InstanceLayout(instance)
    layout.log_key_file.unlink()
    layout.last_signed_file.unlink()

    operate("audit", "recover", "--new-keys", "the host is gone")

    assert [claim["kind"] for claim in operate("restored", "list", "--json").json] == ["unknown-acts"]


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_recovery_after_a_restore_asks_for_what_is_not_confirmed_alone(instance, operate, is_confirmed):
    sequence(instance, 3)
    with closing(sqlite3.connect(instance / "exchange.db", isolation_level=None)) as database:
        database.execute("UPDATE log_state SET frozen_at = 1, frozen_why = 'restored from the backup of 2026-11-27'")
        claim = "INSERT INTO restore_claim (id, kind, subject, told, confirmed_at) VALUES ('a', 'client', 's', 't', ?)"
        database.execute(claim, (1 if is_confirmed else None,))

    ran = operate("audit", "recover")

    assert (ran.code, "begins; nodes beside this one" in ran.out) == (0, True)
    assert ("confirm it (`exchange restored list`)" in ran.out) is not is_confirmed


def test_doctor_names_the_one_way_on_after_a_restore(instance, operate):
    """`audit resume`, which it named first, is refused there."""
    sequence(instance, 3)
    why = "restored from the backup of 2026-11-27: begin the next log with `exchange audit recover`"
    with closing(sqlite3.connect(instance / "exchange.db", isolation_level=None)) as database:
        database.execute("UPDATE log_state SET frozen_at = 1, frozen_why = ?", (why,))

    found = {each["id"]: each for each in operate("doctor", "--json").json}

    assert found["log"]["mend"] == "begin the next log with `exchange audit recover`"


def test_keys_that_wait_for_a_log_that_began_are_not_given_up(instance, operate, monkeypatch):
    sequence(instance, 3)
    layout = InstanceLayout(instance)
    layout.log_key_file.unlink()
    with monkeypatch.context() as patched:
        patched.setattr("exchange.cli.audit_log.take_log_key", lambda *_given: None)
        operate("audit", "recover", "--new-keys", "lost")

    again = operate("audit", "recover", "--new-keys", "lost", "--json")

    assert again.json["id"] == load_log_key(layout.log_key_file).origin
    assert again.json["id"].endswith("/2")


def test_keys_that_are_not_the_log_s_are_told(instance, operate):
    """Nothing is signed then, and nothing but the growing backlog said so."""
    sequence(instance, 3, is_searchable=True)
    layout = InstanceLayout(instance)
    public = layout.log_verifier_file.read_bytes()

    def told():
        ran = operate("doctor", "--json")
        return ran.code, next(each for each in ran.json if each["id"] == "log keys")

    assert told()[1]["state"] == "ok"
    layout.log_verifier_file.unlink()
    assert (told()[0], told()[1]["mend"]) == (1, "exchange migrate")
    layout.log_verifier_file.write_bytes(public)
    replace_log_key(layout.log_key_file, "stranger.example/log/1", os.urandom)
    code, found = told()
    assert (code, found["state"]) == (1, "mend")
    assert "this node signs nothing" in found["told"]
    assert "--new-keys" in found["mend"]


def _entries(instance, event):
    with closing(sqlite3.connect(instance / "exchange.db")) as database:
        contents = [bytes(content) for (content,) in database.execute("SELECT content FROM audit_entry")]
    return [entry for entry in map(parse_entry, contents) if entry["type"] == event]
