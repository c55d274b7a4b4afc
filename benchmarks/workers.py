"""Workers: what a pull gains from the second and the fourth one, beside what the floor gains from as many."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.cases import Pace, answer_bytes
from benchmarks.progress import say
from benchmarks.requests import Requests, Sight, pulls
from benchmarks.results import Result
from benchmarks.servers import Server, load_in_turn, serve_exchange, serve_floor

COUNTS = (1, 2, 4)
WORKER_NAMES = ("workers_2", "workers_4")


@dataclass(frozen=True, slots=True)
class _Side:
    """As many workers, of ours or of the floor, and what each round saw of them."""

    server: Server
    rates: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return median(self.rates)


def worker_figures(
    backend: str, folder: Path, url: str | None, sights: Sequence[Sight], *, pace: Pace, names: frozenset[str]
) -> list[Result]:
    """Return how many times as much several workers answer as one does."""
    say(f"{backend}: {', '.join(map(str, COUNTS))} workers")
    requests = pulls(list(sights))
    with ExitStack() as stack:
        ours = {count: _Side(stack.enter_context(serve_exchange(folder, url, workers=count))) for count in COUNTS}
        size, *_ = [answer_bytes(side.server, requests, pace) for side in ours.values()]
        floors = {count: _Side(stack.enter_context(serve_floor(folder, size, workers=count))) for count in COUNTS}
        for number in range(1, pace.rounds + 1):
            for count in COUNTS:
                _round(floors[count], ours[count], requests, pace)
                pair = f"{ours[count].rates[-1]:,.0f}/s over a floor of {floors[count].rates[-1]:,.0f}/s"
                say(f"  {count} workers {number}/{pace.rounds}: {pair}")
    return [result for result in _results(backend, ours, floors, pace) if result.name in names]


def _round(floor: _Side, ours: _Side, requests: Requests, pace: Pace) -> None:
    turns = [floor.server.turn(requests.to(b"/"), pace.seconds), ours.server.turn(requests.callers, pace.seconds)]
    for side, seen in zip((floor, ours), load_in_turn(turns, warm_seconds=pace.warm_seconds), strict=True):
        side.rates.append(seen.per_second)


def _results(backend: str, ours: dict[int, _Side], floors: dict[int, _Side], pace: Pace) -> Iterator[Result]:
    for count in COUNTS[1:]:
        gain, beneath = (sides[count].rate / sides[1].rate for sides in (ours, floors))
        rates = f"pulls: {ours[1].rate:,.0f}/s with one, {ours[count].rate:,.0f}/s with {count}"
        note = f"{rates}; floor {floors[1].rate:,.0f}/s and {floors[count].rate:,.0f}/s; the load has the same cores"
        told = f"{note}; target >= 0.9 of the floor's gain" if count == COUNTS[1] else note
        yield Result(f"workers_{count}", backend, gain, "times one", beneath, gain / beneath, pace.rounds, told)
