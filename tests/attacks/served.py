"""Real servers in processes of their own, on either database, and certificates for those who attack them."""

import asyncio
import itertools
import os
import signal
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from exchange.app import open_services
from exchange.crypto import KeyAndCertificate, issue_client, read_certificate
from exchange.kernel import new_id
from exchange.settings import InstanceLayout, load_settings
from exchange.store import migrate
from exchange.usecases import Call, Enrolment, add_member, enrol_client, propose_agreement, put_law_in_force
from tests.support.house import done
from tests.support.postgres import fetch
from tests.support.prepared import PROGRAM, PreparedProcess
from tests.support.store import run_apart
from tests.support.treaty import enrol_key, sign_by_call
from tests.support.waiting import eventually
from tests.support.world import AGREEMENT, MEMBERS

WAIT_SECONDS = 100
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Instance:
    """An instance on disk with enrolled clients, and its agreement in force."""

    folder: Path
    database_url: str | None
    agreement: str

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of its processes."""
        return os.environ | ({} if self.database_url is None else {"EXCHANGE_DATABASE_URL": self.database_url})

    def context(self, name: str) -> ssl.SSLContext:
        """Return what a client of that name connects with."""
        context = ssl.create_default_context(cafile=str(InstanceLayout(self.folder).authority_certificate_file))
        context.load_cert_chain(self.folder / name / "client.pem", self.folder / name / "client.key")
        return context


def rows(instance: Instance, query: str) -> list[tuple[Any, ...]]:
    """Read behind the service's back."""
    if instance.database_url is not None:
        return [tuple(row) for row in fetch(instance.database_url.replace("+asyncpg", ""), query)]
    with sqlite3.connect(instance.folder / "exchange.db", timeout=20) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


@dataclass(frozen=True)
class Running:
    """A served instance."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def kill(self) -> None:
        """End every process of it, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(WAIT_SECONDS)


def make_instance(folder: Path, database_url: str | None, clients: dict[str, tuple[str, ...]]) -> Instance:
    """Make an instance whose `clients` (`GBR one` -> roles) are enrolled and whose agreement is in force."""
    run_apart(lambda: done("init", "--dir", folder))
    made: list[str] = []

    async def fill() -> None:
        settings = load_settings(folder)
        if database_url is not None:
            settings = settings.model_copy(update={"database_url": database_url})
            await migrate(database_url)
        async with open_services(settings) as services:
            await put_law_in_force(services)

            def call(thumbprint: str | None = None) -> Call:
                now = services.clock()
                return Call(new_id(now, os.urandom), "host", thumbprint, now)

            for code, name in MEMBERS.items():
                if database_url is not None or code != "EXCHANGE":
                    await add_member(services, call(), code, name)
            thumbprints = {}
            for name, roles in {
                **clients,
                **{f"{code} signer": ("signatory",) for code in ("GBR", "NOR", "DNK")},
            }.items():
                certificate = read_certificate(_issue(folder, name))
                thumbprints[name] = certificate.thumbprint
                enrolment = Enrolment(name, name[:3], "NCSC", roles, "SECRET", certificate)
                enrolled = (await enrol_client(services, call(), enrolment)).value.client
                if roles == ("signatory",):
                    await enrol_key(services, call(), enrolled, certificate.thumbprint)
            proposed = await propose_agreement(services, call(), AGREEMENT)
            for code in ("GBR", "NOR", "DNK"):
                await sign_by_call(services, call(thumbprints[f"{code} signer"]), proposed.value.agreement.id)
            made.append(proposed.value.agreement.id)

    run_apart(lambda: asyncio.run(fill()))
    return Instance(folder, database_url, made[0])


def start(instance: Instance, *options: object) -> Running:
    """Serve an instance on a free port and wait until it answers."""
    number = next(_NUMBERS)
    out, log = instance.folder / f"out-{number}", instance.folder / f"log-{number}"
    command = [*PROGRAM, *map(str, ("serve", "--dir", instance.folder, "--port", 0, *options))]
    with out.open("wb") as stdout, log.open("wb") as stderr:
        process = PreparedProcess[bytes](
            command, stdout=stdout, stderr=stderr, env=instance.environment, start_new_session=True
        )
    eventually(lambda: out.read_bytes().endswith(b"\n") or process.poll() is not None)
    assert process.poll() is None, log.read_text()
    return Running(process, out.read_text().split()[1], log)


@contextmanager
def serving(instance: Instance, *options: object) -> Iterator[Running]:
    """Serve for as long as the context lasts."""
    running = start(instance, *options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def client(instance: Instance, running: Running, name: str, *, connections: int = 4) -> httpx2.AsyncClient:
    """Return a client that calls a running instance over mutual TLS."""
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx2.AsyncClient(verify=instance.context(name), base_url=running.url, limits=limits, timeout=60)


def _issue(folder: Path, name: str) -> bytes:
    layout = InstanceLayout(folder)
    authority = KeyAndCertificate(
        layout.authority_key_file.read_bytes(), layout.authority_certificate_file.read_bytes()
    )
    issued = issue_client(authority, name, organisation="NCSC", now=datetime.now(UTC), days=1)
    (folder / name).mkdir()
    (folder / name / "client.pem").write_bytes(issued.certificate_pem)
    (folder / name / "client.key").write_bytes(issued.key_pem)
    return issued.certificate_pem
