"""A command that is wrong itself, whatever there is: what is asked for has to be written otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

from exchange.kernel import ExchangeError, InvalidError


class UsageError(InvalidError):
    """Options that do not go together, one that is missing, a value that cannot be read; the command ends with 2."""

    code = "usage"


@contextmanager
def read_as_given(error: type[ExchangeError]) -> Iterator[None]:
    """Tell `error` as one of usage: around the reading of an option, and of nothing that it leads to."""
    try:
        yield
    except error as exc:
        raise UsageError(exc.message) from exc
