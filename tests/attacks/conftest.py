"""A world with something to hide, and calls made over HTTP as anyone in it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from exchange import usecases
from exchange.agreements import MatterKind
from exchange.custody import FileCustodian
from exchange.markings import Label
from exchange.release import NationalText
from exchange.reports import Awaited, PostedPart
from exchange.store import DerivationWish, OnwardWish, ProxyWish
from exchange.usecases import Incoming, NewMatter, WantedErasure
from exchange.usecases.steps.knowledge import Knowledge
from tests.attacks.hidden import AGREEMENT_OF_TWO, Api, Hidden, open_api
from tests.support.law import law_read_once  # noqa: F401  for every test of this folder
from tests.support.national import no_court
from tests.support.postgres import PostgresServer
from tests.support.store import run_apart
from tests.support.world import NOW, Inhabitants, TestClock, World, inhabitants_of, open_world, populate, reopen_world


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    here = f"{Path(__file__).parent}/"
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.attack)


@pytest.fixture(scope="session")
def plain_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Members, clients, an agreement in force and a report that all its parties read; closed, to be copied."""
    folder = tmp_path_factory.mktemp("plain")

    async def build() -> World:
        world = await populate(await open_world(_url(folder), folder))
        await world.enrol("NOR junior", "NOR", "reader", level="CONFIDENTIAL")
        await world.enrol("NOR operator", "NOR", "operator")
        await world.enrol("NOR auditor", "NOR", "auditor")
        await world.enrol("NOR releaser", "NOR", "releaser")
        await world.enrol("GBR releaser", "GBR", "releaser")
        await world.enrol("GBR second releaser", "GBR", "releaser")
        await world.post(label=Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR")), subject="For all")
        world.sequence()
        world.clients = dict((await inhabitants_of(world)).clients)
        await world.services.store.close()
        return world

    return _apart(build)


@pytest.fixture(scope="session")
def secret_world(plain_world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Hidden]:
    """The same with what DNK, NOR and the exchange's own clients may not see; closed, to be copied."""
    folder = tmp_path_factory.mktemp("secret")
    shutil.copytree(plain_world.folder, folder, dirs_exist_ok=True)

    async def build() -> tuple[World, Hidden]:
        world = await _reopened(plain_world, folder)
        main = world.agreement_id
        # Long content: a forbidden report must not weigh more than an absent one.
        report = await world.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)), content=b"canary " * 40_000)
        client = await world.enrol("ESP second reader", "ESP", "reader")
        two = await world.agree(AGREEMENT_OF_TWO, signatories=("GBR", "ESP"))
        other = await world.post(label=Label("NATO", "SECRET", releasable_to=("ESP", "GBR")))
        world.agreement_id = main
        await usecases.describe_caller(world.services, world.call("GBR reader"))
        wanted = WantedErasure(world.clients["GBR reader"].id, "2026-06", "asked for by the data subject")
        asked = await usecases.request_erasure(world.services, world.call("operator"), wanted)
        told = await usecases.add_subscription(world.services, world.call("GBR reader"), "https://desk.example/canary")
        wish = OnwardWish("ESP", (), (), None, "the operation is theirs")
        onward = await usecases.request_onward(world.services, world.call("GBR reader"), report, wish)
        lower = DerivationWish(
            Label("NATO", "RESTRICTED", releasable_to=("GBR",)), NOW + timedelta(days=30), "a warning"
        )
        derivation = await usecases.request_derivation(world.services, world.call("GBR contributor"), report, lower)
        joint = ProxyWish("NOR", main, "cyber-threats", None, "a joint sensor")
        proxy = await usecases.ask_proxy(world.services, world.call("GBR releaser"), joint)
        caveats = await _in_force(world, no_court())
        asking = world.wanted(label=Label("NATO", "SECRET", ("ATOMAL",), releasable_to=("GBR", "NOR")))
        request = await usecases.request_information(world.services, world.call("GBR reader"), asking)
        new = NewMatter(MatterKind.CONSULTATION, "canary words between two")
        consultation = await usecases.open_consultation(world.services, world.call("GBR signatory"), two, new)
        upload = await _begun(world)
        world.sequence()
        about = "SELECT id FROM audit_search WHERE subject_id = $1 AND event = 'report.posted'"
        ((entry,),) = world.sql(about, report)
        world.clients = dict((await inhabitants_of(world)).clients)
        await world.services.store.close()
        erasure = asked.value.act.id
        return world, Hidden(
            report,
            other_report=other,
            agreement=two,
            client=client.id,
            entry=entry,
            erasure=erasure,
            subscription=told.value.row.id,
            onward=onward.value.row.id,
            derivation=derivation.value.row.id,
            proxy=proxy.value.row.id,
            caveats=caveats,
            request=request.value.row.id,
            consultation=consultation.value.id,
            upload=upload,
        )

    return _apart(build)


async def _begun(world: World) -> str:
    """Begin a report of GBR for NOR, of which one part of two has come, and return its id."""
    awaited = tuple(PostedPart(None, "text/plain", f"{name}.txt", Awaited(7, None)) for name in ("canary", "other"))
    poster = world.call("GBR contributor")
    begun = await usecases.begin_upload(world.services, poster, world.posted(parts=awaited))

    async def pieces() -> AsyncIterator[bytes]:
        yield b"canary "

    upload = begun.value.declared.id
    await usecases.receive_part(world.services, poster, upload, 1, Incoming(pieces(), None, hold=lambda _: None))
    return upload


async def _in_force(world: World, text: NationalText) -> str:
    """Put caveats of GBR in force, as two of its releasers, and return their id."""
    asked = (await usecases.propose_caveats(world.services, world.call("GBR releaser"), text)).value
    second = world.call("GBR second releaser")
    shown = await usecases.show_pending_act(world.services, second, asked.act)
    await usecases.confirm_act(world.services, second, asked.act, shown.value.act.digest)
    return asked.id


@pytest.fixture
async def world(secret_world: tuple[World, Hidden], tmp_path: Path) -> AsyncIterator[World]:
    """A copy of the world with hidden things, to be attacked."""
    copied = await copy_of(secret_world[0], tmp_path)
    yield copied
    await copied.services.store.close()


@pytest.fixture
async def plain(plain_world: World, tmp_path: Path) -> AsyncIterator[World]:
    """A copy of the world in which nothing was ever hidden."""
    copied = await copy_of(plain_world, tmp_path / "plain")
    yield copied
    await copied.services.store.close()


@pytest.fixture
def hidden(secret_world: tuple[World, Hidden]) -> Hidden:
    """The ids that the attackers know and may not see."""
    return secret_world[1]


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    """The service over the world with hidden things."""
    async with open_api(world) as opened:
        yield opened


@pytest.fixture
async def plain_api(plain: World) -> AsyncIterator[Api]:
    """The service over the world without."""
    async with open_api(plain) as opened:
        yield opened


async def copy_of(world: World, folder: Path) -> World:
    """Return a world on a copy of another's files."""
    shutil.copytree(world.folder, folder, dirs_exist_ok=True)
    return await _reopened(world, folder)


async def _reopened(world: World, folder: Path) -> World:
    like = Inhabitants(world.clients, world.agreement_id)
    opened = await reopen_world(_url(folder), folder, cursor_key=world.services.cursor_key, like=like)
    clock = TestClock()
    custodian = FileCustodian.load(folder / "custody" / "roots.json")
    opened.services = replace(
        opened.services,
        custodian=custodian,
        clock=clock,
        knowledge=Knowledge(),
    )
    opened.clock, opened.agreement_id = clock, world.agreement_id
    return opened


def _url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/exchange.db"


def _apart(build):
    built = []
    run_apart(lambda: built.append(asyncio.run(build())))
    return built[0]


@pytest.fixture
async def both(backend: str, secret_world: tuple[World, Hidden], tmp_path: Path, request) -> AsyncIterator[World]:
    """A populated world with a report for GBR and NOR, on SQLite and on PostgreSQL."""
    if backend == "sqlite":
        copied = await copy_of(secret_world[0], tmp_path)
        yield copied
        await copied.services.store.close()
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")

    def build(url: str) -> None:
        async def fill() -> None:
            world = await populate(await open_world(url, tmp_path))
            await world.enrol("NOR operator", "NOR", "operator")
            await world.enrol("GBR releaser", "GBR", "releaser")
            await world.services.store.close()

        run_apart(lambda: asyncio.run(fill()))

    url = server.create_database(server.template("attacks", build))
    world = await reopen_world(url, tmp_path)
    yield world
    await world.services.store.close()
    server.drop_database(url)
