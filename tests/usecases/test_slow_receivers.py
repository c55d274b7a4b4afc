"""Receivers of webhooks that answer slowly, or over whose messages we fail, keep nobody else from being told."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from exchange.markings import Label
from exchange.usecases import add_subscription
from exchange.usecases.telling import notify_subscribers
from exchange.usecases.telling.notify_subscribers import Notifier, Reach
from tests.support.world import World

BOTH = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
SLOW, QUICK = "https://slow.example/told", "https://quick.example/told"
REPORTS = 10


@dataclass
class Line:
    """A line to webhooks on which one host does what `answer` does, and the others take everything."""

    answer: Callable[[], object]
    begun: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    async def post(self, hook, headers, body) -> None:
        self.begun.append(hook.url)
        if hook.url == SLOW:
            waited = self.answer()
            if asyncio.isfuture(waited):
                await waited
        self.taken.append(hook.url)


@pytest.fixture
async def busy(populated: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Ten reports for two subscribers of whom one is slow."""
    monkeypatch.setattr(notify_subscribers, "_PATIENCE_SECONDS", 0.05)
    for name, url in (("GBR reader", SLOW), ("NOR reader", QUICK)):
        await add_subscription(populated.services, populated.call(name), url)
    for _ in range(REPORTS):
        await populated.post(label=BOTH)
    return populated


async def until_told(notifier: Notifier, line: Line, url: str) -> None:
    for _ in range(20 * REPORTS):
        await notifier.round()
        if line.taken.count(url) == REPORTS:
            return
        await asyncio.sleep(0.01)  # what is on its way may come in while nobody looks
    pytest.fail(f"{line.taken.count(url)} of {REPORTS} messages came through")


async def test_receiver_that_hangs_keeps_its_own_subscriber_waiting_and_nobody_else(busy: World) -> None:
    answered = asyncio.get_running_loop().create_future()
    line = Line(lambda: asyncio.shield(answered))
    notifier = Notifier(busy.services, line, Reach())

    await until_told(notifier, line, QUICK)
    held = line.begun.count(SLOW)
    answered.set_result(None)
    await until_told(notifier, line, SLOW)
    await notifier.close()

    assert held == notify_subscribers._OF_ONE
    assert line.taken.count(QUICK) == REPORTS


async def test_many_clients_of_one_member_leave_room_for_the_others(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen clients of one member, each with receivers that hang, held every place there was."""
    monkeypatch.setattr(notify_subscribers, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(notify_subscribers, "_AT_ONCE", 4)
    monkeypatch.setattr(notify_subscribers, "_OF_MEMBER", 3)
    for number in range(4):
        name = f"GBR reader {number}"
        await populated.enrol(name, "GBR", "reader")
        await add_subscription(populated.services, populated.call(name), SLOW)
    await add_subscription(populated.services, populated.call("NOR reader"), QUICK)
    await populated.post(label=BOTH)
    answered = asyncio.get_running_loop().create_future()
    line = Line(lambda: asyncio.shield(answered))
    notifier = Notifier(populated.services, line, Reach())

    for _ in range(5):
        await notifier.round()
    held = line.begun.count(SLOW)
    told = line.taken.count(QUICK)
    answered.set_result(None)
    while line.taken.count(SLOW) < 4:
        await notifier.round()
        await asyncio.sleep(0)
    await notifier.close()

    assert (held, told) == (3, 1)


async def test_long_row_of_one_subscriber_keeps_nobody_else_waiting(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was looked at for a round was its own, as it waits longest: four a round, until the row was gone."""
    line = Line(lambda: None)
    notifier = Notifier(populated.services, line, Reach())
    await add_subscription(populated.services, populated.call("GBR reader"), SLOW)
    for _ in range(REPORTS):
        await populated.post(label=BOTH)
    monkeypatch.setattr(notify_subscribers, "_AT_ONCE", 0)
    await notifier.round()
    populated.clock.advance(timedelta(seconds=1))
    await add_subscription(populated.services, populated.call("NOR reader"), QUICK)
    await populated.post(label=BOTH)
    monkeypatch.setattr(notify_subscribers, "_AT_ONCE", REPORTS - 2)

    await notifier.round()
    await notifier.close()

    assert sorted(line.taken) == [QUICK, *[SLOW] * notify_subscribers._OF_ONE]


async def test_what_is_on_its_way_at_the_end_is_let_go_and_comes_again(
    busy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify_subscribers, "_LAST_SECONDS", 0.05)
    line = Line(asyncio.get_running_loop().create_future)
    notifier = Notifier(busy.services, line, Reach())
    await until_told(notifier, line, QUICK)

    await notifier.close()
    busy.clock.advance(notify_subscribers.CLAIMED)
    again = Line(lambda: None)
    later = Notifier(busy.services, again, Reach())
    await until_told(later, again, SLOW)
    await later.close()

    assert QUICK not in again.begun


async def test_fault_over_one_message_keeps_the_others_from_nothing(
    busy: World, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("nobody foresaw it")

    line = Line(fail)
    notifier = Notifier(busy.services, line, Reach())

    await until_told(notifier, line, QUICK)
    await notifier.close()

    assert SLOW not in line.taken
    assert {record.levelno for record in caplog.records if record.name == "exchange.webhooks"} == {logging.CRITICAL}
