"""Counts for the operator: requests by route and class of status, over all workers, as Prometheus text.

Labels are bounded: routes are templates known at the start, statuses five classes. No client, no path, no label of a
report ever becomes a metric.
"""

import ctypes
from collections.abc import Sequence
from multiprocessing import get_context
from typing import Any

UNMATCHED = "unmatched"
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_MOST_ROUTES = 128
_LAST_CLASS = len(_CLASSES) - 1


def shared_counts(workers: int) -> Any:
    """Return memory that `workers` processes count in: each in its own row, so that none waits for another."""
    return get_context("spawn").RawArray(ctypes.c_uint64, workers * _MOST_ROUTES * len(_CLASSES))


class RequestCounts:
    """One worker's view of the counts: it adds to its own row and reads all of them."""

    def __init__(self, routes: Sequence[str], *, counts: Any | None = None, worker: int = 0) -> None:
        if len(routes) >= _MOST_ROUTES:
            message = f"{len(routes)} routes: raise the {_MOST_ROUTES} that are counted"
            raise ValueError(message)
        self._places = {route: place for place, route in enumerate([UNMATCHED, *routes])}
        self._counts = shared_counts(1) if counts is None else counts
        self._row_size = _MOST_ROUTES * len(_CLASSES)
        self._start = worker * self._row_size

    def count(self, route: str, status: int) -> None:
        """Count one answered request."""
        place = self._places.get(route, 0)
        self._counts[self._start + place * len(_CLASSES) + min(max(status // 100 - 1, 0), _LAST_CLASS)] += 1

    def as_prometheus(self) -> str:
        """Return the sum over all workers in Prometheus' text format 0.0.4."""
        lines = [
            "# HELP exchange_http_requests_total Requests answered, by route template and class of status.",
            "# TYPE exchange_http_requests_total counter",
        ]
        for route, place in self._places.items():
            method, _, path = route.partition(" ")
            for offset, status in enumerate(_CLASSES):
                total = sum(self._counts[place * len(_CLASSES) + offset :: self._row_size])
                if total:
                    labels = f'method="{method}",route="{path}",status="{status}"'
                    lines.append(f"exchange_http_requests_total{{{labels}}} {total}")
        return "\n".join([*lines, ""])
