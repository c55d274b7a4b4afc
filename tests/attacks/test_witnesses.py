"""Class 34 against a real exchange and real witnesses: what a database restored from a backup cannot hide."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from exchange.settings import InstanceLayout
from tests.attacks.served import WAIT_SECONDS, Instance, Running, make_instance, serving
from tests.support.house import completed
from tests.support.prepared import PROGRAM, PreparedProcess
from tests.support.waiting import eventually

WATCHER = "NOR watcher"


class Member:
    """A member's auditor with a witness of its own, at the command line."""

    def __init__(self, instance: Instance, state: Path) -> None:
        self.instance, self.state = instance, state
        self.pair = instance.folder / WATCHER

    def exchange(self, *words: object) -> subprocess.CompletedProcess[str]:
        return completed("audit", *words)

    def enrol(self) -> None:
        layout = InstanceLayout(self.instance.folder)
        words = ("--name", "witness.nor.example/w1", "--log", f"@{layout.log_verifier_file}", "--json")
        made = self.exchange("witness", "keygen", "--state", self.state, *words)
        assert made.returncode == 0, made.stderr
        added = self.exchange("witness", "add", "nor", json.loads(made.stdout)["keys"][1], "--dir", layout.folder)
        assert added.returncode == 0, added.stderr

    def door(self, url: str) -> tuple[object, ...]:
        ca = InstanceLayout(self.instance.folder).authority_certificate_file
        return ("--url", url, "--cert", self.pair / "client.pem", "--key", self.pair / "client.key", "--ca", ca)

    def once(self, url: str) -> tuple[int, dict[str, object]]:
        done = self.exchange("witness", "--once", "--state", self.state, *self.door(url), "--json")
        return done.returncode, json.loads(done.stdout) if done.stdout else {"told": done.stderr}

    def cosigned(self, url: str, *, beyond: int) -> int:
        """Do rounds until the witness stands behind more entries than so many."""
        sizes: list[int] = []

        def has_grown() -> bool:
            code, told = self.once(url)
            if not sizes and "not-found" in str(told):
                return False  # the sequencer has signed nothing yet
            assert code == 0, told
            sizes.append(int(str(told["size"])))
            return sizes[-1] > beyond

        eventually(has_grown)
        return sizes[-1]


def stop(running: Running) -> None:
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(WAIT_SECONDS) == 0


def operations(running: Running) -> str:
    return "http://" + running.log.read_text().partition('"address": "')[2].partition('"')[0]


@pytest.mark.journey
@pytest.mark.timeout(400)
def test_34_backup_put_back_with_every_trace_of_it_removed_is_caught_by_a_members_witness(tmp_path: Path) -> None:
    instance = make_instance(tmp_path / "instance", None, {WATCHER: ("auditor",)})
    (instance.folder / WATCHER / "client.key").chmod(0o600)
    member, layout = Member(instance, tmp_path / "witness"), InstanceLayout(instance.folder)
    member.enrol()
    with serving(instance) as running:
        member.cosigned(running.url, beyond=0)
        stop(running)
    yesterday = json.loads(member.exchange("witnesses", "--dir", layout.folder, "--json").stdout)["size"]
    shutil.copy(layout.database_file, tmp_path / "backup.db")
    with serving(instance) as running:
        today = member.cosigned(running.url, beyond=yesterday)
        stop(running)

    # The operator puts the backup back, and takes away every file that knows better.
    shutil.copy(tmp_path / "backup.db", layout.database_file)
    for name in ("exchange.db-wal", "exchange.db-shm", "log/last-signed.json", "log/witnessed"):
        (layout.folder / name).unlink(missing_ok=True)
    with serving(instance) as running:
        code, told = member.once(running.url)

        assert (code, told["cosigned"], told["alarm"]) == (1, False, True), told
        # Which of the two it is depends on how much the log has grown anew.
        (evidence,) = (member.state / "evidence").iterdir()
        assert evidence.name.split("-", 1)[1].startswith((f"rolled-back-{today}", f"unproven-{today}", "forked"))
        # The witness brought what the log had signed: it signs nothing more.
        url = f"{operations(running)}/readyz"
        eventually(lambda: httpx2.get(url).status_code == 503)
        assert "frozen" in httpx2.get(url).text


@pytest.mark.journey
@pytest.mark.timeout(400)
def test_34_witness_that_serves_is_asked_by_the_exchange_and_outlives_its_own_kill(tmp_path: Path) -> None:
    instance = make_instance(tmp_path / "instance", None, {WATCHER: ("auditor",)})
    (instance.folder / WATCHER / "client.key").chmod(0o600)
    layout = InstanceLayout(instance.folder)
    member = Member(instance, tmp_path / "witness")
    member.enrol()
    with layout.settings_file.open("a") as settings:
        settings.write(f'witness_authority_file = "{layout.authority_certificate_file}"\n')

    def serve_witness() -> tuple[subprocess.Popen[str], int]:
        tls = ("--tls-cert", layout.server_certificate_file, "--tls-key", layout.server_key_file)
        words = ("audit", "witness", "--state", member.state, "--listen", f"127.0.0.1:{port}", *tls)
        with (tmp_path / "witness.log").open("ab") as log:
            process = PreparedProcess([*PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        return process, int(process.stdout.readline().rpartition(":")[2])

    asked = ("--policy", layout.folder / "log" / "witnesses")
    port = 0
    process, port = serve_witness()
    policy = (layout.folder / "log" / "witnesses").read_text()
    policy = policy.replace("\nquorum none", f" https://localhost:{port}\nquorum nor")
    (layout.folder / "log" / "witnesses").write_text(policy)
    with serving(instance) as running:
        eventually(_cosigned_beyond(member, layout.folder, -1))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        process, _ = serve_witness()
        eventually(_cosigned_beyond(member, layout.folder, 0))
        verified = member.exchange(
            "verify", *member.door(running.url), "--key", layout.log_verifier_file, *asked, "--json"
        )
        stop(running)
    process.terminate()

    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert json.loads(verified.stdout)["witnesses"] == ["nor"]
    assert process.wait(WAIT_SECONDS) == 0
    process.communicate()
    assert not (member.state / "evidence").exists()


def _cosigned_beyond(member: Member, folder: Path, size: int) -> Callable[[], bool]:
    def is_so() -> bool:
        (witness,) = json.loads(member.exchange("witnesses", "--dir", folder, "--json").stdout)["items"]
        return witness["size"] is not None and witness["size"] > size

    return is_so
