"""Streams: how soon a FLASH report reaches who listens, and what a stream costs while nothing comes."""

import asyncio
import json
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from time import perf_counter

import httpx2
import uvloop

from benchmarks.copying import copy_database
from benchmarks.places import SCOPE, Person, Place, parties_of
from benchmarks.progress import timed
from benchmarks.results import BenchmarkError, Result
from benchmarks.servers import Server, serve_exchange
from tests.support.postgres import private_cluster

STREAM_NAMES = ("flash_p99_ms", "idle_stream_kb")
LISTENERS = 200
REPORTS = 40

_AT_ONCE = 50
"""Handshakes on their way: more only wait for each other."""
_WAIT_SECONDS = 60.0
_IDLE_SECONDS = 5.0
_ASK = b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
_SETTINGS = "\nstreams_per_client = 1000000\n"


@dataclass
class Listeners:
    """Streams of one reader, and when each of them was told of which report."""

    person: Person
    server: Server
    told: dict[str, list[float]] = field(default_factory=dict)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _reading: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self, count: int) -> None:
        """Open so many more; BenchmarkError where one is refused."""
        context = ssl.create_default_context(cafile=str(self.person.folder / "ca.pem"))
        context.load_cert_chain(self.person.folder / "client.pem", self.person.folder / "client.key")
        room = asyncio.Semaphore(_AT_ONCE)

        async def one() -> None:
            async with room:
                reader, writer = await asyncio.open_connection(
                    self.server.host, self.server.port, ssl=context, server_hostname="localhost"
                )
                writer.write(_ASK)
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    raise BenchmarkError(f"a stream was refused: {head[:200]!r}")
                self._writers.append(writer)
                self._reading.append(asyncio.create_task(self._read(reader)))

        await asyncio.gather(*(one() for _ in range(count)))

    async def all_told(self, report: str) -> list[float]:
        """Return when each stream was told of a report, once all were."""
        async with asyncio.timeout(_WAIT_SECONDS):
            while len(self.told.get(report, ())) < len(self._writers):  # noqa: ASYNC110  thousands would set an event
                await asyncio.sleep(0.005)
        return self.told.pop(report)

    async def close(self) -> None:
        """End them all."""
        for task in self._reading:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._reading, return_exceptions=True)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        async for line in reader:
            if line.startswith(b"data: {"):
                report = json.loads(line[6:]).get("id")
                self.told.setdefault(report, []).append(perf_counter())


def stream_figures(place: Place, backends: Sequence[str], idle: int, names: frozenset[str]) -> list[Result]:
    """Return the figures of streams on each database; nobody has posted in `place`, and nobody else will."""
    with (place.folder / "exchange.toml").open("a") as settings:
        settings.write(_SETTINGS)
    results: list[Result] = []
    for backend in backends:
        with _database(place, backend) as url, serve_exchange(place.folder, url) as server:
            results += uvloop.run(_measured(place, server, backend, idle, names))
    return results


@contextmanager
def _database(place: Place, backend: str) -> Iterator[str | None]:
    if backend == "sqlite":
        yield None
        return
    with private_cluster(fsync=True) as url:
        copy_database(place.database, url, 0, title="nobody's reports, PostgreSQL")
        yield url


async def _measured(place: Place, server: Server, backend: str, idle: int, names: frozenset[str]) -> list[Result]:
    results = []
    if "flash_p99_ms" in names:
        with timed(f"{backend}: flash_p99_ms"):
            results.append(await _flash(place, server, backend))
    if "idle_stream_kb" in names:
        with timed(f"{backend}: idle_stream_kb"):
            results.append(await _idle(place, server, backend, idle))
    return results


async def _flash(place: Place, server: Server, backend: str) -> Result:
    listeners = Listeners(place.readers[0], server)
    await listeners.open(LISTENERS)
    writer = place.contributors[0]
    context = ssl.create_default_context(cafile=str(writer.folder / "ca.pem"))
    context.load_cert_chain(writer.folder / "client.pem", writer.folder / "client.key")
    url = f"https://{server.host}:{server.port}"
    seconds: list[float] = []
    async with httpx2.AsyncClient(verify=context, base_url=url, timeout=_WAIT_SECONDS) as http:
        for number in range(REPORTS):
            begun = perf_counter()
            answer = await http.post("/v1/reports", json=_report(place, number))
            if answer.status_code != 201:
                raise BenchmarkError(f"a post was refused: {answer.text[:300]}")
            times = await listeners.all_told(answer.json()["id"])
            # What made the class and its first readers is another cost than that of each report after it.
            seconds += [] if number == 0 else [time - begun for time in times]
    await listeners.close()
    cuts = quantiles(seconds, n=100)
    told = f"{LISTENERS} streams, {REPORTS - 1} FLASH posts one by one, from the post's first byte"
    note = f"{told}; p50 {cuts[49] * 1e3:.0f} ms; target <= 1,000"
    return Result("flash_p99_ms", backend, cuts[98] * 1e3, "ms", None, None, REPORTS - 1, note)


async def _idle(place: Place, server: Server, backend: str, idle: int) -> Result:
    everybody = [Listeners(person, server) for person in place.readers]
    for each in everybody:
        await each.open(1)
    before = server.rss_mb()
    begun, share_of_each = perf_counter(), idle // len(everybody)
    for each in everybody:
        await each.open(share_of_each)
    took = perf_counter() - begun
    after = server.rss_mb()
    cpu, begun = server.cpu_seconds(), perf_counter()
    await asyncio.sleep(_IDLE_SECONDS)
    share = (server.cpu_seconds() - cpu) / (perf_counter() - begun)
    for each in everybody:
        await each.close()
    note = f"{idle:,} idle streams opened in {took:.0f} s; {share:.1%} of a core while idle, {after:,.0f} MB in all"
    return Result("idle_stream_kb", backend, (after - before) * 1e3 / idle, "KB", None, None, 1, note)


def _report(place: Place, number: int) -> dict[str, object]:
    label = {"policy": "NATO", "classification": "SECRET", "releasable_to": sorted(parties_of(0))}
    part = {"media_type": "text/plain", "name": "a.txt", "content": "Seen again.", "encoding": "utf-8"}
    return {
        "agreement": place.agreements[0],
        "scope": SCOPE,
        "kind": "intrep",
        "topic": "cyber.apt",
        "regions": ["EUR"],
        "precedence": "FLASH",
        "subject": f"flash {number}",
        "label": label,
        "parts": [part],
    }
