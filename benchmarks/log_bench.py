"""The log: what it costs an append, how soon an entry has its checkpoint, what a proof costs, how cost grows.

Every ratio is of rounds that took turns: the same inserts without the log are its floor. With the log a sequencer runs
in a process of its own, as it does beside a service, and is given time to finish between rounds.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from unittest.mock import patch

from benchmarks.cases import Pace
from benchmarks.exporting import EXPORT_NAME, export_figure
from benchmarks.log_filling import draft, fill_log
from benchmarks.progress import timed
from benchmarks.results import BenchmarkError, Result
from exchange.crypto import SEED_BYTES, SignatureScheme, SigningKey
from exchange.custody import create_log_key, load_log_key
from exchange.entrypoints.jobs.sequencer import Job, SequencerLoop, stop_on_signals
from exchange.kernel import system_clock
from exchange.store import Store, migrate
from exchange.store.books.personal_keys import PersonalCustody
from exchange.store.database.dialect import Sql
from exchange.store.log.last_signed import LastSignedFile
from exchange.store.log.sequencing import LogTree
from exchange.store.writer.write_statements import WriteStatements
from exchange.usecases.log.sequence_log import Desk, Sequencer
from exchange.usecases.log.sweep_log import Index, Sweep
from tests.support.postgres import beside, execute, private_cluster
from tests.support.store import wrap_nothing

LOG_NAMES = (
    "append_log_ratio_1",
    "append_log_ratio_4",
    "append_log_ratio_16",
    "entry_to_checkpoint_ms",
    "proof_ms",
    "log_append_flat",
    "log_sequence_flat",
)

_UNDER_LOAD = 4
"""So many of the names are measured with a sequencer beside."""
_PROOF, *_FLAT = LOG_NAMES[_UNDER_LOAD:]
_OF_MANY = (*LOG_NAMES[_UNDER_LOAD:], EXPORT_NAME)

_WRITERS = (1, 4, 16)
_PROOFS = 500
_PACE_ROUNDS = 3
_FEW = 10_000
_DRAIN_SECONDS = 120
_WATCHED_SECONDS = 6.0
_ORIGIN = "exchange.example/log/benchmark"


@dataclass(frozen=True, slots=True)
class Bench:
    """Databases on one backend: with the log, the same without it, and a folder for the keys."""

    backend: str
    with_log: str
    without: str
    folder: Path
    pace: Pace


def log_figures(folder: Path, backend: str, many: int, names: frozenset[str], pace: Pace) -> list[Result]:
    """Return those of the log's figures on one backend that are asked for."""
    place = folder / backend
    place.mkdir(parents=True)
    create_log_key(place / "log.key", _ORIGIN, os.urandom)
    with _databases(place, backend) as (with_log, without):
        rows = asyncio.run(_figures(Bench(backend, with_log, without, place, pace), many, names))
    return [row for row in rows if row.name in names]


@contextmanager
def _databases(folder: Path, backend: str) -> Iterator[tuple[str, str]]:
    """Give the addresses of two empty databases."""
    if backend == "sqlite":
        yield f"sqlite+aiosqlite:///{folder}/with.db", f"sqlite+aiosqlite:///{folder}/without.db"
        return
    with private_cluster(fsync=True) as url:
        for name in ("with_log", "without"):
            execute(url.replace("+asyncpg", ""), f"CREATE DATABASE {name}")
        yield beside(url, "with_log"), beside(url, "without")


async def _figures(bench: Bench, many: int, names: frozenset[str]) -> list[Result]:
    results = []
    for url in (bench.with_log, bench.without):
        await migrate(url)
    async with _opened(bench.with_log) as logged, _bare(bench.without) as bare:
        # While it is small: what is appended under load makes it ten times as large.
        few = None if names.isdisjoint(_FLAT) else await _small(bench, logged)
        if not names.isdisjoint(LOG_NAMES[:_UNDER_LOAD]):
            with sequencing(bench):
                results += await _beside(bench, logged, bare, names)
        if not names.isdisjoint(_OF_MANY):
            results += await _grown(bench, logged, many, names, few)
    return results


# ── with and without ───────────────────────────────────────────────────────────────────────────────────────────────


async def _beside(bench: Bench, logged: Store, bare: Store, names: frozenset[str]) -> list[Result]:
    results = []
    for writers in _WRITERS:
        if (name := f"append_log_ratio_{writers}") in names:
            with timed(f"{bench.backend}: {name}"):
                results.append(await _ratio(bench, logged, bare, writers))
    if "entry_to_checkpoint_ms" in names:
        with timed(f"{bench.backend}: entry_to_checkpoint_ms"):
            results.append(await _latency(bench, logged))
    return results


async def _ratio(bench: Bench, logged: Store, bare: Store, writers: int) -> Result:
    pairs, behind = [], []
    for _ in range(bench.pace.rounds):
        without = await _append_rate(bare, writers, bench.pace.seconds)
        with_log = await _append_rate(logged, writers, bench.pace.seconds)
        pairs.append((with_log, without))
        behind.append(await _drained(logged))
    with_log, without = median(each[0] for each in pairs), median(each[1] for each in pairs)
    ratio = median(one / other for one, other in pairs)
    note = (
        f"{with_log:,.0f} durable entries/s with the log, {without:,.0f} without, {writers} at once; "
        f"the sequencer was done {median(behind):.2f} s later; target >= 0.75"
    )
    return Result(f"append_log_ratio_{writers}", bench.backend, ratio, "x", 1.0, ratio, bench.pace.rounds, note)


async def _append_rate(store: Store, writers: int, seconds: float) -> float:
    begin = perf_counter()
    end, count = begin + seconds, 0

    async def write() -> None:
        nonlocal count
        while perf_counter() < end:
            await store.append(draft())
            count += 1

    await asyncio.gather(*(write() for _ in range(writers)))
    return count / (perf_counter() - begin)


async def _drained(store: Store) -> float:
    """Wait until nothing waits for its place, and return how long that took."""
    begin = perf_counter()
    while (await store.log.backlog()).count:
        if perf_counter() - begin > _DRAIN_SECONDS:
            raise BenchmarkError("the sequencer does not get through what waits")
        await asyncio.sleep(0.02)
    return perf_counter() - begin


async def _latency(bench: Bench, store: Store) -> Result:
    """Measure from the answer of an append to the checkpoint over its entry, while 16 others append."""
    seen: list[float] = []
    load = asyncio.create_task(_append_rate(store, 16, _WATCHED_SECONDS))
    await asyncio.sleep(0.5)
    watched = []
    while not load.done():
        receipt = await store.append(draft())
        watched.append(asyncio.create_task(_placed(store, receipt.entry, seen)))
        await asyncio.sleep(0.02)
    rate = await load
    await asyncio.gather(*watched)
    p50, p99 = median(seen) * 1000, quantiles(seen, n=100)[98] * 1000
    note = f"p99 of {len(seen)}, p50 {p50:.0f} ms, while {rate:,.0f} entries/s came; target <= 1,000"
    return Result("entry_to_checkpoint_ms", bench.backend, p99, "ms", None, None, 1, note)


async def _placed(store: Store, entry_id: str, seen: list[float]) -> None:
    begin = perf_counter()
    while await store.log.leaf(entry_id) is None:  # noqa: ASYNC110  it is another process that places it
        await asyncio.sleep(0.01)
    seen.append(perf_counter() - begin)


# ── proofs and growth ──────────────────────────────────────────────────────────────────────────────────────────────


async def _small(bench: Bench, store: Store) -> tuple[float, float]:
    async with _at_desk(bench, store) as desk:
        await fill_log(desk, _FEW, bench.folder.with_name("few"), title=f"{_FEW:,} places, {bench.backend}")
        with timed(f"{bench.backend}: {', '.join(_FLAT)} at {_FEW:,}"):
            return await _pace(desk, store)


async def _grown(
    bench: Bench, store: Store, many: int, names: frozenset[str], few: tuple[float, float] | None
) -> list[Result]:
    """Return the figures of a log of `many` entries, which is filled once for all of them."""
    results = []
    async with _at_desk(bench, store) as desk:
        with timed(f"{bench.backend}: {many:,} entries with places filled in"):
            await fill_log(desk, many, bench.folder.with_name("many"), title=f"{many:,} places, {bench.backend}")
        if _PROOF in names:
            with timed(f"{bench.backend}: {_PROOF}"):
                results.append(await _proofs(bench, store))
        if few is not None:
            with timed(f"{bench.backend}: {', '.join(_FLAT)} at {many:,}"):
                results += _flat(bench.backend, many, few, await _pace(desk, store))
    if EXPORT_NAME in names:
        with timed(f"{bench.backend}: {EXPORT_NAME}"):
            results.append(await export_figure(bench.backend, bench.with_log, store, bench.folder))
    return results


def _flat(backend: str, many: int, few: tuple[float, float], more: tuple[float, float]) -> Iterator[Result]:
    sizes = f"{_FEW:,} and at {many:,} entries; cost at most 1.3 times as much is the target"
    for name, what, before, after in zip(_FLAT, (" appends/s", "/s"), few, more, strict=True):
        note = f"{before:,.0f} and {after:,.0f}{what} at {sizes}"
        yield Result(name, backend, before / after, "x", 1.0, before / after, _PACE_ROUNDS, note)


async def _pace(desk: Desk, store: Store) -> tuple[float, float]:
    """Return appends and places a second at the present size, each by itself."""
    appends, places = [], []
    sequencer = Sequencer(desk)
    for _ in range(_PACE_ROUNDS):
        appends.append(await _append_rate(store, 16, 1.0))
        begin, count = perf_counter(), (await store.log.backlog()).count
        while (await store.log.backlog()).count:
            await sequencer.step()
        places.append(count / (perf_counter() - begin))
    return median(appends), median(places)


async def _proofs(bench: Bench, store: Store) -> Result:
    state = await store.log.state()
    if state is None:
        raise BenchmarkError("there is no log to prove anything in")
    chosen = random.Random(7)
    seen, reads = [], []
    for _ in range(_PROOFS):
        index = chosen.randrange(state.size)
        begin = perf_counter()
        await store.log.leaf_hashes(state.log, index, index + 1)
        reads.append(perf_counter() - begin)
        begin = perf_counter()
        await store.log.inclusion_proof(state.log, index, state.size)
        seen.append(perf_counter() - begin)
    p99, floor = quantiles(seen, n=100)[98] * 1000, median(reads) * 1000
    note = f"p99 of {_PROOFS}, p50 {median(seen) * 1000:.2f} ms, {state.size:,} entries; one row: floor; target <= 2"
    return Result("proof_ms", bench.backend, p99, "ms", floor, p99 / floor, 1, note)


# ── processes ──────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def sequencing(bench: Bench) -> Iterator[None]:
    """Sequence the log in a process of its own, as beside a service."""
    process = get_context("spawn").Process(target=_be_sequencer, args=(bench,))
    process.start()
    try:
        yield
    finally:
        if process.pid is not None:
            os.kill(process.pid, signal.SIGTERM)
        process.join()


def _be_sequencer(bench: Bench) -> None:
    asyncio.run(_sequence(bench))


async def _sequence(bench: Bench) -> None:
    stopping = asyncio.Event()
    stop_on_signals(stopping, interrupts=False)
    async with _opened(bench.with_log) as store:
        desk = await _desk(bench, store)
        sweep = Sweep(desk.tree, desk.record, desk.clock, desk.randomness)
        await SequencerLoop(Job(Sequencer(desk), sweep, Index(desk.tree))).run(stopping)
        await desk.tree.close()


@asynccontextmanager
async def _at_desk(bench: Bench, store: Store) -> AsyncIterator[Desk]:
    desk = await _desk(bench, store)
    try:
        yield desk
    finally:
        await desk.tree.close()


async def _desk(bench: Bench, store: Store) -> Desk:
    return Desk(
        tree=await LogTree.open(bench.with_log),
        key=load_log_key(bench.folder / "log.key"),
        file=LastSignedFile(bench.folder / "last-signed.json"),
        record=store.append,
        clock=system_clock,
        randomness=os.urandom,
    )


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Store]:
    identity = SigningKey.from_seed(SignatureScheme.ED25519, os.urandom(SEED_BYTES))
    store = await Store.open(
        url,
        node="benchmark",
        clock=system_clock,
        randomness=os.urandom,
        identity=identity,
        personal=PersonalCustody(wrap_nothing, os.urandom(32)),
    )
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _bare(url: str) -> AsyncIterator[Store]:
    """Open a store that writes the same entries and nothing for the log."""
    compiled = WriteStatements.compiled

    def without_outbox(sql: Sql) -> WriteStatements:
        plain = sql.insert("audit_entry", ("id", "content"))
        return replace(compiled(sql), entry=plain, outbox=None)

    with patch.object(WriteStatements, "compiled", without_outbox):
        async with _opened(url) as store:
            yield store
