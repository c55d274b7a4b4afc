"""`python -m benchmarks [--quick] [--only NAME]... [--backend sqlite|postgresql]`: the whole run.

Steps: (1) an instance with everybody in it; (2) it twice, with few and with many reports; (3) decisions, in this
process; (4) on each database: lists and pulls, the worker's memory after them, then posts; (5) table and JSON.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit, urlunsplit

from benchmarks.cases import Case, Measured, Pace, measure
from benchmarks.caveats import CAVEAT_NAMES, caveats
from benchmarks.copying import copy_database
from benchmarks.decisions import decisions
from benchmarks.exporting import EXPORT_NAME, export_figure
from benchmarks.filling import fill
from benchmarks.founding import found
from benchmarks.inserts import postgres_inserts, sqlite_inserts
from benchmarks.log_bench import LOG_NAMES, log_figures
from benchmarks.logged import LOGGED_NAME, logged_figure
from benchmarks.places import CONNECTIONS, Person, Place
from benchmarks.progress import say
from benchmarks.requests import Sight, lists, posts, pulls, sights_of
from benchmarks.restarting import RESTART_NAME, restart_figure
from benchmarks.results import PAGE, RESULTS, BenchmarkError, Result, beside_former, show, write, write_page
from benchmarks.searches import search_figure
from benchmarks.servers import Server, serve_exchange
from benchmarks.streams import IDLE, QUICK_IDLE, STREAM_NAMES, stream_figures
from benchmarks.treaties import DIFF_NAME, SPREAD_ONE_IN, TREATY_NAMES, diff_figure, moving_figures
from benchmarks.verifying import verifying
from benchmarks.workers import WORKER_NAMES, worker_figures
from tests.support.postgres import execute, private_cluster

NAMES = (
    "pull",
    "list_10k",
    "list_1m",
    "post",
    LOGGED_NAME,
    "decision_cached_us",
    "decision_uncached_us",
    *CAVEAT_NAMES,
    "worker_rss_mb",
    RESTART_NAME,
    *TREATY_NAMES,
    "verify_entries_per_s",
    "audit_search_ms",
    EXPORT_NAME,
    *LOG_NAMES,
    *STREAM_NAMES,
    *WORKER_NAMES,
)
BACKENDS = ("sqlite", "postgresql")
FEW = 10_000
MANY = 1_000_000
QUICK_MANY = 100_000
WITHOUT_REPORTS = {*CAVEAT_NAMES, "verify_entries_per_s", "audit_search_ms", EXPORT_NAME, *LOG_NAMES, *STREAM_NAMES}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    names: frozenset[str]
    backends: tuple[str, ...]
    many: int
    entries: int
    pace: Pace

    @property
    def needs_servers(self) -> bool:
        return not self.names.isdisjoint(
            {
                "pull",
                "list_10k",
                "list_1m",
                "post",
                "worker_rss_mb",
                RESTART_NAME,
                DIFF_NAME,
                LOGGED_NAME,
                *WORKER_NAMES,
            }
        )

    @property
    def moves_treaties(self) -> bool:
        return not self.names.isdisjoint(TREATY_NAMES[1:])


@dataclass(frozen=True, slots=True)
class Filled:
    """An instance with reports, where its database is (None: its own SQLite), and what each reader sees."""

    place: Place
    count: int
    url: str | None
    sights: list[Sight]
    classes: int


def main(words: Sequence[str]) -> int:
    """Measure, print the table, write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_MANY:,} reports instead of {MANY:,}")
    parser.add_argument("--full", action="store_true", help="the default")
    parser.add_argument("--only", action="append", choices=NAMES, help="measure this; may be repeated")
    parser.add_argument("--backend", choices=BACKENDS, help="measure on this database only")
    parser.add_argument("--reports", type=int, help="another number of reports than a million")
    parser.add_argument("--entries", type=int, help="another number of log entries to search than a million")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures go as JSON")
    parser.add_argument(
        "--docs",
        action="store_true",
        help=f"put them into {PAGE.name} and {RESULTS.name} too, in the place of the former ones of their names",
    )
    given = parser.parse_args(words)
    plan = Plan(
        names=frozenset(given.only or NAMES),
        backends=(given.backend,) if given.backend else BACKENDS,
        many=given.reports or (QUICK_MANY if given.quick else MANY),
        entries=given.entries or (QUICK_MANY if given.quick else MANY),
        pace=Pace(3, 1.5) if given.quick else Pace(5, 4.0),
    )
    # Ended from outside, it still takes its databases and servers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begin = perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="exchange-bench-"))
    try:
        results = _results(folder, plan)
    except BenchmarkError as exc:
        say(f"no figures: {exc}")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(results)
    # A part of the figures does not take the place of all of them; with `--docs` each takes that of its own.
    is_whole = plan.names == frozenset(NAMES) and plan.backends == BACKENDS
    kept = results if is_whole else _in_order(beside_former(results, given.out))
    if is_whole or given.docs or given.out != RESULTS:
        write(kept, given.out)
    if given.docs:
        write_page(kept, PAGE)
    say(f"took {perf_counter() - begin:.0f} s")
    return 0


def _alone(folder: Path, plan: Plan) -> list[Result]:
    """Return what needs no reports."""
    alone = verifying() if "verify_entries_per_s" in plan.names else []
    if not plan.names.isdisjoint(CAVEAT_NAMES):
        alone += [row for row in caveats() if row.name in plan.names]
    if not plan.names.isdisjoint(LOG_NAMES):
        for backend in plan.backends:
            alone += log_figures(folder / "log", backend, plan.entries, plan.names)
    if "audit_search_ms" in plan.names:
        alone += [search_figure(backend, folder / "searched", plan.entries) for backend in plan.backends]
    if EXPORT_NAME in plan.names:
        alone += [export_figure(folder / "exported", backend, plan.entries) for backend in plan.backends]
    if not plan.names.isdisjoint(STREAM_NAMES):
        idle = QUICK_IDLE if plan.many < MANY else IDLE
        alone += stream_figures(folder / "streamed", plan.backends, idle, plan.names)
    return alone


def _results(folder: Path, plan: Plan) -> list[Result]:
    alone = _alone(folder, plan)
    if plan.names <= WITHOUT_REPORTS:
        return alone
    # (1) who
    say("members, agreements, clients")
    small = asyncio.run(found(folder / "small"))
    # (2) what is there
    big, moving = _copied(small, folder / "big"), _copied(small, folder / "moving")
    filled = [_filled(small, FEW)]
    if plan.needs_servers:
        filled.append(_filled(big, plan.many))
    # (3) without a server
    results = alone
    if not plan.names.isdisjoint({"decision_cached_us", "decision_uncached_us"}):
        say("decisions")
        results += [row for row in asyncio.run(decisions(small)) if row.name in plan.names]
    # (4) with one
    for backend in plan.backends if plan.needs_servers else ():
        with _databases(backend, filled) as (few, many, inserts):
            results += _over_http(backend, few, many, plan, inserts)
    if plan.moves_treaties:
        results += _moving(moving, plan)
    # (5) in the order in which they are asked about
    return _in_order(results)


def _in_order(results: list[Result]) -> list[Result]:
    places = (*BACKENDS, "-")
    return sorted(results, key=lambda row: (places.index(row.backend), NAMES.index(row.name)))


def _moving(place: Place, plan: Plan) -> list[Result]:
    """Return the figures of treaties that move, on each database, over a world in which most reports are of one."""
    count = plan.many // 2
    fill(place, count, title=f"{count:,} reports, most of one agreement, SQLite", spread_one_in=SPREAD_ONE_IN)
    # One each: what the first round amended and recalled is not to be found in the second.
    places = {backend: _copied(place, place.folder.with_name(f"moving-{backend}")) for backend in plan.backends}
    results = []
    for backend, own in places.items():
        say(f"{backend}: an agreement moves")
        with ExitStack() as stack:
            url = None
            if backend != "sqlite":
                url = stack.enter_context(private_cluster(fsync=True))
                copy_database(own.database, url, count, title=f"{count:,} reports, PostgreSQL")
            results += moving_figures(backend, own, url, plan.names)
    return results


def _copied(place: Place, folder: Path) -> Place:
    """Return the same instance again, in a folder of its own, while nobody serves it."""
    shutil.copytree(place.folder, folder)

    def moved(person: Person) -> Person:
        return replace(person, folder=folder / person.folder.relative_to(place.folder))

    people = ([moved(person) for person in group] for group in (place.readers, place.contributors))
    return Place(folder, place.agreements, *people)


def _filled(place: Place, count: int) -> Filled:
    begin = perf_counter()
    fill(place, count, title=f"{count:,} reports, SQLite")
    sights, classes = asyncio.run(sights_of(place))
    say(f"filled {count:,} reports into SQLite in {perf_counter() - begin:.0f} s")
    return Filled(place, count, None, sights, classes)


@contextmanager
def _databases(backend: str, filled: list[Filled]) -> Iterator[tuple[Filled, Filled, str]]:
    """Give both filled instances on `backend`, and what the database alone can insert."""
    few, many = filled
    if backend == "sqlite":
        yield few, many, sqlite_inserts(few.place.folder)
        return
    with private_cluster(fsync=True) as url:
        parts = urlsplit(url)
        few_url, many_url = (urlunsplit(parts._replace(path=f"/{name}")) for name in ("few", "many"))
        for name in ("few", "many"):
            execute(url.replace("+asyncpg", ""), f"CREATE DATABASE {name}")
        for each, to in ((few, few_url), (many, many_url)):
            begin = perf_counter()
            copy_database(each.place.database, to, each.count, title=f"{each.count:,} reports, PostgreSQL")
            say(f"filled {each.count:,} reports into PostgreSQL in {perf_counter() - begin:.0f} s")
        yield replace(few, url=few_url), replace(many, url=many_url), postgres_inserts(url)


def _over_http(backend: str, few: Filled, many: Filled, plan: Plan, alone: str) -> list[Result]:
    restarted = [restart_figure(backend, many.place.folder, many.url, many.count)] if RESTART_NAME in plan.names else []
    told = [diff_figure(backend, many.place, many.url, many.count)] if DIFF_NAME in plan.names else []
    if not plan.names.isdisjoint(WORKER_NAMES):
        place = many.place.folder
        told += worker_figures(backend, place, many.url, many.sights, pace=plan.pace, names=plan.names)
    if LOGGED_NAME in plan.names:
        told.append(logged_figure(backend, many.place.folder, many.url, pulls(many.sights), plan.pace))
    if plan.names <= {RESTART_NAME, DIFF_NAME, LOGGED_NAME, *WORKER_NAMES}:
        return told + restarted
    say(f"{backend}: {CONNECTIONS} connections, one worker")
    with ExitStack() as stack:
        few_server = stack.enter_context(serve_exchange(few.place.folder, few.url))
        many_server = stack.enter_context(serve_exchange(many.place.folder, many.url))
        reading = [
            Case("list_10k", few_server, lists(few.sights)),
            Case("list_1m", many_server, lists(many.sights)),
            Case("pull", many_server, pulls(many.sights)),
        ]
        measured = measure(_chosen(reading, plan), many.place.folder, plan.pace)
        results = [each.result(backend, _note(each, measured, few, many)) for each in measured]
        if "worker_rss_mb" in plan.names:
            results.append(_memory(backend, many_server, many, measured))
        posting = _chosen([Case("post", many_server, posts(many.place))], plan)
        results += [each.result(backend, f"8 KiB; {alone}") for each in measure(posting, many.place.folder, plan.pace)]
    return results + told + restarted


def _chosen(cases: list[Case], plan: Plan) -> list[Case]:
    # Memory is what these leave behind, so they run for its sake too.
    wanted = plan.names | ({"list_1m", "pull"} if "worker_rss_mb" in plan.names else set())
    return [case for case in cases if case.name in wanted]


def _note(each: Measured, measured: list[Measured], few: Filled, many: Filled) -> str:
    if each.case.name == "pull":
        return f"8 KiB, {many.count:,} reports"
    filled = few if each.case.name == "list_10k" else many
    sees = len(filled.sights[0].listed) / filled.count
    told = f"{filled.count:,} reports, the reader sees {sees:.1%} of them in {filled.classes} classes"
    rates = {one.case.name: one.rate for one in measured}
    if each.case.name == "list_1m" and "list_10k" in rates:
        told += f"; {rates['list_10k'] / rates['list_1m']:.2f} times the cost at {few.count:,}"
    return told


def _memory(backend: str, server: Server, many: Filled, measured: list[Measured]) -> Result:
    runs = len(measured[0].seen) if measured else 0
    note = f"peak after lists and pulls, {many.count:,} reports; target <= 300"
    return Result("worker_rss_mb", backend, server.peak_rss_mb(), "MB", None, None, runs, note)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
