"""An export of the log as it comes in: every line checked, in order, and gone on with where a connection broke."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from exchange.audit.export import ExportedEntry, Place, Statement, parse_place, read_line
from exchange.client.errors import AnswerError, ConnectionFailedError, ProblemError
from exchange.client.transport import TRY_AGAIN_STATUSES, Transport
from exchange.kernel import MalformedError

Item = ExportedEntry | Statement
Read = Callable[[Place | None], Iterator[Item]]

END_HEADER = "X-Audit-Export-End"

_PATH = "/v1/audit/export"
# An entry has at most 64 KiB, and a proof of the tallest tree less than 4.
_LONGEST_LINE_BYTES = 256 * 1024
# The exchange may look through millions of entries of others before it finds the next that is ours.
_SILENCE_SECONDS = 300.0
# A restart takes seconds, a failover of the database half a minute.
LONGEST_WAIT_SECONDS = 60.0
"""Whatever the exchange asks for: what is followed and never asked for again would be silent for ever."""
_PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0)


def read_export(
    transport: Transport,
    after: Place | None,
    asked: Mapping[str, str],
    *,
    on_end: Callable[[Place], None] | None = None,
) -> Iterator[Item]:
    """Yield what the exchange exports behind `after`, at its end the statement that it is complete.

    `on_end` is told at the beginning how far it will go. Raises AnswerError for a line that is damaged or out of order,
    ConnectionFailedError where the end is missing.
    """
    query = {"format": "ndjson", **asked, **({} if after is None else {"after": str(after)})}
    item: Item | None = None
    with transport.stream(f"{_PATH}?{urlencode(query)}", {}, silence_seconds=_SILENCE_SECONDS) as answer:
        if on_end is not None and END_HEADER in answer.headers:
            on_end(parse_place(answer.headers[END_HEADER]))
        for line in lines_of(answer.iter_bytes()):
            item = _parsed(line)
            if isinstance(item, ExportedEntry):
                if after is not None and item.place <= after:
                    raise AnswerError(f"the export is out of order: {item.place} came behind {after}")
                after = item.place
            yield item
    if not isinstance(item, Statement):
        raise ConnectionFailedError("the export ended before it was complete: ask again for what is missing")


def through_breaks(read: Read, after: Place | None, pause: Callable[[float], None]) -> Iterator[Item]:
    """Yield what `read` yields, and where its connection breaks go on behind the last entry that came.

    Raises what `read` raises where the first try gets nothing, or five tries in a row nothing more.
    """
    pauses: list[float] = []
    while True:
        try:
            for item in read(after):
                if isinstance(item, ExportedEntry):
                    after = item.place
                pauses = list(_PAUSES_SECONDS)
                yield item
            return
        except (ConnectionFailedError, ProblemError) as exc:
            if not pauses or not is_passing(exc):
                raise
            pause(wait_after(exc, pauses.pop(0)))


class _Page(Protocol):
    @property
    def next(self) -> str | None:
        """Where the one behind it begins."""


Page = TypeVar("Page", bound=_Page)


def pages_for_ever(
    ask: Callable[[str | None], Page], after: str | None, pause: Callable[[float], None]
) -> Iterator[Page]:
    """Yield each page behind `after`, and ask again where an exchange that had answered cannot for a moment.

    Raises what `ask` raises where it is refused, at the first try, or five times in a row.
    """
    pauses: list[float] = []
    while True:
        try:
            page = ask(after)
        except (ConnectionFailedError, ProblemError) as exc:
            if not pauses or not is_passing(exc):
                raise
            pause(wait_after(exc, pauses.pop(0)))
            continue
        pauses = list(_PAUSES_SECONDS)
        yield page
        after = page.next


def wait_after(exc: ConnectionFailedError | ProblemError, seconds: float) -> float:
    """Return how long to wait before another try: `seconds`, or longer where the exchange asked for that, bounded."""
    asked = exc.retry_after_seconds if isinstance(exc, ProblemError) else None
    return max(seconds, min(asked or 0.0, LONGEST_WAIT_SECONDS))


def is_passing(exc: ConnectionFailedError | ProblemError) -> bool:
    """Return whether trying again later may help: a refusal stays one."""
    return not isinstance(exc, ProblemError) or exc.status in TRY_AGAIN_STATUSES


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines in `chunks`, each with its line feed; no other character ends one."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES:
            raise AnswerError("a line of the export is longer than any that an exchange writes")
        for line in lines:
            yield line + b"\n"
    if rest:
        raise ConnectionFailedError("the export ended in the middle of a line: ask again for what is missing")


def _parsed(line: bytes) -> Item:
    try:
        return read_line(line)
    except MalformedError as exc:
        raise AnswerError(exc.message) from exc
