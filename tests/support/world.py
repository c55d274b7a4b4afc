"""A small world on a real store: members, clients, an agreement in force, and calls made as any of them.

Used by the suites of use cases, attacks and entrypoints. Nothing here is a double: the store, custody, the law
and the use cases are the real ones; only the clock is the test's.
"""

import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from exchange import usecases
from exchange.audit import parse_entry
from exchange.crypto import CertificateFacts
from exchange.custody import FileCustodian, create_root_file
from exchange.kernel import ExchangeError, new_id
from exchange.markings import Label
from exchange.members import Client
from exchange.release import Law, load_law
from exchange.reports import PostedPart, PostedReport, PostedRequest, Precedence
from exchange.settings import read_policies
from exchange.store import Store, migrate
from exchange.usecases import Call, Enrolment, Services, Watching, WatchLimits, personal_custody
from exchange.usecases.steps.knowledge import Knowledge
from tests.support.behind import Behind
from tests.support.postgres import rows_of_each
from tests.support.sequencing import placed_by
from tests.support.store import NODE_KEY, PATIENCE
from tests.support.treaty import enrol_key, sign_by_call

T = TypeVar("T")
Entry = dict[str, Any]

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
POLICIES = Path(__file__).parents[2] / "policies"
MEMBERS = {"EXCHANGE": "The exchange", "GBR": "United Kingdom", "NOR": "Norway", "DNK": "Denmark", "ESP": "Spain"}

AGREEMENT = """\
title: North Sea cyber warning arrangement
parties: [GBR, NOR, DNK]
policy: NATO
validity: {from: 2026-01-01, until: 2030-12-31, review_every: P2Y}
scopes:
  - name: cyber-threats
    topics: [cyber]
    regions: [EUR]
    kinds: [intrep, indicator-set, threat-warning]
    purposes: [defence, law-enforcement]
    ceiling: SECRET
    compartments: [ATOMAL]
    contributors: [GBR, NOR]
    readers: [GBR, NOR, DNK]
    onward_release: originator-consent
    retention: P5Y
obligations: []
termination: {notice: P90D, shared_reports: recalled}
"""

_BESIDE_A_POST = ("report.distributed", "report.superseded")

_LAW: list[Law] = []


def the_law() -> Law:
    """Return the law of the repository's `policies/`, loaded once."""
    if not _LAW:
        _LAW.append(load_law(read_policies(POLICIES)))
    return _LAW[0]


@dataclass
class TestClock:
    """A clock that stands still until it is moved."""

    __test__ = False

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, step: timedelta) -> None:
        """Move time forward."""
        self.now += step


@dataclass(frozen=True)
class Attempt(Generic[T]):
    """What came of an act: its answer or its error, and the entries that it left."""

    answer: T | None
    error: ExchangeError | None
    entries: list[Entry]

    @property
    def entry(self) -> Entry:
        """Return the one entry, besides what goes with a post; more or none is a fault."""
        (entry,) = [entry for entry in self.entries if entry["type"] not in _BESIDE_A_POST]
        return entry

    @property
    def value(self) -> T:
        """Return the answer of an act that succeeded."""
        if self.error is not None:
            raise self.error
        assert self.answer is not None
        return self.answer


@dataclass(frozen=True)
class Inhabitants:
    """The clients of a world, by name, and the agreement that its calls are about, as they stand in its database."""

    clients: Mapping[str, Client]
    agreement_id: str


@dataclass(repr=False)  # a task that has made one is written out, law and all, each time that its loop lets signals go
class World:
    """Services over a real store, and the clients enrolled so far, by name."""

    services: Services
    clock: TestClock
    folder: Path
    clients: dict[str, Client] = field(default_factory=dict)
    agreement_id: str = ""
    url: str = ""
    behind: Behind = field(default_factory=Behind)

    def call(self, name: str | None, *, purpose: str | None = None, at: datetime | None = None) -> Call:
        """Return a call made by the client `name` (None = the host's operator, `stranger` = nobody enrolled)."""
        moment = self.clock.now if at is None else at
        return Call(
            request_id=new_id(moment, os.urandom),
            source="192.0.2.7",
            thumbprint=None if name is None else thumbprint_of(name),
            now=moment,
            purpose=purpose,
            public_key=None if name is None else public_key_of(name),
        )

    async def enrol(self, name: str, member: str, *roles: str, level: str = "SECRET", **others: Any) -> Client:
        """Enrol the client `name`; `others` are fields of `Enrolment`."""
        enrolment = Enrolment(
            name=name, member=member, agency="NCSC", roles=roles, level=level, certificate=certificate_of(name)
        )
        recorded = await usecases.enrol_client(self.services, self.call(None), replace(enrolment, **others))
        client = self.clients[name] = recorded.value.client
        if name == f"{member} signatory":
            await enrol_key(self.services, self.call(None), client, thumbprint_of(name))
        return client

    async def agree(self, text: str = AGREEMENT, *, signatories: Iterable[str] = ("GBR", "NOR", "DNK")) -> str:
        """Propose an agreement and have the signatory of each named member sign it; return its id."""
        proposed = await usecases.propose_agreement(self.services, self.call(None), text)
        agreement_id = proposed.value.agreement.id
        for member in signatories:
            await sign_by_call(self.services, self.call(f"{member} signatory"), agreement_id)
        self.agreement_id = agreement_id
        return agreement_id

    def posted(self, *, content: bytes = b"first part", **others: Any) -> PostedReport:
        """Return a report that may be posted under the agreement; `others` replace its fields."""
        report = PostedReport(
            agreement=self.agreement_id,
            scope="cyber-threats",
            kind="intrep",
            topic="cyber.apt",
            regions=("EUR",),
            precedence=Precedence.ROUTINE,
            subject="Canary subject 4711",
            label=Label("NATO", "SECRET", releasable_to=("GBR", "NOR")),
            valid_until=None,
            declassify_on=None,
            supersedes=None,
            references=(),
            parts=(PostedPart(None, "text/plain", "report.txt", content),),
        )
        return replace(report, **others)

    def wanted(self, **others: Any) -> PostedRequest:
        """Return a request for information that may be made under the agreement; `others` replace its fields."""
        request = PostedRequest(
            agreement=self.agreement_id,
            scope="cyber-threats",
            kind="intrep",
            topic="cyber.apt",
            regions=("EUR",),
            precedence=Precedence.PRIORITY,
            subject="Canary subject 4711",
            label=Label("NATO", "SECRET", releasable_to=("GBR", "NOR")),
            text="Canary question 4711",
            deadline=NOW + timedelta(days=2),
            asked=("NOR",),
        )
        return replace(request, **others)

    async def post(self, name: str = "GBR contributor", **others: Any) -> str:
        """Post a report as the client `name` and return its id."""
        recorded = await usecases.post_report(self.services, self.call(name), self.posted(**others))
        return recorded.value.report_id

    async def entries(self) -> list[Entry]:
        """Return every audit entry so far as parsed JSON; those of one node in the order in which it sealed them."""
        return _in_order(await self._contents())

    async def _contents(self) -> list[bytes]:
        return await self.services.store.entries(limit=10_000)

    def sequence(self) -> int:
        """Give every entry so far its place in the log: before that, nobody finds it."""
        return placed_by(self.sql)

    async def attempt(self, act: Awaitable[T]) -> Attempt[T]:
        """Await `act` and return what came of it; errors that are not the exchange's own go on."""
        known = set(await self._contents())
        answer, error = None, None
        try:
            answer = await act
        except ExchangeError as exc:
            error = exc
        return Attempt(answer, error, _in_order(content for content in await self._contents() if content not in known))

    @asynccontextmanager
    async def another_node(self, **options: Any) -> AsyncIterator[Services]:
        """Give the services of a second process over the same database: nothing remembered, nothing shared.

        `options` are given to its store.
        """
        personal = personal_custody(self.services.custodian, self.services.cursor_key)
        store = await Store.open(
            self.url,
            node="second",
            clock=self.clock,
            randomness=os.urandom,
            identity=NODE_KEY,
            personal=personal,
            **{"wait_seconds": PATIENCE, **options},
        )
        try:
            yield replace(self.services, store=store, knowledge=Knowledge())
        finally:
            await store.close()

    def sql(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Run SQL behind the exchange's back; parameters are written `$1`, `$2` ..."""
        if self.url.startswith("postgresql"):
            return rows_of_each(self.url, (statement, *arguments))[0]
        with self.behind.connected(self.url) as connection:
            return connection.execute(statement.replace("$", "?"), arguments).fetchall()

    def unguard(self, table: str = "audit_entry") -> None:
        """Take away what guards a table of the log, as whoever owns the database can; on SQLite all of them."""
        if self.url.startswith("postgresql"):
            self.sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            return
        with self.behind.connected(self.url) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")

    def rows_of(self, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that is in these tables, in no order, read on one connection."""
        selected = [f"SELECT * FROM {table}" for table in tables]
        if self.url.startswith("postgresql"):
            found = rows_of_each(self.url, *((each,) for each in selected))
            return dict(zip(tables, found, strict=True))
        with self.behind.connected(self.url, lenient=True) as connection:
            return {table: connection.execute(each).fetchall() for table, each in zip(tables, selected, strict=True)}


def _in_order(contents: Iterable[bytes]) -> list[Entry]:
    entries: list[Entry] = [{**_parsed(content)} for content in contents]
    return sorted(entries, key=lambda entry: (entry["ts"], entry["boot"], entry["node_seq"]))


@lru_cache(maxsize=10_000)
def _parsed(content: bytes) -> Entry:
    """Every world of a kind begins with the same entries, and each act is asked about twice."""
    return {**parse_entry(content)}


def thumbprint_of(name: str) -> str:
    """Return the thumbprint that stands for the certificate of the client called `name`."""
    return hashlib.sha256(name.encode()).hexdigest()


def public_key_of(name: str) -> str:
    """Return what stands for the key in the certificate of the client called `name`."""
    return hashlib.sha256(f"key of {name}".encode()).hexdigest()


def certificate_of(name: str) -> CertificateFacts:
    """Return the facts of a certificate that has not expired."""
    return CertificateFacts(
        thumbprint=thumbprint_of(name),
        subject_common_name=name,
        not_before=NOW - timedelta(days=1),
        not_after=NOW + timedelta(days=365),
        is_authority=False,
        public_key=public_key_of(name),
    )


async def open_world(url: str, folder: Path) -> World:
    """Return an empty world: schema at head, keys made, the members of `MEMBERS` added."""
    await migrate(url)
    world = await _opened(url, folder)
    await usecases.put_law_in_force(world.services)
    for code, name in MEMBERS.items():
        await usecases.add_member(world.services, world.call(None), code, name)
    return world


async def reopen_world(
    url: str, folder: Path, *, cursor_key: bytes | None = None, like: Inhabitants | None = None
) -> World:
    """Return the world that stands in a database already, as `open_world` or `populate` left it; keys are new.

    Who is in it is read there, or known from another copy of the same database.
    """
    world = await _opened(url, folder, cursor_key=cursor_key)
    known = await inhabitants_of(world) if like is None else like
    world.clients, world.agreement_id = dict(known.clients), known.agreement_id
    return world


async def inhabitants_of(world: World) -> Inhabitants:
    """Read who is in a world: what copies of its database need not be asked for again."""
    store = world.services.store
    clients = {client.name: client for client in await store.clients()}
    return Inhabitants(clients, next((agreement.id for agreement in await store.agreements()), ""))


async def populate(world: World) -> World:
    """Enrol the usual clients, bring the agreement into force, and return the world."""
    for member in ("GBR", "NOR", "DNK", "ESP"):
        await world.enrol(f"{member} contributor", member, "contributor")
        await world.enrol(f"{member} reader", member, "reader")
        await world.enrol(f"{member} signatory", member, "signatory")
    await world.enrol("operator", "EXCHANGE", "operator")
    await world.enrol("auditor", "EXCHANGE", "auditor")
    await world.agree()
    return world


async def _opened(url: str, folder: Path, *, cursor_key: bytes | None = None) -> World:
    clock = TestClock()
    roots = folder / "custody" / "roots.json"
    roots.parent.mkdir(mode=0o700, exist_ok=True)
    if not roots.exists():
        create_root_file(roots, NOW, os.urandom)
    custodian, cursor_key = FileCustodian.load(roots), cursor_key or os.urandom(32)
    personal = personal_custody(custodian, cursor_key)
    store = await _WorldStore.open(
        url,
        node="test",
        clock=clock,
        randomness=os.urandom,
        identity=NODE_KEY,
        personal=personal,
        wait_seconds=PATIENCE,
    )
    services = Services(
        store=store,
        custodian=custodian,
        law=the_law(),
        clock=clock,
        randomness=os.urandom,
        cursor_key=cursor_key,
        # A stream tells what there is and ends: whoever walks over all routes must not wait for more.
        watching=Watching(WatchLimits(longest_seconds=0.0)),
    )
    return World(services, clock, folder, url=url, behind=store.behind)


class _WorldStore(Store):
    """The store, and what asks behind its back for as long as it is open."""

    behind: Behind

    @classmethod
    async def open(cls, *arguments: Any, **named: Any) -> Self:
        store = await super().open(*arguments, **named)
        store.behind = Behind()
        return store

    async def close(self) -> None:
        self.behind.close()
        await super().close()
