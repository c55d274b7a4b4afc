"""One log at the place that an auditor named, and what the place says of it beside the log itself."""

from dataclasses import dataclass

from exchange.audit import VerifierKey
from exchange.audit.verify import KnownCheckpoint, Source
from exchange.crypto import VerifyingKey


@dataclass(frozen=True, slots=True)
class LogHere:
    """A log, the keys and checkpoints that its place keeps apart from it, and remarks for the reader.

    `origin` is the name under which it was asked for, the empty text where it was not.
    """

    source: Source
    keys: tuple[VerifierKey, ...] = ()
    known: tuple[KnownCheckpoint, ...] = ()
    node_keys: tuple[VerifyingKey, ...] = ()
    remarks: tuple[str, ...] = ()
    origin: str = ""
