"""What entries say of certificates: which ones were given to a client, and which of them ended.

An entry names a certificate by a mark, which says nothing to whoever does not have the certificate and what blinds it:
both stand in its row, and a row that says something else has another mark. Whoever is shown them recomputes it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import orjson

from exchange.audit.events import EventName, Outcome
from exchange.audit.rows_told import NO_ENTRY, Contradiction, RowKind, RowName, RowTold, is_settled
from exchange.audit.shape import Entry

BLIND_BYTES: Final = 16
"""Random, so that nobody who has a certificate finds its client in the log; 128 bits are not guessed."""

CERTIFICATE_EVENTS: Final = (
    *(EventName.CLIENT_ENROLLED, EventName.CERTIFICATE_ADDED),
    *(EventName.CERTIFICATE_REMOVED, EventName.CERTIFICATE_RECORDED),
)
"""The events whose entries say something of clients' certificates."""

_NAMES: Final = frozenset(event.value for event in CERTIFICATE_EVENTS)


@dataclass(frozen=True, slots=True)
class CertificateMark:
    """A certificate as entries name it: `certificate` is of client and thumbprint, `key` of the key in it besides.

    64 hex digits each; `key` is empty where the key is not known.
    """

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class CertificateKept:
    """A certificate in use, as its row has it; nothing of it is believed. `added_at` is in microseconds."""

    client: str
    thumbprint: object
    public_key: object
    blind: object
    added_at: object

    @property
    def mark(self) -> CertificateMark | None:
        """Return its mark; None where nothing blinds it."""
        if not isinstance(self.blind, bytes) or len(self.blind) != BLIND_BYTES or not isinstance(self.thumbprint, str):
            return None
        key = self.public_key if isinstance(self.public_key, str) else None
        return mark_of(self.client, self.thumbprint, key, self.blind)

    def is_settled(self, before: int, now: int | None) -> bool:
        """Return whether the entry that gave it is in its place: `rows_told.is_settled`."""
        return is_settled(self.added_at, before, now)


def mark_of(client: str, thumbprint: str, public_key: str | None, blind: bytes) -> CertificateMark:
    """Return the mark: SHA-256 over a JSON list of blind (hex), client and thumbprint, and the key's besides."""
    said = [blind.hex(), client, thumbprint]
    return CertificateMark(_digest_hex(said), "" if public_key is None else _digest_hex([*said, public_key]))


def detail_of(marks: Sequence[CertificateMark]) -> dict[str, list[str]]:
    """Return what an entry says of certificates with these marks."""
    return {"certificates": [each.certificate for each in marks], "keys": [each.key for each in marks]}


@dataclass(slots=True)
class _Told:
    """What entries say of one client; `blanks` gave it certificates and say nothing of them, `covered` are recorded."""

    enrolled: Entry | None = None
    given: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    blanks: int = 0
    covered: int = 0

    @property
    def is_waiting(self) -> bool:
        """Return whether something was given that is not on record yet."""
        return self.blanks > self.covered


class CertificatesTold:
    """Is told entries in any order, and says what of the rows none of them gave."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def __bool__(self) -> bool:
        """Return whether any entry told of a client's certificate."""
        return bool(self._told)

    def take(self, entry: Entry) -> None:
        """Take what one entry says; what it says of something else, or did not come to pass, is nothing."""
        subject = entry.get("object")
        is_told = entry["type"] in _NAMES and entry["decision"] == Outcome.PERMITTED.value
        if not is_told or subject is None or subject["type"] != RowKind.CLIENT.value:
            return
        told = self._told.setdefault(subject["id"], _Told())
        detail: Mapping[str, object] = entry.get("detail", MappingProxyType({}))
        marks = _listed(detail.get("certificates"))
        if entry["type"] == EventName.CERTIFICATE_REMOVED.value:
            told.ended.update(marks)
            return
        if entry["type"] == EventName.CLIENT_ENROLLED.value:
            told.enrolled = entry
        if entry["type"] == EventName.CERTIFICATE_RECORDED.value:
            covered = detail.get("given")
            told.covered = max(told.covered, covered if isinstance(covered, int) else 0)
        elif not marks:
            told.blanks += 1
        for mark, key in zip(marks, _listed(detail.get("keys")), strict=False):
            told.given[mark] = key or told.given.get(mark, "")

    def has_ended(self, client: str, mark: CertificateMark | None) -> bool:
        """Return whether the use of a certificate with this mark by a client was ended; without one none was."""
        told = self._told.get(client)
        return told is not None and mark is not None and mark.certificate in told.ended

    def waiting(self) -> Iterator[tuple[str, int, str | None]]:
        """Yield clients that have certificates from entries which say nothing of them: how many, and whose it is."""
        for client, told in self._told.items():
            if told.is_waiting and told.enrolled is not None:
                yield client, told.blanks, told.enrolled.get("owner")

    def untold(self, kept: Iterable[CertificateKept]) -> Iterator[Contradiction]:
        """Yield the certificates that no entry gave to their client, or that ended, read after the entries."""
        for each in kept:
            name = RowName(RowKind.CLIENT, each.client)
            told = self._told.get(each.client)
            if told is None or told.enrolled is None:
                yield Contradiction(RowTold(name, NO_ENTRY), "no entry tells how it was enrolled")
            elif not isinstance(each.thumbprint, str):
                # Nobody can come with it, and nothing names it.
                yield Contradiction(RowTold(name, NO_ENTRY), "a certificate of it cannot be read")
            elif (why := _fault(told, each.mark)) is not None:
                yield Contradiction(RowTold(name, told.enrolled), why, certificate=each.thumbprint)


def _fault(told: _Told, mark: CertificateMark | None) -> str | None:
    if mark is not None and mark.certificate in told.ended:
        return "a certificate is in use that `certificate.removed` ended"
    if told.is_waiting:
        # What older entries gave cannot be compared before it is put on record.
        return None
    if mark is None or mark.certificate not in told.given:
        return "a certificate is in use that no entry gave to it"
    key = told.given[mark.certificate]
    return "a certificate has another key than its entry says" if key and key != mark.key else None


def _listed(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _digest_hex(said: list[str]) -> str:
    return hashlib.sha256(orjson.dumps(said)).hexdigest()
