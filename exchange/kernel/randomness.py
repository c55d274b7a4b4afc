"""Random bytes from the operating system, fetched in blocks.

A request takes a dozen short random strings. Each would be a call of the operating system in which another thread may
take the interpreter away: two hundred of them in one block cost as much as one.
"""

import os
import threading

_BLOCK_BYTES = 4096


class SystemRandomness:
    """Gives bytes of `os.urandom`, each once. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._block = b""
        self._given = 0

    def __call__(self, size: int) -> bytes:
        """Return `size` random bytes."""
        if size > _BLOCK_BYTES:
            return os.urandom(size)
        with self._lock:
            if self._given + size > len(self._block):
                self._block, self._given = os.urandom(_BLOCK_BYTES), 0
            begin = self._given
            self._given += size
            return self._block[begin : self._given]

    def forget(self) -> None:
        """Begin a new block."""
        # The lock too: a thread that held it when the process forked does not exist in the child.
        self._lock = threading.Lock()
        self._block = b""
        self._given = 0


system_randomness = SystemRandomness()
# INVARIANT: two processes never hand out the same bytes.
os.register_at_fork(after_in_child=system_randomness.forget)
