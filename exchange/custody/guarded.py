"""Files that hold keys: read only when nobody else can read them, written whole or not at all."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exchange.custody.custodian import CustodyUnavailableError
from exchange.kernel import ConflictError, UnsafeSettingError
from exchange.kernel.files import is_mounted_secret, shut_out, sync_folder

# What Docker gives to what it mounts.
_SECRET_MODES = frozenset({0o400, 0o440, 0o444})

# A root file of a hundred versions has 15 kB.
_LARGEST_FILE_BYTES = 1 << 20


def read_guarded(path: Path) -> bytes:
    """Return the octets of a file that only this process's user can read.

    Below /run/secrets a file of root's that nobody can write will do. Raises UnsafeSettingError, which says
    how to mend it, for a file that is missing, a symbolic link, no file, another user's, readable by
    others, or larger than 1 MiB.
    """
    try:
        # Opened once and asked by its descriptor: nobody can exchange the file between check and reading.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fault = guard_fault(path, os.fstat(descriptor), user=os.geteuid(), is_secret_mount=is_mounted_secret(path))
            if fault is not None:
                raise UnsafeSettingError(fault)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                octets = file.read(_LARGEST_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise UnsafeSettingError(_cannot_open(path, exc)) from exc
    if len(octets) > _LARGEST_FILE_BYTES:
        raise UnsafeSettingError(f"key file `{path}` is larger than 1 MiB: it is no key file, name the right one")
    return octets


def guard_fault(path: Path, found: os.stat_result, *, user: int, is_secret_mount: bool) -> str | None:
    """Return what makes the file unsafe for `user` and how to mend it, or None."""
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        return f"key file `{path}` is not a regular file: name the file itself"
    if is_secret_mount and found.st_uid == 0 and mode in _SECRET_MODES:
        return None
    if found.st_uid != user:
        return f"key file `{path}` belongs to user {found.st_uid}, not {user}: run `chown {user} {path}`"
    if mode & 0o077:
        return f"key file `{path}` can be read or written by others (mode {mode:04o}): run `chmod 600 {path}`"
    return None


class Replacement:
    """New contents of a key file, being written beside it under the one name that also is the lock."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self.is_moved = False

    def add(self, octets: bytes) -> None:
        """Put the contents where no file is. Raises ConflictError where one is."""
        self._write(octets)
        try:
            # A link, unlike a rename, never replaces what is there.
            self._path.hardlink_to(replacement_path(self._path))
            sync_folder(self._path.parent)
        except FileExistsError as exc:
            raise ConflictError(f"key file `{self._path}` exists: keys are never overwritten") from exc
        except OSError as exc:
            raise _cannot_write(self._path, exc) from exc

    def exchange(self, octets: bytes) -> None:
        """Put the contents in the place of the file: a reader sees the old one or the new one, whole."""
        self._write(octets)
        try:
            replacement_path(self._path).replace(self._path)
            self.is_moved = True
            sync_folder(self._path.parent)
        except OSError as exc:
            raise _cannot_write(self._path, exc) from exc

    def _write(self, octets: bytes) -> None:
        try:
            os.fchmod(self._descriptor, 0o600)
            rest = memoryview(octets)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError as exc:
            raise _cannot_write(self._path, exc) from exc


@contextmanager
def replacement_of(path: Path) -> Iterator[Replacement]:
    """Open the one replacement of `path`; while it stands, nobody else writes. It is gone afterwards.

    Raises ConflictError where one stands already, CustodyUnavailableError where the disk refuses.
    """
    standing = replacement_path(path)
    try:
        descriptor = os.open(standing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError as exc:
        raise ConflictError(f"`{standing}` exists: somebody is writing keys now; if nobody is, remove it") from exc
    except OSError as exc:
        raise _cannot_write(path, exc) from exc
    replacement = Replacement(path, descriptor)
    try:
        yield replacement
    finally:
        os.close(descriptor)
        # Once moved, the name is free, and what stands under it may be another one's.
        if not replacement.is_moved:
            # What ended it is what is told, and not that a disk which has turned read-only keeps the name too.
            with suppress(OSError):
                standing.unlink()


def replacement_path(path: Path) -> Path:
    """Return the name under which the replacement of `path` is written."""
    return path.with_name(f".{path.name}.new")


def _cannot_open(path: Path, exc: OSError) -> str:
    match exc.errno:
        case errno.ENOENT:
            return f"key file `{path}` is missing: put it back from the escrow (`exchange keys restore`)"
        case errno.ELOOP:
            return f"key file `{path}` is a symbolic link: name the file itself"
        case errno.EACCES:
            return f"key file `{path}` cannot be read: {shut_out(path)}"
        case _:
            return f"key file `{path}` cannot be read: {exc.strerror}"


def _cannot_write(path: Path, exc: OSError) -> CustodyUnavailableError:
    return CustodyUnavailableError(f"cannot write key file `{path}`: {exc.strerror}")
