"""What the store tells of alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

MOST_COUNTED: Final = 2**62
"""Further nothing was ever counted: what is there was written by hand, and one more may have no room in its column."""

TO_BE_SENT: Final = {"tries": 0, "next_at": 0, "ended_at": None, "is_delivered": False, "told": None}
"""What stands of an alert that a webhook is to be sent at once."""


@dataclass(frozen=True, slots=True)
class AlertPosition:
    """How far the log was evaluated, and under which rules. `last_number` is that of the newest alert."""

    log: int
    position: int
    learned_to: int
    revision: int
    last_number: int
    digest: str

    @classmethod
    def of(cls, row: Sequence[object]) -> Self:
        """Return what a row says; a place that is no number is one outside of every log, from which it is set back."""
        log, position, learned_to, revision, last_number, digest = row
        return cls(
            log=_counted(log, -1),
            position=_counted(position, -1),
            learned_to=_counted(learned_to, MOST_COUNTED),
            revision=_counted(revision, 0),
            last_number=_counted(last_number, 0),
            digest=digest if isinstance(digest, str) else "",
        )

    @property
    def reaches(self) -> int:
        """Return up to which place of the log nothing raises an alert any more."""
        return max(self.position, self.learned_to)


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert that was raised; `raised_at` is in microseconds since 1970."""

    number: int
    id: str
    rule: str
    kind: str
    severity: str
    subject_kind: str
    subject_id: str
    member: str | None
    owner: str | None
    raised_at: int
    entry_id: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """An alert that a webhook is to be sent now, for the `tries`-th time."""

    alert: AlertRow
    hook: str
    tries: int


def _counted(column: object, otherwise: int) -> int:
    return column if isinstance(column, int) and -MOST_COUNTED <= column <= MOST_COUNTED else otherwise
