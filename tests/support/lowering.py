"""A downgrade to its end: asked for by one releaser and, where it takes two, confirmed by another."""

from typing import Any

from exchange import usecases
from exchange.reports import Downgrade
from exchange.usecases import MadeVersion
from tests.support.world import World


async def lower(
    world: World, report: str, wanted: Downgrade, *, by: str = "GBR releaser", **others: Any
) -> MadeVersion:
    """Lower a report and return what the first releaser was told."""
    made = (await usecases.downgrade_report(world.services, world.call(by), report, wanted, **others)).value
    if made.act is not None:
        await confirm(world, made.act, member=by[:3])
    return made


async def confirm(world: World, act_id: str, *, member: str = "GBR") -> None:
    """Confirm an act as the second releaser of `member`, who is enrolled where it is not yet."""
    name = f"{member} second releaser"
    if name not in world.clients:
        await world.enrol(name, member, "releaser")
    call = world.call(name)
    act = (await usecases.show_pending_act(world.services, call, act_id)).value.act
    await usecases.confirm_act(world.services, call, act_id, act.digest)
