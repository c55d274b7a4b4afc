"""Kernel: what every room may stand on: time, ids, errors, canonical bytes.

Promises: standard library only, no state, no input or output.
Does not: know any concept of the exchange.
"""

from exchange.kernel.canonical import LARGEST_INTEGER, Canonical, CanonicalError, canonical_bytes
from exchange.kernel.clock import (
    EPOCH,
    LAST_MOMENT,
    MICROSECOND,
    Clock,
    first_moment,
    from_micros,
    is_canonical_rfc3339,
    parse_day,
    parse_micros,
    parse_rfc3339,
    rfc3339,
    system_clock,
    to_micros,
)
from exchange.kernel.counting import counted
from exchange.kernel.errors import (
    ConflictError,
    EntryReceipt,
    ExchangeError,
    Fault,
    ForbiddenError,
    InvalidError,
    LimitExceededError,
    MalformedError,
    NotAuthenticatedError,
    NotFoundError,
    PreconditionError,
    StalePolicyError,
    TooLargeError,
    UnavailableError,
    UnsafeSettingError,
    faults_told,
    pointer_token,
)
from exchange.kernel.ids import NOT_AN_ID, is_uuid7, micros_in, new_id
from exchange.kernel.json_values import json_fault, unique_members, values_up_to
from exchange.kernel.meant import meant
from exchange.kernel.randomness import SystemRandomness, system_randomness

__all__ = [
    "EPOCH",
    "LARGEST_INTEGER",
    "LAST_MOMENT",
    "MICROSECOND",
    "NOT_AN_ID",
    "Canonical",
    "CanonicalError",
    "Clock",
    "ConflictError",
    "EntryReceipt",
    "ExchangeError",
    "Fault",
    "ForbiddenError",
    "InvalidError",
    "LimitExceededError",
    "MalformedError",
    "NotAuthenticatedError",
    "NotFoundError",
    "PreconditionError",
    "StalePolicyError",
    "SystemRandomness",
    "TooLargeError",
    "UnavailableError",
    "UnsafeSettingError",
    "canonical_bytes",
    "counted",
    "faults_told",
    "first_moment",
    "from_micros",
    "is_canonical_rfc3339",
    "is_uuid7",
    "json_fault",
    "meant",
    "micros_in",
    "new_id",
    "parse_day",
    "parse_micros",
    "parse_rfc3339",
    "pointer_token",
    "rfc3339",
    "system_clock",
    "system_randomness",
    "to_micros",
    "unique_members",
    "values_up_to",
]
