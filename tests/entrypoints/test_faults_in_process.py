"""Faults that only the process itself can have: custody that goes away, a clock that jumps; with others at work."""

import asyncio
from datetime import timedelta

import pytest

from exchange.custody import CustodyUnavailableError

PULLERS = 8


async def test_custody_that_goes_away_releases_nothing_until_it_is_back(http, world, monkeypatch) -> None:
    report = await world.post()
    client = http("NOR reader")

    async def pulls() -> set[int]:
        answers = await asyncio.gather(*(client.get(f"/v1/reports/{report}") for _ in range(PULLERS)))
        for answer in answers:
            assert (b"first part" in answer.content) is (answer.status_code == 200)
        return {answer.status_code for answer in answers}

    async def away(*_args) -> None:
        raise CustodyUnavailableError("the token was pulled out")

    before, amid = await pulls(), asyncio.create_task(pulls())
    await asyncio.sleep(0)
    with monkeypatch.context() as gone:
        for name in ("unwrap", "open_headers"):
            gone.setattr(type(world.services.custodian), name, away)
        assert await amid <= {200, 503}
        while_away = await pulls()
        needs_no_key = await client.get("/v1/whoami")

    assert (before, while_away, await pulls()) == ({200}, {503}, {200})
    assert needs_no_key.status_code == 200


@pytest.mark.parametrize("jump", [timedelta(hours=6), timedelta(hours=-6)], ids=["forward", "back"])
async def test_clock_that_jumps_keeps_order_and_opens_nothing(http, world, jump: timedelta) -> None:
    world.clock.advance(timedelta(hours=12))
    reader = http("NOR reader")
    first = [await world.post(subject=f"before {number}") for number in range(3)]
    page = (await reader.get("/v1/reports")).json()

    world.clock.advance(jump)
    answers = await asyncio.gather(*(reader.get(f"/v1/reports/{report}") for report in first))
    second = [await world.post(subject=f"after {number}") for number in range(3)]
    following = (await reader.get("/v1/reports", params={"after": page["next"]})).json()

    assert {each.status_code for each in answers} == {200}
    assert [each["id"] for each in following["items"]] == second
    whole = [each["id"] for each in (await reader.get("/v1/reports")).json()["items"]]
    assert whole[-6:] == [*first, *second]


async def test_clock_that_jumps_ahead_ends_what_has_an_end(http, world) -> None:
    report = await world.post()
    reader = http("NOR reader")
    assert (await reader.get(f"/v1/reports/{report}")).status_code == 200

    world.clock.advance(timedelta(days=20_000))  # beyond every agreement and clearance

    assert (await reader.get(f"/v1/reports/{report}")).status_code == 404
