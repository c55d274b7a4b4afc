"""Custody: where the key-encryption keys live.

Promises: a data key wrapped for one name and context unwraps with these alone; key id and version travel
with it; a key file that others can read, or that holds no real key, is refused with the way to mend it.
Does not: let a key-encryption key out, encrypt reports (crypto does), or remember what it wrapped (rows do).
"""

from exchange.custody.custodian import (
    Custodian,
    CustodyStatus,
    CustodyUnavailableError,
    KeyMissingError,
    KeyVersion,
    Wrapped,
)
from exchange.custody.file import FileCustodian
from exchange.custody.roots import add_root_version, create_root_file

__all__ = [
    "Custodian",
    "CustodyStatus",
    "CustodyUnavailableError",
    "FileCustodian",
    "KeyMissingError",
    "KeyVersion",
    "Wrapped",
    "add_root_version",
    "create_root_file",
]
