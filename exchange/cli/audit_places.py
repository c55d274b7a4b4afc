"""Where the log is that an auditor names: a folder of files, an address, or the instance on this host."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from exchange.audit import VerifierKey
from exchange.audit.verify import KnownCheckpoint, Source
from exchange.cli.profiles import Door, endpoint_of
from exchange.client import ExchangeClient
from exchange.client.log_folder import LogFolder
from exchange.client.log_reads import LogAddress
from exchange.kernel import InvalidError

Logs = Iterator[tuple[Source, tuple[VerifierKey, ...]]]


class Place(Protocol):
    """Somewhere logs are; an instance may have several, one after the other."""

    def logs(self) -> Logs:
        """Yield each log, the one in use last, with the keys that the place says it has (none where it says none)."""

    def known(self) -> tuple[KnownCheckpoint, ...]:
        """Return checkpoints that the place keeps apart from the log."""


class _One:
    """A place with one log that says nothing of its keys."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def logs(self) -> Logs:
        yield self._source, ()

    def known(self) -> tuple[KnownCheckpoint, ...]:
        return ()


@contextmanager
def place_of(path: Path | None, folder: Path | None, door: Door) -> Iterator[Place]:
    """Yield the one place that was named: a path, an instance (`--dir`), an address; raises InvalidError for two."""
    if sum((path is not None, folder is not None, door.url is not None or door.profile is not None)) > 1:
        raise InvalidError("which log: a folder of tiles, `--dir`, or `--url`? give one of the three")
    if path is not None:
        yield _One(LogFolder(path))
        return
    with ExchangeClient.at(endpoint_of(door)) as client:
        yield _One(LogAddress(client.log))
