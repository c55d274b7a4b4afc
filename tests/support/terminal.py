"""A command run in this process before a terminal at which somebody types."""

import contextlib
import io
import os
import sys

import pytest

from exchange.cli import run
from tests.support.house import Ran

END = "\x04"
"""What the key for the end of input sends, at the beginning of a line."""


class Screen(io.StringIO):
    """Standard error that is a terminal's; its lines are as wide as they are in a pipe."""

    def isatty(self) -> bool:
        return True


def before_terminal(typed: str, *words: object) -> Ran:
    """Run one command while `typed` waits at its terminal."""
    keyboard, terminal = os.openpty()
    out, screen = io.StringIO(), Screen()
    with (
        os.fdopen(keyboard, "wb", buffering=0) as keys,
        os.fdopen(terminal) as stdin,
        pytest.MonkeyPatch.context() as at,
    ):
        keys.write(typed.encode())
        at.setattr(sys, "stdin", stdin)
        at.setenv("COLUMNS", "200")
        at.setenv("LINES", "50")  # without it the width is not asked for either
        at.setenv("TERM", "dumb")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(screen):
            code = run([str(word) for word in words])
    return Ran(code, out.getvalue(), screen.getvalue())
