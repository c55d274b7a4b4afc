"""A boot built with the pure code: its entries, its evidence, and what an operator might make of them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from exchange.audit import (
    Actor,
    BootRecord,
    EntryDraft,
    EventName,
    Evidence,
    Outcome,
    SealedEntry,
    hash_leaf,
    open_boot,
    parse_entry,
    seal_entry,
    sign_evidence,
)
from exchange.audit.boot_record import running_hash
from exchange.crypto import SignatureScheme, SigningKey
from exchange.kernel import new_id
from tests.support.boots import check_boots

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def key(seed=1):
    return SigningKey.from_seed(SignatureScheme.ED25519, bytes([seed]) * 32)


NODE_KEY = key()


@dataclass
class Boot:
    """One start of a process, as it writes. `at` moves a second with each entry."""

    number: int = 1
    identity: SigningKey = NODE_KEY
    node: str = "node-1"
    at: datetime = START
    is_opened: bool = False
    written: list[SealedEntry] = field(default_factory=list)

    def __post_init__(self):
        self.id = new_id(START, lambda size: bytes([self.number]) * size)
        self.key, self.opening = open_boot(self.identity, bytes([100 + self.number]) * 32, node=self.node, boot=self.id)
        self.record = BootRecord(self.id)

    def write(self, count=1, **fields):
        """Write ordinary entries."""
        for _ in range(count):
            self._keep(self.seal(self.record.last + 1, **fields))

    def sign(self, *, is_closing=False, event=EventName.NODE_HEARTBEAT):
        """Write evidence of all that was written."""
        opening = None if self.is_opened else self.opening
        stated = Evidence(self.record.upto, self.record.digest(), is_closing, opening)
        entry = self.seal(self.record.last + 1, event=event, detail=stated.as_detail())
        self.is_opened = True
        self._keep(sign_evidence(entry, self.key.sign))

    def record_hash(self, upto):
        """Return the running hash over the first entries."""
        found = running_hash(self.id)
        for entry in self.written[:upto]:
            found.update(entry.leaf_hash)
        return found.digest()

    def seal(self, number, **fields):
        """Seal an entry of this boot under a number, as its node or somebody in its name would."""
        self.at += SECOND
        fields = {"event": EventName.REPORT_READ, "outcome": Outcome.PERMITTED, **fields}
        draft = EntryDraft(at=self.at, actor=Actor("client", id="desk"), request_id="r", source="192.0.2.1", **fields)
        place = {"node": self.node, "boot": self.id, "node_seq": number}
        entry_id = new_id(self.at, lambda _: number.to_bytes(4) + bytes(4))
        return seal_entry(draft, entry_id=entry_id, **place)

    def _keep(self, entry):
        self.record.give(entry.id, entry.leaf_hash)
        self.record.settle(entry.node_seq, entry.leaf_hash)
        self.written.append(entry)


def checked(*entries, keys=(NODE_KEY,), later=True):
    """Return what is found in a log of these entries; `later` a signed boot follows, long after."""
    log = list(entries)
    if later:
        after = Boot(99, at=START + timedelta(days=1))
        after.write()
        after.sign(is_closing=True)
        log += after.written
    told = [(position, parse_entry(entry.content), hash_leaf(entry.content)) for position, entry in enumerate(log)]
    return check_boots(told, [each.verifying_key for each in keys])
