"""Reads that are shared: whoever asks the same of the database while others wait for it is answered with them.

A statement that many ask at one moment runs once for all of them, each with its own parameters and its own rows: what
a read costs the database is mostly that it is asked at all.

INVARIANT: nobody is answered by a run that began before they asked.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from exchange.store.database.dialect import Parameters, Row, Statement
from exchange.store.database.faults import as_exchange_error, is_of_one_row

RUNS_AT_ONCE = 2
"""Of one statement: while one is with the database, the answers of the other are made use of."""

ASKERS_AT_MOST = 32
"""In one run: a report's first parts have up to 64 KiB."""

Fetch = Callable[[str, Sequence[Any]], Awaitable[Sequence[Row]]]
"""Returns the rows of SQL with these arguments."""

_Asker = tuple[Parameters, "asyncio.Future[Sequence[Row]]"]


@dataclass(slots=True)
class _Line:
    """Who waits for a statement, and how many runs of it are on their way."""

    statement: Statement
    shared: Statement
    askers: deque[_Asker] = field(default_factory=deque)
    runs: int = 0


class SharedReads:
    """The reads of one process that may be asked together: those whose statement has its form for many."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._lines: dict[str, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Return how many wait for a run to begin."""
        return sum(len(line.askers) for line in self._lines.values())

    async def fetch(self, statement: Statement, shared: Statement, parameters: Parameters) -> Sequence[Row]:
        """Return the rows of `statement` with these parameters; `shared` is the same for many askers."""
        line = self._lines.get(statement.sql)
        if line is None:
            line = self._lines[statement.sql] = _Line(statement, shared)
        future: asyncio.Future[Sequence[Row]] = asyncio.get_running_loop().create_future()
        line.askers.append((parameters, future))
        if line.runs < RUNS_AT_ONCE:
            line.runs += 1
            # Not now: whoever else asks in this turn of the loop comes along.
            task = asyncio.create_task(self._run(line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def close(self) -> None:
        """Finish the runs that are on their way, also those that nobody waits for any more."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, line: _Line) -> None:
        try:
            while line.askers:
                count = min(ASKERS_AT_MOST, len(line.askers))
                asking = [line.askers.popleft() for _ in range(count)]
                # Who has gone is not asked for.
                await self._answer(line, [asker for asker in asking if not asker[1].done()])
        finally:
            line.runs -= 1

    async def _answer(self, line: _Line, askers: Sequence[_Asker]) -> None:
        try:
            answers = await self._answers(line, [parameters for parameters, _ in askers])
        except Exception as exc:  # noqa: BLE001  every failure is handed to those who wait for it
            if len(askers) > 1 and is_of_one_row(exc):
                for asker in askers:  # one asked what cannot be asked: that harms nobody else
                    await self._answer(line, [asker])
                return
            _fail(askers, exc)
        except BaseException:
            for _, future in askers:
                future.cancel()
            raise
        else:
            for (_, future), rows in zip(askers, answers, strict=True):
                if not future.done():
                    future.set_result(rows)

    async def _answers(self, line: _Line, asked: Sequence[Parameters]) -> Sequence[Sequence[Row]]:
        if not asked:
            return []
        if len(asked) == 1:
            return [await self._fetch(line.statement.sql, line.statement.arguments(asked[0]))]
        lists = {name: [parameters[name] for parameters in asked] for name in asked[0]}
        answers: list[list[Row]] = [[] for _ in asked]
        for row in await self._fetch(line.shared.sql, line.shared.arguments(lists)):  # type: ignore[arg-type]  # lists of one type each
            answers[row[-1] - 1].append(row[:-1])
        return answers


def _fail(askers: Sequence[_Asker], fault: Exception) -> None:
    for _, future in askers:
        if not future.done():
            error = as_exchange_error(fault)
            if error is not fault:
                error.__cause__ = fault
            future.set_exception(error)
