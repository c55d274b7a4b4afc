"""`python -m benchmarks.soak [--minutes 20] [--backend postgresql] [--workers 2]`: mixed load, looked at every minute.

Posts, pulls and lists by sixteen connections each, anew in every slice, while memory, connections and latency are
noted. The first slices warm up; of the others the last third may not be worse than the first. Exit 1 where one is.
"""

import argparse
import asyncio
import json
import re
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.copying import copy_database
from benchmarks.filling import fill
from benchmarks.founding import found
from benchmarks.places import Place
from benchmarks.progress import say
from benchmarks.requests import lists, posts, pulls, sights_of
from benchmarks.servers import Server, load, serve_exchange
from tests.support.postgres import private_cluster

_REPORTS = 100_000
_SLICES = 20
_WARM_SHARE = 0.2
_MOST_MEMORY_GROWTH, _SPARE_MB = 1.05, 10.0
_MOST_LATENCY_GROWTH = 1.5
"""Other processes share the machine; what leaks grows by more than half within the time."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at the end of a slice; `connections` once the load has gone."""

    minute: float
    per_second: float
    p50_ms: float
    p99_ms: float
    memory_mb: float
    connections: int


def main(words: Sequence[str]) -> int:
    """Run the soak and say whether anything grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--backend", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="where the figures go as JSON")
    given = parser.parse_args(words)
    folder = Path(tempfile.mkdtemp(prefix="exchange-soak-"))
    try:
        place = asyncio.run(found(folder / "instance"))
        fill(place, _REPORTS, title=f"{_REPORTS:,} reports")
        with _database(place, given.backend) as url, serve_exchange(place.folder, url, workers=given.workers) as server:
            looks = list(_soak(place, server, given.minutes))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if given.out:
        given.out.write_text(json.dumps([asdict(each) for each in looks], indent=1))
    grown = growth(looks)
    for each in grown:
        say(f"GREW: {each}")
    say("nothing grew" if not grown else f"{len(grown)} grew")
    return 1 if grown else 0


def growth(looks: Sequence[Look]) -> list[str]:
    """Return what is worse in the last third than in the first, once warm."""
    warm = looks[int(len(looks) * _WARM_SHARE) :]
    third = max(1, len(warm) // 3)
    first, last = warm[:third], warm[-third:]

    def both(name: str) -> tuple[float, float]:
        return median(getattr(each, name) for each in first), median(getattr(each, name) for each in last)

    found = []
    before, after = both("memory_mb")
    if after > before * _MOST_MEMORY_GROWTH + _SPARE_MB:
        found.append(f"memory from {before:.0f} to {after:.0f} MB")
    before, after = both("p99_ms")
    if after > before * _MOST_LATENCY_GROWTH:
        found.append(f"p99 from {before:.1f} to {after:.1f} ms")
    before, after = both("connections")
    if after > before:
        found.append(f"connections left open from {before:.0f} to {after:.0f}")
    return found


@contextmanager
def _database(place: Place, backend: str) -> Iterator[str | None]:
    if backend == "sqlite":
        yield None
        return
    with private_cluster(fsync=True) as url:
        copy_database(place.database, url, _REPORTS, title="PostgreSQL")
        yield url


def _soak(place: Place, server: Server, minutes: float) -> Iterator[Look]:
    sights, _ = asyncio.run(sights_of(place))
    callers = [*pulls(sights).callers, *lists(sights).callers, *posts(place).callers]
    seconds = minutes * 60 / _SLICES
    for number in range(1, _SLICES + 1):
        seen = load(server, callers, seconds=seconds - 1.0)
        memory, connections = _figures(place.folder)
        look = Look(number * seconds / 60, seen.per_second, seen.p50_ms, seen.p99_ms, memory, connections)
        say(
            f"{look.minute:5.1f} min  {look.per_second:7,.0f}/s  p50 {look.p50_ms:6.1f}  p99 {look.p99_ms:6.1f} ms"
            f"  memory {look.memory_mb:6.1f} MB  connections {look.connections}"
        )
        yield look


def _figures(folder: Path) -> tuple[float, int]:
    """Return the memory of all workers in MB and their open connections, a second after the load has gone."""
    address = re.findall(r'"address": "([^"]+)"', (folder / "server.log").read_text())[-1]
    asyncio.run(asyncio.sleep(1.5))  # the workers note what they hold once a second
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()

    def total(name: str) -> float:
        return sum(float(each) for each in re.findall(rf"^{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE))

    return total("exchange_worker_memory_bytes") / 1e6, round(total("exchange_http_connections_open"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
