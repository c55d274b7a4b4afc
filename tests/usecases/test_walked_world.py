"""Whatever members do, each reader gets on every node what plain words say, while it is done too; on both databases.

The walks of a run are the same each time: a red one is found again. `make walks` walks others, and further.
"""

import os
import random

import pytest

from tests.support.lived import MakeLived
from tests.support.walked_deeds import DEEDS, peopled, post
from tests.support.walked_world import PURPOSES, READERS, seeds_asked, walk_through

POSTS = 6
STEPS = int(os.environ.get("WALK_STEPS", "40"))
NAMES = sorted(READERS)


@pytest.mark.parametrize("seed", seeds_asked("0-1"))
async def test_readers_get_what_plain_words_say(make_lived: MakeLived, seed: int) -> None:
    chosen = random.Random(seed)
    world, _ = await make_lived(peopled)
    async with walk_through(world) as walk:
        for _ in range(POSTS):
            await walk.take(post, *(chosen.randrange(1000) for _ in range(3)))
        for _ in range(STEPS):
            a, b, c = (chosen.randrange(1000) for _ in range(3))
            await walk.take(chosen.choice(DEEDS), a, b, c)
            await walk.compare(a, chosen.choice(NAMES), chosen.choice(PURPOSES))
        for name in NAMES:
            for node, purpose in enumerate(PURPOSES):
                await walk.compare(node, name, purpose)
