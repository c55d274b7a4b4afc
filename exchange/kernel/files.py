"""Files that are to outlive a power cut: after it the old or the new one is there, whole."""

import fcntl
import os
import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from exchange.kernel.errors import UnavailableError

OWNER_ALONE = 0o600

SECRET_MOUNT: Final = Path("/run/secrets")
"""Where Docker mounts secrets: root's, readable by all inside the container, and on no disk."""


def fault_in_words(fault: Exception) -> str:
    """Return why a file cannot be read or written, or used by TLS: without OpenSSL's names for places in its code."""
    if isinstance(fault, ssl.SSLError):
        return (fault.reason or "what is in it is not whole").lower().replace("_", " ")
    return str(getattr(fault, "strerror", None) or fault).lower()


def keep_file(path: Path, content: bytes, *, mode: int = OWNER_ALONE) -> None:
    """Put `content` in the place of `path`, on the disk when this returns. Raises OSError."""
    place_file(path, content, mode=mode)
    sync_folder(path.parent)


def place_file(path: Path, content: bytes, *, mode: int = OWNER_ALONE) -> None:
    """Do the same, but for the name, which `sync_folder` makes durable for many files at once. Raises OSError."""
    # A name of its own: two that keep one file at once would write into each other's, and a link may lie at one.
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with naming(path):
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(handle)
            unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError that names no file, as that of a full disk, name this one."""
    try:
        yield
    except OSError as exc:
        exc.filename = exc.filename or str(path)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Let nobody else who asks this change what is in `folder` meanwhile; the kernel ends it with the process.

    Raises OSError.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def lock_held(lock: Path, busy: Exception) -> Iterator[None]:
    """Let nobody else who asks this hold the file `lock`, made where there is none; it ends with the process.

    Raises `busy` where somebody holds it, and UnavailableError where it cannot be made.
    """
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ALONE)
    except OSError as exc:
        raise UnavailableError(f"`{lock.parent}` cannot be written: {exc.strerror}") from exc
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise busy from exc
        yield
    finally:
        os.close(handle)


def state_of(path: Path) -> tuple[int, ...]:
    """Return what differs where a file is another one, or was written to or given to others; empty where none is there.

    Of a link it is that of the file behind it.
    """
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)


def may_lie_there(path: Path) -> bool:
    """Say whether something lies at `path`, or may: in a folder that is shut, whoever opens it is told so."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: no name of a file
        return False
    except OSError:
        return True
    return True


def is_mounted_secret(path: Path) -> bool:
    """Say whether a file truly lies below the mount: no `..` and no link makes one of a file that lies elsewhere."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(SECRET_MOUNT))


def shut_out(path: Path) -> str:
    """Say why this process's user is refused `path` and what to run: whose that is, or a folder on the way to it."""
    user = os.geteuid()
    for each in (*reversed(path.absolute().parents), path.absolute()):
        try:
            owner = each.stat().st_uid
        except OSError:
            break
        if not os.access(each, os.X_OK if each.is_dir() else os.R_OK):
            whose = f"`{each}` is user {owner}'s, and this runs as user {user}"
            return f"{whose}: run this as the user of the service, to whom all of the instance belongs"
    return "permission denied: run this as the user of the service, to whom all of the instance belongs"
