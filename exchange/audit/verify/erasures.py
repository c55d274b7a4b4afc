"""Personal data that can no longer be read: erased by two persons, or gone for another reason.

An erasure changes no byte of the log: it destroys keys, and is an entry itself.
"""

from exchange.audit.events import EventName, Outcome
from exchange.audit.shape import Entry
from exchange.audit.verify.findings import Finding, Findings, Step
from exchange.audit.verify.source import PersonalKeyState, Source


class ErasureChecks:
    """Is told every entry, and says in the end which personal data is gone and whether that was approved."""

    def __init__(self, source: Source) -> None:
        self._keys = source.personal_keys()
        self._approved: set[tuple[str, str]] = set()
        self._gone: dict[str, tuple[int, str]] = {}
        self._erased = 0

    def observe(self, position: int, entry: Entry, leaf_hash: bytes) -> None:  # noqa: ARG002  what observers are told
        """Take one entry."""
        if entry["type"] == EventName.PERSONAL_ERASED.value and entry["decision"] == Outcome.PERMITTED.value:
            self._approve(entry)
        if self._keys is None or "pii" not in entry:
            return
        kid = entry["pii"]["kid"]
        state = self._keys.get(kid)
        if state is None or state.is_destroyed:
            self._gone.setdefault(kid, (position, entry["id"]))
            self._erased += 1

    def conclude(self, findings: Findings) -> tuple[str, ...]:
        """Report keys that nobody destroyed by an approved erasure; return a note where something is erased."""
        for kid, (position, entry_id) in self._gone.items():
            if not self._is_approved(self._keys.get(kid) if self._keys is not None else None):
                why = "the key of its personal data is gone, and no erasure that two persons approved is in the log"
                findings.add(Finding(Step.ERASURE, f"entry {position}", why, position, entry_id))
        return (f"personal data of {self._erased} entries is erased",) if self._erased else ()

    def _approve(self, entry: Entry) -> None:
        subject, period = entry.get("object", {}).get("id"), entry.get("detail", {}).get("period")
        if isinstance(subject, str) and isinstance(period, str):
            self._approved.add((subject, period))

    def _is_approved(self, state: PersonalKeyState | None) -> bool:
        return state is not None and (state.subject, state.period) in self._approved
