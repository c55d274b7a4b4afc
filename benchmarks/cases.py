"""The cases over HTTP: each with its floor, in turns, so that whatever else the machine does harms both alike."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.load import Seen
from benchmarks.progress import say
from benchmarks.requests import Requests
from benchmarks.results import Result
from benchmarks.servers import Server, load, load_in_turn, serve_floor

_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long each case is loaded; the first `warm_seconds` of each time are not counted.

    `first_seconds` are for a server that nobody has asked yet: until it has what it keeps in memory.
    """

    rounds: int
    seconds: float
    warm_seconds: float = 0.3
    first_seconds: float = 4.0


@dataclass(frozen=True, slots=True)
class Case:
    """A case: its name, the server it loads, what it asks."""

    name: str
    server: Server
    requests: Requests


@dataclass(frozen=True, slots=True)
class Measured:
    """What the rounds of one case saw, and those of its floor."""

    case: Case
    seen: list[Seen]
    floor: list[Seen]
    bare: list[Seen]

    @property
    def rate(self) -> float:
        return median(each.per_second for each in self.seen)

    @property
    def floor_rate(self) -> float:
        return median(each.per_second for each in self.floor)

    def result(self, backend: str, note: str) -> Result:
        """Return the figure, with its latency at the head of the note."""
        p50, p99 = (median(getattr(each, name) for each in self.seen) for name in ("p50_ms", "p99_ms"))
        size = median(each.mean_bytes for each in self.seen)
        cpu, beneath = (median(each.cpu_us for each in some) for some in (self.seen, self.floor))
        whole = median(each.all_us for each in self.seen)
        times = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, CPU {cpu:,.0f} us (floor {beneath:,.0f}), of all {whole:,.0f}"
        bare = median(each.per_second for each in self.bare)
        told = f"{times}, {size:,.0f} bytes; {note}; bare server {bare:,.0f}/s"
        rate, floor = self.rate, self.floor_rate
        return Result(self.case.name, backend, rate, "requests/s", floor, rate / floor, len(self.seen), told)


def measure(cases: Sequence[Case], folder: Path, pace: Pace) -> list[Measured]:
    """Return what `cases` saw, in turns: floor, case, floor, case of each, round after round.

    `folder` is an instance whose certificates the callers have.
    """
    with ExitStack() as stack:
        measured = [
            (
                Measured(case, [], [], []),
                stack.enter_context(serve_floor(folder, answer_bytes(case.server, case.requests, pace))),
            )
            for case in cases
        ]
        for number in range(1, pace.rounds + 1):
            for each, floor in measured:
                case = each.case
                turns = [
                    floor.turn(case.requests.to(b"/bare"), pace.seconds / 2),
                    floor.turn(case.requests.to(b"/"), pace.seconds),
                    case.server.turn(case.requests.callers, pace.seconds),
                ]
                bare, beneath, seen = load_in_turn(turns, warm_seconds=pace.warm_seconds)
                each.bare.append(bare)
                each.floor.append(beneath)
                each.seen.append(seen)
                rates = f"{seen.per_second:,.0f}/s over a floor of {beneath.per_second:,.0f}/s"
                used = f"CPU {seen.cpu_us:,.0f}:{beneath.cpu_us:,.0f} us, of all {seen.all_us:,.0f}"
                say(f"  {case.name} {number}/{pace.rounds}: {rates}, {used}")
        return [each for each, _ in measured]


def answer_bytes(server: Server, requests: Requests, pace: Pace) -> int:
    """Return the mean size of an answer, once one has been looked at and the server has what it keeps."""
    seen = load(server, requests.callers, seconds=_LOOK_SECONDS, warm_seconds=pace.first_seconds)
    requests.check(seen.sample)
    return round(seen.mean_bytes)
