"""When an entry at a position can have been written: between two checkpoints, give or take what clocks differ."""

from collections.abc import Sequence

from exchange.audit.verify.checkpoints import Mark
from exchange.audit.verify.expectations import Limits
from exchange.kernel import from_micros, rfc3339

_MICROS = 1_000_000


class TimeWindows:
    """Judges the times of entries, asked in the order of the tree.

    The checkpoint that first covers an entry was signed after the entry was written, and soon: an entry that says it
    is older than the checkpoint before it, or newer than its own, was backdated, or a clock was set. Where no
    checkpoint says when it was signed, entries are compared with those before them.

    While no sequencer is at work, entries wait, and nobody signs. What has waited comes in many batches, behind the
    checkpoint of the first: as long as nothing newer came than such a pause, entries are compared with those before
    them. In a log that begins, what waited is older than its first checkpoint, and than entry 0 of a recovered one.
    """

    def __init__(self, marks: Sequence[Mark], limits: Limits) -> None:
        self._ahead = limits.ahead_seconds * _MICROS
        self._behind = limits.behind_seconds * _MICROS
        # Popped from the end: the next checkpoint is the last one.
        self._coming = [(mark.size, mark.at_micros) for mark in reversed(marks) if mark.at_micros is not None]
        self._before: int | None = None
        self._latest: int | None = None
        # The newest time of the entries seen, and when the pause ended in which those may lie that come now.
        self._newest: int | None = None
        self._pause_end: int | None = None

    def fault(self, position: int, at_micros: int) -> str | None:
        """Return why the entry at `position` cannot have been written at `at_micros`; None where it can."""
        while self._coming and self._coming[-1][0] <= position:
            self._pass(self._coming.pop()[1])
        after = self._coming[-1][1] if self._coming else None
        if after is not None and at_micros > after + self._ahead:
            return f"it says {_text(at_micros)}, and was signed before that, at {_text(after)}: a clock was set forward"
        floor = max((each for each in (self._floor(), self._latest) if each is not None), default=None)
        if floor is not None and at_micros < floor - self._behind:
            return f"it says {_text(at_micros)}, after entries of {_text(floor)} were signed: backdated, or a clock set"
        if after is None:
            self._latest = at_micros if self._latest is None else max(self._latest, at_micros)
        if position > 0:
            self._newest = at_micros if self._newest is None else max(self._newest, at_micros)
        return None

    def _pass(self, signed_at: int) -> None:
        if self._before is None or signed_at - self._before > self._behind:
            self._pause_end = signed_at
        self._before = signed_at

    def _floor(self) -> int | None:
        if self._pause_end is not None and (self._newest is None or self._newest < self._pause_end - self._behind):
            return self._newest
        self._pause_end = None
        return self._before


def _text(micros: int) -> str:
    return rfc3339(from_micros(micros))
