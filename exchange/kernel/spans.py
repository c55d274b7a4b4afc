"""Spans: which pieces of a request's work are measured where traces are on, and what may be noted of them.

Promises: names, and marks that may be noted, are closed lists; where traces are off, a span costs a call and keeps
nothing.
Does not: know where spans go (`tracing` does).
"""

from contextlib import AbstractContextManager
from enum import Enum
from types import TracebackType
from typing import Protocol, Self


class SpanName(Enum):
    """A piece of work."""

    REQUEST = "request"
    DECISION = "decision"
    CUSTODY = "custody"
    STORE = "store"
    LOG = "log"


class Mark(Enum):
    """What may be noted of it.

    INVARIANT: a value is a number, a request's own id, or a word of a closed list, never anything that a caller sent or
    a report holds: spans leave for a collector that is no part of the exchange.
    """

    METHOD = "http.request.method"
    ROUTE = "http.route"
    STATUS = "http.response.status_code"
    REQUEST_ID = "exchange.request_id"
    ACT = "exchange.act"
    OUTCOME = "exchange.outcome"
    COUNT = "exchange.count"


class Span(Protocol):
    """One piece of work under way."""

    def note(self, mark: Mark, value: str | int) -> None:
        """Note something of it."""
        ...


class Tracer(Protocol):
    """Measures pieces of work."""

    def span(self, name: SpanName) -> AbstractContextManager[Span]:
        """Measure what is done in the context; but for a request, only within one that is traced."""
        ...


class _Untraced:
    """Measures nothing; it is its own only span."""

    __slots__ = ()

    def span(self, name: SpanName) -> Self:  # noqa: ARG002  every name alike
        return self

    def note(self, mark: Mark, value: str | int) -> None:  # noqa: ARG002  nothing is kept
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None
    ) -> None:
        return


UNTRACED: Tracer = _Untraced()
"""Traces are off."""
