"""The errors of the core: they name the fault and know nothing of HTTP.

`entrypoints/http` holds the one table that maps each type to a status. A type
without a row there becomes a 500 that tells nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input.

    `pointer` is a JSON Pointer (RFC 6901) into the input, `""` for the whole;
    `code` a reason code of the contract or a stable word; `line` is 1-based
    for text files, None for JSON bodies.
    """

    pointer: str
    code: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        line = f"line {self.line}: " if self.line is not None else ""
        place = f"{self.pointer}: " if self.pointer else ""
        return f"{line}{place}{self.message}"


def pointer_token(name: str) -> str:
    """Return `name` as one reference token of a JSON Pointer (RFC 6901 §3)."""
    return name.replace("~", "~0").replace("/", "~1")


MOST_FAULTS_TOLD = 100
"""Enough to mend a whole report at once; a hostile body must not make an answer larger than itself."""


def faults_told(faults: Sequence[Fault], count: int | None = None) -> tuple[Fault, ...]:
    """Return the first of these faults, and in a last one how many more there are; `count` where some are left out."""
    in_all = len(faults) if count is None else count
    if in_all <= MOST_FAULTS_TOLD + 1:
        return tuple(faults)
    more = f"{in_all - MOST_FAULTS_TOLD} more faults are not told: mend these first"
    return (*faults[:MOST_FAULTS_TOLD], Fault("", "more-faults", more))


class EntryReceipt(Protocol):
    """What the log gave for an entry: `exchange.audit.Receipt`, which this room does not know."""

    @property
    def entry(self) -> str:
        """Return the entry's id."""

    @property
    def leaf(self) -> str:
        """Return the entry's leaf hash in base64."""


class ExchangeError(Exception):
    """Base of every error the exchange raises on purpose."""

    code = "failed"

    receipt: EntryReceipt | None = None
    """Receipt of the audit entry that records this failure; None until one is durable."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class MalformedError(ExchangeError):
    """The input cannot be read at all: not JSON, not UTF-8, a forged cursor."""

    code = "malformed"


class InvalidError(ExchangeError):
    """The input was read and is wrong; every fault found is listed."""

    code = "invalid"

    def __init__(self, message: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults

    def __str__(self) -> str:
        # A single fault is often the whole message: it is said once.
        told = (str(fault) for fault in self.faults if fault.message != self.message)
        return "\n".join([self.message, *told])


class NotAuthenticatedError(ExchangeError):
    """A certificate of a trusted authority that no client is enrolled with."""

    code = "not-authenticated"


class ForbiddenError(ExchangeError):
    """The caller may know that the thing exists, but its own standing forbids the act.

    Only ever carries facts about the caller: a missing role, a suspension, weak assurance.
    """

    code = "role-missing"


class NotFoundError(ExchangeError):
    """Absent or invisible; the two are never told apart."""

    code = "not-found"


class ConflictError(ExchangeError):
    """The state of the thing does not allow the act now."""

    code = "conflict"


class TooLargeError(ExchangeError):
    """The input exceeds a stated limit; it was not read whole."""

    code = "too-large"


class LimitExceededError(ExchangeError):
    """Too many requests; `retry_after_seconds` says when to come back."""

    code = "rate-limited"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StalePolicyError(ExchangeError):
    """The policy moved between the decision and the write; decide again."""

    code = "stale-policy"


class PreconditionError(ExchangeError):
    """The caller's `If-Match` names a version that is no longer the current one."""

    code = "precondition-failed"


class UnavailableError(ExchangeError):
    """The log, the store or custody cannot answer; nothing was released.

    `told` is what callers hear of it: the message, unless that names what only operators are to know.
    """

    code = "unavailable"

    def __init__(self, message: str, *, code: str | None = None, told: str | None = None) -> None:
        super().__init__(message, code=code)
        self.told = message if told is None else told


class UnsafeSettingError(ExchangeError):
    """A secret or setting with which the service refuses to start."""

    code = "unsafe-setting"
