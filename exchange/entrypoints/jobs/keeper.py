"""Keeps one process running beside the workers: spawned, replaced when it dies, ended with the service.

A thread waits for it, so that it is the same beside one worker in this process as beside many.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

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


def watch_supervisor(line: Connection, stopping: asyncio.Event) -> None:
    """Set `stopping` when the other end of the line is gone: an orphan would go on with nobody to replace it."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(line.fileno())
        stopping.set()

    loop.add_reader(line.fileno(), gone)


class _Keeper:
    def __init__(self, target: Target, cargo: Any, name: str) -> None:
        self._target = target
        self._cargo = cargo
        self._name = name
        self._stopping, self._stop_line = get_context("spawn").Pipe(duplex=False)
        self._thread = threading.Thread(target=self._keep, name=f"{name}-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop_line.close()
        if self._thread.ident is not None:
            self._thread.join()

    def _keep(self) -> None:
        is_stopping = False
        while not is_stopping:
            since = time.monotonic()
            process, line = self._spawned()
            ended = wait([self._stopping, process.sentinel])
            is_stopping = self._stopping in ended
            if is_stopping:
                _end(process)
            else:
                process.join()
                _log.error("the %s died and is replaced", self._name)
                # One that cannot live must not eat the machine.
                rest = _RESPAWN_SECONDS - (time.monotonic() - since)
                is_stopping = bool(wait([self._stopping], timeout=max(0.0, rest)))
            line.close()

    def _spawned(self) -> tuple[SpawnProcess, Connection]:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=self._target, args=(self._cargo, theirs), name=f"exchange-{self._name}")
        process.start()
        theirs.close()
        return process, ours


def _end(process: SpawnProcess) -> None:
    process.terminate()
    process.join(_STOP_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
