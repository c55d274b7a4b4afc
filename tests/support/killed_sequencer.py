"""Sequences a log in processes that are killed, each at another step: `URL FOLDER POINT...`.

Each process appends three entries and sequences in batches of two until it comes to its point; the next one goes on.
Every note that was signed is written down, whether or not anything came of it.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

from exchange.custody import load_log_key
from exchange.store.log.last_signed import LastSignedFile
from exchange.store.log.sequencing import LogMovedError, LogTree
from exchange.usecases.log import sequence_log
from exchange.usecases.log.sequence_log import Sequencer, Step
from tests.support.log import Log
from tests.support.store import open_store


class Points:
    """Counts where the process may end, and ends it at one of them."""

    def __init__(self, last: int) -> None:
        self._rest = last

    def pass_one(self) -> None:
        self._rest -= 1
        if self._rest == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def put_points(points: Points, signed: Path) -> None:
    """Put a point before and behind every statement of the transaction, and everything that happens to the file."""
    grow, write, replace = LogTree._grow, LastSignedFile.write, Path.replace

    def stepwise(self, growth):
        steps = grow(self, growth)
        step = next(steps)
        while True:
            points.pass_one()
            rows = yield step
            points.pass_one()
            try:
                step = steps.send(rows)
            except StopIteration as done:
                points.pass_one()
                return done.value

    def written(self, said, **fields):
        if said.prepared is not None:
            with signed.open("ab") as file:
                file.write(said.prepared.signed.note + b"\0")
        points.pass_one()
        write(self, said, **fields)
        points.pass_one()

    def replaced(self, target):
        points.pass_one()
        return replace(self, target)

    patch.object(LogTree, "_grow", stepwise).start()
    patch.object(LastSignedFile, "write", written).start()
    patch.object(Path, "replace", replaced).start()


async def sequence(url: str, folder: Path, points: Points) -> None:
    sequence_log.BATCH = 2
    log = Log(url, folder, await open_store(url), load_log_key(folder / "log.key"))
    await log.append(3)
    put_points(points, folder / "signed")
    sequencer: Sequencer = await log.sequencer()
    step = Step.MORE
    while step in {Step.MORE, Step.PLACED}:
        try:
            step = await sequencer.step()
        except LogMovedError:
            continue
    await log.close()


async def warm_up(url: str) -> None:
    """Compile every statement once, here: each fork has them then."""
    await (await open_store(url)).close()
    await (await LogTree.open(url)).close()


def main(url: str, folder: Path, points: Iterable[int]) -> None:
    killed = 0
    asyncio.run(warm_up(url))
    for last in points:
        pid = os.fork()
        if pid == 0:
            asyncio.run(sequence(url, folder, Points(last)))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.waitstatus_to_exitcode(status) != 0:
            sys.exit(1)
    print(killed)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), map(int, sys.argv[3:]))
