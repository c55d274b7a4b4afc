"""Checks that each raise their own faults, run together so that one answer names them all."""

from collections.abc import Callable
from typing import TypeVar

from exchange.kernel import Fault, InvalidError

T = TypeVar("T")
F = TypeVar("F")


class Collected:
    """Runs checks and gathers their faults into `faults`; the values are whole only while that stays empty."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = faults

    def value(self, check: Callable[[], T], fallback: F) -> T | F:
        """Return what `check` returns; where it raises InvalidError, keep its faults and return `fallback`."""
        try:
            return check()
        except InvalidError as exc:
            self._faults.extend(exc.faults)
            return fallback
