"""The record of one boot: which of its numbers are entries for certain, and the running hash over these.

A boot is one start of one process. It numbers its entries from 1 on, and every number becomes an entry: the one that
took it or, where that was lost with its transaction, `entry.voided` in its place, under the same id. The database
takes an id once, so of the two exactly one is ever there.
"""

import hashlib
from typing import Final, NamedTuple

_BOOT: Final = b"exchange boot\n"


class Unsettled(NamedTuple):
    """A number whose entry may or may not be durable. `beat` counts the heartbeats before it was given."""

    number: int
    entry: str
    leaf_hash: bytes
    beat: int


class BootRecord:
    """Follows the numbers of one boot. Not safe for threads: who owns it keeps a lock."""

    __slots__ = ("_ahead", "_beat", "_doubted", "_hash", "_unsettled", "last", "upto")

    def __init__(self, boot: str) -> None:
        self.last = 0
        """The number given last."""
        self.upto = 0
        """The highest number up to which all are settled."""
        self._hash = running_hash(boot)
        self._ahead: dict[int, bytes] = {}
        self._unsettled: dict[int, Unsettled] = {}
        self._doubted: set[int] = set()
        self._beat = 0

    def give(self, entry: str, leaf_hash: bytes) -> None:
        """Give the next number to an entry on its way to the database."""
        number = self.last = self.last + 1
        self._unsettled[number] = Unsettled(number, entry, leaf_hash, self._beat)

    def settle(self, number: int, leaf_hash: bytes) -> None:
        """Take for certain that the entry with this leaf hash is durable under `number`."""
        if self._unsettled.pop(number, None) is None:
            return
        self._doubted.discard(number)
        self._ahead[number] = leaf_hash
        while (following := self._ahead.pop(self.upto + 1, None)) is not None:
            self._hash.update(following)
            self.upto += 1

    def doubt(self, number: int) -> None:
        """Note that the transaction of `number` has failed, or ended nobody knows how."""
        if number in self._unsettled:
            self._doubted.add(number)

    def doubtful(self, *, beats: int) -> list[Unsettled]:
        """Return, in order, the numbers doubted and those unsettled for so many heartbeats; begin the next beat."""
        self._beat += 1
        return [
            each
            for number, each in sorted(self._unsettled.items())
            if number in self._doubted or self._beat - each.beat > beats
        ]

    @property
    def unsettled(self) -> int:
        """How many numbers are not settled."""
        return len(self._unsettled)

    def digest(self) -> bytes:
        """Return the running hash over the leaf hashes 1 to `upto`: 32 bytes."""
        return self._hash.copy().digest()


def running_hash(boot: str) -> "hashlib._Hash":
    """Return the SHA-256 that takes up the leaf hashes of a boot in the order of their numbers."""
    return hashlib.sha256(_BOOT + boot.encode() + b"\n")
