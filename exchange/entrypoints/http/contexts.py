"""The server's side of TLS, made of the bytes of files: what a context was made of can be taken again without them.

Promises: TLS 1.3, client certificates required and strictly checked; a context is made of all it is given, or there is
none.
Does not: look at files twice, decide what may take the place of what (`trust` does).
"""

import errno
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from exchange.kernel import UnsafeSettingError
from exchange.kernel.files import fault_in_words

_CERTIFICATE = b"CERTIFICATE-----"
"""In the first line of a certificate in PEM, `TRUSTED CERTIFICATE` too, and of no revocation list."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The server's certificate and key, and the file that the former came from."""

    path: Path
    certificate: bytes
    key: bytes = field(repr=False)


def context_of(
    pair: Pair, authorities: Mapping[Path, bytes], lists: Mapping[Path, bytes], *, checks_lists: bool
) -> ssl.SSLContext:
    """Return the context of the server: TLS 1.3, client certificates of `authorities` required, strictly checked.

    Where `checks_lists`, every leaf is also checked against `lists`, and an authority without a list among them admits
    nobody (RFC 5280 §6.3: no list, no answer).
    Raises UnsafeSettingError where a file is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    # A resumed session would skip the check of the certificate, its validity and its revocation.
    context.num_tickets = 0
    _show(context, pair)
    for path, content in [*authorities.items(), *lists.items()]:
        try:
            with _as_file(content) as name:
                context.load_verify_locations(name)
        except (OSError, ssl.SSLError) as exc:
            raise UnsafeSettingError(
                f"`{path}` is no PEM certificate or revocation list: {fault_in_words(exc)}"
            ) from exc
    if checks_lists:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def read_pair(certificate: Path, key: Path) -> Pair:
    """Return the server's certificate and key; UnsafeSettingError where they do not work together."""
    try:
        pair = Pair(certificate, read_plain(certificate), read_plain(key))
    except OSError as exc:
        raise _useless(certificate, exc) from exc
    require_pair(pair)
    return pair


def require_pair(pair: Pair) -> None:
    """Raise UnsafeSettingError where certificate and key do not work together."""
    _show(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair)


def read_authority_files(folder: Path) -> dict[Path, bytes]:
    """Return the files of the authorities; UnsafeSettingError where there is none, or one cannot be read."""
    found = {path: _content(path) for path in pem_files(folder)}
    if not found:
        raise UnsafeSettingError(f"`{folder}` holds no authority: add one with `exchange ca add`")
    return found


def read_lists(folder: Path | None) -> dict[Path, bytes]:
    """Return the files of the revocation lists; UnsafeSettingError where one cannot be read, or holds a certificate."""
    found = {path: _content(path) for path in pem_files(folder)}
    for path, content in found.items():
        require_lists_alone(path, content)
    return found


def require_lists_alone(path: Path, content: bytes) -> None:
    """Raise for a certificate among the lists: it would be believed as an authority that nobody has enrolled."""
    if _CERTIFICATE in content:
        raise UnsafeSettingError(
            f"`{path}` holds a certificate beside the revocation list: take it out; an authority is added with "
            "`exchange ca add`"
        )


def pem_files(folder: Path | None) -> list[Path]:
    """Return the PEM files in a folder by their names; none where there is no folder."""
    return [] if folder is None else sorted(folder.glob("*.pem"))


def read_plain(path: Path) -> bytes:
    """Return the bytes of a file; OSError also for what is none: reading from a pipe would never end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no plain file")
    return path.read_bytes()


def _content(path: Path) -> bytes:
    try:
        return read_plain(path)
    except OSError as exc:
        raise UnsafeSettingError(f"`{path}` cannot be read: {exc.strerror}") from exc


def _show(context: ssl.SSLContext, pair: Pair) -> None:
    try:
        with _as_file(pair.certificate) as certificate, _as_file(pair.key) as key:
            # A key that asks for a password would have the process wait at a terminal.
            context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ssl.SSLError) as exc:
        raise _useless(pair.path, exc) from exc


def _useless(certificate: Path, exc: OSError) -> UnsafeSettingError:
    told = f"server certificate `{certificate}` and its key cannot be used: {fault_in_words(exc)}"
    if isinstance(exc, FileNotFoundError):
        told = f"{told}: `{exc.filename}`"
    return UnsafeSettingError(f"{told}: `exchange ca server` makes another pair")


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Yield a name under which OpenSSL reads `content`: it takes lists and keys from files alone.

    What was read once is what is used: the file itself may be another one by now.
    """
    with _in_memory() as (file, name):
        file.write(content)
        file.flush()
        yield name


@contextmanager
def _in_memory() -> Iterator[tuple[IO[bytes], str]]:
    """Yield a file that is on no disk, and its name; where the system has none, one that its owner alone may read."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("pem", os.MFD_CLOEXEC), "wb") as file:
            name = f"/proc/self/fd/{file.fileno()}"
            if os.access(name, os.R_OK):
                yield file, name
                return
    with tempfile.NamedTemporaryFile() as kept:
        yield kept, kept.name
