"""A stream of headers as it comes in: read as WHATWG HTML says, and gone on with where it broke or was ended.

Steps: (1) lines are fields, an empty one ends an event; (2) the id counts as soon as its event is whole; (3) a stream
that ends, or breaks, is asked for again behind the last id; (4) a refusal is the caller's.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from exchange.client.answers import stating
from exchange.client.errors import AnswerError, ConnectionFailedError, ProblemError
from exchange.client.exports import LONGEST_WAIT_SECONDS, is_passing, wait_after
from exchange.client.transport import Transport
from exchange.wire import HeaderBody

_PATH: Final = "/v1/stream"
_FACTS: Final = TypeAdapter(dict[str, str])
_UNOPENED: Final = TypeAdapter(dict[str, str | None])
_LONGEST_LINE_BYTES: Final = 1024 * 1024
# Of milliseconds to wait: of thousands of digits no number can be made.
_MOST_DIGITS: Final = 9
# Three times what the exchange is silent for at most: what is silent longer is a connection that is gone.
_SILENCE_SECONDS: Final = 60.0
_USUAL_PAUSE_SECONDS: Final = 2.0
_PAUSES_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """A header that became visible, and where to go on behind it; None where a fresh list has more than was sent."""

    header: HeaderBody | None
    cursor: str


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """What concerns one's member and is no report: a `request`, or a `breach`, with the facts that a webhook tells."""

    kind: str
    facts: Mapping[str, str]
    cursor: str


@dataclass(frozen=True, slots=True)
class UnopenedEvent:
    """A report that one may read and that the exchange cannot open; `report` is None where it may not say which."""

    report: str | None
    cursor: str


WatchedEvent = StreamEvent | ToldEvent | UnopenedEvent
"""What a stream tells."""


@dataclass(slots=True)
class _Reading:
    """What is known between two connections."""

    cursor: str | None
    pause_seconds: float = _USUAL_PAUSE_SECONDS
    pauses: list[float] = field(default_factory=list)


def watch(
    transport: Transport, after: str | None, *, purpose: str | None, pause: Callable[[float], None]
) -> Iterator[WatchedEvent]:
    """Yield what becomes visible, and what else is told, behind `after` (None: from now on), for ever.

    Raises ProblemError where the exchange refuses, ConnectionFailedError where it cannot be reached at the first try,
    or five times in a row.
    """
    reading = _Reading(after)
    while True:
        try:
            yield from _once(transport, reading, purpose)
            # (3) it was ended in order
            wait = reading.pause_seconds
        except (ConnectionFailedError, ProblemError) as exc:
            # (4) what is refused stays refused
            if not reading.pauses or not is_passing(exc):
                raise
            wait = wait_after(exc, reading.pauses.pop(0))
        pause(wait)


def _once(transport: Transport, reading: _Reading, purpose: str | None) -> Iterator[WatchedEvent]:
    headers = {"Accept": "text/event-stream", **stating(purpose)}
    query = "" if reading.cursor is None else f"?{urlencode({'after': reading.cursor})}"
    with transport.stream(_PATH + query, headers, silence_seconds=_SILENCE_SECONDS) as answer:
        reading.pauses = list(_PAUSES_SECONDS)
        for fields in events_of(answer.iter_bytes()):
            # (2) whole: from here on it is not asked for again
            reading.cursor = fields.get("id", reading.cursor)
            if (wait := fields.get("retry", "")[:_MOST_DIGITS]).isdecimal():
                reading.pause_seconds = min(int(wait) / 1000, LONGEST_WAIT_SECONDS)
            match fields.get("event"):
                case "report" | "request" | "breach" | "unopened" as kind:
                    yield _event(kind, fields.get("data", ""), reading.cursor or "")
                case "list-anew":
                    yield StreamEvent(None, reading.cursor or "")
                case "end":
                    return
                case _:
                    pass  # a newer exchange may tell more


def events_of(chunks: Iterable[bytes]) -> Iterator[dict[str, str]]:
    """Yield the fields of each event; one that the connection broke off does not count."""
    rest, fields, size_bytes = b"", dict[str, str](), 0
    for chunk in chunks:
        # (1) this exchange ends its lines with line feeds alone
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES:
            raise AnswerError("a line of the stream is longer than any that an exchange writes")
        for line in lines:
            size_bytes = size_bytes + len(line) if line else 0
            if size_bytes > _LONGEST_LINE_BYTES:
                raise AnswerError("an event of the stream is longer than any that an exchange writes")
            if line:
                name, _, value = line.decode("utf-8", errors="replace").partition(":")
                fields[name] = value.removeprefix(" ")
            elif fields:
                yield fields
                fields = {}


def _event(kind: str, text: str, cursor: str) -> WatchedEvent:
    try:
        match kind:
            case "report":
                # A newer exchange may say more than this client knows; what it knows must be right.
                return StreamEvent(HeaderBody.model_validate_json(text, extra="ignore"), cursor)
            case "unopened":
                return UnopenedEvent(_UNOPENED.validate_json(text)["report"], cursor)
            case _:
                return ToldEvent(kind, _FACTS.validate_json(text), cursor)
    except (ValidationError, KeyError) as exc:
        raise AnswerError("an event of the stream is not what the contract says") from exc
