"""Several things done at once, on several nodes: nobody fails of it, all nodes agree, and who follows misses nothing.

Tried by `make walks` alone: what comes first is another thing each time.
"""

import asyncio
import json
import os
import random
import traceback
from collections.abc import Callable
from dataclasses import replace

import pytest

from exchange import usecases
from exchange.kernel import UnavailableError
from exchange.usecases import ListQuery, Services
from tests.support.lived import MakeLived
from tests.support.walked_deeds import DEEDS, amend, grant, lower, peopled, post, recall, restart, revoke, wait, work
from tests.support.walked_world import NOT_FOR_IT, PURPOSES, READERS, REFUSED, Deed, Walk, seeds_asked, walk_through

pytestmark = pytest.mark.skipif("WALKS" not in os.environ, reason="`make walks` tries these")
POSTS, STEPS, BURSTS, AT_ONCE = 5, 12, 6, 4
ALONE = [deed for deed in DEEDS if deed != restart]
TOGETHER = [deed for deed in DEEDS if deed not in {restart, wait, work}]
COMING = [post, post, amend, lower, grant, revoke, recall]
"""Whatever of these lets somebody read a report puts it behind all others: who follows finds it."""


@pytest.mark.parametrize("seed", seeds_asked("0"))
async def test_what_is_done_at_once_leaves_all_nodes_of_one_mind(make_lived: MakeLived, seed: int) -> None:
    chosen = random.Random(seed)
    world, _ = await make_lived(peopled)
    async with walk_through(world) as walk:
        for number in range(POSTS + STEPS):
            await walk.take(post if number < POSTS else chosen.choice(ALONE), *numbers(chosen))
        for number in range(BURSTS):
            deeds = COMING if number % 2 else TOGETHER
            # Now and then all to the same report. The jobs of one node at a time sequence the log.
            same = chosen.randrange(1000)
            some = [(deed, *numbers(chosen)) for deed in (work, *(chosen.choice(deeds) for _ in range(AT_ONCE)))]
            if number % 3:
                some = [(deed, same, b, c) for deed, _, b, c in some]
            await burst(walk, some, is_found=deeds is COMING)
        await work(walk, 0, 0, 0)


def numbers(chosen: random.Random) -> tuple[int, int, int]:
    return chosen.randrange(1000), chosen.randrange(1000), chosen.randrange(1000)


async def burst(walk: Walk, deeds: list[tuple[Deed, int, int, int]], *, is_found: bool) -> None:
    """Do all of `deeds` at once, while every reader follows on one of the nodes; then hold the nodes together.

    `is_found`: who follows has found all that it can read by then.
    """
    is_done = asyncio.Event()
    followers = {name: Follower(walk, name, walk.nodes[place % 2]) for place, name in enumerate(sorted(READERS))}
    for each in followers.values():
        await each.begin()
    following = [asyncio.create_task(each.follow(is_done)) for each in followers.values()]
    try:
        done = await asyncio.gather(*(attempt(replace(walk, node=place), *deed) for place, deed in enumerate(deeds)))
    finally:
        is_done.set()
        await asyncio.gather(*following)
    walk.said.append("at once: " + "; ".join(done))
    fresh = await walk.begin_node()
    for name, follower in followers.items():
        for purpose in PURPOSES:
            told = [await what_it_gets(walk, each, name, purpose) for each in (*walk.nodes, fresh)]
            walk.require(told[0] == told[1] == told[2], f"{name} for {purpose}: {told}")
        await follower.read_on()
        listed = [report for report, *_ in (await what_it_gets(walk, fresh, name, None))[0]]
        missed = set(listed) - follower.before - follower.found
        walk.require(not missed or not is_found, f"{name} follows and misses {missed}")


async def attempt(walk: Walk, deed: Deed, a: int, b: int, c: int) -> str:
    """Do a deed of several; what it is refused is no matter here, and what fails otherwise is a fault."""
    try:
        done = await deed(walk, a, b, c)
    except (*REFUSED, UnavailableError) as exc:
        done = f"refused: {exc}"
    except (KeyError, ValueError, StopIteration, IndexError, RuntimeError) as exc:
        # The plain world is told in one order, and what it believes may be over by then.
        where = traceback.extract_tb(exc.__traceback__)[-1].filename
        walk.require("tests/support" in where, f"{deed.__name__}: {''.join(traceback.format_exception(exc))}")
        done = f"the plain world: {exc!r}"
    return f"{deed.__name__}({a}, {b}, {c}) on {walk.node % 2}: {done}"


class Follower:
    """A reader that reads on from where it was; `before` is what it had listed, `found` what it finds since."""

    def __init__(self, walk: Walk, name: str, services: Services) -> None:
        self._call: Callable[[], usecases.Call] = lambda: walk.call(name)
        self._services = services
        self._cursor: str | None = None
        self.before: set[str] = set()
        self.found: set[str] = set()

    async def begin(self) -> None:
        self.before = await self._read_to_the_end()

    async def follow(self, is_done: asyncio.Event) -> None:
        while not is_done.is_set():
            await self.read_on()
            await asyncio.sleep(0.02)

    async def read_on(self) -> None:
        self.found |= await self._read_to_the_end()

    async def _read_to_the_end(self) -> set[str]:
        found: set[str] = set()
        while True:
            try:
                query = ListQuery(cursor=self._cursor, limit=3)
                page = (await usecases.list_reports(self._services, self._call(), query)).value
            except (*NOT_FOR_IT, UnavailableError):
                return found
            self._cursor = page.next or self._cursor
            found |= {json.loads(item)["id"] for item in page.items}
            if not page.items:
                return found


async def what_it_gets(
    walk: Walk, services: Services, name: str, purpose: str | None
) -> tuple[list[tuple[str, ...]], list[int]]:
    """Return what a reader is listed, with the markings, and how many parts of each report it gets."""
    call = walk.call(name, purpose=purpose)
    listed: list[tuple[str, ...]] = []
    try:
        page = (await usecases.list_reports(services, call, ListQuery(limit=100))).value
        listed = [(json.loads(item)["id"], str(item)) for item in page.items]
    except NOT_FOR_IT:
        pass
    parts = []
    for report in walk.plain.reports:
        try:
            parts.append(len((await usecases.pull_report(services, call, report)).value.parts))
        except NOT_FOR_IT:
            parts.append(0)
    return listed, parts
