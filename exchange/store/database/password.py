"""What connections to the database log in with: read anew for each of them, so that it may be exchanged meanwhile.

Promises: a file that is broken, and a password that the database does not take, leave the one before in use; either is
told, once, and shown for as long as it is so.
Does not: end the connections that there are; what they logged in with is the database's to end.
"""

import logging
from collections.abc import Callable
from typing import Any

import asyncpg

from exchange.kernel import ExchangeError
from exchange.store.database.servers import connected

_NOT_READ = "the database's password is not taken up, and the one before goes on: "
_NOT_TAKEN = "the database does not take the password that lies there, and takes the one before still"

_MOST_SEEN = 3

_log = logging.getLogger("exchange.store")


class Password:
    """The password of one login, as of the file that `read` reads; raises what that raises where it cannot begin."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._in_use = read()
        self._seen: list[str] = []
        """What lay there since, newest first: the database may know one that no connection was opened with."""
        self._refused: str | None = None
        self.trouble: str | None = None
        """Why what lies there is not in use, while it is not."""

    def newest(self) -> str:
        """Return what lies there, where it can be read, else what is in use."""
        try:
            found = self._read()
        except ExchangeError as exc:
            self._tell(_NOT_READ + exc.message)
            return self._in_use
        if found != self._in_use:
            self._seen = [found, *(word for word in self._seen if word != found)][:_MOST_SEEN]
        self._tell(_NOT_TAKEN if found == self._refused else None)
        return found

    async def log_in(self, connect: Callable[[str], Any]) -> Any:
        """Return the connection that `connect` opens with the newest password that the database takes."""
        newest, before = self.newest(), self._in_use
        # The file may come before the database is told, or hold half of it.
        *others, last = dict.fromkeys((newest, *self._seen, before))
        for word in others:
            try:
                connection = await connect(word)
            except asyncpg.InvalidPasswordError:
                continue
            self._took(word, newest, before)
            return connection
        connection = await connect(last)
        self._took(last, newest, before)
        return connection

    def _took(self, word: str, newest: str, before: str) -> None:
        if self._in_use != before:
            return  # another connection was opened meanwhile, and knows better
        if word != before:
            self._in_use = word
            _log.info("the database's password is taken up: another one lies there")
        if word != newest:
            self._refused = newest
            self._tell(_NOT_TAKEN)
        elif word != before:
            self._seen, self._refused = [], None
            self._tell(None)

    def _tell(self, trouble: str | None) -> None:
        if trouble is not None and self.trouble != trouble:
            _log.error("%s", trouble)
        self.trouble = trouble


async def logged_in(renewed: Password | None, *, timeout: float, **arguments: Any) -> asyncpg.Connection:  # noqa: ASYNC109  the driver's
    """Return a connection that is opened as `asyncpg.connect` does, with the `renewed` password where there is one."""

    async def connect(word: str) -> asyncpg.Connection:
        return await connected(**{**arguments, "password": word}, timeout=timeout)

    if renewed is None:
        return await connected(**arguments, timeout=timeout)
    return await renewed.log_in(connect)
