"""The archive of the log: entry bundles in a folder or a blob store, each written once.

Promises: a bundle that was added is durable, and nothing is ever written over it.
Does not: believe what it reads (whoever reads compares), delete, or know what belongs there.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from obstore import get_async, put_async
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore, from_url

from exchange.kernel import UnavailableError, UnsafeSettingError

_CALL_SECONDS: Final = 30.0
"""A bundle is at most 16 MiB, mostly 300 KB; the store's own retries would go on for minutes."""


class BundleArchive:
    """The archive at a URL: `file:///folder`, or a blob store's (`s3://`, `az://`, `gs://`) with a prefix.

    What opens a blob store comes from the environment, under the names that its own tools read: the address stands in
    the log.
    """

    def __init__(self, url: str) -> None:
        _check(url)
        self.url = url
        self._folder = _folder_of(url)
        self._opened: ObjectStore | None = None

    async def read(self, location: str) -> bytes:
        """Return the bytes at `location`; UnavailableError where they are not, or the archive does not answer."""
        with self._faults(f"bundle `{location}` cannot be read from"):
            async with asyncio.timeout(_CALL_SECONDS):
                found = await get_async(self._store(), location)
                return bytes(await found.bytes_async())

    async def add(self, location: str, content: bytes) -> None:
        """Put `content` at `location`, durably; what stands there already stays, and is for the caller to compare."""
        with self._faults(f"bundle `{location}` cannot be written to"):
            if self._folder is not None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                async with asyncio.timeout(_CALL_SECONDS):
                    await put_async(self._store(), location, content, mode="create")
            except AlreadyExistsError:
                pass  # left by one that did not come to its end, or by another archiver
            if self._folder is not None:
                await asyncio.to_thread(_sync, self._folder, location)

    def _store(self) -> ObjectStore:
        if self._opened is None:
            self._opened = from_url(self.url)
        return self._opened

    @contextmanager
    def _faults(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as exc:
            raise UnavailableError(f"{what} the archive {self.url}: it is not there") from exc
        except TimeoutError as exc:
            raise UnavailableError(f"{what} the archive {self.url}: no answer in {_CALL_SECONDS:g} seconds") from exc
        except (BaseError, OSError, ValueError) as exc:
            raise UnavailableError(f"{what} the archive {self.url}: {_first_line(exc)}") from exc


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"file", "s3", "az", "gs"}:
        raise UnsafeSettingError("`audit_archive_url` is none of `file:///folder`, `s3://`, `az://`, `gs://`")
    if parts.username or parts.password or parts.query:
        raise UnsafeSettingError("`audit_archive_url` stands in the log: what opens it belongs into the environment")


def _folder_of(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _sync(folder: Path, location: str) -> None:
    """Put a file on the disk, and the names that lead to it: it replaces what leaves the database."""
    path = folder / location
    for each in (path, *path.parents):
        descriptor = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if each == folder:
            return


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
