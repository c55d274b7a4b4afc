"""Randomness for ids, fetched from the system in blocks: a request makes two ids, and each fetch is a system call.

For ids alone: keys and nonces come straight from the system, so that none lies about before it is used.
"""

import os
import threading
from collections.abc import Callable

_BLOCK_BYTES = 8192


class IdRandomness:
    """Called with a number, returns that many random bytes, never the same twice; safe between threads and forks."""

    def __init__(self, source: Callable[[int], bytes] = os.urandom) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._block, self._used = b"", 0
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self, size: int) -> bytes:
        with self._lock:
            if self._used + size > len(self._block):
                self._block, self._used = self._source(max(_BLOCK_BYTES, size)), 0
            start = self._used
            self._used = start + size
            return self._block[start : start + size]

    def _forget(self) -> None:
        # INVARIANT: two processes never share a block.
        self._block, self._used = b"", 0


id_randomness = IdRandomness()
"""The one pool of this process."""
