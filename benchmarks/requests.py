"""The requests of each case, made beforehand: who asks for what, and whether an answer is one."""

import base64
import json
import os
import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.load import Caller
from benchmarks.places import BODY_BYTES, BODY_EVERY, SCOPE, Person, Place, agreements_of, parties_of
from benchmarks.results import BenchmarkError
from exchange.cli.instance import Host, open_host
from exchange.kernel import new_id, to_micros
from exchange.usecases import Call
from exchange.usecases.reading.list_reports import readable_for
from exchange.usecases.steps.positions import seal_position

T = TypeVar("T")

PAGE = 100
_EACH = 300
"""Different requests per connection: enough that no cache of one answer could help."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What the connections ask in one case, and `check`, which raises unless a body answers that."""

    callers: tuple[Caller, ...]
    check: Callable[[bytes], None]
    method: str = "GET"

    def to(self, path: bytes) -> tuple[Caller, ...]:
        """Return one of the requests of each caller, body and all, to another path."""
        return tuple(Caller(each.folder, (_moved(each.requests[0], path),)) for each in self.callers)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one reader sees: the reports it may list, as sequence numbers, and those with a body of 8 KiB."""

    person: Person
    listed: list[int]
    bodies: list[str]
    seal: Callable[[int], str]


async def sights_of(place: Place) -> tuple[list[Sight], int]:
    """Return what each reader sees of the reports in `place`, and how many classes the first of them may read."""
    async with open_host(place.folder) as host:
        found = [await _sight(host, place, person) for person in place.readers]
    return [sight for sight, _ in found], found[0][1]


def pulls(sights: list[Sight]) -> Requests:
    """Return pulls of 8 KiB reports, each reader its own ones."""

    def check(body: bytes) -> None:
        part = json.loads(body)["parts"][0]
        if len(part["content"]) != BODY_BYTES:
            raise BenchmarkError("a pull does not bring its 8 KiB")

    chooser = random.Random(1)
    return Requests(
        tuple(
            Caller(sight.person.folder, tuple(_get(f"/v1/reports/{report}") for report in _some(chooser, sight.bodies)))
            for sight in sights
        ),
        check,
    )


def lists(sights: list[Sight]) -> Requests:
    """Return lists of 100 headers from random positions, each with a hundred reports behind it."""

    def check(body: bytes) -> None:
        if len(json.loads(body)["items"]) != PAGE:
            raise BenchmarkError(f"a list does not bring {PAGE} headers")

    chooser = random.Random(2)
    return Requests(
        tuple(
            Caller(
                sight.person.folder,
                tuple(
                    _get(f"/v1/reports?after={sight.seal(position)}&limit={PAGE}")
                    for position in _some(chooser, [0, *sight.listed[:-PAGE]])
                ),
            )
            for sight in sights
        ),
        check,
    )


def posts(place: Place) -> Requests:
    """Return posts of 8 KiB reports under agreements of each contributor's member."""

    def check(body: bytes) -> None:
        if json.loads(body)["parts"][0]["size_bytes"] != BODY_BYTES:
            raise BenchmarkError("a post does not keep its 8 KiB")

    callers = (
        Caller(person.folder, tuple(_post(place, number) for number in agreements_of(person.number)))
        for person in place.contributors
    )
    return Requests(tuple(callers), check, "POST")


async def _sight(host: Host, place: Place, person: Person) -> tuple[Sight, int]:
    services, now = host.services, host.services.clock()
    row = await services.store.caller(person.thumbprint)
    assert row.client is not None
    call = Call(new_id(now, os.urandom), "bench", person.thumbprint, now)
    readable = await readable_for(services, call, row.client, row.state)
    query = (
        "SELECT seq, id FROM report WHERE class_id IN (SELECT value FROM json_each(?))"
        " AND (valid_until IS NULL OR valid_until > ?) ORDER BY seq"
    )
    with closing(sqlite3.connect(place.database)) as connection:
        rows = connection.execute(query, (json.dumps(list(readable.permits)), to_micros(now))).fetchall()
    client = row.client

    def seal(position: int) -> str:
        return seal_position(services, client, position)

    bodies = [report for seq, report in rows if (seq - 1) % BODY_EVERY == 0]
    return Sight(person, [seq for seq, _ in rows], bodies, seal), len(readable.permits)


def _some(chooser: random.Random, choices: Sequence[T]) -> list[T]:
    if not choices:
        raise BenchmarkError("a reader sees too little: fill in more reports")
    return chooser.choices(choices, k=_EACH)


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n".encode()


def _post(place: Place, agreement: int) -> bytes:
    report = {
        "agreement": place.agreements[agreement],
        "scope": SCOPE,
        "kind": "intrep",
        "topic": "cyber.apt",
        "regions": ["EUR"],
        "precedence": "ROUTINE",
        "subject": "Infrastructure of a known group, seen again",
        "label": {"policy": "NATO", "classification": "SECRET", "releasable_to": sorted(parties_of(agreement))},
        "parts": [
            {
                "media_type": "text/plain",
                "name": "report.txt",
                "content": base64.b64encode(os.urandom(BODY_BYTES)).decode()[:BODY_BYTES],
                "encoding": "utf-8",
            }
        ],
    }
    body = json.dumps(report).encode()
    fields = f"host: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return f"POST /v1/reports HTTP/1.1\r\n{fields}".encode() + body


def _moved(request: bytes, path: bytes) -> bytes:
    method, _, rest = request.split(b" ", 2)
    return b"%b %b %b" % (method, path, rest)
