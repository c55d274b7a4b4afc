"""Waits for what another process or thread does."""

import threading
import time
from collections.abc import Callable

WAIT_SECONDS = 100
"""How long anything may take on a machine that does much else."""


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
