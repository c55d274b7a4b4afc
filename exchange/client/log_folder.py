"""A log as a folder of files, laid out as C2SP tlog-tiles has it: written here, and read by whoever verifies it.

`checkpoint` is the newest one, `tile/` holds tiles and entry bundles, `checkpoints/` older checkpoints by their size
(a place of ours: the specification has none for them).
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from exchange.audit import Checkpoint, checkpoint_in
from exchange.audit.bundles import parse_bundle, render_bundle
from exchange.audit.merkle import HASH_BYTES
from exchange.audit.note import LARGEST_NOTE_BYTES
from exchange.audit.shape import LARGEST_ENTRY_BYTES
from exchange.audit.tile_paths import TILE_WIDTH, BundlePath, TilePath, bundles_of_size, tiles_of_size
from exchange.audit.verify import KeptCheckpoint, Source
from exchange.client.bare_source import BareSource
from exchange.kernel import InvalidError, MalformedError
from exchange.kernel.files import place_file, sync_folder

# A folder comes from somebody else: nothing in it is read beyond what it can hold.
_LARGEST_TILE: Final = TILE_WIDTH * HASH_BYTES
_LARGEST_BUNDLE: Final = TILE_WIDTH * (2 + LARGEST_ENTRY_BYTES)

CHECKPOINT: Final = "checkpoint"
OLDER: Final = "checkpoints"

Progress = Callable[[int, int], None]


class LogFolder(BareSource):
    """A source of files. Raises InvalidError where the folder is no log at all."""

    def __init__(self, root: Path) -> None:
        if not root.exists():
            raise InvalidError(f"there is no `{root}`: name a folder of tiles, or an export")
        if not (root / CHECKPOINT).is_file():
            raise InvalidError(f"`{root}` is no folder of a log: it has no file `{CHECKPOINT}`")
        self._root = root

    @property
    def has_entries(self) -> bool:
        """Return whether there are entry bundles."""
        return (self._root / "tile" / "entries").is_dir()

    def newest(self) -> KeptCheckpoint:
        """Return the newest checkpoint."""
        return KeptCheckpoint(_required(self._root / CHECKPOINT))

    def older(self) -> Iterator[KeptCheckpoint]:
        """Return the older checkpoints, the smallest first."""
        folder = self._root / OLDER
        names = [each.name for each in folder.iterdir()] if folder.is_dir() else []
        for name in sorted((each for each in names if each.isascii() and each.isdecimal()), key=int):
            yield KeptCheckpoint(_required(folder / name))

    def tile(self, path: TilePath) -> bytes | None:
        """Return the hashes of a tile, those of the full one where the partial one was cleared away."""
        held = _read(self._root / str(path), _LARGEST_TILE)
        if held is None:
            held = _read(self._root / str(TilePath(path.level, path.index)), _LARGEST_TILE)
        # Only of a full tile is the beginning asked for; another length is the verifier's to judge.
        return held[: path.width * HASH_BYTES] if held is not None and len(held) == _LARGEST_TILE else held

    def entries(self, path: BundlePath) -> Sequence[bytes | None] | None:
        """Return the entries of a bundle, the first ones of the full one where the partial one was cleared away."""
        held = _read(self._root / str(path), _LARGEST_BUNDLE)
        if held is not None:
            return parse_bundle(held, path.width)
        full = _read(self._root / str(BundlePath(path.index)), _LARGEST_BUNDLE)
        return None if full is None else parse_bundle(full, TILE_WIDTH)[: path.width]


def write_log(source: Source, root: Path, progress: Progress | None = None) -> int:
    """Write a log into a folder and return its size; the newest checkpoint is written last.

    What a folder holds of the log already is not written again: stopped, it goes on; later, it adds what is new.
    Raises MalformedError for what the source cannot hand over, InvalidError where the folder is of another log, or of
    another history of this one; nothing else is verified here.
    """
    newest = source.newest()
    head = checkpoint_in(newest.note)
    _require_own(root, head.origin)
    _require_same(root, head)
    size, folder = head.size, _Written(root)
    for kept in source.older():
        older = checkpoint_in(kept.note)
        _require_same(root, older)
        folder.write(f"{OLDER}/{older.size}", kept.note)
    for tile in tiles_of_size(size):
        if not _is_there(root, str(tile), is_full=tile.is_full):
            folder.write(str(tile), _present(source.tile(tile), str(tile)))
    for bundle in bundles_of_size(size) if source.has_entries else ():
        if not _is_there(root, str(bundle), is_full=bundle.is_full):
            folder.write(str(bundle), _bundle(source, bundle))
        if progress is not None:
            progress(bundle.start + bundle.width, size)
    folder.write(f"{OLDER}/{size}", newest.note)
    # A checkpoint without what it was signed over would look like a log that lost it.
    folder.sync()
    folder.write(CHECKPOINT, newest.note)
    folder.sync()
    return size


def _require_own(root: Path, origin: str) -> None:
    """Refuse the folder of another log, as of one that a recovery ended: its tiles would be taken for this one's."""
    held = _read(root / CHECKPOINT, LARGEST_NOTE_BYTES)
    try:
        there = origin if held is None else checkpoint_in(held).origin
    except MalformedError as exc:
        raise InvalidError(f"`{root / CHECKPOINT}` is no checkpoint: write the log into a folder of its own") from exc
    if there != origin:
        raise InvalidError(f"`{root}` holds the log `{there}`: write `{origin}` into a folder of its own")


def _require_same(root: Path, shown: Checkpoint) -> None:
    """Refuse a checkpoint of which the folder holds another one: written over it, the two histories would be one."""
    path = root / OLDER / str(shown.size)
    held = _read(path, LARGEST_NOTE_BYTES)
    try:
        is_same = held is None or checkpoint_in(held).root == shown.root
    except MalformedError:
        return  # damaged: it is written anew
    if not is_same:
        raise InvalidError(
            f"two histories: `{path}` was signed over other entries than what is shown now as the same"
            f" {shown.size}: keep that folder, and write the log into another one"
        )


class _Written:
    """What is written into a folder, durable from `sync` on. Entries are classified: files are their owner's alone."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._touched: set[Path] = set()

    def write(self, name: str, content: bytes) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        place_file(path, content)
        self._touched |= {path.parent, *(each for each in path.parent.parents if each.is_relative_to(self._root))}

    def sync(self) -> None:
        for folder in self._touched:
            sync_folder(folder)
        self._touched.clear()


def _bundle(source: Source, path: BundlePath) -> bytes:
    entries = source.entries(path)
    whole = [] if entries is None else [each for each in entries if each is not None]
    if len(whole) != path.width:
        raise MalformedError(f"`{path}` is not whole: {len(whole)} of {path.width} entries are there")
    return render_bundle(whole)


def _present(content: bytes | None, name: str) -> bytes:
    if content is None:
        raise MalformedError(f"`{name}` is missing")
    return content


def _is_there(root: Path, name: str, *, is_full: bool) -> bool:
    # Full tiles never change; partial ones are written for each size anew.
    return is_full and (root / name).is_file()


def _required(path: Path) -> bytes:
    content = _read(path, LARGEST_NOTE_BYTES)
    if content is None:
        raise MalformedError(f"`{path}` is missing")
    return content


def _read(path: Path, largest: int) -> bytes | None:
    try:
        # Not to wait for whoever writes into a pipe that lies there.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise MalformedError(f"`{path}` is no file")
            content = file.read(largest + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise MalformedError(f"`{path}` cannot be read: {(exc.strerror or str(exc)).lower()}") from exc
    if len(content) > largest:
        raise MalformedError(f"`{path}` is larger than the {largest} bytes that it can have")
    return content
