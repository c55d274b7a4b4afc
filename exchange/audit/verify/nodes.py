"""What the nodes signed of their own entries, held against the log.

A process that was killed has not signed for its last second. That is a note, not a finding, while its last entry is
within seconds of its last signature: what is added there later bears a time that its checkpoint contradicts.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from exchange.audit.boot_checks import BootChecks, BootFault, BootFinding
from exchange.audit.node_evidence import bears_signature
from exchange.audit.shape import Entry
from exchange.audit.verify.findings import Finding, Findings, Step
from exchange.crypto import VerifyingKey
from exchange.kernel import parse_micros

_STEPS: Final[Mapping[BootFault, Step]] = {
    BootFault.MISSING: Step.COUNTERS,
    BootFault.FORGED: Step.COUNTERS,
    BootFault.CHANGED: Step.HEARTBEATS,
    BootFault.UNSIGNED: Step.HEARTBEATS,
}

# A node signs every second while it writes.
_KILLED_WITHIN_MICROS: Final = 5 * 1_000_000


class NodeChecks:
    """Is told every entry, and says in the end what is wrong with the boots. Without `keys` it looks at nothing."""

    def __init__(self, keys: Sequence[VerifyingKey]) -> None:
        self._boots = BootChecks(keys) if keys else None
        self._signed: dict[str, str] = {}
        self._newest: dict[str, str] = {}

    def observe(self, position: int, entry: Entry, leaf_hash: bytes) -> None:
        """Take one entry."""
        if self._boots is None:
            return
        self._boots.observe(position, entry, leaf_hash)
        boot, at = entry["boot"], entry["ts"]
        # The newest by its time, not the last in the log: one that is set back must not stand for those before it. As
        # text, within one second, they may be the other way round: that is no matter here.
        self._newest[boot] = max(at, self._newest.get(boot, at))
        # Whether it is signed by its node, the boots' checks say; one that nobody signed is written by anybody.
        if bears_signature(entry):
            self._signed[boot] = at

    def conclude(self, findings: Findings) -> tuple[str, ...]:
        """Report the first thing that is wrong with each boot; return notes on those that were killed."""
        notes = []
        for found in self._boots.finish() if self._boots is not None else ():
            if self._was_killed(found):
                notes.append(
                    f"boot {found.boot} was killed: nobody signed for its entries from number {found.number} on"
                )
                continue
            place = f"boot {found.boot}" if found.position is None else f"entry {found.position}"
            why = f"number {found.number} of boot {found.boot}: {found.why}"
            findings.add(Finding(_STEPS[found.fault], place, why, found.position, found.entry))
        return tuple(notes)

    def _was_killed(self, found: BootFinding) -> bool:
        signed = self._signed.get(found.boot)
        if found.fault is not BootFault.UNSIGNED or signed is None:
            return False
        return parse_micros(self._newest[found.boot]) - parse_micros(signed) <= _KILLED_WITHIN_MICROS
