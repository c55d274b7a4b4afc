"""What a list lacks: whoever reads one by a program must not take it for whole."""

import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

import typer

from exchange.cli import output
from exchange.cli.program import FAILED

Verb = TypeVar("Verb", bound=Callable[..., Any])

_NOT_LISTED = "{} of the {} are not listed, for what is stored of them is damaged or was altered: {}"

_EXIT = "Exit 1 where any of the {} cannot be read: the list is without it."


def end_unless_whole(unread: int, what: str) -> None:
    """Say how many of `what` cannot be read and are not in the list that was shown, and end the verb as failed."""
    _end(unread, what, "the log names them (`key.opened`), `exchange doctor` says what to do")


def lists_whole(what: str) -> Callable[[Verb], Verb]:
    """Let a verb that lists `what` as an exchange answers it end as `end_unless_whole` does where the answer lacks any.

    Written under what makes it a member's verb.
    """

    def decorated(act: Verb) -> Verb:
        @wraps(act)
        def verb(*given: object, **named: object) -> None:
            with _answers_whole(what):
                act(*given, **named)

        @wraps(act)
        async def waiting(*given: object, **named: object) -> None:
            with _answers_whole(what):
                await act(*given, **named)

        done = waiting if inspect.iscoroutinefunction(act) else verb
        # What `--help` says.
        done.__doc__ = f"{inspect.getdoc(act)}\n\n{_EXIT.format(what)}"
        return cast("Verb", done)

    return decorated


@contextmanager
def _answers_whole(what: str) -> Iterator[None]:
    lacking, log = _Lacking(), logging.getLogger("exchange.client")
    log.addHandler(lacking)
    try:
        yield
    finally:
        log.removeHandler(lacking)
    _end(lacking.count, what, "tell the exchange's operator, and list again once that is mended")


class _Lacking(logging.Handler):
    """Counts what answers lacked, as the client says so to every program that lists by it."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += getattr(record, "unopened", 0)


def _end(unread: int, what: str, mend: str) -> None:
    if unread:
        output.warn(_NOT_LISTED.format(unread, what, mend))
        raise typer.Exit(FAILED)
