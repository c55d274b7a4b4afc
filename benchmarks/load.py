"""The load: `python -m benchmarks.load FILE`, its orders on stdin, what it saw in FILE.

It loads one server after the other, as ordered. One keep-alive connection per caller, each with its certificate and one
request on its way at a time. Requests are bytes made beforehand and answers are counted, not parsed, so that the
generator is not what is measured.
"""

import asyncio
import os
import pickle
import ssl
import sys
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import cast

import uvloop


@dataclass(frozen=True, slots=True)
class Caller:
    """One connection: the folder of its certificate, and the requests that it makes in turn."""

    folder: Path
    requests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """Whom to load, as whom, for how long; `pid` is the process whose processor time is told."""

    host: str
    port: int
    pid: int
    callers: tuple[Caller, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Orders:
    """Which servers to load, in turn; the first `warm_seconds` of each are not counted."""

    turns: tuple[Turn, ...]
    warm_seconds: float

    @property
    def seconds(self) -> float:
        """How long it takes at least."""
        return sum(self.warm_seconds + turn.seconds for turn in self.turns)


@dataclass(slots=True)
class Seen:
    """What came of it. `sample` is the body of one answer, for whoever wants to see that it is one.

    `cpu_us` is what the server used per answer, `all_us` what all processes of the machine did, load, jobs and database
    among them; both from the first request on, warming up included.
    """

    per_second: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    mean_bytes: float = 0.0
    answers: int = 0
    cpu_us: float = 0.0
    all_us: float = 0.0
    fault: str = ""
    sample: bytes = b""


@dataclass(slots=True)
class Tally:
    """What all connections of one run share."""

    begin: float
    end: float
    latencies: list[float] = field(default_factory=list)
    bytes_read: int = 0
    answers: int = 0
    fault: str = ""
    sample: bytes = b""


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the last answer is whole."""

    def __init__(self, requests: tuple[bytes, ...], tally: Tally, *, keeps_first: bool) -> None:
        self._requests = requests
        self._tally = tally
        self._keeps = keeps_first
        self._next = 0
        self._head = b""
        self._length = 0
        self._left = 0
        self._sent = 0.0
        self._transport: asyncio.Transport
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop("" if self.done.done() else f"the connection was lost: {exc}")

    def ask(self) -> None:
        """Send one request."""
        self._sent = perf_counter()
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        if self._left == 0:
            head, mark, data = (self._head + data).partition(b"\r\n\r\n")
            if not mark:
                self._head = head
                return
            if not head.startswith(b"HTTP/1.1 20"):
                self._stop((head + mark + data)[:1000].decode(errors="replace"))
                return
            self._head = b""
            self._length = self._left = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        self._left -= len(data)
        if self._keeps:
            self._tally.sample += data
        if self._left == 0:
            self._answered(perf_counter())

    def _answered(self, now: float) -> None:
        tally = self._tally
        self._keeps = False
        tally.answers += 1
        if tally.begin <= now < tally.end:
            tally.latencies.append(now - self._sent)
            tally.bytes_read += self._length
        if now < tally.end:
            self.ask()
        else:
            self._stop("")

    def _stop(self, fault: str) -> None:
        self._tally.fault = self._tally.fault or fault
        if not self.done.done():
            self.done.set_result(None)
        self._transport.close()


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, all threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """Return the processor time that all processes of this machine have used on all cores."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


async def run(orders: Orders) -> list[Seen]:
    """Load the servers one after the other and return what was seen of each."""
    return [await _loaded(turn, orders.warm_seconds) for turn in orders.turns]


async def _loaded(turn: Turn, warm_seconds: float) -> Seen:
    tally = Tally(0.0, 0.0)
    connections = await _connected(turn, tally)
    before, busy = cpu_seconds(turn.pid), busy_seconds()
    tally.begin = perf_counter() + warm_seconds
    tally.end = tally.begin + turn.seconds
    for connection in connections:
        connection.ask()
    await asyncio.wait_for(asyncio.gather(*(each.done for each in connections)), warm_seconds + turn.seconds + 30)
    seen = _summed(tally, turn.seconds)
    per_answer = 1e6 / max(1, tally.answers)
    seen.cpu_us = (cpu_seconds(turn.pid) - before) * per_answer
    seen.all_us = (busy_seconds() - busy) * per_answer
    return seen


async def _connected(turn: Turn, tally: Tally) -> list[Connection]:
    loop = asyncio.get_running_loop()
    connections: list[Connection] = []
    for caller in turn.callers:
        context = ssl.create_default_context(cafile=caller.folder / "ca.pem")
        context.load_cert_chain(caller.folder / "client.pem", caller.folder / "client.key")
        made = Connection(caller.requests, tally, keeps_first=not connections)
        await loop.create_connection(partial(_itself, made), turn.host, turn.port, ssl=context)
        connections.append(made)
    return connections


def _itself(connection: Connection) -> Connection:
    return connection


def _summed(tally: Tally, seconds: float) -> Seen:
    times = sorted(tally.latencies)
    if not times or tally.fault:
        return Seen(fault=tally.fault or "no answer came in time")
    return Seen(
        per_second=len(times) / seconds,
        p50_ms=times[len(times) // 2] * 1000,
        p99_ms=times[len(times) * 99 // 100] * 1000,
        mean_bytes=tally.bytes_read / len(times),
        answers=tally.answers,
        sample=tally.sample,
    )


if __name__ == "__main__":
    seen = uvloop.run(run(pickle.load(sys.stdin.buffer)))
    Path(sys.argv[1]).write_bytes(pickle.dumps([asdict(each) for each in seen]))
