"""What a list lacks: whoever reads one by a program must not take it for whole."""

import typer

from exchange.cli import output
from exchange.cli.program import FAILED


def end_unless_whole(unread: int, what: str) -> None:
    """Say how many of `what` cannot be read and are not in the list that was shown, and end the verb as failed."""
    if unread:
        output.warn(
            f"{unread} of the {what} are not listed, for what is stored of them is damaged or was altered: the log "
            "names them (`key.opened`), `exchange doctor` says what to do"
        )
        raise typer.Exit(FAILED)
