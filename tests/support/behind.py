"""SQL behind the back of a world's store, in its file of SQLite."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from tests.support.store import PATIENCE


class Behind:
    """One connection that is kept: each new one reads the whole schema first, which takes longer than what it is asked.

    The last connection to a file puts what is in SQLite's log into its place: this one is closed before the store's are,
    and who asks later has one for as long as that takes.
    """

    def __init__(self) -> None:
        self._kept: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._is_closed = False

    @contextmanager
    def connected(self, url: str, *, lenient: bool = False) -> Iterator[sqlite3.Connection]:
        """Give a connection to the file that is there now, in one transaction; `lenient` takes text that is none."""
        path = url.partition("///")[2]
        if self._is_closed:
            with closing(_opened(path)) as connection, _reading(connection, lenient=lenient):
                yield connection
            return
        try:
            with _reading(self._opened(path), lenient=lenient) as connection:
                yield connection
        except BaseException:
            self._drop()
            raise

    def close(self) -> None:
        """Keep no connection any more."""
        self._drop()
        self._is_closed = True

    def _opened(self, path: str) -> sqlite3.Connection:
        file = None
        with suppress(FileNotFoundError):  # the driver makes one
            found = os.stat(path)  # noqa: PTH116  asked a thousand times
            file = (found.st_dev, found.st_ino)
        if self._kept is None or file is None or file != self._file:
            self._drop()
            self._kept, self._file = _opened(path), file
        return self._kept

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _opened(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=PATIENCE, check_same_thread=False)


@contextmanager
def _reading(connection: sqlite3.Connection, *, lenient: bool) -> Iterator[sqlite3.Connection]:
    connection.text_factory = _text if lenient else str
    with connection:
        yield connection


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")
