"""Who stands behind a log's checkpoints: the newest one that has the witnesses which the auditor's policy asks for.

A cosignature counts whatever time it states (C2SP tlog-cosignature lets a verifier reject one in the future, and no
other): which tree its witness saw is as true under a wrong clock. One that is older than its checkpoint tells of a
clock: the log's own where a whole quorum says so, and else perhaps the witness's.
"""

from dataclasses import dataclass, replace

from exchange.audit.log_policy import NO_QUORUM, KnownLog, LogPolicy, Standing
from exchange.audit.note_keys import NoteError
from exchange.audit.verify.checkpoints import OpenedCheckpoint
from exchange.audit.verify.expectations import Expectations
from exchange.audit.verify.findings import Finding, Findings, Step

_MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Backed:
    """The newest checkpoint with a quorum, and the names of the witnesses that cosigned it."""

    opened: OpenedCheckpoint
    names: tuple[str, ...]


class WitnessCheck:
    """Is shown every checkpoint, in any order, and says in the end who stands behind the log."""

    def __init__(self, expected: Expectations, findings: Findings) -> None:
        self._policy = None if expected.policy is None else _with_logs(expected.policy, expected)
        self._lag_micros = expected.limits.witness_lag_seconds * _MICROS
        self._clock_micros = expected.limits.coming_seconds * _MICROS
        self._plain = len(expected.log_keys)
        self._findings = findings
        self._backed: _Backed | None = None
        self._early: dict[str, int] = {}

    def take(self, opened: OpenedCheckpoint) -> None:
        """Look at the cosignatures of one checkpoint."""
        # A note with no more signatures than the log has keys has no cosignature to look at.
        if self._policy is None or len(opened.note.signatures) <= self._plain or opened.fault is not None:
            return
        try:
            standing = self._policy.judge(opened.note)
        except NoteError as exc:
            self._findings.add(Finding(Step.WITNESS, opened.place, exc.message))
            return
        self._hold_time(opened, standing)
        newest = self._backed is None or opened.checkpoint.size >= self._backed.opened.checkpoint.size
        if standing.has_quorum and newest:
            self._backed = _Backed(opened, tuple(standing.witnesses))

    def conclude(self, newest: OpenedCheckpoint) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the witnesses behind the log, and notes: on their clocks, and on the newest entries without them."""
        if self._policy is None:
            return (), ()
        clocks = tuple(
            f"`{name}` dates its cosignatures up to {early // _MICROS} s before the checkpoints: its clock is behind, "
            "or the log's was ahead"
            for name, early in sorted(self._early.items())
        )
        if self._backed is None:
            # `quorum none` asks for nobody.
            if not self._policy.is_quorum({}):
                why = "the witnesses that the policy asks for stand behind no checkpoint of this log"
                self._findings.add(Finding(Step.WITNESS, newest.place, why))
            return (), clocks
        behind = self._backed.opened
        missing = newest.checkpoint.size - behind.checkpoint.size
        if missing <= 0:
            return self._backed.names, clocks
        lag = _between(behind, newest)
        if lag is not None and lag > self._lag_micros:
            why = f"witnesses stand behind the first {behind.checkpoint.size} entries only, for {lag // _MICROS} s"
            self._findings.add(Finding(Step.WITNESS, newest.place, why, behind.checkpoint.size))
        return self._backed.names, (*clocks, f"witnesses do not stand behind the newest {missing} entries yet")

    def _hold_time(self, opened: OpenedCheckpoint, standing: Standing) -> None:
        """Report a checkpoint that a quorum, and nobody against it, saw before the time that it was signed with."""
        if self._policy is None or opened.at_micros is None:
            return
        leads = {
            name: opened.at_micros - each.at_seconds * _MICROS
            for name, each in standing.witnesses.items()
            if each.at_seconds is not None
        }
        early = {name: lead for name, lead in leads.items() if lead > self._clock_micros}
        if early and early == leads and self._policy.quorum != NO_QUORUM and self._policy.is_quorum(early):
            least = min(early.values()) // _MICROS
            why = f"{', '.join(early)} cosigned it {least} s before it says that it was signed: a clock was set forward"
            self._findings.add(Finding(Step.TIME, opened.place, why))
        else:
            self._early.update((name, max(lead, self._early.get(name, 0))) for name, lead in early.items())


def _between(behind: OpenedCheckpoint, newest: OpenedCheckpoint) -> int | None:
    if behind.at_micros is None or newest.at_micros is None:
        return None
    return newest.at_micros - behind.at_micros


def _with_logs(policy: LogPolicy, expected: Expectations) -> LogPolicy:
    # The keys that are believed are the auditor's, whatever logs the policy knows besides.
    return replace(policy, logs=tuple(KnownLog(key) for key in expected.log_keys))
