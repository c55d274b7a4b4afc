"""What an auditor brings along: the keys believed, the checkpoints seen elsewhere, the time, the limits."""

from dataclasses import dataclass, field

from exchange.audit.log_policy import LogPolicy
from exchange.audit.note_keys import VerifierKey
from exchange.audit.verify.findings import Erasures
from exchange.crypto import VerifyingKey


@dataclass(frozen=True, slots=True)
class Limits:
    """How far times may lie apart before somebody set a clock.

    An entry bears the time at which its request came in: `behind_seconds` allows for the longest upload,
    `ahead_seconds` for clocks of two nodes, `coming_seconds` for those of the auditor and of witnesses, which nobody
    here keeps. Nothing waits for its place in the tree longer than `pending_seconds`, and for its witnesses longer than
    `witness_lag_seconds`.
    """

    ahead_seconds: int = 60
    behind_seconds: int = 900
    pending_seconds: int = 60
    witness_lag_seconds: int = 600
    coming_seconds: int = 300


@dataclass(frozen=True, slots=True)
class KnownCheckpoint:
    """A checkpoint that came from somewhere else than the log under test: `whence` says from where."""

    note: bytes
    whence: str


@dataclass(frozen=True, slots=True)
class Expectations:
    """What must hold. INVARIANT: every one of `log_keys` must have signed; none of them comes from the log itself.

    `now_micros` is the auditor's own time, None where it must not matter. `policy` names the witnesses and how many of
    them must stand behind the log; None where no witness is asked for. Its logs are not looked at. Without `node_keys`
    nobody looks whether the nodes signed for their entries. `erasures` are those of the logs that came after this one.
    """

    log_keys: tuple[VerifierKey, ...]
    now_micros: int | None = None
    known: tuple[KnownCheckpoint, ...] = ()
    limits: Limits = Limits()
    node_keys: tuple[VerifyingKey, ...] = ()
    policy: LogPolicy | None = None
    erasures: Erasures = field(default_factory=dict)
