"""Keeps one process running beside the workers: begun with the service, replaced when it dies, ended with it.

A thread waits for it, so that it is the same beside one worker in this process as beside many. The first one is begun
before that thread, while this process can still be copied, and waits for its word.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from exchange.entrypoints.http.processes import begin_process, can_fork, end_processes, line_to_child, open_line

_WORD = b"begin"
_RESPAWN_SECONDS = 1.0
_STOP_SECONDS = 15.0
"""A little longer than the sequencer takes for its last steps."""

_log = logging.getLogger("exchange.jobs")

Target = Callable[[Any, Connection], None]
"""What the process does: it is given the cargo, and the line that ends when its supervisor has gone."""


@contextmanager
def kept_running(target: Target, cargo: Any, *, name: str) -> Iterator[Callable[[], None]]:
    """Run `target(cargo, line)` in a process of its own, from the call of what this gives to the end of the context."""
    keeper = _Keeper(target, cargo, name)
    try:
        yield keeper.start
    finally:
        keeper.stop()


class _Keeper:
    def __init__(self, target: Target, cargo: Any, name: str) -> None:
        self._target = target
        self._cargo = cargo
        self._name = name
        self._stopping, self._stop_line = open_line(duplex=False)
        self._thread = threading.Thread(target=self._keep, name=f"{name}-keeper", daemon=True)
        self._next = self._begun() if can_fork() else None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop_line.close()
        if self._thread.ident is not None:
            self._thread.join()
        elif self._next is not None:
            process, line = self._next
            line.close()
            end_processes([process], _STOP_SECONDS)

    def _keep(self) -> None:
        is_stopping = False
        while not is_stopping:
            since = time.monotonic()
            begun = self._next or self._begun_if_possible()
            self._next = None
            if begun is None:
                is_stopping = bool(wait([self._stopping], timeout=_RESPAWN_SECONDS))
                continue
            process, line = begun
            _send_word(line)
            ended = wait([self._stopping, process.sentinel])
            is_stopping = self._stopping in ended
            if is_stopping:
                end_processes([process], _STOP_SECONDS)
            else:
                process.join()
                # One that cannot live must not eat the machine.
                rest = _RESPAWN_SECONDS - (time.monotonic() - since)
                is_stopping = bool(wait([self._stopping], timeout=max(0.0, rest)))
                if not is_stopping:
                    self._tell_end(process)
            line.close()

    def _tell_end(self, process: BaseProcess) -> None:
        if process.exitcode == 0:
            # Told to by somebody else, as a whole process group is: there may be work until this service ends too.
            _log.warning("the %s was told to end and is begun again", self._name)
        else:
            _log.error("the %s died and is replaced", self._name)

    def _begun_if_possible(self) -> tuple[BaseProcess, Connection] | None:
        try:
            return self._begun()
        except OSError as exc:
            # Without files, memory or processes left for one more: it is tried again.
            _log.error("the %s cannot be begun now: %s", self._name, exc.strerror)
            return None

    def _begun(self) -> tuple[BaseProcess, Connection]:
        with line_to_child() as (ours, theirs):
            process = begin_process(_at_the_word, (self._target, self._cargo, theirs), name="exchange-jobs")
        return process, ours


def _at_the_word(target: Target, cargo: Any, line: Connection) -> None:
    """Wait for the keeper's word and be the process; end where the keeper goes before it is given."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever keeps the process answers it, and ends this one
    try:
        line.recv_bytes()
    except EOFError:
        return
    target(cargo, line)


def _send_word(line: Connection) -> None:
    with suppress(OSError):  # it died before: whoever waits for it finds out
        line.send_bytes(_WORD)
