"""Files that may be exchanged while this process runs: which of them are to be read again.

Promises: what is being written is left alone until it has lain unchanged for two looks, or for `PATIENCE` looks where
it never rests; what was taken in one state is not looked at again in the same. Links are followed, so that an exchange
of the folder behind one is seen.
Does not: read a file, or say what is wrong with one.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from exchange.kernel.files import state_of

_Stamp = tuple[tuple[str, ...] | tuple[int, ...], ...]
PATIENCE: Final = 5
"""Looks after which what never rests is read all the same: whoever reads it says whether it is whole."""


class Lain:
    """Some files, and in which state they were taken last."""

    def __init__(self, paths: Callable[[], Iterable[Path]]) -> None:
        self._paths = paths
        self._taken = self._before = self._stamp()
        self._restless = 0

    def has_changed(self) -> bool:
        """Return whether they are others than those that were taken, and have been so since the last look."""
        now = self._stamp()
        has_rested, self._before = now == self._before, now
        if now == self._taken:
            self._restless = 0
            return False
        self._restless += 1
        return has_rested or self._restless >= PATIENCE

    def take(self) -> bool:
        """Note that they were read; False where they changed while they were: what was read may be half of each."""
        if self._stamp() == self._before:
            self._taken, self._restless = self._before, 0
            return True
        # It is looked at again in either case.
        return self._restless >= PATIENCE

    def _stamp(self) -> _Stamp:
        return tuple(part for path in self._paths() for part in ((str(path),), state_of(path)))
