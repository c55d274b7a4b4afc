"""A world in which everything is that custody seals, and what of it still opens."""

import json
import os
from dataclasses import dataclass, replace

from exchange import usecases
from exchange.audit import PersonalData, parse_entry
from exchange.custody import add_root_version
from exchange.store import KeptKind
from exchange.usecases import Call
from exchange.usecases.members.subscriptions import secret_of
from exchange.usecases.upkeep.rotate_keys import KeyStatus, begin_rotation, key_status
from tests.support.uploading import LARGE, awaited, begun, completed, pulled, sent
from tests.support.world import World

SMALL = b"a small part"
TEXT = "Canary question 4711"


@dataclass(frozen=True)
class Kept:
    """What was made, each of it to be opened again."""

    report: str
    large: str
    upload: str
    request: str
    subscription: str
    secret: str


async def everything(world: World) -> Kept:
    """Make one of each kind, by way of the exchange itself."""
    report = await world.post(content=SMALL)
    large = await begun(world, awaited(LARGE))
    await sent(world, large)
    await completed(world, large)
    upload = await begun(world, awaited(LARGE), awaited(b"second", name="b.bin"))
    await sent(world, upload)
    asked = await usecases.request_information(world.services, world.call("GBR reader"), world.wanted())
    url = "https://desk.example/told"
    told = (await usecases.add_subscription(world.services, world.call("NOR reader"), url)).value
    return Kept(report, large, upload, asked.value.row.id, told.row.id, told.secret)


async def require_all_open(world: World, kept: Kept) -> None:
    """Check that each opens to what was put there, as those see it who may."""
    services = world.services
    pull = (await usecases.pull_report(services, world.call("NOR reader"), kept.report)).value
    assert pull.parts == ((1, SMALL),)
    assert json.loads(pull.header_json)["subject"] == "Canary subject 4711"
    assert await pulled(world, kept.large) == LARGE
    asked = (await usecases.show_request(services, world.call("GBR reader"), kept.request)).value
    assert asked.request.text == TEXT
    (subscription,) = (await usecases.list_subscriptions(services, world.call("NOR reader"))).value
    assert (await secret_of(services, subscription)).text == kept.secret
    await _require_personal(world)
    # The upload goes on where it was: its parts are those that came before.
    await sent(world, kept.upload, b"second", 2)
    await completed(world, kept.upload)
    assert await pulled(world, kept.upload) == LARGE
    assert await pulled(world, kept.upload, 2) == b"second"


async def _require_personal(world: World) -> None:
    auditor = (await world.services.store.caller(world.call("auditor").thumbprint or "")).client
    assert auditor is not None
    entries = [parse_entry(content) for content in await world.services.store.entries(limit=10_000)]
    entries = [entry for entry in entries if "pii" in entry]
    revealed = await usecases.reveal_personal(world.services, entries, auditor)
    assert revealed
    assert all(isinstance(each, PersonalData) for each in revealed)


def host(world: World) -> Call:
    """Return a call at the host's own command line."""
    return replace(world.call(None), source="host")


async def add_version(world: World) -> int | None:
    """Do what the operator's first step does."""
    path = world.folder / "custody" / "roots.json"
    return await begin_rotation(
        world.services, host(world), lambda: add_root_version(path, world.clock.now, os.urandom)
    )


async def under(world: World) -> dict[KeptKind, dict[int, int]]:
    """Return how much of each kind is under which version."""
    status: KeyStatus = await key_status(world.services)
    return {kind: dict(counts) for kind, counts in status.kept.items()}
