"""Where the log is that an auditor names: a folder of files, an address, or the instance on this host."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from exchange.cli import output
from exchange.cli.instance import folder_of
from exchange.cli.log_here import LogHere
from exchange.cli.profiles import Door, endpoint_of
from exchange.cli.usage import UsageError
from exchange.client import ExchangeClient, ProblemError
from exchange.client.log_folder import LogFolder
from exchange.client.log_reads import LogAddress, LogReads, is_unnamed


@contextmanager
def logs_at(path: Path | None, folder: Path | None, door: Door, ended: Sequence[str] = ()) -> Iterator[list[LogHere]]:
    """Yield the logs of the one place that was named: a folder, an instance (`--dir`, EXCHANGE_DIR), an address.

    The one in use is the last. `ended` are the names of logs that a recovery ended, for an exchange at an address to be
    asked about; the other places say themselves what they hold. Raises InvalidError for two places.
    """
    if sum((path is not None, folder is not None, door.url is not None or door.profile is not None)) > 1:
        raise UsageError("which log: a folder of tiles, `--dir`, or `--url`? give one of the three")
    if path is not None:
        yield [LogHere(LogFolder(path))]
    elif folder is not None or (not door.is_named and os.environ.get("EXCHANGE_DIR")):
        # Imported late: it brings the database along, which a member's auditor does without.
        from exchange.cli.audit_instance import logs_of_instance

        with logs_of_instance(folder_of(folder)) as logs:
            yield logs
    else:
        # A tile is no act of which a member would want the receipt.
        with ExchangeClient.at(replace(endpoint_of(door), receipts=None)) as client:
            yield list(_shown(client.log, ended))


def _shown(reads: LogReads, ended: Sequence[str]) -> Iterator[LogHere]:
    """Yield the log in use, which an exchange shows, behind those that a recovery ended: to whoever names them."""
    for origin in ended:
        if _is_named(reads, origin):
            yield LogHere(LogAddress(reads, origin), origin=origin)
        else:
            output.warn(f"the log `{origin}`, which a recovery ended, is not shown by this exchange: verify it there")
    yield LogHere(LogAddress(reads))


def _is_named(reads: LogReads, origin: str) -> bool:
    try:
        reads.checkpoint(origin)
    except ProblemError as exc:
        return not is_unnamed(exc)
    return True
