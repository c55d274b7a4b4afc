"""How long a node takes from its start until it answers, after its process was killed: what a roll or a crash costs."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.results import Result
from benchmarks.servers import ROOT, serve_exchange

RESTART_NAME = "restart_s"
_RUNS = 3


def restart_figure(backend: str, folder: Path, url: str | None, reports: int) -> Result:
    """Return the median time until `ready`, beside that of a process that only loads the program."""
    seconds, floor = [], []
    for _ in range(_RUNS):
        begin = perf_counter()
        subprocess.run([sys.executable, "-c", "import exchange.app"], cwd=ROOT, check=True)
        floor.append(perf_counter() - begin)
        begin = perf_counter()
        with serve_exchange(folder, url) as server:
            seconds.append(perf_counter() - begin)
            os.kill(server.pid, signal.SIGKILL)
    value, beneath = median(seconds), median(floor)
    note = f"to `ready` after kill -9, one worker, {reports:,} reports; slowest {max(seconds):.2f}; target <= 3"
    return Result(RESTART_NAME, backend, value, "s", beneath, beneath / value, _RUNS, note)
