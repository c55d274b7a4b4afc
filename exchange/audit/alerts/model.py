"""An alert, and what an evaluation comes to."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from exchange.audit.alerts.memory import Key
from exchange.audit.alerts.rules import Rule, Severity
from exchange.audit.draft import Subject
from exchange.audit.slice import Label
from exchange.kernel import from_micros, new_id


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule spoke. `at` is in microseconds since 1970; the last of `evidence` is the entry that made it speak.

    `member` is whose client it is about, `owner` whose report: both are set only where both may know all of it.
    `label` is that entry's: whoever is not cleared for it does not see the alert. How many reads it took, and which
    came before, is not told: some of them may be above the clearance of who sees the alert. Refusals are: a member
    sees its own clients' whatever the label.
    """

    id: str
    rule: str
    kind: str
    severity: Severity
    at: int
    subject: Subject
    evidence: tuple[str, ...] = ()
    member: str | None = None
    agency: str | None = None
    owner: str | None = None
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of a batch: alerts in the order in which they arose, and what changed in memory (None: forget it)."""

    alerts: tuple[Alert, ...]
    memory: Mapping[Key, str | None]


def alert_id(rule: Rule, subject: str, cause: str, at: int) -> str:
    """Return the id of the alert that `rule` raises about `subject` because of `cause`: always the same one."""
    digest = hashlib.sha256(f"{rule.name}\n{subject}\n{cause}".encode()).digest()
    return new_id(from_micros(at), lambda size: digest[:size])
