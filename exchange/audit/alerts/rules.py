"""The rules as values: each has a name, how grave it is, when it may speak again, and one condition."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import Enum
from math import isqrt
from zoneinfo import ZoneInfo


class Severity(Enum):
    """How soon somebody should look."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Hours:
    """When people work: on which days (Monday is 0), from `opens` up to but not at `closes`, in their own zone.

    Hours that end before they begin run over midnight and belong to the day on which they began.
    """

    zone: ZoneInfo
    days: frozenset[int]
    opens: time
    closes: time

    def is_open(self, moment: datetime) -> bool:
        """Return whether `moment` (aware) lies within them."""
        local = moment.astimezone(self.zone)
        clock = local.time()
        if self.opens < self.closes:
            return local.weekday() in self.days and self.opens <= clock < self.closes
        began_yesterday = clock < self.closes and (local.weekday() - 1) % 7 in self.days
        return began_yesterday or (clock >= self.opens and local.weekday() in self.days)


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """Everybody's hours: those of a member, else the usual ones."""

    usual: Hours
    of_members: Mapping[str, Hours]

    def is_open(self, member: str | None, moment: datetime) -> bool:
        """Return whether `moment` lies within the hours of `member`."""
        return self.of_members.get(member or "", self.usual).is_open(moment)


@dataclass(frozen=True, slots=True)
class MassPulls:
    """A client reads far more different reports in a day (UTC) than it did on its own days before."""

    minimum: int
    deviations: int
    baseline_days: int

    def limit(self, counts: Mapping[int, int], days: int) -> int:
        """Return how many reports in a day are too many, after `days` days of which `counts` has those with reads.

        The smallest number above the mean by more than so many standard deviations, never below the minimum. A day's
        count varies by at least the root of its mean: a client that reads the same every day is not held to it.
        """
        if days == 0:
            return self.minimum
        total, squares = sum(counts.values()), sum(count * count for count in counts.values())
        # Times days squared, so that all of it is whole numbers: every machine comes to the same.
        spread = max(days * squares - total * total, days * total)
        return max(self.minimum, (total + isqrt(self.deviations * self.deviations * spread)) // days + 1)


@dataclass(frozen=True, slots=True)
class RefusalBurst:
    """A client, or all that are not enrolled together, are refused `count` times within `window`."""

    count: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class AfterRevocation:
    """A client that was revoked or suspended comes all the same: its key is in other hands.

    Of a suspended member, whose clients may not have heard of it, it speaks as of one.
    """


@dataclass(frozen=True, slots=True)
class OutOfHours:
    """A client reads at one of `levels` (policy and level name) outside its member's hours."""

    levels: frozenset[tuple[str, str]]
    hours: WorkingHours


@dataclass(frozen=True, slots=True)
class TwoAddresses:
    """A client acts from two addresses within `window`."""

    window: timedelta


@dataclass(frozen=True, slots=True)
class FirstCertificate:
    """A client reads at one of `levels` with a certificate that it never did so with."""

    levels: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class FirstAddress:
    """A client reads at one of `levels` from an address that it never did so from."""

    levels: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ReadAfterChange:
    """A member's client was refused a report; the member, or somebody for it, changed something; now one reads it.

    `events` are the changes, by the names of their entries; from the refusal to the read it is at most `window`.
    """

    events: frozenset[str]
    window: timedelta


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One of `events` came to pass, with one of `outcomes`: names as entries hold them."""

    events: frozenset[str]
    outcomes: frozenset[str]


@dataclass(frozen=True, slots=True)
class LogBehind:
    """An entry waits for its place in the log longer than `objective`."""

    objective: timedelta


@dataclass(frozen=True, slots=True)
class LogFrozen:
    """The log may not sign: what it would sign contradicts what was signed."""


@dataclass(frozen=True, slots=True)
class NodeSilent:
    """A process that runs has not signed for its entries for longer than `objective`, and did not say that it ends."""

    objective: timedelta


@dataclass(frozen=True, slots=True)
class WitnessBehind:
    """Kept checkpoints stand without any witness longer than `objective`, in a log that had one."""

    objective: timedelta


Condition = (
    MassPulls
    | RefusalBurst
    | AfterRevocation
    | OutOfHours
    | TwoAddresses
    | FirstCertificate
    | FirstAddress
    | ReadAfterChange
    | Occurrence
    | LogBehind
    | LogFrozen
    | NodeSilent
    | WitnessBehind
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `kind` is its condition's word in the file; about one subject it speaks once in `cooldown`."""

    name: str
    kind: str
    severity: Severity
    cooldown: timedelta
    condition: Condition


@dataclass(frozen=True, slots=True)
class AlertRules:
    """All rules in force. `digest` (SHA-256, hex) changes with anything that they say."""

    rules: tuple[Rule, ...]
    digest: str
