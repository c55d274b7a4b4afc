"""Head and body of an answer leave together: written one by one, each wakes its reader, which may take the core.

A head is held until the body's first piece comes, and never longer than this turn of the event loop: a stream's
head leaves though nothing follows. Whoever writes past it flushes first.
"""

import asyncio
from typing import Any


class JoinedWriter:
    """What the answers of one connection are written to, one after the other."""

    __slots__ = ("_head", "_is_begun", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._is_begun = False
        """Whether something of this answer was written."""

    def write(self, data: bytes) -> None:
        """Hold the first of what an answer writes; what comes behind it in this turn of the loop takes it along."""
        if not data:
            return
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif self._is_begun:
            self._transport.write(data)
        else:
            self._head, self._is_begun = data, True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is held."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def end(self) -> None:
        """End an answer: what is written next begins another one."""
        self.flush()
        self._is_begun = False

    def close(self) -> None:
        """Write what is held, and close the connection."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
