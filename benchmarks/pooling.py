"""Rows made by other processes ahead of whoever writes them, and kept for the next database."""

import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

Job = TypeVar("Job")
T = TypeVar("T")

_WORKERS = 2


@cache
def _pool() -> ProcessPoolExecutor:
    # One for the whole run: a process takes two seconds to load what it needs.
    return ProcessPoolExecutor(_WORKERS, get_context("spawn"))


def in_order(work: Callable[[Job], T], jobs: Iterable[Job]) -> Iterator[T]:
    """Yield what `work` makes of each job, in their order; only a few wait at a time, for they are large."""
    left, submit = iter(jobs), partial(_pool().submit, work)
    ahead = [submit(job) for job in islice(left, 3 * _WORKERS)]
    while ahead:
        yield ahead.pop(0).result()
        ahead.extend(submit(job) for job in islice(left, 1))


def kept(path: Path, make: Callable[[], T]) -> T:
    """Return what is in the file, once `make` has made it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(f".{os.getpid()}")
        made.write_bytes(pickle.dumps(make(), protocol=pickle.HIGHEST_PROTOCOL))
        made.rename(path)
    rows: T = pickle.loads(path.read_bytes())
    return rows
