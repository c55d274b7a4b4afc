"""A live feed of the log to a receiver: at least once, gone on with where it stopped.

Steps: (1) read on behind what was confirmed; (2) send each entry; (3) every so often, and whenever there is nothing
more, end the session in order; (4) then write down how far the receiver has it. A receiver that breaks off, or a feed
that is killed, begins again at what was written down: entries may come twice (their ids say so), none is lost.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from exchange.audit.export import ExportedEntry, Place, Statement, parse_place
from exchange.client.errors import ConnectionFailedError, ProblemError
from exchange.client.exports import Item, is_passing, wait_after
from exchange.client.syslog import ReceiverError
from exchange.kernel import InvalidError, MalformedError, UnavailableError
from exchange.kernel.files import keep_file

_LARGEST_WINDOW = 10_000
"""So many entries at most come again after a break."""

_CONFIRM_SECONDS = 5.0
"""And no more than were sent in so long; a handshake every few seconds costs a receiver nothing."""

_PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Between tries to reach the receiver; the last one for ever: a feed that gives up at night is no feed."""

Read = Callable[[Place | None], Iterator[Item]]
Write = Callable[[ExportedEntry], bytes]


class Session(Protocol):
    """The road to the receiver, see `SyslogSession`."""

    def send(self, message: bytes) -> None: ...

    def confirm(self) -> None: ...

    def abandon(self) -> None: ...


class FeedState:
    """The file that says how far the receiver has the log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Place | None:
        """Return the place behind which to go on, None for a feed that begins; InvalidError for a damaged file."""
        try:
            return parse_place(str(json.loads(self._path.read_text(encoding="utf-8"))["after"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, MalformedError) as exc:
            raise InvalidError(f"`{self._path}` does not say how far the feed has come: {exc}") from exc

    def write(self, place: Place) -> None:
        """Put `place` on the disk; when this returns, no power cut takes it back."""
        try:
            keep_file(self._path, json.dumps({"after": str(place)}).encode())
        except OSError as exc:
            raise UnavailableError(f"`{self._path}` cannot be written: {exc.strerror}") from exc


@dataclass(slots=True)
class Feed:
    """One feed. `told` is called with what a person may want to know; `clock` counts seconds."""

    read: Read
    write: Write
    session: Session
    state: FeedState
    clock: Callable[[], float]
    pause: Callable[[float], None]
    told: Callable[[str], None] = field(default=lambda _: None)
    delivered: int = 0
    _window: int = 0
    _confirmed_at: float = 0.0
    _has_moved: bool = False

    def run(self) -> None:
        """Feed until `read` ends; one that follows the log never does.

        A receiver or an exchange that is away is tried again for ever; raises ProblemError for a refusal.
        """
        pauses = iter(_PAUSES_SECONDS)
        while True:
            try:
                self._feed(self.state.read())
                return
            except (ReceiverError, ConnectionFailedError, ProblemError) as exc:
                self.session.abandon()
                if not isinstance(exc, ReceiverError) and not is_passing(exc):
                    raise
                if self._has_moved:
                    pauses, self._has_moved = iter(_PAUSES_SECONDS), False
                wait = next(pauses, _PAUSES_SECONDS[-1])
                if not isinstance(exc, ReceiverError):
                    wait = wait_after(exc, wait)
                self.told(f"{exc}: again in {wait:g} s")
                self.pause(wait)

    def _feed(self, after: Place | None) -> None:
        self._window, self._confirmed_at = 0, self.clock()
        # (1) behind what was confirmed
        for item in self.read(after):
            match item:
                case ExportedEntry():
                    # (2) on its way
                    self.session.send(self.write(item))
                    self._window += 1
                    after = item.place
                    if self._window >= _LARGEST_WINDOW:
                        self._confirm(after)
                case Statement() if after is not None and self._is_time():
                    self._confirm(after)
        if after is not None and self._window:
            self._confirm(after)

    def _confirm(self, place: Place) -> None:
        # (3) the receiver has read it all, or this raises
        self.session.confirm()
        # (4) and only then it is written down
        self.state.write(place)
        self.delivered += self._window
        self._window, self._confirmed_at, self._has_moved = 0, self.clock(), True

    def _is_time(self) -> bool:
        return self._window > 0 and self.clock() - self._confirmed_at >= _CONFIRM_SECONDS
