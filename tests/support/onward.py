"""Releasers, and requests for onward release: asked for, granted, listed, and read under."""

from typing import Any

from exchange import usecases
from exchange.markings import Label
from exchange.store import OnwardWish
from tests.support.world import World

LOW = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"), handling=("ORCON",))


async def with_releasers(world: World) -> World:
    """Return the world with two releasers of each side."""
    for name in ("GBR releaser", "GBR second releaser", "NOR releaser", "NOR second releaser"):
        await world.enrol(name, name[:3], "releaser")
    return world


def wish(**changes: Any) -> OnwardWish:
    fields = {"recipient": "ESP", "parts": (), "purposes": (), "until": None, "reason": "theirs is the operation"}
    return OnwardWish(**{**fields, **changes})


async def ask(world: World, report: str, name: str = "NOR reader", **changes: Any) -> str:
    asked = await usecases.request_onward(world.services, world.call(name), report, wish(**changes))
    return asked.value.row.id


async def grant(world: World, request: str, name: str = "GBR releaser") -> usecases.OnwardView:
    return (await usecases.grant_onward(world.services, world.call(name), request, "not to be quoted")).value


async def read(world: World, report: str, name: str = "ESP reader", services: Any = None) -> usecases.PulledReport:
    return (await usecases.pull_report(services or world.services, world.call(name), report)).value


async def listed_requests(world: World, name: str) -> tuple[usecases.OnwardView, ...]:
    return (await usecases.list_onward(world.services, world.call(name))).value
