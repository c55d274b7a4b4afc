"""Classes 5, 7, 16: what an open crisis gives to whom the signed text gave nothing, and who stops or ends one."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, ExchangeError, ForbiddenError, NotFoundError
from exchange.markings import Label
from exchange.usecases import CrisisWish
from tests.attacks.hidden import random_id
from tests.attacks.test_treaties import signs
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


async def test_16_who_has_left_sees_refuses_and_ends_no_crisis_of_the_others(both: World) -> None:
    await both.agree(TEXT)
    await opened(both)
    before = await _seen_by(both, "DNK reader")
    await usecases.withdraw_agreement(both.services, both.call("DNK signatory"), both.agreement_id)
    both.clock.advance(timedelta(days=91))
    act = await asked(both)
    for touch in (usecases.show_pending_act, usecases.refuse_act):
        with pytest.raises(NotFoundError):
            await touch(both.services, both.call("DNK signatory"), act.id)
    await usecases.confirm_act(both.services, both.call("NOR signatory"), act.id, act.digest)
    newest = (await _seen_by(both, "GBR reader"))[0]

    assert (await _seen_by(both, "DNK reader")) == before
    # One from its own time it may not end, and one from after that is to it as one that there never was.
    told = [await _told_to_who_ends(both, each) for each in (*before, newest, random_id())]
    assert [type(error) for error in told] == [ConflictError, NotFoundError, NotFoundError]
    assert (told[0].message, told[1].message) == ("your member has left the agreement", told[2].message)
    assert (await _seen_by(both, "GBR reader")) == [newest, *before]


async def test_07_crisis_from_before_it_acceded_is_to_a_member_as_one_that_there_never_was(both: World) -> None:
    await both.agree(TEXT)
    await opened(both)
    (crisis,) = await _seen_by(both, "GBR reader")
    acceded = TEXT.replace("parties: [GBR, NOR, DNK]", "parties: [GBR, NOR, DNK, ESP]")
    made = await usecases.propose_amendment(both.services, both.call("GBR signatory"), both.agreement_id, acceded)
    for member in ("GBR", "NOR", "DNK", "ESP"):
        await signs(both, made.value, f"{member} signatory")

    assert not await _seen_by(both, "ESP reader")
    foreign, absent = [await _told_to_who_ends(both, each, "ESP signatory") for each in (crisis, random_id())]
    assert (type(foreign), foreign.message) == (type(absent), absent.message)
    assert isinstance(absent, NotFoundError)


async def _told_to_who_ends(world: World, crisis: str, name: str = "DNK signatory") -> ExchangeError:
    with pytest.raises(ExchangeError) as told:
        await usecases.end_crisis(world.services, world.call(name), world.agreement_id, crisis)
    return told.value


async def test_05_signatory_whom_the_text_does_not_name_stops_no_crisis(both: World) -> None:
    await both.agree(TEXT)
    await both.enrol("NOR clerk", "NOR", "signatory")
    act = await asked(both)
    with pytest.raises(ForbiddenError):
        await usecases.refuse_act(both.services, both.call("NOR clerk"), act.id)
    refused = await usecases.refuse_act(both.services, both.call("DNK signatory"), act.id)

    assert refused.value.act.refuser == both.clients["DNK signatory"].id


async def _seen_by(world: World, name: str) -> list[str]:
    found = await usecases.list_crises(world.services, world.call(name), world.agreement_id)
    return [use.crisis.id for use in found.value.uses]


async def test_16_two_confirmations_at_once_on_two_nodes_open_one_crisis(both: World) -> None:
    await both.agree(TEXT)
    acts = [await asked(both), await asked(both)]
    async with both.another_node() as second:
        ends = await asyncio.gather(
            usecases.confirm_act(both.services, both.call("NOR signatory"), acts[0].id, acts[0].digest),
            usecases.confirm_act(second, both.call("DNK signatory"), acts[1].id, acts[1].digest),
            return_exceptions=True,
        )

    assert [end.code for end in ends if isinstance(end, ConflictError)] == ["crisis-open"]
    assert len(await _seen_by(both, "GBR reader")) == 1


async def test_16_act_that_is_taken_back_while_it_is_confirmed_is_one_of_both(both: World) -> None:
    await both.agree(TEXT)
    act = await asked(both)
    async with both.another_node() as second:
        confirmed, refused = await asyncio.gather(
            usecases.confirm_act(both.services, both.call("NOR signatory"), act.id, act.digest),
            usecases.refuse_act(second, both.call("GBR signatory"), act.id),
            return_exceptions=True,
        )

    assert isinstance(confirmed, ConflictError) is not isinstance(refused, ConflictError)
    assert len(await _seen_by(both, "GBR reader")) == isinstance(refused, ConflictError)
