"""Where the log is that an auditor names: a folder of files, an address, or the instance on this host."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from exchange.audit.verify import Source
from exchange.cli import output
from exchange.cli.instance import folder_of
from exchange.cli.log_here import LogHere
from exchange.cli.profiles import Door, endpoint_of
from exchange.cli.usage import UsageError
from exchange.client import ExchangeClient, ProblemError
from exchange.client.log_folder import LogFolder
from exchange.client.log_reads import LogAddress, LogReads, is_unnamed


class Place(Protocol):
    """Somewhere logs are."""

    def logs(self) -> Iterable[LogHere]:
        """Return each log; an instance may have several, one after the other, the one in use last."""


@dataclass(frozen=True, slots=True)
class _One:
    """A place with one log that says nothing of its keys."""

    source: Source

    def logs(self) -> Iterable[LogHere]:
        return (LogHere(self.source),)


@dataclass(frozen=True, slots=True)
class _Address:
    """An exchange, which shows the log in use, and those that a recovery ended to whoever names them."""

    reads: LogReads
    ended: Sequence[str]

    def logs(self) -> Iterator[LogHere]:
        for origin in self.ended:
            if self._is_named(origin):
                yield LogHere(LogAddress(self.reads, origin), origin=origin)
            else:
                output.warn(
                    f"the log `{origin}`, which a recovery ended, is not shown by this exchange: verify it there"
                )
        yield LogHere(LogAddress(self.reads))

    def _is_named(self, origin: str) -> bool:
        try:
            self.reads.checkpoint(origin)
        except ProblemError as exc:
            return not is_unnamed(exc)
        return True


@contextmanager
def place_of(path: Path | None, folder: Path | None, door: Door, ended: Sequence[str] = ()) -> Iterator[Place]:
    """Yield the one place that was named: a folder, an instance (`--dir`, EXCHANGE_DIR), an address.

    `ended` are the names of logs that a recovery ended, for an exchange at an address to be asked about; the other
    places say themselves what they hold. Raises InvalidError for two.
    """
    if sum((path is not None, folder is not None, door.url is not None or door.profile is not None)) > 1:
        raise UsageError("which log: a folder of tiles, `--dir`, or `--url`? give one of the three")
    if path is not None:
        yield _One(LogFolder(path))
    elif folder is not None or (not door.is_named and os.environ.get("EXCHANGE_DIR")):
        # Imported late: it brings the database along, which a member's auditor does without.
        from exchange.cli.audit_instance import instance_place

        with instance_place(folder_of(folder)) as place:
            yield place
    else:
        # A tile is no act of which a member would want the receipt.
        with ExchangeClient.at(replace(endpoint_of(door), receipts=None)) as client:
            yield _Address(client.log, ended)
