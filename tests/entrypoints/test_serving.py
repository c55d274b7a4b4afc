"""The real server as its operator starts it: processes, sockets, certificates, signals."""

import asyncio
import itertools
import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from exchange.app import _require_safe, open_services
from exchange.crypto import KeyAndCertificate, issue_client, read_certificate
from exchange.kernel import UnsafeSettingError
from exchange.members import Standing
from exchange.settings import InstanceLayout, load_settings
from exchange.usecases import Call, Enrolment, add_member, change_standing, enrol_client
from tests.support.house import completed
from tests.support.prepared import PROGRAM, PreparedProcess, run_prepared
from tests.support.store import run_apart
from tests.support.waiting import eventually

EXCHANGE = Path(sys.executable).parent / "exchange"
WAIT_SECONDS = 100
ABSENT = "01980000-0000-7000-8000-000000000000"
NUMBERS = itertools.count()

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]


def exchange(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = _apart(*arguments) if arguments[0] == "serve" else completed(*arguments)
    assert done.returncode == code, done.stderr
    return done


def _apart(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end in a copy of a process: what is installed is begun where it goes on to serve."""
    return run_prepared("-m", "exchange.cli", *arguments, timeout=WAIT_SECONDS)


@dataclass(frozen=True, slots=True)
class Running:
    """A served instance; what it prints goes to files."""

    process: subprocess.Popen[bytes]
    out: Path
    log: Path

    @property
    def url(self) -> str:
        return self.out.read_text().split()[1]

    @property
    def operations(self) -> str:
        return "http://" + self.log.read_text().partition('"address": "')[2].partition('"')[0]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(WAIT_SECONDS)


def start(folder: Path, *options: object, is_copy: bool = False) -> Running:
    """Serve an instance: as the program that is installed, or as a copy of one that was loaded before."""
    out, log = (folder / f"{stem}-{next(NUMBERS)}" for stem in ("out", "log"))
    program, begin = (PROGRAM, PreparedProcess) if is_copy else ((str(EXCHANGE),), subprocess.Popen)
    command = [*program, *map(str, ("serve", "--dir", folder, "--port", 0, *options))]
    with out.open("wb") as stdout, log.open("wb") as stderr:
        process = begin(command, stdout=stdout, stderr=stderr, start_new_session=True)
    eventually(lambda: out.read_bytes().endswith(b"\n") or process.poll() is not None)
    assert process.poll() is None, log.read_text()
    return Running(process, out, log)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance with an enrolled client `reader` and a revoked one, `gone`; enrolled in this process, for speed."""
    folder = tmp_path_factory.mktemp("instance") / "one"
    exchange("init", "--dir", folder)
    run_apart(lambda: asyncio.run(fill(folder)))
    return folder


async def fill(folder: Path) -> None:
    async with open_services(load_settings(folder)) as services:
        call = Call(request_id=ABSENT, source="host", thumbprint=None, now=services.clock())
        await add_member(services, call, "GBR", "United Kingdom")
        for name in ("reader", "gone"):
            facts = read_certificate(issue(folder, name))
            enrolment = Enrolment(
                name=name, member="GBR", agency="NCSC", roles=("reader",), level="SECRET", certificate=facts
            )
            enrolled = (await enrol_client(services, call, enrolment)).value.client
        await change_standing(services, call, enrolled.id, Standing.REVOKED)


@pytest.fixture(scope="module")
def served(instance: Path) -> Iterator[Running]:
    running = start(instance, "--workers", 2)
    yield running
    workers = workers_of(running)
    assert running.stop(signal.SIGTERM) == 0
    assert running.out.read_text() == f"ready {running.url}\n"
    assert not any(is_running(pid) for pid in workers)


def client(instance: Path, name: str | None) -> httpx2.Client:
    context = ssl.create_default_context(cafile=str(InstanceLayout(instance).authority_certificate_file))
    if name is not None:
        context.load_cert_chain(instance / name / "client.pem", instance / name / "client.key")
    return httpx2.Client(verify=context)


def issue(instance: Path, name: str, authority: KeyAndCertificate | None = None) -> bytes:
    """Write a key and certificate of the instance's own authority, or of another, and return the certificate."""
    layout = InstanceLayout(instance)
    own = KeyAndCertificate(layout.authority_key_file.read_bytes(), layout.authority_certificate_file.read_bytes())
    issued = issue_client(authority or own, name, organisation="GBR/NCSC", now=datetime.now(UTC), days=1)
    folder = instance / name
    folder.mkdir()
    (folder / "client.pem").write_bytes(issued.certificate_pem)
    (folder / "client.key").write_bytes(issued.key_pem)
    return issued.certificate_pem


def test_enrolled_client_is_known(instance: Path, served: Running) -> None:
    with client(instance, "reader") as reader:
        answer = reader.get(f"{served.url}/v1/whoami")

    assert (answer.status_code, answer.json()["client"]) == (200, "reader")


def test_two_certificates_are_never_taken_for_each_other(instance: Path, served: Running) -> None:
    with client(instance, "reader") as reader, client(instance, "gone") as gone:
        answers = [
            (reader.get(f"{served.url}/v1/whoami").status_code, gone.get(f"{served.url}/v1/whoami").status_code)
            for _ in range(30)
        ]

    assert set(answers) == {(200, 403)}


def test_revoked_client_is_403(instance: Path, served: Running) -> None:
    with client(instance, "gone") as gone:
        answer = gone.get(f"{served.url}/v1/whoami")

    assert (answer.status_code, answer.json()["code"]) == (403, "client-suspended")


def test_trusted_certificate_that_nobody_enrolled_is_401(instance: Path, served: Running) -> None:
    issue(instance, "unknown")

    with client(instance, "unknown") as unknown:
        answer = unknown.get(f"{served.url}/v1/whoami")

    assert (answer.status_code, answer.json()["code"]) == (401, "not-authenticated")
    assert answer.headers["x-audit-entry"]


def test_without_a_certificate_nothing_is_answered(instance: Path, served: Running) -> None:
    with client(instance, None) as nobody, pytest.raises(httpx2.TransportError):
        nobody.get(f"{served.url}/v1/whoami")


def test_plain_http_on_the_tls_port_is_told_to_use_https(served: Running) -> None:
    answer = httpx2.get(served.url.replace("https", "http"))

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert "https://" in answer.json()["detail"]


def test_who_is_refused_in_the_handshake_is_on_the_record(instance: Path, served: Running) -> None:
    httpx2.get(served.url.replace("https", "http"))

    # Of several refused at one worker the first is recorded at once, whichever test that was.
    eventually(lambda: bool(refused_connections(instance)))
    entry = refused_connections(instance)[0]
    assert (entry["decision"], entry["reasons"]) == ("refused", ["not-authenticated"])
    assert entry["actor"] == {"kind": "unknown"}
    assert entry["detail"]["count"] >= 1
    assert set(entry["detail"]["codes"]) <= {"no-certificate", "unknown-authority", "plain-http"}


def test_operations_address_is_ready_and_counts_over_all_workers(instance: Path, served: Running) -> None:
    with client(instance, "reader") as reader:
        reader.get(f"{served.url}/v1/members")

    ready = httpx2.get(f"{served.operations}/readyz")
    counted = httpx2.get(f"{served.operations}/metrics")

    assert httpx2.get(f"{served.operations}/healthz").status_code == 200
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert 'route="/v1/members",status="2xx"} 1' in counted.text
    assert httpx2.get(f"{served.operations}/v1/whoami").status_code == 404


def test_dead_worker_is_replaced_and_the_service_goes_on(instance: Path, served: Running) -> None:
    dead = workers_of(served)[0]
    os.kill(dead, signal.SIGKILL)

    eventually(lambda: len(workers_of(served)) == 2 and dead not in workers_of(served))

    with client(instance, "reader") as reader:
        assert reader.get(f"{served.url}/v1/whoami").status_code == 200


def test_one_worker_stops_with_0_on_a_signal_and_says_one_line(instance: Path) -> None:
    running = start(instance)
    # Whoever rotates its log says so to it.
    running.process.send_signal(signal.SIGHUP)

    assert running.stop(signal.SIGINT) == 0
    assert running.out.read_text() == f"ready {running.url}\n"


def test_handshake_that_ends_while_the_server_stops_holds_nobody_up(instance: Path) -> None:
    running = start(instance, is_copy=True)
    address = urlsplit(running.url)
    context = ssl.create_default_context(cafile=str(InstanceLayout(instance).authority_certificate_file))
    context.load_cert_chain(instance / "reader" / "client.pem", instance / "reader" / "client.key")

    def connect() -> socket.socket:
        return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=20)

    path = f"/v1/reports/{ABSENT}/onward-requests"
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"
    with context.wrap_socket(connect(), server_hostname="localhost") as begun, connect() as late:
        begun.sendall(head.encode() + b"{")
        eventually(lambda: is_answering(running))
        running.process.send_signal(signal.SIGTERM)
        threading.Event().wait(0.5)
        with context.wrap_socket(late, server_hostname="localhost") as told:
            threading.Event().wait(0.5)
            begun.sendall(b"}")
            answer = begun.recv(4096)
            ended = time.monotonic()
            assert running.process.wait(WAIT_SECONDS) == 0
            took = time.monotonic() - ended
            assert told.recv(4096) == b""

    # What had begun was answered to its end; the newcomer was sent away, and nobody waited for it.
    assert answer.startswith(b"HTTP/1.1 422")
    assert took < 15


def is_answering(running: Running) -> bool:
    counted = httpx2.get(f"{running.operations}/metrics").text
    return re.search(r"^exchange_http_requests_in_flight\S* [1-9]", counted, re.MULTILINE) is not None


def test_workers_do_not_outlive_a_killed_supervisor(instance: Path) -> None:
    running = start(instance, "--workers", 2, is_copy=True)
    workers = workers_of(running)

    running.process.kill()
    running.process.wait()

    assert len(workers) == 2
    eventually(lambda: not any(is_running(pid) for pid in workers))


def test_log_holds_no_word_of_a_request(instance: Path, served: Running) -> None:
    with client(instance, "reader") as reader:
        reader.get(f"{served.url}/v1/canary-4711?q=canary-4711")

    assert "canary-4711" not in served.log.read_text()


@pytest.mark.parametrize(
    ("name", "workers"), [("custody/roots.json", 2), ("secrets/cursor.key", 1), ("tls/server.key", 2)]
)
def test_secret_that_others_can_read_refuses_the_start(instance: Path, name: str, workers: int) -> None:
    path = instance / name
    path.chmod(0o644)
    try:
        refused = exchange("serve", "--dir", instance, "--port", 0, "--workers", workers, code=1)
    finally:
        path.chmod(0o600)

    assert refused.stdout == ""
    assert "chmod 600" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_secret_of_a_webhook_that_others_can_read_refuses_the_start(
    instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "soc.hook"
    secret.write_text("whsec_c2VjcmV0")
    secret.chmod(0o644)
    hook = {"name": "soc", "url": "https://soc.example/alerts", "secret_file": str(secret)}
    monkeypatch.setenv("EXCHANGE_ALERT_WEBHOOKS", json.dumps([hook]))

    # Alerts are sent by a process of its own, which goes on without: only here is the start refused.
    with pytest.raises(UnsafeSettingError, match=r"soc\.hook.*chmod 600"):
        _require_safe(load_settings(instance))


def test_secret_that_is_not_there_refuses_the_start(instance: Path) -> None:
    path = instance / "custody" / "roots.json"
    away = path.rename(path.with_suffix(".away"))
    try:
        refused = exchange("serve", "--dir", instance, "--port", 0, code=1)
    finally:
        away.rename(path)

    assert refused.stdout == ""
    assert str(path) in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not path.with_suffix(".away").exists()


def refused_connections(instance: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(instance / "exchange.db")) as database:
        entries = [json.loads(content) for (content,) in database.execute("SELECT content FROM audit_entry")]
    return [entry for entry in entries if entry["type"] == "connection.refused"]


def is_running(pid: int) -> bool:
    """Return whether the process lives; an orphan that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def workers_of(running: Running) -> list[int]:
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if re.fullmatch(r"exchange-\d\n", name_of(pid))]


def name_of(pid: str) -> str:
    """Return what the process is called, nothing where it ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
