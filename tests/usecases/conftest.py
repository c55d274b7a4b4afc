"""Worlds on both databases. Each is made once per run and copied per test: SQLite as a file, PostgreSQL as a template."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from exchange.store import BlobPlace, BlobStore
from exchange.usecases.telling import notify_subscribers
from tests.attacks.hidden import kept_state
from tests.support.buckets import bucket_server
from tests.support.lived import Deeds, LivedWorlds, MakeLived
from tests.support.postgres import PostgresServer
from tests.support.store import migrate_template, run_apart
from tests.support.witnessed_world import Watched, WitnessedWorld
from tests.support.world import Inhabitants, World, open_world, populate, reopen_world

MakeDatabase = Callable[[str], str]

# Cores are shared: whom a slow test is telling is waited for, and none of them is slow on purpose but where it says so.
notify_subscribers._PATIENCE_SECONDS = 60.0  # type: ignore[misc]  # final for everybody else


def _build(url: str, folder: Path, kind: str) -> None:
    async def build() -> None:
        world = await open_world(url, folder)
        if kind == "populated":
            await populate(world)
        await world.services.store.close()

    run_apart(lambda: asyncio.run(build()))


@pytest.fixture(scope="session")
def sqlite_templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def template(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(f"template-{kind}")
            _build(_sqlite_url(made[kind]), made[kind], kind)
        return made[kind]

    return template


@pytest.fixture(scope="module")
def populated_database(
    sqlite_templates: Callable[[str], Path], request: pytest.FixtureRequest
) -> Iterator[Callable[[str, Path], str]]:
    """Give a function: backend and folder -> the address of a populated database that a module may share."""
    made: list[str] = []

    def make(backend: str, folder: Path) -> str:
        if backend == "sqlite":
            shutil.copytree(sqlite_templates("populated"), folder, dirs_exist_ok=True)
            return _sqlite_url(folder)
        server: PostgresServer = request.getfixturevalue("postgres_server")
        made.append(server.create_database(_postgres_template(server, "populated", folder)))
        return made[-1]

    yield make
    for url in made:
        request.getfixturevalue("postgres_server").drop_database(url)


@pytest.fixture
def make_database(
    backend: str, sqlite_templates: Callable[[str], Path], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[MakeDatabase]:
    """Give a function: a kind of world -> the address of a database of one's own that holds it."""
    made: list[str] = []

    def make(kind: str) -> str:
        if backend == "sqlite":
            shutil.copytree(sqlite_templates(kind), tmp_path, dirs_exist_ok=True)
            return _sqlite_url(tmp_path)
        server: PostgresServer = request.getfixturevalue("postgres_server")
        made.append(server.create_database(_postgres_template(server, kind, tmp_path)))
        return made[-1]

    yield make
    for url in made:
        request.getfixturevalue("postgres_server").drop_database(url)


@pytest.fixture
def empty_urls(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Addresses of empty databases: SQLite's, and where PostgreSQL is tried one of its own."""
    urls = [f"sqlite+aiosqlite:///{tmp_path}/restored.db"]
    if backend == "sqlite":
        yield urls
        return
    server = request.getfixturevalue("postgres_server")
    made = server.create_database()
    yield [*urls, made]
    server.drop_database(made)


@pytest.fixture
def unused_urls(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The same with the newest schema in them already: a restore need not make it, which is most of its time."""
    shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "restored.db")
    urls = [f"sqlite+aiosqlite:///{tmp_path}/restored.db"]
    if backend == "sqlite":
        yield urls
        return
    server = request.getfixturevalue("postgres_server")
    made = server.create_database(server.template("store", migrate_template))
    yield [*urls, made]
    server.drop_database(made)


@pytest.fixture
async def world(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[World]:
    """Members, and nothing else."""
    world = await reopen_world(make_database("empty"), tmp_path)
    yield world
    await world.services.store.close()


@pytest.fixture(scope="session")
def inhabitants() -> dict[str, Inhabitants]:
    """Who is in the populated world, by backend: the copies of one database are not read each time."""
    return {}


@pytest.fixture
async def populated(
    backend: str, make_database: MakeDatabase, inhabitants: dict[str, Inhabitants], tmp_path: Path
) -> AsyncIterator[World]:
    """Members, the usual clients, and an agreement in force."""
    world = await reopen_world(make_database("populated"), tmp_path, like=inhabitants.get(backend))
    inhabitants.setdefault(backend, Inhabitants(dict(world.clients), world.agreement_id))
    yield world
    await world.services.store.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def backend_of_module(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def held_unchanged(world: World) -> AsyncIterator[None]:
    """Hold that what tests do in a world that they share changes nothing but its log; close it."""
    before, now = kept_state(world), world.clock.now
    yield
    await world.services.store.close()
    assert (kept_state(world), world.clock.now) == (before, now)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unchanged(
    backend_of_module: str,
    populated_database: Callable[[str, Path], str],
    inhabitants: dict[str, Inhabitants],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[World]:
    """The populated world, for tests `IN_ONE_WORLD`: those of a module share it."""
    folder = tmp_path_factory.mktemp("unchanged")
    url = populated_database(backend_of_module, folder)
    world = await reopen_world(url, folder, like=inhabitants.get(backend_of_module))
    async with held_unchanged(world):
        yield world


async def with_an_analyst(world: World) -> None:
    await world.enrol("NOR analyst", "NOR", "contributor", "reader", "releaser")
    for name in ("GBR releaser", "GBR second releaser"):
        await world.enrol(name, "GBR", "releaser")


@pytest.fixture
async def deriving(make_lived: MakeLived) -> World:
    return (await make_lived(with_an_analyst))[0]


@pytest.fixture(scope="session")
def lived_worlds(request: pytest.FixtureRequest) -> LivedWorlds:
    def forget(world: World) -> None:
        if world.url.startswith("postgresql"):
            request.getfixturevalue("postgres_server").drop_database(world.url)
        shutil.rmtree(world.folder)

    return LivedWorlds(forget)


@dataclass(frozen=True)
class Copying:
    """Copies of lived worlds on one backend; `server` is None for SQLite."""

    worlds: LivedWorlds
    backend: str
    server: PostgresServer | None
    request: pytest.FixtureRequest

    def populated(self) -> tuple[str, Path]:
        folder: Path = self.request.getfixturevalue("tmp_path_factory").mktemp("lived")
        if self.server is None:
            shutil.copytree(self.request.getfixturevalue("sqlite_templates")("populated"), folder, dirs_exist_ok=True)
            return _sqlite_url(folder), folder
        return self.server.create_database(_postgres_template(self.server, "populated", folder)), folder

    async def copied(self, deeds: Deeds, folder: Path) -> tuple[World, Any]:
        lived = await self.worlds.after(deeds, backend=self.backend, populated=self.populated)
        url = _sqlite_url(folder) if self.server is None else self.server.create_database(lived.database)
        return await lived.copied(url, folder), lived.told

    def drop(self, world: World) -> None:
        if self.server is not None:
            self.server.drop_database(world.url)


def _copying(worlds: LivedWorlds, backend: str, request: pytest.FixtureRequest) -> Copying:
    return Copying(
        worlds, backend, None if backend == "sqlite" else request.getfixturevalue("postgres_server"), request
    )


@pytest.fixture
async def make_lived(
    lived_worlds: LivedWorlds, backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[MakeLived]:
    """Give a function: deeds -> a world in which they were done, and what they returned; done once per worker."""
    opened: list[World] = []
    copying = _copying(lived_worlds, backend, request)

    async def make(deeds: Deeds) -> tuple[World, Any]:
        world, told = await copying.copied(deeds, tmp_path)
        opened.append(world)
        return world, told

    yield make
    for world in opened:
        await world.services.store.close()
        copying.drop(world)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def share_lived(
    lived_worlds: LivedWorlds,
    backend_of_module: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> AsyncIterator[MakeLived]:
    """The same, for tests `IN_ONE_WORLD`: those of a module share what came of the same deeds."""
    shared: dict[Deeds, tuple[World, Any]] = {}
    copying = _copying(lived_worlds, backend_of_module, request)
    async with AsyncExitStack() as held:

        async def share(deeds: Deeds) -> tuple[World, Any]:
            if deeds not in shared:
                shared[deeds] = await copying.copied(deeds, tmp_path_factory.mktemp("shared"))
                held.callback(copying.drop, shared[deeds][0])
                await held.enter_async_context(held_unchanged(shared[deeds][0]))
            return shared[deeds]

        yield share


async def with_a_log(world: World) -> None:
    await (await WitnessedWorld.open(world)).close()


@pytest.fixture
async def watched(make_lived: MakeLived) -> AsyncIterator[Watched]:
    made = Watched(await WitnessedWorld.open((await make_lived(with_a_log))[0]))
    yield made
    for witness in made.made.values():
        witness.close()
    await made.opened.close()


@pytest.fixture(params=["database", "folder"])
async def place(request: pytest.FixtureRequest, populated: World, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose large parts are kept by the database, and one that puts them into a folder."""
    if request.param == "database":
        yield populated
        return
    blobs = BlobPlace(BlobStore((tmp_path / "blobs").as_uri()), 4096)
    async with populated.another_node(blobs=blobs) as services:
        yield replace(populated, services=services)


def _postgres_template(server: PostgresServer, kind: str, folder: Path) -> str:
    """Return the name of a database that holds a world, whose root keys are then in `folder`."""
    keys = server.folder / f"{server.run}_custody_{kind}"

    def build(url: str) -> None:
        _build(url, folder, kind)
        shutil.copytree(folder / "custody", keys, dirs_exist_ok=True)

    template = server.template(kind, build)
    shutil.copytree(keys, folder / "custody", dirs_exist_ok=True)
    return template


def _sqlite_url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/exchange.db"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a server of buckets that has none yet."""
    with bucket_server() as server:
        yield server
