"""Faults of HTTP itself, which no room downstairs can have."""

from exchange.kernel import ExchangeError, NotFoundError, UnavailableError


class MethodNotAllowedError(ExchangeError):
    """The path exists, for other methods."""

    code = "method-not-allowed"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(f"use {' or '.join(allowed)} here")
        self.allowed = allowed


class UnknownPathError(NotFoundError):
    """No operation has such a path, whatever stands in its place for an id: whoever asks may know that."""

    def __init__(self) -> None:
        super().__init__(
            "no such path here: write it as `/openapi.json` has it, letter by letter, with no `/` at its end"
        )


class NotAcceptableError(ExchangeError):
    """No media type that the caller accepts is offered here."""

    code = "not-acceptable"


class UnsupportedMediaError(ExchangeError):
    """The body is of a media type that is not read here."""

    code = "unsupported-media-type"


class SlowRequestError(ExchangeError):
    """The body did not arrive in time."""

    code = "request-timeout"


class RangeError(ExchangeError):
    """The range asked for lies outside the part."""

    code = "range-not-satisfiable"

    def __init__(self, size_bytes: int) -> None:
        super().__init__("the range lies outside the part")
        self.size_bytes = size_bytes


class OverloadedError(UnavailableError):
    """This worker has as much in its hands as it may: nothing was looked at."""

    code = "overloaded"
