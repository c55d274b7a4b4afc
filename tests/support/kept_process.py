"""What `kept_running` is tried with: writes its process id into a file, and ends when it is told or left alone."""

import asyncio
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from exchange.entrypoints.jobs.keeper import watch_supervisor
from exchange.entrypoints.jobs.sequencer import stop_on_signals


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
    stop_on_signals(stopping, interrupts=False)
    watch_supervisor(line, stopping)
    (folder / "started").write_text(str(os.getpid()))
    await stopping.wait()
    (folder / "stopped").write_text(str(os.getpid()))
