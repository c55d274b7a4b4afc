"""Asking to mark lower what derives from a report, consenting to it, and deriving."""

from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import InvalidError
from exchange.markings import Label
from exchange.store import DerivationWish
from tests.support.world import World

SECRET = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
MIDDLE = Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR"))
LOW = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))


async def ask(world: World, report: str, name: str = "NOR analyst", **changes: Any) -> str:
    fields = {"lowest": LOW, "until": world.clock.now + timedelta(days=30), "reason": "police are to be warned"}
    wish = DerivationWish(**{**fields, **changes})
    return (await usecases.request_derivation(world.services, world.call(name), report, wish)).value.row.id


async def grant(world: World, request: str, name: str = "GBR releaser") -> usecases.DerivationView:
    return (await usecases.grant_derivation(world.services, world.call(name), request, "not the vessel")).value


async def confirm(world: World, view: Any, name: str = "GBR second releaser") -> None:
    act = (await usecases.show_pending_act(world.services, world.call(name), str(view.act))).value.act
    await usecases.confirm_act(world.services, world.call(name), act.id, act.digest)


async def derive(world: World, *sources: str, name: str = "NOR analyst", services: Any = None, **others: Any) -> str:
    body = world.posted(**{"label": LOW, "references": sources, **others})
    return (await usecases.post_report(services or world.services, world.call(name), body)).value.report_id


async def is_refused(world: World, *sources: str, place: str = "/references/0", **others: Any) -> bool:
    with pytest.raises(InvalidError) as caught:
        await derive(world, *sources, **others)
    return [(fault.pointer, fault.code) for fault in caught.value.faults] == [(place, "below-source")]


async def state_of(world: World, request: str, name: str = "NOR analyst") -> str:
    listed = (await usecases.list_derivations(world.services, world.call(name))).value
    return next(view.row.state.value for view in listed if view.row.id == request)
