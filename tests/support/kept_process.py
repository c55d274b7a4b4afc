"""What `kept_running` is tried with: writes its process id into a file, and ends when it is told or left alone.

It is spawned by each test anew, and so imports what keeps it and nothing else: the rooms behind the sequencer take a
second and a half to load.
"""

import asyncio
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from exchange.entrypoints.http.processes import watch_supervisor


def stay(folder: Path, line: Connection) -> None:
    """Stay until told to stop, and say so at the end."""
    asyncio.run(_stay(folder, line))


def never_stop(folder: Path, _: Connection) -> None:
    """Stay whatever is asked."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (folder / "started").write_text(str(os.getpid()))
    while True:
        signal.pause()


async def _stay(folder: Path, line: Connection) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    watch_supervisor(line, stopping)
    (folder / "started").write_text(str(os.getpid()))
    await stopping.wait()
    (folder / "stopped").write_text(str(os.getpid()))
