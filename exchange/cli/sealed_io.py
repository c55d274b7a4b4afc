"""Sealed files on disk: written whole or not at all, read by lines."""

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from exchange.cli.instance import read_text, unreadable
from exchange.crypto import DATA_KEY_BYTES
from exchange.crypto.sealed_files import SEALED_BEGINNING, FileSealer, Identity, Recipient, is_recipient, open_sealed
from exchange.kernel import InvalidError, UnavailableError
from exchange.kernel.files import fault_in_words, sync_folder
from exchange.settings import read_secret

_PIECE_BYTES = 1 << 20


class SealedWriter:
    """Writes beside the file's place and puts it there when all is on the disk; an error leaves nothing."""

    def __init__(self, path: Path, recipient: Recipient) -> None:
        self.path = path
        self._beside = path.with_name(f".{path.name}.part")
        self._recipient = recipient
        self._waiting = bytearray()
        self.size_bytes = 0

    def __enter__(self) -> Self:
        try:
            handle = self._opened()
            _clear_killed(self._beside)
        except OSError as exc:
            raise UnavailableError(f"`{self.path}` cannot be written: {fault_in_words(exc)}") from exc
        self._file: BinaryIO = os.fdopen(handle, "wb")
        self._sealer = FileSealer(self._recipient, os.urandom(DATA_KEY_BYTES))
        self._put(self._sealer.head)
        return self

    def write(self, plaintext: bytes) -> None:
        """Seal and write; UnavailableError where the disk refuses."""
        self._waiting += plaintext
        if len(self._waiting) >= _PIECE_BYTES:
            self._put(self._sealer.update(bytes(self._waiting)))
            self._waiting.clear()

    def __exit__(self, kind: object, error: object, at: object) -> None:
        is_placed = False
        try:
            if kind is None:
                self._put(self._sealer.update(bytes(self._waiting)) + self._sealer.finish())
                self._file.flush()
                os.fsync(self._file.fileno())
                self._beside.replace(self.path)
                is_placed = True
                sync_folder(self.path.parent)
        except OSError as exc:
            raise UnavailableError(f"`{self.path}` cannot be written: {fault_in_words(exc)}") from exc
        finally:
            if not is_placed:
                with suppress(OSError):
                    self._beside.unlink()  # before the lock goes: afterwards it may be another's
            # What a full disk did not take is tried once more, and refused once more.
            with suppress(OSError):
                self._file.close()

    def _opened(self) -> int:
        """Return the file beside, empty and locked: of two that write one backup, the second would place the first's.

        One that was killed left it unlocked, and is in nobody's way.
        """
        handle = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if not self._is_locked(handle):
                raise InvalidError(f"`{self.path}` is being written already: wait for that, or name another file")
            if self.path.exists():
                self._beside.unlink()
                raise InvalidError(f"`{self.path}` exists already: nothing is overwritten")
            os.fchmod(handle, 0o600)
            os.ftruncate(handle, 0)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _is_locked(self, handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have put it in its place, or taken it away, since it was opened.
            return os.path.samestat(os.fstat(handle), self._beside.lstat())
        except (BlockingIOError, FileNotFoundError):
            return False

    def _put(self, ciphertext: bytes) -> None:
        try:
            self._file.write(ciphertext)
        except OSError as exc:
            raise UnavailableError(f"`{self.path}` cannot be written: {fault_in_words(exc)}") from exc
        self.size_bytes += len(ciphertext)


def _clear_killed(own: Path) -> None:
    """Remove what others that were killed left beside files of this folder: sealed by nobody's hand any more."""
    for beside in own.parent.glob(".*.part"):
        if beside != own:
            with suppress(OSError):
                handle = os.open(beside, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    if os.pread(handle, len(SEALED_BEGINNING), 0) == SEALED_BEGINNING:
                        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        beside.unlink()
                finally:
                    os.close(handle)


@contextmanager
def sealed_lines(path: Path, identity: Identity) -> Iterator[Iterator[bytes]]:
    """Give the lines of a sealed file; OpeningError, perhaps after some of them, where it is not whole."""
    content = _mapped(path)
    view = memoryview(content)
    try:
        yield _lines(open_sealed(identity, view))
    finally:
        # An error on its way up holds pieces of the map in its frames: the map goes when they do.
        with suppress(BufferError):
            view.release()
            content.close()


def recipient_of(text_or_path: str) -> Recipient:
    """Return the recipient that is written out, or in the file that is named."""
    if is_recipient(text_or_path):
        return Recipient.from_text(text_or_path)
    return Recipient.from_text(read_text(Path(text_or_path)))


def identity_of(path: Path) -> Identity:
    """Return the identity in a file that only its owner can read."""
    return Identity.from_text(read_secret(path).decode("utf-8", "replace"))


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as exc:
        raise InvalidError(f"`{path}` is empty") from exc
    except OSError as exc:
        raise unreadable(path, exc) from exc


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        whole, newline, rest_of = (rest + piece).rpartition(b"\n")
        if not newline:
            rest = rest_of
            continue
        rest = rest_of
        yield from whole.split(b"\n")
    if rest:
        yield rest
