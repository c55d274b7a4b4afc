"""Verify: an audit log, tried by somebody who trusts nobody.

Promises: believes the keys and checkpoints that the auditor brings and nothing that the log says of itself; names the
first bad entry or tile of every step, and why; one pass, in memory that does not grow with the log.
Does not: fetch, open files or ask for the time: a `Source` hands the log over, the caller says what time it is.
"""

from exchange.audit.verify.erasures import ERASED_AGAIN
from exchange.audit.verify.expectations import Expectations, KnownCheckpoint, Limits
from exchange.audit.verify.export import personal_note, verify_export
from exchange.audit.verify.findings import Erasures, Finding, Step, Verification
from exchange.audit.verify.log import verify_log
from exchange.audit.verify.receipts import prove_receipt, signed_head
from exchange.audit.verify.source import KeptCheckpoint, PendingEntry, PersonalKeyState, Source, StoredEntry

__all__ = [
    "ERASED_AGAIN",
    "Erasures",
    "Expectations",
    "Finding",
    "KeptCheckpoint",
    "KnownCheckpoint",
    "Limits",
    "PendingEntry",
    "PersonalKeyState",
    "Source",
    "Step",
    "StoredEntry",
    "Verification",
    "personal_note",
    "prove_receipt",
    "signed_head",
    "verify_export",
    "verify_log",
]
