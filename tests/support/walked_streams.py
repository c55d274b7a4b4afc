"""Readers of a walk that follow: a stream tells each what a list would show behind its place, and what it is asked for."""

import json

from exchange.usecases import Notice, Shown, Told
from tests.support.listening import listening, patient
from tests.support.walked_world import NOT_FOR_IT, Walk


async def compare_stream(walk: Walk, node: int, name: str) -> None:
    """Have a reader listen from what it was told last until there is nothing left to tell: no more, and no less."""
    services, call = walk.nodes[node % len(walk.nodes)], walk.call(name)
    place, cursor = walk.followed.get(name, (walk.plain.last_place, None))
    meant = walk.asking.told_behind(name, place, walk.now)
    try:
        async with listening(patient(services), call, cursor) as listener:
            await listener.caught_up()
            found = [each for notice in listener.heard if (each := _told(notice)) is not None]
            cursor = listener.cursor
    except NOT_FOR_IT:
        walk.require(not meant, f"{name} follows nothing, and not {meant}")
        return
    walk.require(found == list(meant.values()), f"{name} hears of {found} behind {place}, and not of {meant}")
    # What it was not told of moves no place: it may be opened to it until it comes again.
    walk.followed[name] = max(meant, default=place), cursor


def _told(notice: Notice) -> str | None:
    match notice:
        case Shown():
            return str(json.loads(notice.header_json)["id"])
        case Told(kind="request"):
            return str(json.loads(notice.facts_json)["request"])
        case _:
            return None
