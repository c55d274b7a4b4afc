"""`python -m benchmarks [--quick] [--only NAME]... [--backend sqlite|postgresql]`: the whole run.

Steps: (1) what needs no reports; (2) an instance with everybody in it, and copies of it: with few reports, with many,
with most of one agreement, with none; (3) decisions, in this process; (4) on each database: lists and pulls, the
worker's memory after them, then posts; (5) table and JSON. After each step it says how long that took.
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
from urllib.parse import urlsplit, urlunsplit

from benchmarks.cases import Case, Measured, measure
from benchmarks.caveats import CAVEAT_NAMES, caveats
from benchmarks.copying import copy_database
from benchmarks.decisions import decisions
from benchmarks.filling import fill
from benchmarks.founding import found
from benchmarks.inserts import postgres_inserts, sqlite_inserts
from benchmarks.log_bench import log_figures
from benchmarks.logged import LOGGED_NAME, logged_figure
from benchmarks.places import CONNECTIONS, Person, Place
from benchmarks.plan import (
    BACKENDS,
    DECISIONS,
    FEW,
    MANY,
    NAMES,
    OF_THE_LOG,
    OVER_HTTP,
    QUICK_MANY,
    WITH_SERVERS,
    Plan,
    quick,
    whole,
)
from benchmarks.progress import say, timed, total
from benchmarks.requests import Sight, lists, posts, pulls, sights_of
from benchmarks.restarting import RESTART_NAME, restart_figure
from benchmarks.results import PAGE, RESULTS, BenchmarkError, Result, beside_former, show, write, write_page
from benchmarks.searches import search_figure
from benchmarks.servers import Server, serve_exchange
from benchmarks.streams import STREAM_NAMES, stream_figures
from benchmarks.treaties import DIFF_NAME, MOVING_NAMES, SPREAD_ONE_IN, diff_figure, moving_figures
from benchmarks.verifying import verifying
from benchmarks.workers import WORKER_NAMES, worker_figures
from tests.support.postgres import execute, private_cluster


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
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_MANY:,} reports instead of {MANY:,}, shorter rounds, and without what takes longest",
    )
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
    plan = _plan(given)
    if given.quick and not given.only:
        _say_quick(plan)
    # Ended from outside, it still takes its databases and servers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
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
    is_whole = not given.quick and plan.names == frozenset(NAMES) and plan.backends == BACKENDS
    kept = results if is_whole else _in_order(beside_former(results, given.out))
    if is_whole or given.docs or given.out != RESULTS:
        write(kept, given.out)
    if given.docs:
        write_page(kept, PAGE)
    if given.quick and not given.only:
        _say_quick(plan)
    say(f"took {total()}")
    return 0


def _plan(given: argparse.Namespace) -> Plan:
    backends = (given.backend,) if given.backend else BACKENDS
    plan = (quick if given.quick else whole)(frozenset(given.only or ()), backends)
    return replace(plan, many=given.reports or plan.many, entries=given.entries or plan.entries)


def _say_quick(plan: Plan) -> None:
    left_out = ", ".join(name for name in NAMES if name not in plan.names)
    say(f"quick: {plan.many:,} reports, {plan.pace.rounds} rounds of {plan.pace.seconds} s; left out: {left_out}")


def _alone(folder: Path, plan: Plan) -> list[Result]:
    """Return what needs no instance of ours."""
    alone: list[Result] = []
    if "verify_entries_per_s" in plan.names:
        with timed("verify_entries_per_s"):
            alone += verifying(plan.verified)
    if plan.wants(CAVEAT_NAMES):
        with timed(", ".join(CAVEAT_NAMES)):
            alone += [row for row in caveats() if row.name in plan.names]
    if plan.wants(OF_THE_LOG):
        for backend in plan.backends:
            alone += log_figures(folder / "log", backend, plan.entries, plan.names, plan.log_pace)
        shutil.rmtree(folder / "log")
    if "audit_search_ms" in plan.names:
        alone += [search_figure(backend, folder / "searched", plan.entries) for backend in plan.backends]
        shutil.rmtree(folder / "searched")
    return alone


def _results(folder: Path, plan: Plan) -> list[Result]:
    # (1) without reports
    results = _alone(folder, plan)
    if not plan.wants(WITH_SERVERS | DECISIONS | {*MOVING_NAMES, *STREAM_NAMES}):
        return _in_order(results)
    # (2) who, and what is there
    with timed("members, agreements, clients"):
        small = asyncio.run(found(folder / "small"))
    big, moving, streamed = (_copied(small, folder / name) for name in ("big", "moving", "streamed"))
    if plan.wants(STREAM_NAMES):
        results += stream_figures(streamed, plan.backends, plan.idle, plan.names)
    if plan.wants(MOVING_NAMES):
        results += _moving(moving, plan)
        shutil.rmtree(moving.folder)
    if plan.wants(WITH_SERVERS | DECISIONS):
        results += _of_reports(small, big, plan)
    # (5) in the order in which they are asked about
    return _in_order(results)


def _of_reports(small: Place, big: Place, plan: Plan) -> list[Result]:
    few, results = _filled(small, FEW), []
    # (3) without a server
    if plan.wants(DECISIONS):
        with timed(", ".join(sorted(DECISIONS))):
            results += [row for row in asyncio.run(decisions(small)) if row.name in plan.names]
    # (4) with one
    if plan.wants(WITH_SERVERS):
        filled = [few, _filled(big, plan.many)]
        for backend in plan.backends:
            with _databases(backend, filled) as (few, many, inserts):
                results += _over_http(backend, few, many, plan, inserts)
    return results


def _in_order(results: list[Result]) -> list[Result]:
    places = (*BACKENDS, "-")
    return sorted(results, key=lambda row: (places.index(row.backend), NAMES.index(row.name)))


def _moving(place: Place, plan: Plan) -> list[Result]:
    """Return the figures of treaties that move, on each database, over a world in which most reports are of one."""
    count = plan.many // 2
    with timed(f"{count:,} reports filled in, most of one agreement"):
        fill(place, count, title=f"{count:,} reports, most of one agreement, SQLite", spread_one_in=SPREAD_ONE_IN)
    # Another database each: what the first round amended and recalled is not to be found in the second.
    results = []
    if "postgresql" in plan.backends:
        beside = _copied(place, place.folder.with_name("moving-postgresql"), without=place.database.name)
        with private_cluster(fsync=True) as url:
            with timed(f"{count:,} reports copied into PostgreSQL"):
                copy_database(place.database, url, count, title=f"{count:,} reports, PostgreSQL")
            results += moving_figures("postgresql", beside, url, plan.names)
    if "sqlite" in plan.backends:
        results += moving_figures("sqlite", place, None, plan.names)
    return results


def _copied(place: Place, folder: Path, without: str = "") -> Place:
    """Return the same instance again, in a folder of its own, `without` one file, while nobody serves it."""
    shutil.copytree(place.folder, folder, ignore=shutil.ignore_patterns(without))

    def moved(person: Person) -> Person:
        return replace(person, folder=folder / person.folder.relative_to(place.folder))

    people = ([moved(person) for person in group] for group in (place.readers, place.contributors))
    return Place(folder, place.agreements, *people)


def _filled(place: Place, count: int) -> Filled:
    with timed(f"{count:,} reports filled in"):
        fill(place, count, title=f"{count:,} reports, SQLite")
        sights, classes = asyncio.run(sights_of(place))
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
            with timed(f"{each.count:,} reports copied into PostgreSQL"):
                copy_database(each.place.database, to, each.count, title=f"{each.count:,} reports, PostgreSQL")
        yield replace(few, url=few_url), replace(many, url=many_url), postgres_inserts(url)


def _over_http(backend: str, few: Filled, many: Filled, plan: Plan, alone: str) -> list[Result]:
    folder, url = many.place.folder, many.url
    told = []
    if RESTART_NAME in plan.names:
        with timed(f"{backend}: {RESTART_NAME}"):
            told.append(restart_figure(backend, folder, url, many.count))
    if DIFF_NAME in plan.names:
        with timed(f"{backend}: {DIFF_NAME}"):
            told.append(diff_figure(backend, many.place, url, many.count))
    if plan.wants(WORKER_NAMES):
        with timed(f"{backend}: {', '.join(WORKER_NAMES)}"):
            told += worker_figures(backend, folder, url, many.sights, pace=plan.worker_pace, names=plan.names)
    if LOGGED_NAME in plan.names:
        with timed(f"{backend}: {LOGGED_NAME}"):
            told.append(logged_figure(backend, folder, url, pulls(many.sights), plan.pace))
    return told + (_requested(backend, few, many, plan, alone) if plan.wants(OVER_HTTP) else [])


def _requested(backend: str, few: Filled, many: Filled, plan: Plan, alone: str) -> list[Result]:
    say(f"{backend}: {CONNECTIONS} connections, one worker")
    with ExitStack() as stack:
        few_server = stack.enter_context(serve_exchange(few.place.folder, few.url))
        many_server = stack.enter_context(serve_exchange(many.place.folder, many.url))
        reading = [
            Case("list_10k", few_server, lists(few.sights)),
            Case("list_1m", many_server, lists(many.sights)),
            Case("pull", many_server, pulls(many.sights)),
        ]
        measured = _measured(backend, _chosen(reading, plan), many, plan)
        results = [each.result(backend, _note(each, measured, few, many)) for each in measured]
        if "worker_rss_mb" in plan.names:
            results.append(_memory(backend, many_server, many, measured))
        posting = _chosen([Case("post", many_server, posts(many.place))], plan)
        posted = _measured(backend, posting, many, plan)
        return results + [each.result(backend, f"8 KiB; {alone}") for each in posted]


def _measured(backend: str, cases: list[Case], many: Filled, plan: Plan) -> list[Measured]:
    if not cases:
        return []
    with timed(f"{backend}: {', '.join(case.name for case in cases)}"):
        return measure(cases, many.place.folder, plan.pace)


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
