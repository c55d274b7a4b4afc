"""Tells who is shown nothing that its own clearance has ended: an empty list looks like a quiet night.

Only the caller's own standing is asked for, and told whatever there is: foreign and absent stay alike.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus

from exchange.cli import output
from exchange.client import ExchangeClient, ProblemError
from exchange.kernel import ExchangeError, system_clock
from exchange.wire import WhoamiBody


def warn_of_end(caller: WhoamiBody) -> None:
    """Warn where the caller's clearance has ended."""
    until = caller.clearance.until
    if until is not None and until <= system_clock():
        output.warn(
            f"the clearance ended at {output.in_words(until)}: nothing is shown to this client; its member's operator"
            " gives a new one"
        )


def warn_who_sees_nothing(client: ExchangeClient) -> None:
    """Ask who the caller is, and warn where its clearance has ended; what cannot be asked is not said.

    For people: a program that looks each minute would leave a second entry in the log each time.
    """
    with suppress(ExchangeError):
        warn_of_end(client.whoami())


@contextmanager
def absent_told_with_own_end(client: ExchangeClient) -> Iterator[None]:
    """Let who is told that there is no such thing know besides where its own clearance has ended."""
    try:
        yield
    except ProblemError as exc:
        if exc.status == HTTPStatus.NOT_FOUND:
            warn_who_sees_nothing(client)
        raise
