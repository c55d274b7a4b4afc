"""A migrated store on either database, and what fills it."""

import asyncio
import itertools
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from exchange.agreements import (
    Agreement,
    AgreementId,
    OnwardRelease,
    Party,
    PartyState,
    Scope,
    SharedReports,
    Termination,
    Terms,
    Validity,
)
from exchange.audit import Actor, EntryDraft, EventName, Outcome
from exchange.crypto import CertificateFacts, SignatureScheme, SigningKey
from exchange.kernel import new_id
from exchange.markings import Label
from exchange.members import Clearance, Client, ClientId, Member, MemberCode, Role, Standing
from exchange.release import ClassFacts, class_digest
from exchange.reports import Precedence
from exchange.store import NewPart, NewReport, PersonalCustody, Sealed, Store, migrate
from exchange.store.database.dialect import Row
from exchange.store.database.faults import driver_errors
from tests.support.postgres import PostgresServer

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NODE_KEY = SigningKey.from_seed(SignatureScheme.ED25519, bytes(range(32)))
PATIENCE = 60.0
"""Seconds that a writer waits for others: they take turns for as long as a busy machine makes it."""
_ids = itertools.count()


def fresh_id(now: datetime = NOW) -> str:
    return new_id(now + timedelta(milliseconds=next(_ids)), os.urandom)


def run_apart(work: Callable[[], object]) -> None:
    """Run blocking work that has an event loop of its own, from inside one or not."""
    fault: list[BaseException] = []

    def target() -> None:
        try:
            work()
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if fault:
        raise fault[0]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database of SQLite that nobody has open."""
    file = tmp_path_factory.mktemp("migrated") / "exchange.db"
    migrate_template(f"sqlite+aiosqlite:///{file}")
    return file


@pytest.fixture
def store_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a migrated database: a copy of a template, which takes a tenth of the time."""
    if backend == "sqlite":
        file = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "exchange.db")
        yield f"sqlite+aiosqlite:///{file}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database(server.template("store", migrate_template))
    yield url
    server.drop_database(url)


def migrate_template(url: str) -> None:
    """Bring a database's schema to head, inside an event loop or not."""
    run_apart(lambda: asyncio.run(migrate(url)))


async def open_store(url: str, **options: object) -> Store:
    given: dict[str, Any] = {"personal": PersonalCustody(wrap_nothing, bytes(32)), "wait_seconds": PATIENCE, **options}
    return await Store.open(url, node="node-1", clock=lambda: NOW, randomness=os.urandom, identity=NODE_KEY, **given)


async def wrap_nothing(data_key: bytes, context: bytes) -> Sealed:
    """Stand for custody: this suite is about the store."""
    return Sealed("file/personal-data", 1, "aes-256-gcm", context + data_key)


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = await open_store(store_url)
    yield opened
    await opened.close()


def draft(event: EventName = EventName.REPORT_READ, **fields: object) -> EntryDraft:
    given: dict[str, object] = {
        "event": event,
        "outcome": Outcome.PERMITTED,
        "at": NOW,
        "actor": Actor(kind="host"),
        "request_id": "req-1",
        "source": "127.0.0.1",
        **fields,
    }
    return EntryDraft(**given)  # type: ignore[arg-type]  # fields are named by each test


def member(code: str = "GBR", version: int = 1, **fields: object) -> Member:
    given = {
        "code": MemberCode(code),
        "version": version,
        "name": f"Member {code}",
        "standing": Standing.ACTIVE,
        **fields,
    }
    return Member(**given)  # type: ignore[arg-type]  # fields are named by each test


def client(client_id: str | None = None, version: int = 1, **fields: object) -> Client:
    given = {
        "id": ClientId(client_id or fresh_id()),
        "version": version,
        "name": "desk-1",
        "member": MemberCode("GBR"),
        "agency": "GBR/NCSC",
        "roles": frozenset({Role.READER, Role.CONTRIBUTOR}),
        "clearance": Clearance("SECRET", ("ALPHA", "BRAVO"), NOW, NOW + timedelta(days=365)),
        "nationality": "GBR",
        "purposes": ("defence", "law-enforcement"),
        "standing": Standing.ACTIVE,
        **fields,
    }
    return Client(**given)  # type: ignore[arg-type]  # fields are named by each test


def agreement(agreement_id: str | None = None, version: int = 1, **fields: object) -> Agreement:
    members = (MemberCode("GBR"), MemberCode("NOR"))
    scope = Scope(
        name="cyber-threats",
        topics=("cyber",),
        regions=("EUR",),
        kinds=("intrep",),
        purposes=("defence",),
        ceiling="SECRET",
        compartments=(),
        contributors=members,
        readers=members,
        onward_release=OnwardRelease.ORIGINATOR_CONSENT,
        retention="P5Y",
    )
    terms = Terms(
        title="North Sea cyber warning arrangement",
        parties=members,
        policy="NATO",
        validity=Validity(NOW.date(), NOW.date() + timedelta(days=365), "P1Y"),
        scopes=(scope,),
        obligations=(),
        termination=Termination("P90D", SharedReports.RECALLED),
    )
    parties = (Party(members[0], PartyState.SIGNED, NOW), Party(members[1], PartyState.PENDING))
    given = {
        "id": AgreementId(agreement_id or fresh_id()),
        "version": version,
        "terms": terms,
        "parties": parties,
        **fields,
    }
    return Agreement(**given)  # type: ignore[arg-type]  # fields are named by each test


def class_facts(number: int = 1) -> ClassFacts:
    label = Label("NATO", "SECRET", (), ("GBR", "NOR"), ())
    return ClassFacts(
        agreement=f"agreement-{number}",
        scope="cyber-threats",
        originator="GBR",
        topic="cyber",
        regions=("EUR",),
        kind="intrep",
        label=label,
        part_labels=(label,),
    )


def stored_key(name: str = "key") -> Sealed:
    return Sealed(f"file/{name}", 1, "aes-256-gcm", b"wrapped " + name.encode())


def new_part(number: int = 1, content: bytes = b"ciphertext") -> NewPart:
    return NewPart(number, 0, len(content), stored_key(f"part-{number}"), "cobblestone-256", content)


def new_report(facts: ClassFacts | None = None, **fields: object) -> NewReport:
    given = {
        "id": fresh_id(),
        "version": 1,
        "facts": facts or class_facts(),
        "digest": class_digest(facts or class_facts()),
        "precedence": Precedence.ROUTINE,
        "posted_at": NOW,
        "valid_until": None,
        "supersedes": None,
        "header": Sealed("file/key", 1, "aes-256-gcm+agreement-key", b"sealed header"),
        "parts": (new_part(),),
        **fields,
    }
    return NewReport(**given)  # type: ignore[arg-type]  # fields are named by each test


async def policy_version(store: Store) -> int:
    return (await store.caller("nobody")).state.policy_version


def certificate(thumbprint: str, not_after: datetime = NOW) -> CertificateFacts:
    """Return facts of a certificate with a key of its own."""
    key = sha256(f"key of {thumbprint}".encode()).hexdigest()
    return CertificateFacts(thumbprint, None, NOW, not_after, is_authority=False, public_key=key)


async def enrol(store: Store, enrolled: Client, thumbprint: str) -> None:
    """Add a client, and its member where it is not there yet."""
    async with store.unit_of_work() as unit:
        if await unit.member(enrolled.member) is None:
            await unit.add_member(member(enrolled.member))
        await unit.add_client(enrolled, certificate(thumbprint, NOW + timedelta(days=365)))
        await unit.record(draft(EventName.CLIENT_ENROLLED))


async def rows_of(store: Store, sql: str) -> Sequence[Row]:
    """Run a statement of the test's own through the administrative engine, and commit it."""
    with driver_errors():
        async with store._engine.begin() as connection:
            result = await connection.execute(text(sql))
            return [tuple(row) for row in result] if result.returns_rows else []
