"""Tries the entries of all boots against what their nodes signed: none added, dropped, changed or renumbered.

Takes the entries in the order of the log, which is not quite that of a boot's numbers: transactions overtake each
other. Steps for each boot: (1) its numbers name one node, and none is taken twice; (2) its key is certified by a
known node; (3) evidence is signed by that key; (4) up to each stated number every number is there; (5) the running
hash over them is the one stated; (6) nothing stands behind closing evidence; (7) nothing is left that no evidence
covers, but for the newest entries.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import islice, product
from typing import Final

from exchange.audit.boot_record import running_hash
from exchange.audit.node_evidence import Evidence, evidence_in, verify_evidence, verify_opening
from exchange.audit.shape import Entry
from exchange.crypto import SignatureError, VerifyingKey
from exchange.kernel import MalformedError, parse_micros

GRACE_MICROS: Final = 120 * 1_000_000
"""An entry is signed for within seconds, within half a minute where the end of a transaction was in doubt: younger
ones may still be, as the newest entry of the log tells the time."""

_MOST_CLAIMS: Final = 32
"""Evidence that waits for entries which stand behind it in the log. More means that they do not come."""

_MOST_TRIALS: Final = 4_096
"""Ways to choose among several entries of one number; beyond it a forgery is told without its name."""


class BootFault(Enum):
    """What is wrong with an entry, as its node's evidence has it."""

    MISSING = "missing"
    FORGED = "forged"
    CHANGED = "changed"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class BootFinding:
    """The first thing that is wrong with a boot. `position` and `entry` are None for an entry that is not there."""

    fault: BootFault
    boot: str
    number: int
    why: str
    position: int | None = None
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """An entry at its place. `at` is its time as written."""

    number: int
    position: int
    entry: str
    leaf_hash: bytes
    at: str


class _FaultError(Exception):
    """What ends the checks of one boot."""

    def __init__(self, fault: BootFault, why: str, seen: _Seen | None = None, *, number: int = 0) -> None:
        super().__init__(why)
        self.fault = fault
        self.why = why
        self.seen = seen
        self.number = number if seen is None else seen.number


class _Boot:
    """One boot, as far as it was read: numbers up to `proven` are as its node signed, `ahead` those behind it."""

    __slots__ = ("_claims", "_evidence", "_hash", "_key", "ahead", "closed_at", "node", "proven")

    def __init__(self, boot: str, node: str) -> None:
        self.node = node
        self.proven = 0
        self.ahead: dict[int, list[_Seen]] = {}
        self.closed_at: int | None = None
        self._hash = running_hash(boot)
        self._key: VerifyingKey | None = None
        self._claims: list[Evidence] = []
        self._evidence: set[int] = set()

    def take(self, seen: _Seen, entry: Entry, identities: Iterable[VerifyingKey]) -> None:
        """Take one entry; raises _FaultError for the first thing that is wrong."""
        # (1) one node, no number twice
        if entry["node"] != self.node:
            raise _FaultError(BootFault.FORGED, "names another node than the rest of its boot", seen)
        if seen.number <= self.proven:
            raise _FaultError(BootFault.FORGED, "has a number for which its node signed another entry", seen)
        self.ahead.setdefault(seen.number, []).append(seen)
        try:
            evidence = evidence_in(entry)
            if evidence is not None:
                self._verify(entry, evidence, identities)
        except (MalformedError, SignatureError) as exc:
            raise _FaultError(BootFault.FORGED, f"is no evidence of its node: {exc}", seen) from exc
        if evidence is not None:
            self._claims.append(evidence)
            self._evidence.add(seen.number)
            self.closed_at = seen.number if evidence.is_closing else self.closed_at
            self._prove()
        # (6) nothing behind the end
        if self.closed_at is not None:
            self._require_nothing_behind(self.closed_at)

    def end(self, newest: str) -> None:
        """Take it that nothing more comes; the `newest` entry tells for whom it is too late. Raises _FaultError."""
        # What the last evidence waited for may have come behind it.
        missing = self._prove()
        if missing is not None:
            raise _missing(missing)
        # (7) what nobody signed for
        late = parse_micros(newest) - GRACE_MICROS
        left = [seen for number in sorted(self.ahead) for seen in self.ahead[number] if parse_micros(seen.at) < late]
        unsigned = [seen for seen in left if seen.number not in self._evidence]
        missing = self.first_missing(unsigned[-1].number) if unsigned else None
        if missing is not None:
            raise _missing(missing)
        if unsigned:
            why = "no evidence of its node covers it" if self._key else "its boot has no key that a node certified"
            raise _FaultError(BootFault.UNSIGNED, why, unsigned[0])

    def first_missing(self, upto: int) -> int | None:
        """Return the first number behind `proven` that no entry has."""
        return next((number for number in range(self.proven + 1, upto + 1) if number not in self.ahead), None)

    def _verify(self, entry: Entry, evidence: Evidence, identities: Iterable[VerifyingKey]) -> None:
        # (2) the boot's key
        if self._key is None and evidence.opening is not None:
            verify_opening(entry, evidence.opening, identities)
            self._key = evidence.opening.key
        if self._key is None:
            raise SignatureError("its boot has no key that a node certified")
        # (3) the boot's signature
        verify_evidence(entry, self._key)

    def _prove(self) -> int | None:
        """Take up what evidence states, as far as all is there; return the number that it waits for, None for none."""
        while self._claims:
            claim = self._claims[0]
            if claim.upto >= self.proven:
                # (4) all are there, or still to come
                missing = self.first_missing(claim.upto)
                if missing is not None:
                    if len(self._claims) > _MOST_CLAIMS:
                        raise _missing(missing)
                    return missing
                # (5) and they are those that the node knows
                self._advance(claim)
            del self._claims[0]
        return None

    def _advance(self, claim: Evidence) -> None:
        numbers = range(self.proven + 1, claim.upto + 1)
        choices = product(*(self.ahead[number] for number in numbers))
        chosen = next((each for each in islice(choices, _MOST_TRIALS) if self._hashes_to(claim, each)), None)
        if chosen is None:
            why = f"or one of those up to number {claim.upto} is not what its node signed for"
            # Evidence among them is signed by itself.
            first = next((self.ahead[number][0] for number in numbers if number not in self._evidence), None)
            raise _FaultError(BootFault.CHANGED, why, first, number=self.proven)
        for seen in chosen:
            self._hash.update(seen.leaf_hash)
        self.proven = claim.upto
        others = [each for seen in chosen for each in self.ahead.pop(seen.number) if each is not seen]
        self._evidence -= set(numbers)
        if others:
            raise _FaultError(BootFault.FORGED, "has a number for which its node signed another entry", others[0])

    def _hashes_to(self, claim: Evidence, chosen: Iterable[_Seen]) -> bool:
        found = self._hash.copy()
        for seen in chosen:
            found.update(seen.leaf_hash)
        return found.digest() == claim.running_hash

    def _require_nothing_behind(self, closed_at: int) -> None:
        behind = [seen for number in sorted(self.ahead) if number > closed_at for seen in self.ahead[number]]
        behind += self.ahead.get(closed_at, [])[1:]
        if behind:
            raise _FaultError(BootFault.FORGED, "stands behind the end of its boot", behind[0])


class BootChecks:
    """Takes entries one by one and keeps the first finding of each boot.

    `identities` are the public keys of the nodes, as the auditor has them. Memory grows with the boots that are open.
    """

    def __init__(self, identities: Iterable[VerifyingKey]) -> None:
        self._identities = tuple(identities)
        self._boots: dict[str, _Boot] = {}
        self._closed: set[str] = set()
        self._findings: dict[str, BootFinding] = {}
        self._newest = ""

    def observe(self, position: int, entry: Entry, leaf_hash: bytes) -> None:
        """Take the entry at `position` of the log."""
        boot_id = entry["boot"]
        # A clock that is set back is another check's matter; a second more or less is none here.
        self._newest = max(self._newest, entry["ts"])
        if boot_id in self._findings:
            return
        seen = _Seen(entry["node_seq"], position, entry["id"], leaf_hash, entry["ts"])
        try:
            if boot_id in self._closed:
                raise _FaultError(BootFault.FORGED, "was added to a boot that its node had closed", seen)
            boot = self._boots.get(boot_id) or self._boots.setdefault(boot_id, _Boot(boot_id, entry["node"]))
            boot.take(seen, entry, self._identities)
        except _FaultError as fault:
            self._found(boot_id, fault)
            return
        if boot.closed_at is not None and boot.proven == boot.closed_at - 1:
            self._closed.add(boot_id)
            del self._boots[boot_id]

    def finish(self) -> tuple[BootFinding, ...]:
        """Take it that the log ends here; return the first finding of each boot, in the order of their positions."""
        for boot_id, boot in list(self._boots.items()):
            try:
                boot.end(self._newest)
            except _FaultError as fault:
                self._found(boot_id, fault)
        return tuple(sorted(self._findings.values(), key=lambda each: (each.position is None, each.position)))

    def _found(self, boot_id: str, fault: _FaultError) -> None:
        seen = fault.seen
        place = (None, None) if seen is None else (seen.position, seen.entry)
        self._findings[boot_id] = BootFinding(fault.fault, boot_id, fault.number, fault.why, *place)
        self._boots.pop(boot_id, None)


def _missing(number: int) -> _FaultError:
    return _FaultError(
        BootFault.MISSING, "its node wrote an entry with this number, and it is not there", number=number
    )
