"""What this host signed last, in a file outside the database: the guard against a database that went back in time.

Before a commit the file says what is about to be signed and which rows of the outbox are in it, after the commit that
it came to pass. Whatever ends the process in between, the file names the one tree that may have been signed, and the
same rows make the same tree again: nothing is ever signed twice in two ways.

The file is written whole and put in place by a rename: a reader finds the old one or the new one. What is prepared is
on the disk before the commit begins.
"""

import base64
import binascii
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from exchange.audit.merkle import HASH_BYTES, TreeHead
from exchange.kernel import UnavailableError, UnsafeSettingError
from exchange.kernel.files import lock_held, shut_out, sync_folder
from exchange.store.log.sequencing import LogMovedError, SignedHead

_FORMAT: Final = 1

# A note has 4 kB; ranges of a batch at worst 60 kB.
_LARGEST_BYTES = 1 << 20
# Without the file the database is believed: only a person can say that it is not an older one.
_MEND = (
    ": put it aside and run `exchange audit resume` where the database is no older one, else `exchange audit recover`"
)


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint that was signed; `signed_at` is in microseconds since 1970."""

    head: TreeHead
    signed_at: int
    note: bytes


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checkpoint that was signed for a commit whose end is not known yet, and the rows of the outbox behind it."""

    signed: Signed
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LastSigned:
    """What the file says. `confirmed` came to pass in the database; `prepared` may have."""

    origin: str
    confirmed: Signed
    prepared: Prepared | None = None

    @property
    def signed_at(self) -> int:
        """The latest time that was ever signed."""
        return max(self.confirmed.signed_at, 0 if self.prepared is None else self.prepared.signed.signed_at)


class LastSignedFile:
    """The file at `path`. A sequencer holds the lock beside it, which ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes of this host from sequencing; LogMovedError where one of them is at it."""
        return lock_held(self.path.with_suffix(".lock"), LogMovedError("another sequencer of this host is at work"))

    def read(self) -> LastSigned | None:
        """Return what the file says, None where there is none; UnsafeSettingError where it is damaged."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except PermissionError as exc:
            raise UnavailableError(f"`{self.path}` cannot be read: {shut_out(self.path)}") from exc
        except OSError as exc:
            raise UnavailableError(f"`{self.path}` cannot be read: {exc.strerror}") from exc
        try:
            if len(content) > _LARGEST_BYTES:
                raise ValueError
            return _parsed(json.loads(content))
        except (ValueError, KeyError, TypeError, binascii.Error) as exc:
            raise UnsafeSettingError(f"`{self.path}` is damaged: what was signed last is not known{_MEND}") from exc

    def write(self, said: LastSigned, *, is_synced: bool = True) -> None:
        """Put the file in place, `is_synced` on the disk when this returns; UnavailableError where the disk refuses."""
        content = json.dumps(_rendered(said), indent=1).encode()
        # One name per process: one that was killed while it wrote is in nobody's way.
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if is_synced:
                    os.fsync(descriptor)
            beside.replace(self.path)
            if is_synced:
                sync_folder(self.path.parent)
        except OSError as exc:
            with suppress(OSError):
                beside.unlink()
            raise UnavailableError(f"`{self.path}` cannot be written: {exc.strerror}") from exc

    def prepare(self, said: LastSigned, signed: SignedHead, numbers: Sequence[int]) -> LastSigned:
        """Say that a commit with this checkpoint is about to come."""
        prepared = replace(said, prepared=Prepared(Signed(signed.head, signed.signed_at, signed.note), tuple(numbers)))
        self.write(prepared)
        return prepared

    def confirm(self, said: LastSigned, signed: Signed) -> LastSigned:
        """Say that this checkpoint is in the database."""
        confirmed = LastSigned(said.origin, signed)
        # Where the power goes before it is on the disk, what was prepared still is: it is found out again.
        self.write(confirmed, is_synced=False)
        return confirmed


def _rendered(said: LastSigned) -> dict[str, object]:
    content: dict[str, object] = {"format": _FORMAT, "origin": said.origin, "confirmed": _fields(said.confirmed)}
    if said.prepared is not None:
        content["prepared"] = {**_fields(said.prepared.signed), "outbox": _ranges(said.prepared.numbers)}
    return content


def _fields(signed: Signed) -> dict[str, object]:
    root = base64.b64encode(signed.head.root).decode()
    return {"size": signed.head.size, "root": root, "signed_at": signed.signed_at, "note": signed.note.decode()}


def _ranges(numbers: Iterable[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges


def _parsed(content: dict[str, object]) -> LastSigned:
    match content:
        case {"format": 1, "origin": str(origin), "confirmed": {**confirmed}, **rest}:
            prepared = rest.pop("prepared", None)
        case _:
            raise ValueError
    if rest:
        raise ValueError
    return LastSigned(origin, _signed(confirmed), None if prepared is None else _prepared(prepared))


def _prepared(content: object) -> Prepared:
    match content:
        case {"outbox": list(ranges), **fields}:
            numbers = [number for first, last in ranges for number in range(int(first), int(last) + 1)]
            return Prepared(_signed(fields), tuple(numbers))
        case _:
            raise ValueError


def _signed(fields: dict[object, object]) -> Signed:
    match fields:
        case {"size": int(size), "root": str(root), "signed_at": int(signed_at), "note": str(note), **rest} if not rest:
            decoded = base64.b64decode(root, validate=True)
        case _:
            raise ValueError
    if size < 0 or signed_at < 0 or len(decoded) != HASH_BYTES:
        raise ValueError
    return Signed(TreeHead(size, decoded), signed_at, note.encode())
