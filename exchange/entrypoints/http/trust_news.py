"""What a process takes up of whom it lets in, and what it refuses to take up: on the record, and not without end.

Promises: what comes first is recorded at once, what follows within `PAUSE_SECONDS` after it in one entry for each kind
and outcome: whoever exchanges files all the time costs the log some entries a minute and worker. Of very many things
the newest `MOST_TOLD` are named and all are counted. Where the log is away it is kept for the next entry.
Does not: decide what is taken up (`trust`), or keep anything back until it is recorded: a certificate that was revoked
is out with its list, whether the log can be written or not.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from exchange.entrypoints.http.paced import PacedRecord
from exchange.kernel import ExchangeError
from exchange.usecases import TakenUp

PAUSE_SECONDS: Final = 60.0
MOST_TOLD: Final = 20
MOST_CHARACTERS: Final = 300
"""Of what is told of one thing: paths, names and dates are shorter, and a made-up name may have any length."""

_log = logging.getLogger("exchange.trust")


Record = Callable[[TakenUp], Awaitable[None]]
"""Records one of them; ExchangeError where that cannot be."""


@dataclass(slots=True)
class _Waiting:
    told: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_TOLD))
    count: int = 0


class TrustNews(PacedRecord):
    """Records what is noted; `async with`, so that nothing is lost at the end."""

    def __init__(self, record: Record, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        super().__init__(pause_seconds, name="news of trust")
        self._record = record
        self._waiting: dict[tuple[str, bool], _Waiting] = {}

    async def begin(self, in_use: dict[str, list[str]]) -> None:
        """Record what this process begins with, by kind."""
        for kind, told in in_use.items():
            await self._recorded(TakenUp(kind, _cut(told), len(told), is_start=True))

    def note(self, kind: str, told: Iterable[str], *, is_taken: bool) -> None:
        """Note what was taken up of a kind, or refused."""
        for each in told:
            waiting = self._waiting.setdefault((kind, is_taken), _Waiting())
            waiting.told.append(each)
            waiting.count += 1
        self._noted()

    def _is_waiting(self) -> bool:
        return bool(self._waiting)

    async def _write(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for (kind, is_taken), found in waiting.items():
            if not await self._recorded(TakenUp(kind, _cut(found.told), found.count, is_refused=not is_taken)):
                self._keep((kind, is_taken), found)

    async def _recorded(self, taken: TakenUp) -> bool:
        try:
            await self._record(taken)
        except ExchangeError as exc:
            _log.error("what was taken up is not recorded", extra={"cause": type(exc).__name__})
            return False
        return True

    def _keep(self, key: tuple[str, bool], found: _Waiting) -> None:
        later = self._waiting.setdefault(key, _Waiting())
        later.told = deque([*found.told, *later.told], maxlen=MOST_TOLD)
        later.count += found.count


def _cut(told: Iterable[str]) -> tuple[str, ...]:
    # A file's name need be no text; an entry is.
    texts = [each.encode("utf-8", "replace").decode() for each in told][-MOST_TOLD:]
    return tuple(each if len(each) <= MOST_CHARACTERS else f"{each[:MOST_CHARACTERS]}..." for each in texts)
