"""The log of a served instance: sequenced beside the workers, by somebody else who is replaced when killed, or not."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from exchange.custody import checkpoint_signed_by, load_log_key
from exchange.settings import InstanceLayout
from tests.entrypoints import test_serving
from tests.entrypoints.test_serving import Running, exchange, name_of
from tests.support.prepared import PROGRAM, PreparedProcess
from tests.support.waiting import eventually

start = partial(test_serving.start, is_copy=True)

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "one"
    exchange("init", "--dir", folder)
    return folder


@pytest.fixture
def instance(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "one"))


def status(folder: Path) -> dict[str, object]:
    told = exchange("status", "--dir", folder, "--json").stdout
    return dict(json.loads(told))


def sequencers_of(running: Running) -> list[int]:
    """Return the processes beside the one worker."""
    pid = running.process.pid
    children = {
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    }
    return [child for child in children if name_of(str(child)) == "exchange-jobs\n"]


def until_size(folder: Path, least: int) -> None:
    file = InstanceLayout(folder).last_signed_file
    eventually(lambda: file.exists() and json.loads(file.read_text())["confirmed"]["size"] >= least)


def waiting_in(folder: Path) -> set[str]:
    """Return the names of the events whose entries wait for their place in the log."""
    waiting = "SELECT content FROM audit_entry JOIN audit_outbox ON entry_id = audit_entry.id"
    with closing(sqlite3.connect(folder / "exchange.db")) as database:
        return {json.loads(content)["type"] for (content,) in database.execute(waiting)}


@pytest.mark.parametrize("workers", [1, 2])
def test_served_instance_signs_its_log_and_leaves_nothing_waiting(instance: Path, workers: int) -> None:
    assert (instance / "secrets" / "log.key").stat().st_mode & 0o777 == 0o600
    running = start(instance, "--workers", workers)
    until_size(instance, 7)
    assert running.stop(signal.SIGTERM) == 0

    # What its own process records as it ends waits for the next one who sequences; the workers ended before it.
    assert waiting_in(instance) <= {"node.heartbeat", "alert.raised", "alert.rules_changed"}
    shown = status(instance)
    assert shown["log_frozen"] is None
    layout = InstanceLayout(instance)
    note = json.loads(layout.last_signed_file.read_text())["confirmed"]["note"].encode()
    signed = checkpoint_signed_by(layout.log_verifier_file.read_text(), note)
    assert signed.origin == shown["log"] == load_log_key(layout.log_key_file).origin


def test_killed_sequencer_is_replaced_and_the_service_goes_on(instance: Path) -> None:
    running = start(instance)
    until_size(instance, 7)
    (killed,) = sequencers_of(running)
    os.kill(killed, signal.SIGKILL)
    before = int(str(status(instance)["log_size"]))

    # Each look is itself recorded, so there is always something to sequence.
    eventually(lambda: int(str(status(instance)["log_size"])) >= before + 3)
    assert killed not in sequencers_of(running)
    assert running.stop(signal.SIGINT) == 0


def test_without_jobs_others_sequence(instance: Path) -> None:
    running = start(instance, "--no-jobs")
    assert sequencers_of(running) == []
    assert status(instance)["log_size"] == 0
    command = [*PROGRAM, "audit", "sequence", "--dir", str(instance)]
    with PreparedProcess(command, stdout=subprocess.PIPE, text=True) as sequencing:
        until_size(instance, 7)
        sequencing.send_signal(signal.SIGHUP)
        sequencing.send_signal(signal.SIGINT)
        assert sequencing.communicate()[0] == "sequencing\n"
    assert sequencing.returncode == 0
    assert running.stop(signal.SIGTERM) == 0


def test_instance_from_before_the_log_is_told_and_mended(instance: Path) -> None:
    shutil.rmtree(instance / "log")
    (instance / "secrets" / "log.key").unlink()

    refused = exchange("serve", "--dir", instance, "--port", 0, code=1)
    assert "log.key` is missing: `exchange migrate` makes it" in refused.stderr
    doctor = json.loads(exchange("doctor", "--dir", instance, "--json", code=1).stdout)
    assert [found["name"] for found in doctor if found["state"] == "mend"] == ["secret log.key"]
    assert "made the keys of the log `exchange.example/log/" in exchange("migrate", "--dir", instance).stdout
    key = (instance / "secrets" / "log.key").read_bytes()
    exchange("migrate", "--dir", instance)
    assert (instance / "secrets" / "log.key").read_bytes() == key
    exchange("doctor", "--dir", instance)


def entries_of(instance: Path) -> list[str]:
    """Return of which events the entries in the database are."""
    with closing(sqlite3.connect(instance / "exchange.db")) as database:
        return [json.loads(content)["type"] for (content,) in database.execute("SELECT content FROM audit_entry")]


def test_restored_database_freezes_the_log_until_it_is_recovered(instance: Path) -> None:
    shutil.copy(instance / "exchange.db", instance / "yesterday.db")
    running = start(instance)
    until_size(instance, 7)
    assert running.stop(signal.SIGTERM) == 0
    shutil.copy(instance / "yesterday.db", instance / "exchange.db")

    # Not for a moment: in yesterday's database whoever was revoked since is active.
    refused = exchange("serve", "--dir", instance, "--port", 0, "--workers", 2, code=1)
    assert (refused.stdout, "the service cannot work: log: the database holds 0" in refused.stderr) == ("", True)
    # Nor by a node that signs nothing, and has no record of its own.
    file = InstanceLayout(instance).last_signed_file
    said = file.rename(file.with_suffix(".aside"))
    refused = exchange("serve", "--dir", instance, "--port", 0, "--no-jobs", code=1)
    assert (refused.stdout, "the log is frozen and signs nothing" in refused.stderr) == ("", True)
    said.rename(file)
    # What begins it anew every few seconds fills no log.
    before = entries_of(instance)
    exchange("serve", "--dir", instance, "--port", 0, code=1)
    assert entries_of(instance) == before
    assert "log.frozen" in before
    assert "stays frozen" in exchange("audit", "resume", "--dir", instance, code=1).stderr
    old = status(instance)["log"]
    told = json.loads(exchange("audit", "recover", "--dir", instance, "--json").stdout)
    assert told == {"id": f"{old}/2", "old": old}
    # It is yesterday's database still, and no restore says what it brings back.
    refused = exchange("serve", "--dir", instance, "--port", 0, "--no-jobs", code=1)
    assert (refused.stdout, "see `exchange restored list`" in refused.stderr) == ("", True)
    exchange("restored", "confirm", "unknown-acts", "--dir", instance)

    running = start(instance)
    until_size(instance, 5)
    assert running.stop(signal.SIGTERM) == 0
    assert status(instance)["log_frozen"] is None
    keys = (instance / "log" / "verifier-keys").read_text().splitlines()
    assert [key.partition("+")[0] for key in keys] == [old, old, f"{old}/2", f"{old}/2"]
