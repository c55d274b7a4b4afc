"""Turns: how many requests of one member are worked on at a time; its others wait behind them, and nobody else's do.

A worker does one thing after another: whoever has asked for hundreds at once would else be a hundred turns ahead of who
asked for one. While a body is awaited, and once an answer has begun, nothing is worked on.
"""

import asyncio
from collections import OrderedDict, deque
from typing import Any

from exchange.entrypoints.http.holders import Holder

AT_WORK = 32
"""Of one member: more of them would not be answered sooner, a worker has one core."""
OF_CLIENT = 24
"""Of one client: what takes long, as a simulation, leaves some to its member's others."""

TURN_KEY = "exchange.turn"

_Row = OrderedDict[str, deque["asyncio.Future[None]"]]
"""Who waits, by client."""


class Turns:
    """The turns at one worker."""

    def __init__(self, at_work: int = AT_WORK, *, of_client: int = OF_CLIENT) -> None:
        self._at_work = at_work
        self._of_client = of_client
        self._working: dict[str, int] = {}
        self._rows: dict[str, _Row] = {}

    def begin(self, holder: Holder) -> bool:
        """Take a turn if there is one; False where its client or its member has all that it may have."""
        working = self._working
        of_client, of_member = working.get(holder.client, 0), working.get(holder.member, 0)
        if of_member >= self._at_work or of_client >= self._of_client:
            return False
        working[holder.client], working[holder.member] = of_client + 1, of_member + 1
        return True

    async def wait(self, holder: Holder) -> None:
        """Take a turn once it comes: a member's clients have theirs one after another, however many each waits for."""
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rows.setdefault(holder.member, OrderedDict()).setdefault(holder.client, deque()).append(given)
        try:
            await given
        except asyncio.CancelledError:
            if not given.cancelled():
                self.end(holder)
            raise

    def end(self, holder: Holder) -> None:
        """Give a turn back: to the next one of the same member, where one waits."""
        for name in (holder.client, holder.member):
            left = self._working[name] - 1
            if left:
                self._working[name] = left
            else:
                del self._working[name]
        if self._rows:
            self._go_on(holder.member)

    def _go_on(self, member: str) -> None:
        row = self._rows.get(member, OrderedDict())
        for client in list(row):
            waiting = row[client]
            while waiting and waiting[0].done():  # who asked has gone
                waiting.popleft()
            if waiting and self.begin(Holder(client, member)):
                waiting.popleft().set_result(None)
                row.move_to_end(client)
                break
        for client in [client for client, waiting in row.items() if not waiting]:
            del row[client]
        if not row:
            self._rows.pop(member, None)


class Turn:
    """The turn of one request."""

    __slots__ = ("_holder", "_is_over", "_is_taken", "_turns")

    def __init__(self, turns: Turns, holder: Holder) -> None:
        self._turns = turns
        self._holder = holder
        self._is_taken = self._is_over = False

    def begin(self) -> bool:
        """Take it if there is one."""
        self._is_taken = self._turns.begin(self._holder)
        return self._is_taken

    async def wait(self) -> None:
        """Take it once it comes."""
        await self._turns.wait(self._holder)
        self._is_taken = True

    def pause(self) -> None:
        """Give it back while nothing is worked on."""
        if self._is_taken:
            self._is_taken = False
            self._turns.end(self._holder)

    async def resume(self) -> None:
        """Take it again.

        INVARIANT: never with anything in hand that others wait for: they may have all the turns that there are.
        """
        if not (self._is_over or self._is_taken or self.begin()):
            await self.wait()

    def end(self) -> None:
        """Give it back for good."""
        self._is_over = True
        self.pause()


def turn_in(scope: Any) -> Turn | None:
    """Return the turn of the request in an ASGI scope."""
    turn: Turn | None = scope.get(TURN_KEY)
    return turn
