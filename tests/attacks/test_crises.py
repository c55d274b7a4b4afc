"""Classes 5, 7, 16: what an open crisis gives to whom the signed text gave nothing, and who stops or ends one."""

from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import NotFoundError
from exchange.markings import Label
from exchange.usecases import CrisisWish
from tests.support.world import AGREEMENT, World

TEXT = (
    AGREEMENT.replace("contributors: [GBR, NOR]", "contributors: [GBR, NOR, DNK]").replace(
        "readers: [GBR, NOR, DNK]", "readers: [GBR]"
    )
    + """\
crisis:
  - name: storm-watch
    scope: cyber-threats
    readers: [NOR, DNK]
    at_most: PT72H
    older_reports: included
    signatories:
      - {member: GBR, name: GBR signatory}
      - {member: NOR, name: NOR signatory}
      - {member: DNK, name: DNK signatory}
"""
)
FOR_ALL = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))


async def asked(world: World) -> Any:
    wish = CrisisWish("storm-watch", "a second cable was cut")
    return (await usecases.ask_for_crisis(world.services, world.call("GBR signatory"), world.agreement_id, wish)).value


async def opened(world: World) -> None:
    act = await asked(world)
    await usecases.confirm_act(world.services, world.call("NOR signatory"), act.id, act.digest)


async def test_07_crisis_shows_no_request_to_whom_it_does_not_ask_or_once_it_was_withdrawn(both: World) -> None:
    await both.agree(TEXT)
    made = await usecases.request_information(both.services, both.call("GBR reader"), both.wanted(label=FOR_ALL))
    request = made.value.row.id
    await opened(both)
    shown = await usecases.show_request(both.services, both.call("NOR contributor"), request)

    assert shown.value.asked == ("NOR",)
    await _is_absent(both, "DNK contributor", request)
    await _is_absent(both, "DNK reader", request)
    await usecases.withdraw_request(both.services, both.call("GBR reader"), request)
    await _is_absent(both, "NOR contributor", request)


async def _is_absent(world: World, name: str, request: str) -> None:
    with pytest.raises(NotFoundError):
        await usecases.show_request(world.services, world.call(name), request)
