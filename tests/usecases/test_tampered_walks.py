"""Whoever writes to the database gives nobody what is not theirs, once the jobs have gone over it; on both databases.

Tried by `make walks` alone: what is tampered with is another thing each time, for it follows the order of ids.
"""

import json
import os
import random
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.kernel import ExchangeError
from exchange.usecases import ListQuery, Services
from exchange.usecases.upkeep.rounds_of_time import RoundsOfTime
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.tampering import TABLES, Tamperer
from tests.support.walked_deeds import DEEDS, peopled, post, restart, work
from tests.support.walked_world import READERS, Walk, seeds_asked, walk_through

pytestmark = pytest.mark.skipif("WALKS" not in os.environ, reason="`make walks` tries these")
POSTS, STEPS, KEPT_EACH = 6, 24, 5
DEEDS_BEFORE = [deed for deed in DEEDS if deed not in {work, restart}]


@pytest.mark.parametrize("seed", seeds_asked("0"))
async def test_who_writes_to_the_database_gives_nobody_more(make_lived: MakeLived, seed: int) -> None:
    chosen = random.Random(seed)
    world, _ = await make_lived(peopled)
    tamperer = Tamperer(world, chosen)
    async with walk_through(world) as walk:
        for number in range(POSTS + STEPS):
            if number % KEPT_EACH == 0:
                tamperer.keep()
            a, b, c = (chosen.randrange(1000) for _ in range(3))
            await walk.take(post if number < POSTS else chosen.choice(DEEDS_BEFORE), a, b, c)
            await walk.compare(a, chosen.choice(sorted(READERS)))
        await walk.take(work, 0, 0, 0)
        for table in TABLES:
            world.unguard(table)
        for _ in range(chosen.randint(1, 3)):
            tamperer.tamper()
        jobs = await walk.begin_node()
        for _ in range(2):
            world.clock.advance(timedelta(minutes=15))
            await go_over(walk, jobs)
        walk.said += tamperer.said
        for services in (world.services, jobs, await walk.begin_node()):
            for name in sorted(READERS):
                await require_no_more(walk, services, name)


async def go_over(walk: Walk, services: Services) -> None:
    """Let the jobs of a node do a round each; what one of them cannot do it says."""
    await place_entries(walk.world, is_searchable=True)
    rounds = RoundsOfTime(services)
    for each in (rounds.reports, rounds.rows, rounds.walk, rounds.duties):
        try:
            await each()
        except ExchangeError as exc:
            walk.said.append(f"{each.__name__}: {exc}")


async def require_no_more(walk: Walk, services: Services, name: str) -> None:
    """Have a reader ask for everything: it is given what is its own, or nothing."""
    call = walk.call(name)
    try:
        page = (await usecases.list_reports(services, call, ListQuery(limit=100))).value
        listed = {json.loads(item)["id"] for item in page.items}
    except ExchangeError:
        listed = set()
    more = listed.difference(walk.plain.readable(name, walk.now))
    walk.require(not more, f"{name} lists {more}")
    for report in walk.plain.reports:
        try:
            got = len((await usecases.pull_report(services, call, report)).value.parts)
        except ExchangeError:
            got = 0
        meant = len(walk.plain.parts_for(name, report, walk.now))
        walk.require(got <= meant, f"{name} gets {got} parts of {report} and not {meant}")
