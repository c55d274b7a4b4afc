"""A whole log as the NDJSON file that its host exported, as a source for the verifier; several after a recovery.

An export has no tiles: they are made here of the leaf hashes beside the entries, so a file that was changed shows as
hashes that differ from the entries, or as a root that no checkpoint was signed over.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from exchange.audit import checkpoint_in
from exchange.audit.export import Place, Statement, check_spelling, has_personal, read_head, read_statement
from exchange.audit.note import LARGEST_NOTE_BYTES
from exchange.audit.tile_paths import TILE_WIDTH, BundlePath, TilePath
from exchange.audit.tiles import grow_tiles
from exchange.audit.verify import KeptCheckpoint
from exchange.client.bare_source import BareSource
from exchange.kernel import InvalidError, MalformedError

T = TypeVar("T")

_COMPLETE: Final = re.compile(rb'\{"complete":')

# An entry has at most 64 KiB, its proof and what it reveals some more; the last line holds a note, escaped.
_LONGEST_LINE_BYTES: Final = 2 * LARGEST_NOTE_BYTES


def export_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of an export; InvalidError for one that is longer than any that is written."""
    while line := file.readline(_LONGEST_LINE_BYTES + 1):
        if len(line) > _LONGEST_LINE_BYTES:
            raise InvalidError("a line of the export is longer than any that an exchange writes")
        yield line


def read_export(path: Path) -> tuple["LogExport", ...]:
    """Return every log that the export in `path` holds from its first entry on, the one in use last.

    Raises InvalidError where it is no export, or not one of whole logs.
    """
    logs: list[_Held] = []
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(export_lines(file), 1):
            if _COMPLETE.match(line):
                if file.read(1):
                    raise _no_whole(path, "something stands behind its last line")
                notes = _ended(path, logs or [_Held(1)], _read(path, "last line", line, read_statement))
                return tuple(LogExport(path, held, notes.get(held.log)) for held in logs or [_Held(1)])
            place, leaf, _ = _read(path, f"line {number}", line, read_head)
            if not logs or place.log == logs[-1].log + 1:
                logs.append(_Held(place.log))
            held = logs[-1]
            if place != (held.log, len(held.leaves)):
                raise _no_whole(path, f"position {len(held.leaves)} is not where it belongs")
            held.take(leaf, offset, has_personal=has_personal(line))
            offset += len(line)
    raise InvalidError(f"`{path}` is no complete export: its last line is missing")


@dataclass(slots=True)
class _Held:
    """What an export holds of the log of this number; `offsets` are where each bundle begins in the file."""

    log: int
    leaves: list[bytes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    personal: int = 0

    def take(self, leaf: bytes, offset: int, *, has_personal: bool) -> None:
        """Take in what stands next."""
        if len(self.leaves) % TILE_WIDTH == 0:
            self.offsets.append(offset)
        self.leaves.append(leaf)
        self.personal += has_personal


class LogExport(BareSource):
    """One log of an export, as a source. `personal` is how many entries come with personal data in the clear."""

    has_entries = True

    def __init__(self, path: Path, held: _Held, note: str | None) -> None:
        self._path = path
        self._offsets = held.offsets
        self._note = note
        self.personal = held.personal
        self._tiles = {tile.path: tile.content for tile in grow_tiles(0, held.leaves, lambda _: b"")}

    def newest(self) -> KeptCheckpoint:
        """Return the checkpoint in the last line."""
        if not self._note:
            raise MalformedError("the export has no checkpoint: nothing was signed when it was made")
        return KeptCheckpoint(self._note.encode())

    def older(self) -> Iterator[KeptCheckpoint]:
        """Return nothing: an auditor keeps its own."""
        return iter(())

    def tile(self, path: TilePath) -> bytes | None:
        """Return the hashes of a tile."""
        return self._tiles.get(path)

    def entries(self, path: BundlePath) -> Sequence[bytes | None] | None:
        """Return the entries of a bundle."""
        if path.index >= len(self._offsets):
            return None
        with self._path.open("rb") as file:
            file.seek(self._offsets[path.index])
            return [read_head(file.readline(_LONGEST_LINE_BYTES))[2] for _ in range(path.width)]


def _read(path: Path, place: str, line: bytes, read: Callable[[bytes], T]) -> T:
    try:
        check_spelling(line)
        return read(line)
    except MalformedError as exc:
        raise InvalidError(f"`{path}`, {place}: {exc.message}") from exc


def _ended(path: Path, logs: Sequence[_Held], statement: Statement) -> dict[int, str]:
    """Return the checkpoint of each log, by its number; InvalidError where the last line tells of other lines."""
    count, end = sum(len(each.leaves) for each in logs), Place(logs[-1].log, len(logs[-1].leaves))
    if statement.end != str(end):
        raise InvalidError(f"`{path}` ends at {end}, and says that it ends at {statement.end}")
    first, last = (str(Place(logs[0].log, 0)), str(Place(end.log, end.position - 1))) if count else (None, None)
    if (statement.count, statement.first, statement.last) != (count, first, last):
        raise InvalidError(f"`{path}` has {count} entries, {first} to {last}: its last line says otherwise")
    notes = dict(enumerate(statement.earlier, 1)) | {end.log: statement.checkpoint or ""}
    for each in logs:
        # No tile of the signed tree reaches to what stands behind it: nobody would look there.
        if (signed := _size_in(notes.get(each.log))) is not None and signed < len(each.leaves):
            raise InvalidError(f"`{path}` has {len(each.leaves)} entries, and its checkpoint was signed over {signed}")
    return notes


def _no_whole(path: Path, why: str) -> InvalidError:
    return InvalidError(f"`{path}` is no export of a whole log: {why}")


def _size_in(checkpoint: str | None) -> int | None:
    try:
        return None if not checkpoint else checkpoint_in(checkpoint.encode()).size
    except MalformedError:
        return None
