"""A walk through a real world on two nodes, of which a plain world is told; what readers get is what that one says.

A step is a deed and three numbers, of which follows what it is done to; any will do. What is refused is refused: what may
be done is no matter of these walks, only what may be read after it.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from exchange import usecases
from exchange.kernel import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotAuthenticatedError,
    NotFoundError,
    UnavailableError,
)
from exchange.usecases import ListQuery, Services
from tests.support.lowering import confirm
from tests.support.plain_asking import PlainAsking
from tests.support.plain_deriving import Leave, PlainDeriving
from tests.support.plain_world import Consent, Marking, PlainWorld, Reader, Text
from tests.support.world import World

Deed = Callable[["Walk", int, int, int], Awaitable[str]]

READERS = {
    "GBR reader": Reader("GBR"),
    "NOR reader": Reader("NOR"),
    "NOR second reader": Reader(
        "NOR", "TOP SECRET", frozenset({"ATOMAL"}), purposes=("defence", "law-enforcement", "judicial")
    ),
    "DNK reader": Reader("DNK"),
    "ESP reader": Reader("ESP"),
}
CONTRIBUTORS = {
    "GBR contributor": Reader("GBR", "TOP SECRET", frozenset({"ATOMAL"})),
    "NOR contributor": Reader("NOR", "TOP SECRET", frozenset({"ATOMAL"})),
    "DNK contributor": Reader("DNK"),
    "ESP contributor": Reader("ESP"),
}
"""They post and answer; nothing is done to them in a walk."""
ANALYSTS = {name: Reader(name[:3], "TOP SECRET", frozenset({"ATOMAL"})) for name in ("GBR analyst", "NOR analyst")}
"""They read, and post what builds on it; nothing is done to them either."""
PURPOSES = (None, None, "law-enforcement", "judicial")
FIRST = Text(frozenset({"GBR", "NOR", "DNK"}), frozenset({"GBR", "NOR"}), contributors=frozenset({"GBR", "NOR", "DNK"}))

REFUSED = (ConflictError, ForbiddenError, InvalidError, NotFoundError)
NOT_FOR_IT = (ForbiddenError, NotAuthenticatedError, NotFoundError)
_MOST_READS = 12


@dataclass
class Waiting:
    """An act that waits: who confirms it, until when, what it does, and the version of the report that it is about."""

    confirmer: str
    ends: datetime
    carry_out: Callable[[], None]
    report: str | None = None
    version: int = 0


@dataclass
class Walk:
    """A world, its two nodes, and the same in plain words; `said` tells what was done."""

    world: World
    nodes: list[Services]
    begin_node: Callable[[], Awaitable[Services]]
    plain: PlainWorld = field(
        default_factory=lambda: PlainWorld(
            [FIRST], {name: replace(reader) for name, reader in READERS.items()}, CONTRIBUTORS | ANALYSTS
        )
    )
    node: int = 0
    said: list[str] = field(default_factory=list)
    places: dict[str, tuple[int, str]] = field(default_factory=dict)
    """How far each reader has come: by the plain world, and its cursor."""
    followed: dict[str, tuple[int, str]] = field(default_factory=dict)
    """The same for streams: where each reader that listened was."""
    requests: list[tuple[str, str, Consent]] = field(default_factory=list)
    """Each consent to onward release: the request's id, and the originator."""
    proxies: list[str] = field(default_factory=list)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    """Each act that waits for its second person, by its id."""
    had: set[tuple[str, str]] = field(default_factory=set)
    """Reader and report, where the one was given the other."""
    had_before: set[tuple[str, str]] = field(default_factory=set)
    """The same as this step began: who reads while something is done may come before it or after."""
    told: list[tuple[str, str, str]] = field(default_factory=list)
    """Reader, report and what became of it, where the reader had it before."""
    asking: PlainAsking = field(init=False)
    """What members ask each other for."""
    deriving: PlainDeriving = field(init=False)
    """What they may mark lower than what it derives from."""
    given: list[tuple[str, str, Leave]] = field(default_factory=list)
    """Each leave to do so: the request's id, and the originator."""

    def __post_init__(self) -> None:
        """Begin with nothing that was asked."""
        self.asking, self.deriving = PlainAsking(self.plain), PlainDeriving(self.plain)

    @property
    def now(self) -> datetime:
        """The moment at which everything happens until somebody waits."""
        return self.world.clock.now

    @property
    def services(self) -> Services:
        """The node that a deed is done on."""
        return self.nodes[self.node % len(self.nodes)]

    def call(self, name: str | None, **others: Any) -> usecases.Call:
        """Return a call of a client, None being the operator at the host."""
        return self.world.call(name, **others)

    async def confirm(self, act: str, member: str) -> None:
        """Confirm an act as the second releaser of a member, on this node."""
        await confirm(replace(self.world, services=self.services), act, member=member)

    async def take(self, deed: Deed, a: int, b: int, c: int) -> None:
        """Do a deed while some read: each of them gets what it may read before it, and then what it may read after it."""
        self.node = a + b + c
        self.had_before = set(self.had)
        # In the order of lists: ids are other ones in each run, and a walk is to be the same.
        reads = [(name, report) for name in sorted(READERS) for report in self.plain.reports]
        before = {each: self._parts(*each) for each in reads}
        is_done = asyncio.Event()
        chosen = [reads[(a + number * b) % len(reads)] for number in range(4)] if reads and c % 2 else []
        meanwhile = [asyncio.create_task(self._read_until(is_done, *each, a + n)) for n, each in enumerate(chosen)]
        try:
            done = await deed(self, a, b, c)
        except REFUSED as exc:
            done = f"refused: {exc}"
        finally:
            is_done.set()
            found = await asyncio.gather(*meanwhile)
        self.said.append(f"{self.now:%m-%d %H:%M} {deed.__name__}({a}, {b}, {c}) on {self.node % 2}: {done}")
        for each, seen in zip(chosen, found, strict=True):
            if any(seen):
                self.had.add(each)
            self.require(_is_turn(seen, before[each], self._parts(*each)), f"meanwhile {each} read {seen}")

    async def compare(self, node: int, name: str, purpose: str | None = None) -> None:
        """Have a reader list, read on from where it was, and pull every report there is."""
        services, call = self.nodes[node % len(self.nodes)], self.call(name, purpose=purpose)
        readable = self.plain.readable(name, self.now, purpose)
        found, _ = await self._read_on(services, call, name, None)
        self.require(found == readable, f"{call.purpose}: {name} lists {found} and not {readable}")
        place, cursor = self.places.get(name, (0, None))
        new = [each for each in readable if self.plain.reports[each].place > place]
        found, cursor = await self._read_on(services, call, name, cursor)
        self.require(found == new, f"{call.purpose}: {name} finds {found} behind {place} and not {new}")
        if cursor is not None:
            self.places[name] = self.plain.last_place, cursor
        await self._notices(services, call, name)
        for report in self.plain.reports:
            got, meant = await _pulled(services, call, report), self._parts(name, report, purpose)
            if got:
                self.had.add((name, report))
            self.require(got == meant, f"{call.purpose}: {name} gets {got} parts of {report} and not {meant}")

    def tell(self, report: str, kind: str) -> None:
        """Say what became of a report, to whoever had it."""
        self.told += [(name, each, kind) for name, each in self.had_before if each == report]

    def require_leave(
        self, author: str, marking: Marking, parts: Collection[Marking], sources: Collection[str]
    ) -> None:
        """Fail where something was marked lower than what it builds on, and by nobody's leave."""
        forbid = self.deriving.in_the_way(author, marking, parts, sources, self.now)
        self.require(not forbid, f"{author} marked {marking} {parts} what builds on {forbid}")

    async def _notices(self, services: Services, call: usecases.Call, name: str) -> None:
        """Have a reader ask what became of what it had: of nothing else it is told, and of all that it may know."""
        found: list[tuple[str, str, str]] = []
        cursor = None
        while True:
            try:
                page = (await usecases.list_notices(services, call, cursor)).value
            except NOT_FOR_IT:
                return
            found += [(name, each.row.report, each.row.kind.value) for each in page.items]
            cursor = page.next
            if not page.items:
                break
        self.require(self.had.issuperset(each[:2] for each in found), f"{name} is told {found} and had {self.had}")
        meant = [each for each in self.told if each[0] == name]
        self.require(not Counter(meant) - Counter(found), f"{name} is told {found} and not {meant}")

    def _parts(self, name: str, report: str, purpose: str | None = None) -> int:
        return len(self.plain.parts_for(name, report, self.now, purpose))

    def require(self, holds: bool, why: str) -> None:
        """Fail, with all that was done, unless it `holds`."""
        told = "\n".join((why, *self.said, *(f"{each}: {report}" for each, report in self.plain.reports.items())))
        assert holds, told

    async def _read_on(
        self, services: Services, call: usecases.Call, name: str, cursor: str | None
    ) -> tuple[list[str], str | None]:
        """Return the reports behind a cursor, page by page, and the cursor behind the last."""
        found: list[str] = []
        while True:
            try:
                page = (await usecases.list_reports(services, call, ListQuery(cursor=cursor, limit=3))).value
            except NOT_FOR_IT:
                return [], None
            for item in map(json.loads, page.items):
                found.append(item["id"])
                shown = item["supersedes"], tuple(item["references"])
                meant = self.plain.links_for(name, item["id"], self.now, call.purpose)
                self.require(shown == meant, f"{name} is told of {shown} by {item['id']} and not of {meant}")
            cursor = page.next
            if not page.items:
                return found, cursor

    async def _read_until(self, is_done: asyncio.Event, name: str, report: str, node: int) -> list[int]:
        found: list[int] = []
        while not is_done.is_set() and len(found) < _MOST_READS:
            try:
                found.append(await _pulled(self.nodes[node % len(self.nodes)], self.call(name), report))
            except UnavailableError as exc:
                self.require("ask again" in exc.message, f"{name} is told {exc}")
        return found


@asynccontextmanager
async def walk_through(world: World) -> AsyncIterator[Walk]:
    """Give a walk through a world on two nodes; what it begins beside them ends with it."""
    async with AsyncExitStack() as stack:

        async def begin_node() -> Services:
            return await stack.enter_async_context(world.another_node())

        yield Walk(world, [world.services, await begin_node()], begin_node)


def seeds_asked(usual: str) -> range:
    """Return the seeds that `WALKS` names, as `2-41`, or the `usual` ones."""
    first, _, last = os.environ.get("WALKS", usual).partition("-")
    return range(int(first), int(last or first) + 1)


async def _pulled(services: Services, call: usecases.Call, report: str) -> int:
    try:
        return len((await usecases.pull_report(services, call, report)).value.parts)
    except NOT_FOR_IT:
        return 0


def _is_turn(found: list[int], before: int, after: int) -> bool:
    """Return whether it is what was before and then what is after: nobody who has seen a change sees it undone."""
    turned = next((number for number, each in enumerate(found) if each != before), len(found))
    return found == [before] * turned + [after] * (len(found) - turned)
