"""Treaties that move: what an amendment would change, told before it is signed; what its last signature costs
everybody else; how soon a recall holds on another node.

Everything is done as its user does it: proposal, signatures and recall through the use cases, in a process that is no
server (one more node on the database); the requests that must not wait through real connections to `exchange serve`.
"""

import asyncio
import json
import sqlite3
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import ExitStack, asynccontextmanager
from statistics import median
from time import perf_counter
from types import TracebackType
from typing import Self

import asyncpg

from benchmarks.founding import AGREEMENT, call_as, enrol_releaser, sign_as
from benchmarks.places import SCOPE, Person, Place, parties_of
from benchmarks.progress import timed
from benchmarks.results import BenchmarkError, Result
from benchmarks.servers import Server, database_at, serve_exchange
from exchange.agreements import Agreement, Amendment, amended
from exchange.cli.instance import Host, open_host
from exchange.usecases import propose_amendment, recall_report

DIFF_NAME = "agreement_diff_s"
ACTIVATION_NAME = "activation_blocks_ms"
RECALL_NAME = "recall_elsewhere_ms"
MOVING_NAMES = (ACTIVATION_NAME, RECALL_NAME)
TREATY_NAMES = (DIFF_NAME, *MOVING_NAMES)

SPREAD_ONE_IN = 10
"""In the world of these figures but the first, nine reports in ten are of the agreement that is amended."""

_RUNS = 3
_PROBES = 6
_PAUSE_SECONDS = 0.005
_WINDOW_SECONDS = 1.5
_RECALLS = 50
_PARTIES = parties_of(0)
_LIST = "/v1/reports?limit={limit}"


def diff_figure(backend: str, place: Place, url: str | None, reports: int) -> Result:
    """Return how long a party waits for what an amendment would change, beside the bare count of the same reports."""
    with database_at(url):
        seconds, told = asyncio.run(_diffs(backend, place))
    floor = _bare_count(place, url)
    value = median(seconds)
    note = f"{reports:,} reports, 50 agreements; slowest {max(seconds):.2f}; `{told}`; target <= 5"
    return Result(DIFF_NAME, backend, value, "s", floor, floor / value, _RUNS, note)


def moving_figures(backend: str, place: Place, url: str | None, names: frozenset[str]) -> list[Result]:
    """Return what an amendment's last signature costs others, and how soon a recall holds on the other node."""
    results = []
    with database_at(url), ExitStack() as stack:
        servers = [stack.enter_context(serve_exchange(place.folder, url)) for _ in range(2)]
        if ACTIVATION_NAME in names:
            with timed(f"{backend}: {ACTIVATION_NAME}"):
                results.append(asyncio.run(_activations(backend, place, servers[0])))
        if RECALL_NAME in names:
            with timed(f"{backend}: {RECALL_NAME}"):
                results.append(asyncio.run(_recalls(backend, place, servers)))
    return results


# ── what would change ──────────────────────────────────────────────────────────────────────────────────────────────


async def _diffs(backend: str, place: Place) -> tuple[list[float], str]:
    """Return the seconds of several proposals, and the last line of what the first one was told."""
    seconds, told = [], ""
    async with open_host(place.folder) as host:
        for number in range(_RUNS):
            # Each is another text: what was proposed once cannot be proposed again, and a copied database knows it.
            text = _text("CONFIDENTIAL", title=f"what would change {number}, {backend}")
            begin = perf_counter()
            view = (await propose_amendment(host.services, call_as(host, _PARTIES[0]), place.agreements[0], text)).value
            seconds.append(perf_counter() - begin)
            told = view.changes[-1]
    return seconds, told


def _bare_count(place: Place, url: str | None) -> float:
    """Return the median seconds of one statement that counts the agreement's current reports by class."""
    counted = "SELECT class_id, count(*) FROM report WHERE agreement = {} AND status = 'current' GROUP BY class_id"
    return median(_counted(place, url, counted) for _ in range(_RUNS))


def _counted(place: Place, url: str | None, statement: str) -> float:
    agreement = place.agreements[0]
    begin = perf_counter()
    if url is None:
        connection = sqlite3.connect(place.database)
        rows = connection.execute(statement.format("?"), (agreement,)).fetchall()
        connection.close()
    else:
        rows = asyncio.run(_fetched(url, statement.format("$1"), agreement))
    if not rows:
        raise BenchmarkError("the agreement has no reports")
    return perf_counter() - begin


async def _fetched(url: str, statement: str, *values: object) -> list[object]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return list(await connection.fetch(statement, *values))
    finally:
        await connection.close()


# ── while others ask ───────────────────────────────────────────────────────────────────────────────────────────────


async def _activations(backend: str, place: Place, server: Server) -> Result:
    before, after = [], []
    outsiders = [each for each in place.readers if each.member not in _PARTIES][:_PROBES]
    async with open_host(place.folder) as host, _probing(server, outsiders) as probes:
        changed = await _changed(host, place)
        for number in range(_RUNS):
            ceiling = "CONFIDENTIAL" if number % 2 == 0 else "SECRET"
            amendment, agreement = await _proposed(host, place, ceiling, number)
            target = amended(agreement, amendment.terms, amendment.proposed_at)
            for member in _PARTIES[:-1]:
                await sign_as(host, member, target)
            before.append(await _longest(probes, None))
            # In a thread with a loop of its own: what it computes must not keep the probes from asking.
            after.append(await _longest(probes, asyncio.to_thread(_sign_last, place, target)))
    value, floor = median(after), median(before)
    note = (
        f"longest answer to {_PROBES} readers of other agreements in the {_WINDOW_SECONDS} s of an amendment's last "
        f"signature, which moves {changed:,} reports; the floor is the same without one; target <= 50 more"
    )
    return Result(ACTIVATION_NAME, backend, value, "ms", floor, floor / value, _RUNS, note)


async def _changed(host: Host, place: Place) -> int:
    """Return how many current reports the amendment takes from the second party's readers."""
    view = (
        await propose_amendment(
            host.services, call_as(host, _PARTIES[0]), place.agreements[0], _text("CONFIDENTIAL", title="counted")
        )
    ).value
    told = next(line for line in view.changes if f"readable to {_PARTIES[1]}" in line)
    return int(told.split(", ")[1].split()[0])


async def _proposed(host: Host, place: Place, ceiling: str, number: int) -> tuple[Amendment, Agreement]:
    text = _text(ceiling, title=f"amendment {number}")
    view = (await propose_amendment(host.services, call_as(host, _PARTIES[0]), place.agreements[0], text)).value
    return view.amendment, view.agreement


def _sign_last(place: Place, target: Agreement) -> None:
    async def sign() -> None:
        async with open_host(place.folder) as host:
            await sign_as(host, _PARTIES[-1], target)

    asyncio.run(sign())


# ── on the other node ──────────────────────────────────────────────────────────────────────────────────────────────


async def _recalls(backend: str, place: Place, servers: list[Server]) -> Result:
    owner = _PARTIES[1]
    reader = next(each for each in place.readers if each.member in _PARTIES and each.member != owner)
    async with open_host(place.folder) as host, _Probe(servers[1], reader) as elsewhere:
        await enrol_releaser(host, owner)
        _, page = await elsewhere.get(_LIST.format(limit=500))
        reports = [each["id"] for each in json.loads(page)["items"] if each["originator"] == owner][:_RECALLS]
        effective, pulls = [], []
        for report in reports:
            begin = perf_counter()
            status, _ = await elsewhere.get(f"/v1/reports/{report}")
            pulls.append(perf_counter() - begin)
            if status != 200:
                raise BenchmarkError(f"the report to recall answers {status}")
            await recall_report(host.services, call_as(host, owner, "releaser"), report, "sent by mistake")
            begin = perf_counter()
            while status == 200:
                status, _ = await elsewhere.get(f"/v1/reports/{report}")
            effective.append(perf_counter() - begin)
    slowest = sorted(effective)[len(effective) * 99 // 100] * 1000
    floor = median(pulls) * 1000
    note = f"from the answer to a recall to the first refusal on another node, 99th of {len(effective)}; median "
    note += f"{median(effective) * 1000:.1f}; the floor is a pull there; target <= 100"
    return Result(RECALL_NAME, backend, slowest, "ms", floor, floor / slowest, len(effective), note)


# ── probes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Probe:
    """A connection of one reader: `seen` are the seconds of each answer, `answered` is set once there is one."""

    def __init__(self, server: Server, person: Person) -> None:
        self._server = server
        self._context = ssl.create_default_context(cafile=person.folder / "ca.pem")
        self._context.load_cert_chain(person.folder / "client.pem", person.folder / "client.key")
        self.seen: list[float] = []
        self.answered = asyncio.Event()

    async def __aenter__(self) -> Self:
        address = (self._server.host, self._server.port)
        self._reader, self._writer = await asyncio.open_connection(*address, ssl=self._context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, e: BaseException | None, t: TracebackType | None
    ) -> None:
        self._writer.close()

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of one answer."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        return int(head.split(b" ", 2)[1]), await self._reader.readexactly(length)

    def begin(self) -> None:
        """Forget what was seen."""
        self.seen.clear()
        self.answered.clear()

    async def keep_asking(self) -> None:
        """Ask for a short list again and again."""
        while True:
            begin = perf_counter()
            status, _ = await self.get(_LIST.format(limit=1))
            if status != 200:
                raise BenchmarkError(f"a list answers {status}")
            self.seen.append(perf_counter() - begin)
            self.answered.set()
            await asyncio.sleep(_PAUSE_SECONDS)


@asynccontextmanager
async def _probing(server: Server, people: list[Person]) -> AsyncIterator[list[_Probe]]:
    """Let each of `people` ask all the while."""
    async with asyncio.TaskGroup() as tasks:
        probes = [_Probe(server, person) for person in people]
        for probe in probes:
            await probe.__aenter__()
        asking = [tasks.create_task(probe.keep_asking()) for probe in probes]
        await asyncio.sleep(1)
        yield probes
        for task in asking:
            task.cancel()


async def _longest(probes: list[_Probe], meanwhile: Awaitable[None] | None) -> float:
    """Return the longest answer, in milliseconds, to anyone in one window, in which `meanwhile` is done."""
    for probe in probes:
        probe.begin()
    ending = asyncio.sleep(_WINDOW_SECONDS)
    await (ending if meanwhile is None else asyncio.gather(ending, meanwhile))
    # An answer that took longer than the window is the longest one.
    for probe in probes:
        await probe.answered.wait()
    return max(max(probe.seen) for probe in probes) * 1000


def _text(ceiling: str, *, title: str) -> str:
    """Return another text for the first agreement: with this ceiling, for older reports too."""
    parties = ", ".join(_PARTIES)
    text = AGREEMENT.format(number=0, parties=parties, scope=SCOPE, ceiling=ceiling)
    first, rest = text.split("\n", 1)
    return f"{first}, {title}\nolder_reports: included\n{rest}"
