"""Nobody keeps a process to itself by asking about much: a report with very many labels, for every client there is."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest

from exchange import usecases
from exchange.markings import Label
from exchange.release import GuardSet
from exchange.reports import PostedPart
from exchange.usecases import ListQuery, SimulatedReport
from exchange.usecases.steps.in_between import LABELS_AT_ONCE
from tests.support.lived import MakeLived
from tests.support.world import World
from tests.usecases.test_amending import NARROWED, proposed
from tests.usecases.test_national_caveats import not_to

NARROWEST = Label("NATO", "SECRET", releasable_to=("GBR",), handling=("ORCON",))
OTHERS = [others for count in (1, 2, 3) for others in combinations(("DNK", "ESP", "NOR"), count)]
LABELS = tuple(
    Label("NATO", level, releasable_to=tuple(sorted(("GBR", *others))), handling=handling)
    for level in ("SECRET", "CONFIDENTIAL", "RESTRICTED")
    for others in OTHERS
    for handling in ((), ("ORCON",))
)
PARTS = tuple(PostedPart(label, "text/plain", f"{number}.txt", b"x") for number, label in enumerate(LABELS))
MOST = LABELS_AT_ONCE + len(LABELS) + 1
"""A report is not taken apart for one reader: it may come on top."""


async def with_reports(world: World) -> list[str]:
    await world.enrol("GBR auditor", "GBR", "auditor", level="TOP SECRET")
    await world.enrol("GBR releaser", "GBR", "releaser", level="TOP SECRET")
    for number in range(3):
        await world.enrol(f"NOR reader {number}", "NOR", "reader")
    # Each of a class of its own.
    return [
        await world.post(label=NARROWEST, parts=PARTS, topic=topic)
        for topic in ("cyber", "cyber.apt", "cyber.vulnerability")
    ]


@dataclass
class Asked:
    """How many labels guards were asked about, and how many of them at most before somebody else had a turn."""

    now: int = 0
    most: int = 0
    in_all: int = 0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found, forbidding = Asked(), GuardSet.forbidding

    def counted(guards: GuardSet, reader: Any, questions: Any, *others: Any) -> Any:
        found.now, found.in_all = found.now + len(questions), found.in_all + len(questions)
        found.most = max(found.most, found.now)
        return forbidding(guards, reader, questions, *others)

    monkeypatch.setattr(GuardSet, "forbidding", counted)
    return found


async def while_others_wait(asked: Asked, act: Awaitable[object]) -> None:
    async def others() -> None:
        while True:
            asked.now = 0
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    await act
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting


def simulate(world: World, _report: str) -> Awaitable[object]:
    report = SimulatedReport(world.agreement_id, "cyber-threats", "intrep", "cyber.apt", ("EUR",), NARROWEST, LABELS)
    return usecases.simulate_release(world.services, world.call("GBR contributor"), report)


def first_list(world: World, _report: str) -> Awaitable[object]:
    return usecases.list_reports(world.services, world.call("GBR reader"), ListQuery())


def could_read(world: World, report: str) -> Awaitable[object]:
    world.clock.advance(timedelta(days=2))
    auditor, since = world.call("GBR auditor"), world.clock.now - timedelta(days=1)
    return usecases.readers_on(world.services, auditor, report, since, world.clock.now)


def caveats(world: World, _report: str) -> Awaitable[object]:
    return usecases.preview_caveats(world.services, world.call("GBR releaser"), not_to("NOR"))


def amendment(world: World, _report: str) -> Awaitable[object]:
    return proposed(world, NARROWED)


@pytest.mark.parametrize("act", [simulate, first_list, could_read, caveats, amendment])
async def test_others_have_turns_while_much_is_decided(
    make_lived: MakeLived, asked: Asked, act: Callable[[World, str], Awaitable[object]]
) -> None:
    world, (report, *_) = await make_lived(with_reports)
    await while_others_wait(asked, act(world, report))

    assert asked.in_all > MOST
    assert asked.most <= MOST


@pytest.mark.parametrize("act", [simulate, first_list])
async def test_many_who_decide_about_much_do_so_one_after_another(
    make_lived: MakeLived, asked: Asked, act: Callable[[World, str], Awaitable[object]]
) -> None:
    """Else whoever asks for little waits for all of them, each time that the process comes round to it."""
    world, (report, *_) = await make_lived(with_reports)
    await while_others_wait(asked, asyncio.gather(*(act(world, report) for _ in range(4))))

    assert asked.in_all > MOST
    assert asked.most <= MOST


async def test_who_leaves_takes_no_turn_along(make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch) -> None:
    world, (report, *_) = await make_lived(with_reports)
    begun, forbidding = asyncio.Event(), GuardSet.forbidding
    monkeypatch.setattr(GuardSet, "forbidding", lambda *questions: begun.set() or forbidding(*questions))
    gone = [asyncio.ensure_future(simulate(world, report)) for _ in range(3)]
    await begun.wait()
    for each in gone:
        each.cancel()
    await asyncio.wait(gone)

    assert not world.services.deciding.is_taken
    async with asyncio.timeout(20):
        await simulate(world, report)
