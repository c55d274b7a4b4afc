"""Custody: where the keys live that open everything else.

Promises: a data key or a header sealed for one name and context opens with these alone; key id and version travel
with it; a key file that others can read, or that holds no real key, is refused with the way to mend it.
Does not: let a key-encryption key out, encrypt parts (crypto does), or remember what it wrapped (rows do).
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
from exchange.custody.log_key import (
    LOG_KEY_MEND,
    LogKey,
    checkpoint_signed_by,
    create_log_key,
    load_log_key,
    parse_log_key,
    replace_log_key,
    stated_seconds,
)
from exchange.custody.roots import add_root_version, create_root_file
from exchange.custody.traced import TracedCustodian

__all__ = [
    "LOG_KEY_MEND",
    "Custodian",
    "CustodyStatus",
    "CustodyUnavailableError",
    "FileCustodian",
    "KeyMissingError",
    "KeyVersion",
    "LogKey",
    "TracedCustodian",
    "Wrapped",
    "add_root_version",
    "checkpoint_signed_by",
    "create_log_key",
    "create_root_file",
    "load_log_key",
    "parse_log_key",
    "replace_log_key",
    "stated_seconds",
]
