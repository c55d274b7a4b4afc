"""Progress of long work: a bar on a terminal, nothing in a pipe; and how long each step took, in both."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

_BEGUN = perf_counter()


class Progress:
    """Counts to `total` under a title."""

    def __init__(self, title: str, total: int) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Bar(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(title, total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, count: int = 1) -> None:
        """Count `count` more as done."""
        self._bar.advance(self._task, count)


def say(text: str) -> None:
    """Tell whoever waits what is being done."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Say, once a step is done, how long it took and how long all has taken so far."""
    begin = perf_counter()
    yield
    say(f"[{as_minutes(perf_counter() - _BEGUN)}] {step}: {perf_counter() - begin:.1f} s")


def total() -> str:
    """Return how long all has taken so far."""
    return as_minutes(perf_counter() - _BEGUN)


def as_minutes(seconds: float) -> str:
    """Return minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"
