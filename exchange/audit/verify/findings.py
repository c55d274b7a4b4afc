"""What a verification found: the first bad entry or tile of every step, and why it is bad."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

Erasures = Mapping[tuple[str, str], int]
"""How many keys of personal data two persons had destroyed, by subject and period."""


class Step(Enum):
    """The steps of a verification, in order; `verify_log` says what each compares."""

    SIGNATURE = "signature"
    WITNESS = "witness"
    TREE = "tree"
    HISTORY = "history"
    FORM = "form"
    COLUMNS = "columns"
    TIME = "time"
    COUNTERS = "counters"
    HEARTBEATS = "heartbeats"
    PENDING = "pending"
    ERASURE = "erasure"
    ROWS = "rows"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was signed. `place` is what one looks up: `entry 17`, `tile 1/000`.

    `position` is the entry's place in the tree, from 0, and `entry` its id, where the finding is about one.
    """

    step: Step
    place: str
    why: str
    position: int | None = None
    entry: str | None = None

    def __str__(self) -> str:
        named = f" ({self.entry})" if self.entry is not None else ""
        return f"{self.step.value}: {self.place}{named}: {self.why}"


class Findings:
    """Collects what is wrong: the first of each step is kept, for the rest mostly follow from it; all are counted."""

    def __init__(self) -> None:
        self._first: dict[Step, Finding] = {}
        self._counts: Counter[Step] = Counter()

    def add(self, finding: Finding) -> None:
        """Take one finding."""
        self._first.setdefault(finding.step, finding)
        self._counts[finding.step] += 1

    def found(self) -> tuple[Finding, ...]:
        """Return the first finding of each step, in the order of the steps."""
        return tuple(self._first[step] for step in Step if step in self._first)

    def counts(self) -> dict[Step, int]:
        """Return how many findings each step had."""
        return {step: self._counts[step] for step in Step if self._counts[step]}


@dataclass(frozen=True, slots=True)
class Verification:
    """How a verification ended. `root` is recomputed, not copied; `notes` say what could not be looked at.

    `checkpoint` is the newest checkpoint as it was signed; where it could not be read, the findings are all that there
    is. `erasures` are for the log
    before this one, whose personal data they may have erased.
    """

    findings: tuple[Finding, ...]
    counts: dict[Step, int]
    origin: str | None = None
    size: int = 0
    root: bytes | None = None
    checkpoint: bytes | None = None
    entries: int = 0
    older: int = 0
    witnesses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    erasures: Erasures = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Return whether nothing was found."""
        return not self.findings
