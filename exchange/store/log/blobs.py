"""Blobs: bytes in a folder or a blob store, under names that are each written once.

Promises: a blob that was added is durable, and nothing is ever written over it.
Does not: believe what it reads (whoever reads compares, or decrypts), or know what belongs there.
"""

import asyncio
import glob
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import unquote, urlsplit

from obstore import delete_async, get_async, get_range_async, head_async, put_async
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore, from_url

from exchange.kernel import MalformedError, UnavailableError, UnsafeSettingError

CALL_SECONDS: Final = 30.0
"""A blob is at most 16 MiB, mostly far less; the store's own retries would go on for minutes."""

_PIECE_BYTES: Final = 5 * 1024 * 1024
"""The smallest that S3 takes as a part of an upload."""

_READ_BYTES: Final = 1024 * 1024
"""Of one request, when a blob is read in pieces."""

GIVEN_UP_TIME: Final = timedelta(days=1)
"""A blob that was given up stays for so long: a read or a backup that began a moment before comes to its end."""


def folder_of_url(url: str | None) -> Path | None:
    """Return the folder on this host that blobs at `url` lie in; None where they lie elsewhere, or nowhere."""
    parts = urlsplit(url or "")
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


class BlobsAwayError(UnavailableError):
    """The place does not answer, or not with what was asked for."""


class BlobMissingError(BlobsAwayError):
    """The place answers, and has no such blob."""


class BlobStore:
    """The blobs at a URL: `file:///folder`, or a blob store's (`s3://`, `az://`, `gs://`) with a prefix.

    What opens a blob store comes from the environment, under the names that its own tools read: the address is shown to
    operators and stands in the log.
    """

    _SETTING: ClassVar[str] = "blob_store_url"
    _NOUN: ClassVar[str] = "blob store"
    _THING: ClassVar[str] = "ciphertext"
    _MOST_BYTES: ClassVar[int | None] = None

    def __init__(self, url: str) -> None:
        self._check(url)
        self.url = url
        self._folder = folder_of_url(url)
        self._opened: ObjectStore | None = None

    async def read(self, location: str) -> bytes:
        """Return the bytes at `location`.

        Raises BlobMissingError where they are not, UnavailableError without an answer, and MalformedError, nothing of
        it in memory, where they are more than such a thing has.
        """
        with self._faults(f"{self._THING} `{location}` cannot be read from"):
            async with asyncio.timeout(CALL_SECONDS):
                found = await get_async(self._store(), location)
                if self._MOST_BYTES is not None and found.meta["size"] > self._MOST_BYTES:
                    raise MalformedError(f"`{location}` has {found.meta['size']} bytes: no {self._THING} is so large")
                return bytes(await found.bytes_async())

    async def add(self, location: str, content: bytes) -> None:
        """Put `content` at `location`, durably; what stands there already stays, and is for the caller to compare."""
        with self._faults(f"{self._THING} `{location}` cannot be written to"):
            if self._folder is not None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    await put_async(self._store(), location, content, mode="create")
            except BaseError as exc:
                # Left by one that did not come to its end, or by another one at the same work, who cleared up.
                if not isinstance(exc, AlreadyExistsError) and not self._has(location):
                    raise
            if self._folder is not None:
                await asyncio.to_thread(_sync, self._folder, location)

    async def add_pieces(self, location: str, pieces: AsyncIterator[bytes]) -> None:
        """Put at `location`, durably, what arrives; nothing stands there yet, and nothing does if `pieces` fail."""
        arriving = _Arriving(pieces)
        with self._faults(f"{self._THING} `{location}` cannot be written to"):
            if self._folder is not None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            await put_async(self._store(), location, arriving.until_end(), chunk_size=_PIECE_BYTES, max_concurrency=2)
        if arriving.fault is not None:
            await self.remove(location)
            raise arriving.fault
        if self._folder is not None:
            with self._faults(f"{self._THING} `{location}` cannot be written to"):
                await asyncio.to_thread(_sync, self._folder, location)

    async def pieces(self, location: str) -> AsyncIterator[bytes]:
        """Yield the bytes at `location` in order; raises as `read`."""
        with self._faults(f"{self._THING} `{location}` cannot be read from"):
            async with asyncio.timeout(CALL_SECONDS):
                size = (await head_async(self._store(), location))["size"]
            # By requests that each end: one that is open for as long as its reader takes is cut off after minutes.
            for start in range(0, size, _READ_BYTES):
                async with asyncio.timeout(CALL_SECONDS):
                    end = min(start + _READ_BYTES, size)
                    piece = await get_range_async(self._store(), location, start=start, end=end)
                yield bytes(piece)

    async def holds(self, location: str) -> bool:
        """Return whether anything is at `location`; UnavailableError without an answer."""
        with self._faults(f"{self._THING} `{location}` cannot be looked for in"):
            if self._folder is not None and not self._folder.is_dir():
                return False
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    await head_async(self._store(), location)
            except FileNotFoundError:
                return False
            return True

    async def remove(self, location: str) -> None:
        """Delete what is at `location`, if anything is, and in a folder what was begun for it; nobody writes it now."""
        with self._faults(f"{self._THING} `{location}` cannot be deleted from"):
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    await delete_async(self._store(), location)
            except FileNotFoundError:
                pass  # somebody else was quicker, or it never came to be
            await self._clear(location)

    async def remove_begun(self, location: str) -> None:
        """Delete what was begun for `location` in a folder and never came to its end: what stands there is whole."""
        with self._faults(f"what was begun for {self._THING} `{location}` cannot be deleted from"):
            await self._clear(location)

    async def _clear(self, location: str) -> None:
        if self._folder is not None:
            # As the store takes it: within the folder, whatever a row was altered to.
            await asyncio.to_thread(_remove_begun, self._folder / location.lstrip("/"))

    def _has(self, location: str) -> bool:
        return self._folder is not None and (self._folder / location.lstrip("/")).is_file()

    def _store(self) -> ObjectStore:
        if self._opened is None:
            # A store that takes the request and says nothing: its own patience is ten times as long.
            if self._folder is None:
                self._opened = from_url(self.url, retry_config={"retry_timeout": timedelta(seconds=CALL_SECONDS)})
            else:
                self._opened = from_url(self.url)
        return self._opened

    @contextmanager
    def _faults(self, what: str) -> Iterator[None]:
        # Where it is, callers are not told: that is the operator's to know.
        where = f"{what} the {self._NOUN} {self.url}"
        told = f"the {self._NOUN} is away at the moment: try again later"
        try:
            yield
        except FileNotFoundError as exc:
            raise BlobMissingError(f"{where}: it is not there", told=told) from exc
        except TimeoutError as exc:
            raise BlobsAwayError(f"{where}: no answer in {CALL_SECONDS:g} seconds", told=told) from exc
        except (BaseError, OSError, TypeError, ValueError) as exc:
            # A TypeError is a location that was altered to what is no path within the store.
            raise BlobsAwayError(f"{where}: {_first_line(exc)}", told=told) from exc

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"file", "s3", "az", "gs"}:
            raise UnsafeSettingError(f"`{self._SETTING}` is none of `file:///folder`, `s3://`, `az://`, `gs://`")
        if parts.scheme == "file" and (parts.netloc not in {"", "localhost"} or not parts.path.strip("/")):
            raise UnsafeSettingError(f"`{self._SETTING}` names no folder: write it as `file:///folder`, three slashes")
        if parts.scheme != "file" and not parts.netloc:
            raise UnsafeSettingError(f"`{self._SETTING}` names no bucket: write it as `{parts.scheme}://BUCKET/PREFIX`")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise UnsafeSettingError(f"`{self._SETTING}` stands in the log: what opens it belongs into the environment")


class _Arriving:
    """Pieces on their way to a store, which would wrap their fault: it is kept here, and what came before it ends."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self.fault: Exception | None = None

    async def until_end(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._pieces:
                yield piece
        except Exception as exc:  # noqa: BLE001  raised again by whoever asked for the pieces to be put away
            self.fault = exc


def _sync(folder: Path, location: str) -> None:
    """Put a file on the disk, and the names that lead to it: nothing else holds what is in it."""
    path = folder / location
    for each in (path, *path.parents):
        descriptor = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if each == folder:
            return


def _remove_begun(path: Path) -> None:
    # What is written has `#` and a number behind its name until it is whole: whoever is killed leaves it so.
    for begun in path.parent.glob(f"{glob.escape(path.name)}#*"):
        begun.unlink(missing_ok=True)


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
