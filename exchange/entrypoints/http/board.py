"""The board: whole numbers in memory that every worker of a node shares, each in a row of its own, and their text.

A worker writes its own row, so none waits for another, and whichever worker is asked shows the sum of all. A metric is
a place in a row: to count costs an addition, no look-up of labels and no lock.
Does not: know what is counted.
"""

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from multiprocessing import get_context
from typing import Any

ROW_PLACES = 16_384
"""Of 8 bytes each: 128 KiB per worker. Every worker lays its row out alike, from the same routes and closed lists."""


class Kind(Enum):
    """How Prometheus reads a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its name, what it tells, its labels. `bounds` are those of a histogram, in stored units.

    Numbers are stored whole: `per_unit` of them make one of what is shown, as microseconds make a second. Of a family
    that `is_sparse` only what was ever counted is shown; a gauge is shown for each worker by itself.
    """

    name: str
    kind: Kind
    told: str
    labels: tuple[str, ...] = ()
    bounds: tuple[int, ...] = ()
    per_unit: int = 1
    is_sparse: bool = False

    @property
    def width(self) -> int:
        """Return how many places one series takes: a histogram has its buckets, the last without bound, and the sum."""
        return len(self.bounds) + 2 if self.kind is Kind.HISTOGRAM else 1

    def head(self) -> list[str]:
        """Return the lines that stand above its numbers."""
        return [f"# HELP {self.name} {self.told}", f"# TYPE {self.name} {self.kind.value}"]

    def shown(self, number: int) -> str:
        """Return a stored number as it is shown."""
        return str(number) if self.per_unit == 1 else f"{number / self.per_unit:.9g}"


Series = tuple[str, ...]
"""The values of the labels of one series."""


def shared_row(workers: int) -> Any:
    """Return memory that `workers` processes count in."""
    return get_context("spawn").RawArray(ctypes.c_uint64, workers * ROW_PLACES)


class Board:
    """One worker's view: `row` is its own, the text is of all."""

    def __init__(self, memory: Any | None = None, worker: int = 0) -> None:
        self._numbers = memoryview(shared_row(1) if memory is None else memory).cast("B").cast("Q")
        self.workers = len(self._numbers) // ROW_PLACES
        self.row = self._numbers[worker * ROW_PLACES : (worker + 1) * ROW_PLACES]
        self._families: list[tuple[Family, int, tuple[Series, ...]]] = []
        self._end = 0

    def place(self, family: Family, series: Sequence[Series] = ((),)) -> int:
        """Lay out a family and return the place of its first series; the others follow, `family.width` apart."""
        start, self._end = self._end, self._end + family.width * len(series)
        if self._end > ROW_PLACES:
            raise ValueError(f"the metrics need {self._end} places: raise the {ROW_PLACES} of a row")
        self._families.append((family, start, tuple(series)))
        return start

    def lines(self) -> Iterator[str]:
        """Yield the lines of every family in Prometheus' text format 0.0.4."""
        for family, start, series in self._families:
            yield from family.head()
            for number, values in enumerate(series):
                yield from self._series(family, start + number * family.width, values)

    def _series(self, family: Family, place: int, values: Series) -> Iterator[str]:
        match family.kind:
            case Kind.COUNTER:
                total = self._sum(place)
                if total or not family.is_sparse:
                    yield f"{family.name}{labelled(family.labels, values)} {family.shown(total)}"
            case Kind.GAUGE:
                for worker in range(self.workers):
                    number = self._numbers[worker * ROW_PLACES + place]
                    labels = labelled((*family.labels, "worker"), (*values, str(worker)))
                    yield f"{family.name}{labels} {family.shown(number)}"
            case Kind.HISTOGRAM:
                yield from self._histogram(family, place, values)

    def _histogram(self, family: Family, place: int, values: Series) -> Iterator[str]:
        counts = [self._sum(place + offset) for offset in range(family.width - 1)]
        if family.is_sparse and not any(counts):
            return
        below, names = 0, (*family.labels, "le")
        for bound, count in zip([*map(family.shown, family.bounds), "+Inf"], counts, strict=True):
            below += count
            yield f"{family.name}_bucket{labelled(names, (*values, bound))} {below}"
        labels = labelled(family.labels, values)
        yield f"{family.name}_sum{labels} {family.shown(self._sum(place + family.width - 1))}"
        yield f"{family.name}_count{labels} {below}"

    def _sum(self, place: int) -> int:
        return sum(self._numbers[place::ROW_PLACES])


def labelled(names: Sequence[str], values: Sequence[str]) -> str:
    """Return labels as they stand behind a name; their values come from closed lists and need no escaping."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in zip(names, values, strict=True)) + "}" if names else ""
