"""What who acted is given of an entry: enough to prove later that the log had it."""

from binascii import b2a_base64
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Receipt:
    """The id of an entry, and its leaf hash in base64 (standard alphabet, padded).

    The leaf hash is RFC 9162 §2.1.1 over the entry's bytes: who keeps a receipt can ask for a proof of inclusion at
    any later time, and a log that lost or changed the entry has none to give.
    """

    entry: str
    leaf: str

    @classmethod
    def of(cls, entry_id: str, leaf_hash: bytes) -> Self:
        """Return the receipt of the entry with this id and this leaf hash of 32 bytes."""
        return cls(entry_id, b2a_base64(leaf_hash, newline=False).decode())
