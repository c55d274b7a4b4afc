"""What a program is told of a failure, with `--json`: one object on stdout, `{"error": {...}}`, beside words on stderr.

Its fields are named as those of a problem (RFC 9457) of the exchange: `status` and `request_id` are null where the
exchange was not asked, `code` is `usage` for a command that is wrong itself.
"""

from collections.abc import Sequence
from typing import Any

from exchange.cli import output
from exchange.kernel import ExchangeError, Fault

_JSON = "--json"


def tell(arguments: Sequence[str], code: str, detail: str) -> None:
    """Print a failure that has no more to it than a code and a sentence, where the caller asked for JSON."""
    _show(arguments, {"code": code, "detail": detail, "status": None, "request_id": None, "errors": []})


def tell_error(arguments: Sequence[str], error: ExchangeError) -> None:
    """Print an error of the exchange, with every fault it names, where the caller asked for JSON."""
    told = {
        "code": error.code,
        "detail": error.message,
        "status": getattr(error, "status", None),
        "request_id": getattr(error, "request_id", "") or None,
        "errors": [_fault(fault) for fault in getattr(error, "faults", ())],
    }
    if (wait := getattr(error, "retry_after_seconds", None)) is not None:
        told["retry_after_seconds"] = wait
    _show(arguments, told)


def _fault(fault: Fault) -> dict[str, str | int]:
    line = {} if fault.line is None else {"line": fault.line}
    return {"pointer": fault.pointer, "code": fault.code, "detail": fault.message, **line}


def _show(arguments: Sequence[str], told: dict[str, Any]) -> None:
    words = list(arguments)
    asked = words[: words.index("--")] if "--" in words else words
    if _JSON in asked:
        output.show_json_failure({"error": told})
