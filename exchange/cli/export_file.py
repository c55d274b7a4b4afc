"""The file that an export is written to: unfinished under a name of its own, and gone on with where it stopped.

FILE.part grows by whole lines; FILE.asked says what was asked for, so that nothing else is put behind it. Only the
whole, synced to the disk, is called FILE.
"""

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from exchange.audit.export import ExportedEntry, Format, Place, Statement
from exchange.kernel import InvalidError, MalformedError
from exchange.kernel.files import fault_in_words, naming, sync_folder

_BUFFER_BYTES = 256 * 1024


@dataclass(slots=True)
class Tally:
    """What was written: how many entries, the first, the last; `after` is where the export began."""

    after: Place | None
    count: int = 0
    first: Place | None = None
    last: Place | None = None

    @property
    def reached(self) -> Place | None:
        """Return the place behind which to go on."""
        return self.last or self.after

    def add(self, place: Place, count: int = 1) -> None:
        """Count entries side by side, `place` the first; raises MalformedError where it lies not behind the last."""
        if self.reached is not None and place <= self.reached:
            raise MalformedError(f"the entry at {place} came behind that at {self.reached}")
        self.first = self.first or place
        self.last = Place(place.log, place.position + count - 1)
        self.count += count

    def statement(self, told: Statement) -> Statement:
        """Return the statement of the whole, where `told` is that of its last stretch."""
        first, last, after = (None if place is None else str(place) for place in (self.first, self.last, self.after))
        return replace(told, after=after, first=first, last=last, count=self.count)


class ExportSink(Protocol):
    """What takes an export in: `tally` says how far it has it."""

    @property
    def tally(self) -> Tally:
        """Return what was written."""

    def add(self, exported: ExportedEntry) -> None:
        """Write one entry."""

    def add_lines(self, place: Place, lines: Sequence[bytes]) -> None:
        """Write entries side by side, `place` the first, whose lines are made already."""

    def finish(self, told: Statement) -> Statement:
        """Write the last line and return the statement about all of it."""


class ExportStream:
    """An export on its way to a pipe; what was written is gone."""

    def __init__(self, stream: BinaryIO, form: Format, after: Place | None) -> None:
        self._stream = stream
        self._form = form
        self.tally = Tally(after)
        stream.write(form.head)

    def add(self, exported: ExportedEntry) -> None:
        """Write one entry."""
        self.add_lines(exported.place, [self._form.entry_line(exported)])

    def add_lines(self, place: Place, lines: Sequence[bytes]) -> None:
        """Write entries side by side, `place` the first, whose lines are made already."""
        self.tally.add(place, len(lines))
        self._stream.writelines(lines)

    def finish(self, told: Statement) -> Statement:
        """Write the last line and return the statement about all of it."""
        statement = self.tally.statement(told)
        self._stream.write(self._form.statement_line(statement))
        self._stream.flush()
        return statement


class ExportFile:
    """One export on its way into `path`. Use it as a context manager: it lets go of the file, finished or not."""

    def __init__(self, path: Path, form: Format, asked: Mapping[str, str]) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._asked_path = path.with_name(f"{path.name}.asked")
        self._form = form
        self._asked = dict(asked)
        self._file: BinaryIO | None = None
        self._is_new = False
        self.tally = Tally(None)

    def begin(self, after: Place | None, *, force: bool) -> None:
        """Begin anew; raises InvalidError where that would destroy something (unless `force`)."""
        for there, mend in ((self._path, "name another"), (self._part, "give `--resume` to go on, or name another")):
            if os.path.lexists(there) and not force and not self._holds_nothing(there):
                raise InvalidError(f"`{there}` exists already: {mend} `--out`, or give `--force`")
        self.tally = Tally(after)
        self._open(os.O_CREAT)
        self._is_new = True
        with naming(self._asked_path):
            self._asked_path.touch(mode=0o600)
            self._asked_path.write_text(json.dumps(self._said(after)), encoding="utf-8")
        self._writable.truncate(0)
        self._writable.write(self._form.head)

    def resume(self) -> None:
        """Go on behind the last whole line; raises InvalidError where there is nothing that can be gone on with."""
        if not self._part.exists():
            done = "is complete" if self._path.exists() else "was never begun"
            raise InvalidError(f"there is no `{self._part}` to go on with: the export {done}")
        if "proofs" in self._asked:
            # Those of the first part lead to another checkpoint than the one at the end: they would convict the log.
            raise InvalidError("proofs lead to one checkpoint, and the log has grown since: begin anew with `--force`")
        self.tally = Tally(self._asked_before())
        self._open(0)
        self._writable.truncate(self._whole())
        self._writable.seek(0, os.SEEK_END)
        if not self._writable.tell():
            self._writable.write(self._form.head)

    def add(self, exported: ExportedEntry) -> None:
        """Write one entry."""
        self.add_lines(exported.place, [self._form.entry_line(exported)])

    def add_lines(self, place: Place, lines: Sequence[bytes]) -> None:
        """Write entries side by side, `place` the first, whose lines are made already."""
        self.tally.add(place, len(lines))
        with naming(self._part):
            self._writable.writelines(lines)

    def finish(self, told: Statement) -> Statement:
        """Write the last line, put the file in place, and return the statement about all of it."""
        statement = self.tally.statement(told)
        with naming(self._part):
            self._writable.write(self._form.statement_line(statement))
            self._writable.flush()
            os.fsync(self._writable.fileno())
        self._part.replace(self._path)
        self._asked_path.unlink(missing_ok=True)
        sync_folder(self._path.parent)
        return statement

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file is None:
            return
        if kind is not None and self._is_new and not self.tally.count:
            # It broke off before its first entry: there is nothing to go on with, and nothing to stand in the way.
            self._part.unlink(missing_ok=True)
            self._asked_path.unlink(missing_ok=True)
        with naming(self._part):
            self._file.close()

    @property
    def _writable(self) -> BinaryIO:
        if self._file is None:
            raise InvalidError("this export was not begun")
        return self._file

    def _holds_nothing(self, path: Path) -> bool:
        """Return whether `path` is what a killed export left behind before its first entry."""
        if path != self._part or path.is_symlink() or not path.is_file() or not self._asked_path.is_file():
            return False
        size = path.stat().st_size
        return size <= len(self._form.head) and path.read_bytes() == self._form.head[:size]

    def _open(self, flags: int) -> None:
        try:
            # What the log tells is nobody else's on this machine.
            handle = os.open(self._part, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
            self._file = os.fdopen(handle, "r+b", buffering=_BUFFER_BYTES)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise InvalidError(f"another export is being written to `{self._part}`") from exc
        except OSError as exc:
            raise InvalidError(f"`{self._part}` cannot be written: {fault_in_words(exc)}") from exc

    def _said(self, after: Place | None) -> dict[str, object]:
        return {"asked": self._asked, "after": None if after is None else list(after)}

    def _asked_before(self) -> Place | None:
        """Return where the unfinished export began, if it is one of what is asked for now."""
        try:
            said = json.loads(self._asked_path.read_text(encoding="utf-8"))
            after = None if said["after"] is None else Place(*said["after"])
            asked = said["asked"]
        except (OSError, ValueError, KeyError, TypeError) as exc:
            message = f"`{self._asked_path}` does not say what `{self._part}` is: begin anew with `--force`"
            raise InvalidError(message) from exc
        if asked != self._asked:
            raise InvalidError(f"`{self._part}` is another export: give the format, filters and exchange of the first")
        return after

    def _whole(self) -> int:
        """Count the whole lines and return how many bytes they are; what comes behind was cut off, or ended it."""
        size = 0
        try:
            for line in self._writable:
                place = self._form.place_in(line) if line.endswith(b"\n") else None
                if place is not None:
                    self.tally.add(place)
                elif size or line != self._form.head:
                    break
                size += len(line)
        except (MalformedError, UnicodeDecodeError) as exc:
            raise InvalidError(f"`{self._part}` is damaged: begin anew with `--force`") from exc
        return size
