"""How the processes of one service come to be: forked while their parent holds code alone, spawned from then on.

A process that is spawned loads the whole program again, a second and a half of a core and a hundred megabytes of its
own; one that is forked has both from its parent.

Promises: nothing is forked where another thread runs, so no lock is copied that nobody would release; a forked
process answers signals by itself, and holds none of the ends by which a parent's death is noticed.
Does not: look after them, or begin one anew.

INVARIANT: whoever forks has opened no database, no loop and no connection. What a service opens, each of its processes
opens for itself (ADR 0038).
"""

import asyncio
import contextlib
import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from weakref import WeakSet

_OWN_NAME = Path("/proc/self/comm")

_ends: WeakSet[Connection] = WeakSet()
"""Where the parent holds its lines: a copy of an end in a child would hide from whoever listens that it was let go."""


def open_line(*, duplex: bool = True) -> tuple[Connection, Connection]:
    """Return both ends of a line: what comes through the second one, and its end, is heard at the first.

    Where it goes both ways the first is the parent's and the second its child's. No forked process will hold the one
    that is the parent's.
    """
    first, second = get_context("spawn").Pipe(duplex)
    _ends.add(first if duplex else second)
    return first, second


@contextlib.contextmanager
def line_to_child() -> Iterator[tuple[Connection, Connection]]:
    """Open a line to the process that the context begins; its end is closed here then, ours where none was begun."""
    ours, theirs = open_line()
    try:
        yield ours, theirs
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()


def can_fork() -> bool:
    """Return whether this process may be copied: no other thread runs in it."""
    return threading.active_count() == 1


def begin_process(target: Callable[..., None], arguments: tuple[Any, ...], *, name: str) -> BaseProcess:
    """Start a process that runs `target(*arguments)`, under a name that `ps` and `top` show. Both must be picklable."""
    process: BaseProcess
    if can_fork():
        # What stays for good is not looked through again: each look would copy the pages that the two share.
        gc.freeze()
        process = get_context("fork").Process(target=_forked, args=(target, arguments, name), name=name)
    else:
        process = get_context("spawn").Process(target=_named, args=(target, arguments, name), name=name)
    process.start()
    return process


def end_processes(processes: Sequence[BaseProcess], seconds: float) -> None:
    """End processes; whichever has not ended after so many seconds is killed."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


def watch_supervisor(line: Connection, stopping: asyncio.Event) -> None:
    """Set `stopping` when the other end of the line is gone: an orphan would go on with nobody to replace it."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(line.fileno())
        stopping.set()

    loop.add_reader(line.fileno(), gone)


def _forked(target: Callable[..., None], arguments: tuple[Any, ...], name: str) -> None:
    for end in list(_ends):
        end.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _named(target, arguments, name)


def _named(target: Callable[..., None], arguments: tuple[Any, ...], name: str) -> None:
    with contextlib.suppress(OSError):
        _OWN_NAME.write_text(name, encoding="ascii")  # cut by the system to 15 characters
    target(*arguments)
