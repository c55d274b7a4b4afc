"""Readers of a walk that follow: a stream tells each what a list would show behind its place, and what it is asked for."""

import json

from exchange.usecases import Notice, Shown, Told
from tests.support.listening import listening, patient
from tests.support.walked_world import NOT_FOR_IT, Walk


async def compare_stream(walk: Walk, node: int, name: str) -> None:
    """Have a reader listen from where it was until there is nothing left to tell."""
    services, call = walk.nodes[node % len(walk.nodes)], walk.call(name)
    place, cursor = walk.followed.get(name, (walk.plain.last_place, None))
    meant = list(walk.asking.told_behind(name, place, walk.now).values())
    try:
        async with listening(patient(services), call, cursor) as listener:
            await listener.caught_up()
            found = [each for notice in listener.heard if (each := _told(notice)) is not None]
            cursor = listener.cursor
    except NOT_FOR_IT:
        found = []
        walk.require(not meant, f"{name} follows nothing, and not {meant}")
        return
    # What a change of rights opened it may hear of too, from before its place: nothing but what it may read now.
    opened = set(found).intersection(walk.asking.told_behind(name, 0, walk.now).values()).difference(meant)
    told = [each for each in found if each not in opened]
    walk.require(told == meant, f"{name} hears of {found} behind {place}, and not of {meant}")
    walk.followed[name] = walk.plain.last_place, cursor


def _told(notice: Notice) -> str | None:
    match notice:
        case Shown():
            return str(json.loads(notice.header_json)["id"])
        case Told(kind="request"):
            return str(json.loads(notice.facts_json)["request"])
        case _:
            return None
