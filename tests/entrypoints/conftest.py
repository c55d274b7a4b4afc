"""The service over ASGI on a real world: only the TLS layer is stood in for, by the field it fills."""

import asyncio
import base64
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from exchange.app import create_app
from exchange.custody import FileCustodian
from exchange.entrypoints.http.connections import THUMBPRINT_FIELD
from exchange.kernel import canonical_bytes
from exchange.settings import Settings, load_settings
from exchange.store import Store
from exchange.usecases import personal_custody
from exchange.usecases.steps.knowledge import Knowledge
from tests.support.calling import Caller
from tests.support.law import law_read_once  # noqa: F401  for every test of this folder
from tests.support.store import NODE_KEY, run_apart
from tests.support.world import TestClock, World, open_world, populate, thumbprint_of

Calling = Callable[[str | None], httpx2.AsyncClient]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # The clock stands still, and so does what fills a bucket.
    (tmp_path / "exchange.toml").write_text("max_body_bytes = 200_000\nrequests_per_second = 100_000\n")
    return load_settings(tmp_path)


@pytest.fixture(scope="session")
def populated(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A populated world with a releaser, closed: its folder is what the tests copy."""
    folder = tmp_path_factory.mktemp("populated")
    worlds: list[World] = []

    async def populate_and_close() -> None:
        worlds.append(await populate(await open_world(f"sqlite+aiosqlite:///{folder}/exchange.db", folder)))
        await worlds[0].enrol("GBR releaser", "GBR", "releaser")
        await worlds[0].services.store.close()

    run_apart(lambda: asyncio.run(populate_and_close()))
    return worlds[0]


@asynccontextmanager
async def copied(populated: World, folder: Path) -> AsyncIterator[World]:
    """Give a copy of the populated world on SQLite; the store's own suites run on both databases."""
    shutil.copytree(populated.folder, folder, dirs_exist_ok=True)
    clock = TestClock()
    url = f"sqlite+aiosqlite:///{folder}/exchange.db"
    custodian = FileCustodian.load(folder / "custody" / "roots.json")
    personal = personal_custody(custodian, populated.services.cursor_key)
    store = await Store.open(url, node="test", clock=clock, randomness=os.urandom, identity=NODE_KEY, personal=personal)
    services = replace(populated.services, store=store, custodian=custodian, clock=clock, knowledge=Knowledge())
    yield World(services, clock, folder, dict(populated.clients), populated.agreement_id)
    await store.close()


@pytest.fixture
async def world(populated: World, tmp_path: Path) -> AsyncIterator[World]:
    """A world of the test's own."""
    async with copied(populated, tmp_path) as opened:
        yield opened


@pytest.fixture
def service(settings: Settings, world: World) -> FastAPI:
    app = create_app(settings)
    app.state.services = world.services
    return app


@pytest.fixture
def entry_of(world: World) -> Callable[[httpx2.Response], Awaitable[dict[str, object]]]:
    """Return a function: an answer -> the audit entry that it names."""

    async def find(answer: httpx2.Response) -> dict[str, object]:
        (entry,) = [entry for entry in await world.entries() if entry["id"] == answer.headers["x-audit-entry"]]
        leaf = hashlib.sha256(b"\0" + canonical_bytes(entry)).digest()
        assert answer.headers["x-audit-leaf"] == base64.b64encode(leaf).decode()
        return entry

    return find


@dataclass(frozen=True, slots=True)
class AsClient:
    """Puts a client's certificate into the scope, as the protocol class does on a connection; None puts none."""

    app: FastAPI
    thumbprint: str | None

    async def __call__(self, scope, receive, send) -> None:
        if self.thumbprint is not None:
            scope["extensions"] = scope.get("extensions", {}) | {
                "tls": {THUMBPRINT_FIELD: self.thumbprint, "client_cert_error": None}
            }
        await self.app(scope, receive, send)


@asynccontextmanager
async def calling(service: FastAPI) -> AsyncIterator[Calling]:
    """Give a function: name of a client of the world (None: no certificate) -> a client that calls as it."""
    opened: list[httpx2.AsyncClient] = []

    def calling_as(name: str | None) -> httpx2.AsyncClient:
        thumbprint = None if name is None else thumbprint_of(name)
        opened.append(Caller(AsClient(service, thumbprint)))
        return opened[-1]

    yield calling_as
    for client in opened:
        await client.aclose()


@pytest.fixture
async def http(service: FastAPI) -> AsyncIterator[Calling]:
    """Return a function: name of a client of the world (None: no certificate) -> a client that calls as it."""
    async with calling(service) as call:
        yield call


@dataclass(frozen=True)
class HeldRoute:
    """A route whose answers wait until they may `go_on`; each that waits has released `begun` once."""

    begun: asyncio.Semaphore
    go_on: asyncio.Event


@pytest.fixture
def held_whoami(service, monkeypatch) -> HeldRoute:
    (route,) = [each for each in service.router.routes if getattr(each, "path", "") == "/v1/whoami"]
    visitor, held = route._visitor, HeldRoute(asyncio.Semaphore(0), asyncio.Event())

    async def wait(visit):
        held.begun.release()
        await held.go_on.wait()
        return await visitor(visit)

    monkeypatch.setattr(route, "_visitor", wait)
    return held
