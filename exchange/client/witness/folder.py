"""What a witness remembers: the newest checkpoint it cosigned of each log, and what spoke against one.

Promises: what was kept is on the disk before `keep` returns; after a crash the old or the new checkpoint is there,
whole; one process at a time holds the folder. Evidence is written once and never over.
Does not: read what it keeps, or decide.
"""

import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from exchange.audit.witness import origin_hash
from exchange.client.witness.errors import WitnessError
from exchange.kernel.files import sync_folder

_SECRET_MODE = 0o600
_FOLDER_MODE = 0o700
_OTHERS = 0o077

# Evidence against a log takes the log's own signature, so strangers cannot fill the disk; this bounds a mad log.
_MOST_EVIDENCE = 1000

_SHOUTED = "shouted"

KEY_FILE = "witness.key"
LOGS_FILE = "logs"


class WitnessFolder:
    """One witness's folder, held from `with` on; a second holder is refused: two of one name could sign two trees."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def key_file(self) -> Path:
        return self.path / KEY_FILE

    @property
    def logs_file(self) -> Path:
        return self.path / LOGS_FILE

    def __enter__(self) -> Self:
        try:
            is_one = self.key_file.is_file()
        except OSError as exc:
            raise WitnessError(f"`{self.path}` cannot be looked into: {_reason(exc)}: run this as its owner") from exc
        if not is_one:
            raise WitnessError(f"`{self.path}` is no witness's folder: make one with `exchange audit witness keygen`")
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _SECRET_MODE)
        except OSError as exc:
            raise WitnessError(f"`{self.path}` cannot be locked: {_reason(exc)}") from exc
        try:
            # The kernel drops it with the process, however that ends.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(descriptor)
            raise WitnessError(f"another process is this witness (`{self.path}` is locked): let it end first") from exc
        self._lock = descriptor
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def held(self, origin: str) -> bytes | None:
        """Return the note that was kept last for a log, None where none ever was."""
        try:
            return self._held_file(origin).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise WitnessError(f"`{self._held_file(origin)}` cannot be read: {_reason(exc)}") from exc

    def keep(self, origin: str, note: bytes) -> None:
        """Put `note` in the place of the one that was kept; it is durable when this returns."""
        # INVARIANT: only who holds the folder writes in it.
        if self._lock is None:
            raise WitnessError(f"`{self.path}` is not held")
        file = self._held_file(origin)
        try:
            file.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            unfinished = file.with_suffix(".new")
            _write(unfinished, note)
            unfinished.replace(file)
            self._sync_names(file)
        except OSError as exc:
            raise WitnessError(f"`{file}` cannot be written: {_reason(exc)}") from exc

    def keep_evidence(self, name: str, files: Mapping[str, bytes]) -> tuple[Path, bool]:
        """Write what speaks against a log into a folder of its own; return it, and whether it is to be shouted yet."""
        folder = self.path / "evidence" / name
        if folder.is_dir():
            return folder, not (folder / _SHOUTED).exists()
        try:
            folder.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            if sum(1 for _ in folder.parent.iterdir()) >= _MOST_EVIDENCE:
                return folder.parent, False
            unfinished = folder.with_name(f".{name}.{os.getpid()}")
            unfinished.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            for file, content in files.items():
                _write(unfinished / file, content)
            sync_folder(unfinished)
            unfinished.replace(folder)
            self._sync_names(folder)
        except OSError as exc:
            raise WitnessError(f"evidence cannot be written to `{folder}`: {_reason(exc)}") from exc
        return folder, True

    def mark_shouted(self, evidence: Path) -> None:
        """Remember beside the evidence that somebody was told of it: until then it is shouted again."""
        try:
            _write(evidence / _SHOUTED, b"")
            sync_folder(evidence)
        except OSError as exc:
            raise WitnessError(f"`{evidence}` cannot be written: {_reason(exc)}") from exc

    def _sync_names(self, path: Path) -> None:
        """Make the name of `path` durable, and those of the folders that it lies in here: they may be new."""
        for each in path.parents[: len(path.relative_to(self.path).parts)]:
            sync_folder(each)

    def _held_file(self, origin: str) -> Path:
        return self.path / "logs.d" / origin_hash(origin) / "checkpoint"


def make_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Make a witness's folder with all of its first files; raises WitnessError where it is one already."""
    try:
        path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        for name in files:
            if (path / name).exists():
                raise WitnessError(f"`{path / name}` exists already: nothing is overwritten")
        _write_new({path / name: content for name, content in files.items()})
        sync_folder(path)
    except OSError as exc:
        raise WitnessError(f"`{path}` cannot be written: {_reason(exc)}") from exc


def read_guarded(path: Path) -> bytes:
    """Return the bytes of a file that only its owner can read; WitnessError, with the mend, for another."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if os.fstat(descriptor).st_mode & _OTHERS:
                raise WitnessError(f"others on this machine can read `{path}`: run `chmod 600 {path}`")
            return file.read()
    except OSError as exc:
        raise WitnessError(f"`{path}` cannot be read: {_reason(exc)}") from exc


def _write_new(files: Mapping[Path, bytes]) -> None:
    """Write files that must not exist yet; where that fails none is left, for it would stand in the next try's way."""
    made: list[Path] = []
    try:
        for path, content in files.items():
            descriptor = _opened(path, os.O_EXCL)
            made.append(path)
            _fill(descriptor, content)
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.unlink()
        raise


def _write(path: Path, content: bytes) -> None:
    _fill(_opened(path, os.O_TRUNC), content)


def _opened(path: Path, flags: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, _SECRET_MODE)


def _fill(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _reason(exc: OSError) -> str:
    return (exc.strerror or str(exc)).lower()
