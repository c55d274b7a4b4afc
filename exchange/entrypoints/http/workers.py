"""Several workers, each in a process of its own that shares no connection with another; a dead one is replaced.

Promises: `on_ready` once, when all of them answer; one that cannot even start ends all with exit code 1; workers whose
supervisor is gone stop by themselves.
Does not: know what a worker does.
"""

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from exchange.entrypoints.http.processes import begin_process, end_processes, line_to_child
from exchange.entrypoints.http.server import Listening

CANNOT_START = 3
"""Exit code of a worker that never began to serve; uvicorn uses the same."""

OUTGROWN = 4
"""Exit code of a worker whose version may not work with the database: no other one could in its place."""

_READY = b"ready"
_WAIT_SECONDS = 0.2
STOP_SECONDS = 25.0
"""A little longer than a worker lets its requests finish."""
_RESPAWN_SECONDS = 1.0

_log = logging.getLogger("exchange.workers")


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """What one worker is given: its number, the sockets, the shared counts, and its line to the supervisor."""

    number: int
    workers: int
    listening: Listening
    counts: Any
    line: Connection

    def report_ready(self) -> None:
        """Tell the supervisor that this worker answers."""
        self.line.send_bytes(_READY)


Target = Callable[[Any, WorkOrder], None]


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    line: Connection
    since: float
    is_ready: bool = False


class Supervisor:
    """Keeps `workers` processes running `target(cargo, order)` until a signal."""

    def __init__(self, target: Target, cargo: Any, *, workers: int, listening: Listening, counts: Any) -> None:
        self._target = target
        self._cargo = cargo
        self._count = workers
        self._listening = listening
        self._counts = counts
        self._running: dict[int, _Worker] = {}
        self._is_stopping = False

    def run(self, on_ready: Callable[[], None]) -> int:
        """Run until SIGTERM or SIGINT; return the exit code."""
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, self._stop)
        try:
            for number in range(self._count):
                self._start(number)
            return self._keep(on_ready)
        finally:
            # Whatever ended it: left alone, they would serve on, and whoever began them wait for them, deaf to signals.
            self._end_all()

    def _keep(self, on_ready: Callable[[], None]) -> int:
        is_announced = False
        while not self._is_stopping:
            self._hear()
            if not is_announced and all(worker.is_ready for worker in self._running.values()):
                is_announced = True
                on_ready()
            if not self._replace_dead(is_announced=is_announced):
                return 1
        return 0

    def _stop(self, _number: int, _frame: object) -> None:
        self._is_stopping = True

    def _start(self, number: int) -> None:
        with line_to_child() as (ours, theirs):
            order = WorkOrder(number, self._count, self._listening, self._counts, theirs)
            process = begin_process(self._target, (self._cargo, order), name=f"exchange-{number}")
        self._running[number] = _Worker(process, ours, time.monotonic())

    def _hear(self) -> None:
        waiting = [worker.line for worker in self._running.values() if not worker.is_ready]
        sentinels = [worker.process.sentinel for worker in self._running.values()]
        wait([*waiting, *sentinels], timeout=_WAIT_SECONDS)
        for worker in self._running.values():
            if not worker.is_ready and worker.line.poll():
                try:
                    worker.is_ready = worker.line.recv_bytes() == _READY
                except (EOFError, OSError):
                    worker.process.join(timeout=_WAIT_SECONDS)

    def _replace_dead(self, *, is_announced: bool) -> bool:
        """Start a new worker in place of each dead one; False where the service cannot start, or go on."""
        for number, worker in list(self._running.items()):
            if worker.process.is_alive() or self._is_stopping:
                continue
            worker.line.close()
            if worker.process.exitcode == OUTGROWN:
                # Kept running, it would hold the address while nobody answers there.
                _log.error("this version cannot go on, and ends", extra={"worker": number})
                return False
            if not is_announced and not worker.is_ready:
                _log.error("a worker could not start", extra={"worker": number})
                return False
            _log.error("a worker died and is replaced", extra={"worker": number})
            if time.monotonic() - worker.since < _RESPAWN_SECONDS:
                time.sleep(_RESPAWN_SECONDS)  # a worker that cannot live must not eat the machine
            del self._running[number]
        for number in range(self._count):
            if number not in self._running and not self._is_stopping:
                self._start_if_possible(number)
        return True

    def _start_if_possible(self, number: int) -> None:
        try:
            self._start(number)
        except OSError as exc:
            # Without memory or processes left for one more, the others serve on: it is tried again.
            _log.error("a worker cannot be replaced now: %s", exc.strerror, extra={"worker": number})
            time.sleep(_RESPAWN_SECONDS)

    def _end_all(self) -> None:
        end_processes([worker.process for worker in self._running.values()], STOP_SECONDS)
