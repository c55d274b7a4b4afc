"""What the store tells of alerts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlertPosition:
    """How far the log was evaluated, and under which rules. `last_number` is that of the newest alert."""

    log: int
    position: int
    learned_to: int
    revision: int
    last_number: int
    digest: str

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
