"""The doorstep: connections whose handshake is under way. Anybody may stand there, so few may, and none for long.

Promises: no more than `most` at a time. Where all places are taken, whoever comes next waits outside until one is free,
or until who has stood there longest has had a fair time: then that one is sent away.
Who is refused in the handshake is noted.
Does not: know who comes; the handshake says.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from exchange.entrypoints.http.gate import ConnectionGate
from exchange.entrypoints.http.strangers import Strangers, Wrong, wrong_with
from exchange.entrypoints.http.unread import NO_TLS, unread_answer

MOST = 2_048
"""Each costs about 30 KB and two files. It takes two round trips: so many stand there at a thousand a second."""
FAIR_SECONDS = 1.0
"""What somebody on the other side of the earth needs for it, twice; from then on others come first."""

_AT_ONCE = 4
"""Taken in one turn of the loop: the other workers want theirs."""
_NO_FILES_SECONDS = 0.1


class Doorstep:
    """Accepts connections of one listening socket and sees them through their handshakes."""

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        context: Callable[[], ssl.SSLContext],
        *,
        seconds: float,
        gate: ConnectionGate,
        most: int = MOST,
        strangers: Strangers | None = None,
    ) -> None:
        self._listening = listening
        self._protocol = protocol
        self._context = context
        self._seconds = seconds
        self._gate = gate
        self._most = most
        self._strangers = strangers
        self._loop = asyncio.get_running_loop()
        self._standing: dict[asyncio.Task[None], float] = {}
        self._later: asyncio.TimerHandle | None = None
        self._is_open = False

    def __len__(self) -> int:
        return len(self._standing)

    def open(self, backlog: int) -> None:
        """Begin to accept."""
        self._listening.setblocking(False)
        self._listening.listen(backlog)
        self._is_open = True
        self._go_on()

    def close(self) -> None:
        """Accept nobody any more; handshakes that are under way come to their end."""
        self._is_open = False
        self._wait_outside()

    async def wait_closed(self) -> None:
        """End the handshakes that are still under way."""
        # One that has not begun yet would leave its connection open.
        await asyncio.sleep(0)
        for standing in self._standing:
            standing.cancel()
        if self._standing:
            await asyncio.wait(list(self._standing))

    def _take(self) -> None:
        for number in range(_AT_ONCE):
            # Behind the first nobody may have come: for nobody none is sent away.
            if len(self._standing) >= self._most and (number or not self._has_made_room()):
                return
            try:
                accepted, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # No file is left for it, and it stays in the row: looking at it all the time would help nobody.
                self._wait_outside(_NO_FILES_SECONDS)
                return
            accepted.setblocking(False)
            standing = self._loop.create_task(self._seen_through(accepted, str(address[0])), name="handshake")
            self._standing[standing] = self._loop.time()
            standing.add_done_callback(self._left)

    def _has_made_room(self) -> bool:
        """Send away who has stood here longest, if that is long enough; else let others wait until it is."""
        longest, since = next(iter(self._standing.items()))
        fair = since + FAIR_SECONDS - self._loop.time()
        if fair > 0:
            self._wait_outside(fair)
            return False
        longest.cancel()
        del self._standing[longest]
        self._gate.turn_away()
        return True

    async def _seen_through(self, accepted: socket.socket, source: str) -> None:
        # Strangers fail here as they like: the log is told, and who did not begin with TLS at all.
        with _second_handle(accepted) as plain:
            try:
                await self._loop.connect_accepted_socket(
                    self._protocol, accepted, ssl=self._context(), ssl_handshake_timeout=self._seconds
                )
            except OSError as exc:
                if wrong_with(exc) is Wrong.PLAIN_HTTP:
                    _say(plain, unread_answer(NO_TLS))
                if self._strangers is not None:
                    self._strangers.note(source, exc)

    def _left(self, standing: asyncio.Task[None]) -> None:
        self._standing.pop(standing, None)
        if not standing.cancelled():
            standing.exception()
        if self._later is not None and len(self._standing) < self._most:
            self._go_on()

    def _wait_outside(self, seconds: float | None = None) -> None:
        self._loop.remove_reader(self._listening)
        self._stop_waiting()
        if seconds is not None:
            self._later = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._stop_waiting()
        if self._is_open:
            self._loop.add_reader(self._listening, self._take)

    def _stop_waiting(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None


@contextmanager
def _second_handle(accepted: socket.socket) -> Iterator[socket.socket | None]:
    """Yield the connection once more, None where no file is left: a handshake that fails closes the first."""
    try:
        second = accepted.dup()
    except OSError:
        yield None
        return
    with second:
        yield second


def _say(plain: socket.socket | None, answer: bytes) -> None:
    """Say a last word in the clear, if it goes out at once."""
    if plain is not None:
        with suppress(OSError):
            plain.send(answer)
            plain.shutdown(socket.SHUT_WR)
