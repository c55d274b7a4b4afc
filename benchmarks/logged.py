"""What the log costs a pull: the same worker, with the log's jobs beside it and without, in turns.

Without them an entry is as durable and its receipt the same, and it waits for its place; with them it is placed, signed
for, made searchable and evaluated meanwhile. Before each turn with them, all that waited is done.
"""

import asyncio
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.cases import Pace, answer_bytes
from benchmarks.progress import say
from benchmarks.requests import Requests
from benchmarks.results import BenchmarkError, Result
from benchmarks.servers import Server, database_at, load, run_jobs, serve_exchange
from exchange.cli.instance import open_host
from exchange.store import Store

LOGGED_NAME = "pull_log_ratio"

_DONE_SECONDS = 120


def logged_figure(backend: str, folder: Path, url: str | None, requests: Requests, pace: Pace) -> Result:
    """Return the rate of pulls with the log's jobs beside the worker, over the rate without: the median of turns."""
    say(f"{backend}: pulls with the log's jobs and without")
    turns = []
    with serve_exchange(folder, url, jobs=False) as server:
        answer_bytes(server, requests, pace)
        for number in range(1, pace.rounds + 1):
            turns.append(_turn(server, folder, url, requests, pace))
            beside, alone = turns[-1]
            say(f"  {number}/{pace.rounds}: {beside:,.0f}/s with, {alone:,.0f}/s without")
    beside, alone = (median(each) for each in zip(*turns, strict=True))
    ratio = median(one / other for one, other in turns)
    note = f"{beside:,.0f} pulls/s with the log's jobs beside the worker, {alone:,.0f} without; target >= 0.85"
    return Result(LOGGED_NAME, backend, ratio, "x", 1.0, ratio, pace.rounds, note)


def _turn(server: Server, folder: Path, url: str | None, requests: Requests, pace: Pace) -> tuple[float, float]:
    with run_jobs(folder, url):
        with database_at(url):
            asyncio.run(_done(folder))
        beside = _rate(server, requests, pace)
    return beside, _rate(server, requests, pace)


def _rate(server: Server, requests: Requests, pace: Pace) -> float:
    return load(server, requests.callers, seconds=pace.seconds, warm_seconds=pace.warm_seconds).per_second


async def _done(folder: Path) -> None:
    """Wait until every entry has its place, is found by search, and was evaluated."""
    end = perf_counter() + _DONE_SECONDS
    async with open_host(folder) as host:
        while not await _is_done(host.services.store):
            if perf_counter() > end:
                raise BenchmarkError("the log's jobs do not get through what waits")
            await asyncio.sleep(0.1)


async def _is_done(store: Store) -> bool:
    state, position = await store.log.state(), await store.alerts.position()
    if state is None or position is None or (await store.log.backlog()).count:
        return False
    return await store.log.searched(state.log) >= state.size and position.position >= state.size
