"""Personal data that can no longer be read: erased by two persons, or gone for another reason.

An erasure changes no byte of the log: it destroys keys, and is an entry itself, which says how many. A log that was
recovered is followed by another one, and what is erased from then on stands there.
"""

from collections import Counter
from collections.abc import Mapping

from exchange.audit.events import EventName, Outcome
from exchange.audit.shape import Entry
from exchange.audit.verify.findings import Erasures, Finding, Findings, Step
from exchange.audit.verify.source import PersonalKeyState, Source
from exchange.kernel import counted

ERASED_AGAIN = "erased"
"""Where the entry of a restore names what it destroyed again: `<subject> <period>` each."""

_PERSONAL_ERASED = EventName.PERSONAL_ERASED.value
_INSTANCE_RESTORED = EventName.INSTANCE_RESTORED.value
_HOWEVER_MANY = 2**63
"""A restore destroys again what a log that is kept elsewhere told of; how many keys that were, stands there."""


class ErasureChecks:
    """Is told every entry, and says in the end which personal data is gone and whether that was approved.

    `later` is what the logs after this one tell of.
    """

    def __init__(self, source: Source, later: Erasures) -> None:
        self._keys = source.personal_keys()
        self._approved: Counter[tuple[str, str]] = Counter(later)
        self._gone: dict[str, tuple[int, str]] = {}
        self._erased = 0

    @property
    def told(self) -> Erasures:
        """How many keys of whom and which period were destroyed as it must be, as this log and later ones tell."""
        return dict(self._approved)

    def observe(self, position: int, entry: Entry, leaf_hash: bytes) -> None:  # noqa: ARG002  what observers are told
        """Take one entry."""
        if entry["type"] == _PERSONAL_ERASED and entry["decision"] == Outcome.PERMITTED.value:
            self._approve(entry)
        elif entry["type"] == _INSTANCE_RESTORED:
            self._approve_again(entry.get("detail", {}))
        if self._keys is None or "pii" not in entry:
            return
        kid = entry["pii"]["kid"]
        state = self._keys.get(kid)
        if state is None or state.is_destroyed:
            self._gone.setdefault(kid, (position, entry["id"]))
            self._erased += 1

    def conclude(self, findings: Findings) -> tuple[str, ...]:
        """Report keys that nobody destroyed by an approved erasure; return a note where something is erased."""
        left = Counter(self._approved)
        for kid, (position, entry_id) in self._gone.items():
            why = _objection(None if self._keys is None else self._keys.get(kid), left)
            if why is not None:
                findings.add(Finding(Step.ERASURE, f"entry {position}", why, position, entry_id))
        return (f"personal data of {counted(self._erased, 'entry', 'entries')} is erased",) if self._erased else ()

    def _approve(self, entry: Entry) -> None:
        detail = entry.get("detail", {})
        subject, period, keys = entry.get("object", {}).get("id"), detail.get("period"), detail.get("keys")
        if isinstance(subject, str) and isinstance(period, str) and isinstance(keys, int):
            self._approved[subject, period] += keys

    def _approve_again(self, detail: Mapping[str, str | int | list[str]]) -> None:
        again = detail.get(ERASED_AGAIN)
        for each in again if isinstance(again, list) else []:
            subject, _, period = each.partition(" ")
            self._approved[subject, period] = _HOWEVER_MANY


def _objection(state: PersonalKeyState | None, left: Counter[tuple[str, str]]) -> str | None:
    """Return why a key must not be gone, None where an approved erasure destroyed it; takes it from what is `left`."""
    whose = None if state is None else (state.subject, state.period)
    if whose is None or whose not in left:
        return "the key of its personal data is gone, and no erasure that two persons approved is in the log"
    if left[whose] <= 0:
        return "the key of its personal data is gone, and more are gone than approved erasures destroyed"
    left[whose] -= 1
    return None
