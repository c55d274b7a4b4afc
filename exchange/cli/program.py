"""The `exchange` command: its verbs, and how they end.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage. An error is a few lines on stderr, never a traceback.
"""

import os
import sys
from collections.abc import Sequence

import typer

from exchange.cli import output
from exchange.kernel import ExchangeError

app = typer.Typer(
    name="exchange",
    help="Share encrypted intelligence reports between states under signed agreements.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

DONE, FAILED, USAGE = 0, 1, 2


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        app(args=list(arguments), prog_name="exchange")
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else DONE
    except KeyboardInterrupt:
        output.say_failure("interrupted")
        return FAILED
    except BrokenPipeError:
        # Whoever reads our output has gone; nothing can be said to it, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except ExchangeError as exc:
        output.say_failure(str(exc))
        return FAILED
    except Exception as exc:
        # The last place: a person gets a sentence, not a traceback.
        if os.environ.get("EXCHANGE_TRACEBACK"):
            raise
        output.say_failure(f"unexpected: {type(exc).__name__}: {exc} (set EXCHANGE_TRACEBACK=1 to see where)")
        return FAILED
    return DONE
