"""The question before what nobody can undo: what it does, to whom, and whether that is meant.

It is asked where a person is there: standard input and error are a terminal. A program is not asked and goes on as
the contract says, for nobody would answer, and a revocation that waits for an answer holds nobody out; `--yes` leaves
the question out for a person too. The question goes to stderr: the answer on stdout is the same with it and without.
"""

import asyncio
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from exchange.cli import output
from exchange.kernel import ExchangeError

YesOption = Annotated[
    bool, typer.Option("--yes", help="Do not ask first, as nobody is asked where there is no terminal.")
]

_ANSWER = "yes"


def is_asked(*, yes: bool) -> bool:
    """Return whether a person is there to be asked, and did not say yes beforehand."""
    return not yes and sys.stdin.isatty() and sys.stderr.isatty()


def ask(will: str, told: Mapping[str, object], *, is_final: bool = True) -> None:
    """Show what will happen and return once the person types `yes`; raises ExchangeError for anything else.

    With `is_final` it is said that nobody can undo it; else `told` says who can, and for how long.
    """
    _put(will, told, is_final=is_final)
    _require(sys.stdin.readline())


async def ask_meanwhile(will: str, told: Mapping[str, object]) -> None:
    """Ask as `ask` does while this process goes on signing for what it recorded; an interrupt ends it at once."""
    _put(will, told)
    loop = asyncio.get_running_loop()
    typed, terminal = asyncio.Event(), sys.stdin.fileno()
    loop.add_reader(terminal, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(terminal)
    # A terminal hands over whole lines: this one is there.
    _require(sys.stdin.readline())


def _put(will: str, told: Mapping[str, object], *, is_final: bool = True) -> None:
    final = "This cannot be undone. " if is_final else ""
    output.show_question(will, told, f"{final}Type `{_ANSWER}` to go on: ")


def _require(line: str) -> None:
    if line.strip().lower() != _ANSWER:
        raise ExchangeError("nothing was done: it was not confirmed", code="not-confirmed")
