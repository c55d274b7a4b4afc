"""Tells who is shown nothing what lies in itself, such as a clearance that has ended: it looks like a quiet night.

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


def warn_of_purpose(caller: WhoamiBody, purpose: str | None) -> None:
    """Warn where the caller asked for a purpose that it is not registered for."""
    if purpose is not None and caller.purposes and purpose not in caller.purposes:
        output.warn(
            f"this client is not registered for the purpose `{purpose}`, but for {output.listed(caller.purposes)}:"
            " nothing is shown to it for another one"
        )


def warn_who_sees_nothing(client: ExchangeClient, purpose: str | None = None) -> None:
    """Ask who the caller is, and warn where that alone has it see nothing; what cannot be asked is not said.

    For people: a program that looks each minute would leave a second entry in the log each time.
    """
    with suppress(ExchangeError):
        caller = client.whoami()
        warn_of_end(caller)
        warn_of_purpose(caller, purpose)


@contextmanager
def absent_told_with_own_end(client: ExchangeClient, purpose: str | None = None) -> Iterator[None]:
    """Let who is told that there is no such thing know besides where its clearance has ended, or bars its purpose."""
    try:
        yield
    except ProblemError as exc:
        if exc.status == HTTPStatus.NOT_FOUND:
            warn_who_sees_nothing(client, purpose)
        raise
