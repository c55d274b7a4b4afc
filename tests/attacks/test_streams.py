"""Classes 14 and 16: streams across nodes tell nothing that is hidden, and end when a right does."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from exchange import usecases
from exchange.markings import Label
from exchange.members import Standing
from exchange.usecases import Told
from tests.support.listening import listening, patient
from tests.support.world import World

FOR_GBR = Label("NATO", "SECRET", releasable_to=("GBR",))
FOR_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))


async def test_14_stream_of_an_outsider_is_the_same_with_and_without_what_is_hidden(both: World) -> None:
    services = patient(both.services)
    async with (
        both.another_node() as other,
        listening(services, both.call("NOR reader")) as nor,
        listening(patient(other), both.call("DNK reader")) as dnk,
        listening(services, both.call("ESP reader")) as esp,
    ):
        for number in range(10):
            await both.post(label=FOR_GBR, subject=f"hidden {number}")
            await both.post(label=FOR_NOR, subject=f"shown {number}")
        await nor.until(10)

    assert nor.subjects == [f"shown {number}" for number in range(10)]
    assert [type(notice).__name__ for notice in (*dnk.heard, *esp.heard)] == ["Begun", "Begun"]
    entries = await both.entries()
    told = [entry for entry in entries if entry["type"] == "report.listed" and entry["result_ids"]]
    assert {entry["actor"]["id"] for entry in told} == {both.clients["NOR reader"].id}


async def test_14_stream_of_an_outsider_is_the_same_with_and_without_requests_of_others(both: World) -> None:
    services = patient(both.services)
    low = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
    await both.enrol("NOR low listener", "NOR", "reader", level="CONFIDENTIAL")
    names = ("DNK reader", "ESP reader", "NOR low listener", "GBR reader")
    async with AsyncExitStack() as stack:
        others = [await stack.enter_async_context(listening(services, both.call(name))) for name in names]
        nor = await stack.enter_async_context(listening(services, both.call("NOR reader")))
        for _ in range(5):
            await usecases.request_information(both.services, both.call("GBR reader"), both.wanted(label=FOR_NOR))
        await both.post(label=low, subject="after")
        await nor.until(5, Told)
        for each in (others[0], others[2], others[3]):
            await each.until(1)

    assert [[type(notice).__name__ for notice in each.heard] for each in others] == [
        ["Begun", "Shown"], ["Begun"], ["Begun", "Shown"], ["Begun", "Shown"],
    ]  # fmt: skip


async def test_14_narrowed_reader_gets_nothing_more_of_what_it_had(both: World) -> None:
    services = patient(both.services)
    async with both.another_node() as other, listening(services, both.call("NOR reader")) as nor:
        await both.post(label=FOR_NOR, subject="had")
        await nor.until(1)
        lowered = usecases.ClearanceChange("RESTRICTED")
        await usecases.change_clearance(other, both.call(None), both.clients["NOR reader"].id, lowered)
        await both.post(label=FOR_NOR, subject="too late")
        assert await nor.ended() in {"rights-changed", "turned-away"}
    async with listening(services, both.call("NOR reader"), nor.cursor) as again:
        await asyncio.sleep(0)
        await both.post(label=FOR_NOR, subject="too late")
        low = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
        await both.post(label=low, subject="low")
        await again.until(1)

    assert (nor.subjects, again.subjects) == (["had"], ["low"])


@pytest.mark.parametrize("standing", [Standing.REVOKED, Standing.SUSPENDED])
async def test_16_open_stream_is_closed_within_a_second_of_what_another_node_did(
    both: World, standing: Standing
) -> None:
    services = patient(both.services, beat_seconds=usecases.WatchLimits().beat_seconds)
    async with both.another_node() as other, listening(services, both.call("NOR reader")) as nor:
        await both.post(label=FOR_NOR)
        await nor.until(1)
        await usecases.change_standing(other, both.call(None), both.clients["NOR reader"].id, standing)
        begun = time.monotonic()
        assert await nor.ended() == "turned-away"
        took = time.monotonic() - begun

    assert took < 15.0  # at the next beat, and not when the watch would have asked again by itself


async def test_16_right_lost_between_the_beat_and_the_page_shows_nothing(both: World, monkeypatch) -> None:
    """The beat found the report readable; by the time it is read, the reader is revoked."""
    services = patient(both.services)
    async with both.another_node() as other, listening(services, both.call("NOR reader")) as nor:
        page, under_way, is_armed = services.store.page, 0, False

        async def late(*arguments, **options):
            nonlocal under_way
            under_way += 1
            if is_armed:
                await usecases.change_standing(other, both.call(None), both.clients["NOR reader"].id, Standing.REVOKED)
            answer = await page(*arguments, **options)
            under_way -= 1
            return answer

        monkeypatch.setattr(services.store, "page", late)
        await both.post(label=FOR_NOR, subject="first")
        await nor.until(1)
        await nor.settled()
        while under_way:  # noqa: ASYNC110  the test's own count
            await asyncio.sleep(0.001)
        is_armed = True
        await both.post(label=FOR_NOR, subject="second")
        assert await nor.ended() == "turned-away"

    assert nor.subjects == ["first"]
