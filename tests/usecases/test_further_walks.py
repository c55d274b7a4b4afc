"""What members ask of each other shows nobody more than plain words say, whatever else is done; on both databases.

Tried by `make walks` alone: the walks of `make test` are the shorter ones of `test_walked_world`.
"""

import os
import random
from functools import partial

import pytest

from tests.support.lived import MakeLived
from tests.support.walked_asking import ASKING, NAMES, ask, compare_asking
from tests.support.walked_deeds import DEEDS, post
from tests.support.walked_deriving import DERIVING
from tests.support.walked_past import Past
from tests.support.walked_reasons import REASONS, compare_reasons, peopled_further
from tests.support.walked_streams import compare_stream
from tests.support.walked_waiting import WAITING
from tests.support.walked_world import PURPOSES, READERS, seeds_asked, walk_through

pytestmark = pytest.mark.skipif("WALKS" not in os.environ, reason="`make walks` tries these")
BEGINNING = (post, post, post, ask, ask, ask)
STEPS = int(os.environ.get("WALK_STEPS", "40"))
FURTHER = (*DEEDS, *(ASKING + REASONS + DERIVING) * 2, *WAITING)


@pytest.mark.parametrize("seed", seeds_asked("0"))
async def test_clients_are_told_what_plain_words_say(make_lived: MakeLived, seed: int) -> None:
    chosen = random.Random(seed)
    world, _ = await make_lived(peopled_further)
    async with walk_through(world) as walk:
        past = Past(walk)
        for number in range(len(BEGINNING) + STEPS):
            a, b, c = (chosen.randrange(1000) for _ in range(3))
            await walk.take(BEGINNING[number] if number < len(BEGINNING) else chosen.choice(FURTHER), a, b, c)
            past.go_on()
            name, purpose = chosen.choice(NAMES), chosen.choice(PURPOSES)
            await compare_asking(walk, a, name, purpose)
            if name in READERS:
                await (walk.compare, partial(compare_reasons, walk))[number % 2](a, name, purpose)
                await compare_stream(walk, b, name)
            await past.compare(a, c)
        for name in NAMES:
            for node, purpose in enumerate(PURPOSES):
                await compare_asking(walk, node, name, purpose)
