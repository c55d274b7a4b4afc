"""Command line: operator verbs on use cases, member verbs on the client, serve and demo on the app.

Promises: exit 0 done, 1 refused or failed, 2 usage; an error is a few lines on stderr, never a traceback;
`--json` on every verb that prints data, and then of a failure too; nothing of an instance is ever overwritten.
Does not: decide anything itself. An operator's verb is a recorded use case, a member's verb an HTTPS request.
"""

try:
    from exchange.cli.program import main, run
except KeyboardInterrupt:
    # Of the second that a start takes, half goes by here.
    raise SystemExit("error: interrupted") from None
except ModuleNotFoundError as exc:
    if exc.name is None or exc.name.startswith("exchange"):
        raise
    # Where a member installed the SDK alone, this command is there all the same.
    told = f"`{exc.name}` is not installed: the command line needs `requirements.txt`"
    raise SystemExit(f"error: {told}; with `requirements-client.txt` use `exchange.client` from Python") from None

__all__ = ["main", "run"]
